"""How fast market data is made anew from the log: decoding, folding and packing, without the database.

`python -m bench.market_data` measures and prints it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from exchange.market_data.history import cut, encode_chunk
from exchange.market_data.model import MarketState
from exchange.market_data.rebuild import refold
from exchange.market_data.snapshot import encode_bars, encode_state
from exchange.messages import CommandResult, decode_events, encode_event_records, genesis_hash

from bench.engines.flow import PRODUCT, PRODUCT_ID, Mix
from matcher.engine import Engine

COMMANDS = 100_000
COMMANDS_PER_RECORD = 50
STEP_NS = 5_000_000_000  # A command each five seconds: minutes enough to be worth counting.
SEED = 4

SECTION = """
### Market data made anew

`exchange rebuild` folds the log again. The log of {commands} commands of the engines' mix, one each {step} seconds of
market time, was decoded, folded, and packed as it is stored, by one process and without the database:
{seconds:.1f} seconds, **{events:,.0f} events, {trades:,.0f} trades and {candles:,.0f} candles a second**. A candle is a
closed minute or hour that had a trade; there were {trades_per_candle:.1f} trades in each minute's.
"""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was folded, and the seconds it took."""

    commands: int
    events: int
    trades: int
    candles: int
    minutes: int
    seconds: float


def measure(commands: int = COMMANDS) -> Rebuilt:
    """Make a log, then measure its fold."""
    log = list(make_log(commands))
    state, candles, minutes = MarketState.genesis(PRODUCT_ID), 0, 0
    begun = time.perf_counter()
    for batch in refold(state, map(decode_events, log)):
        for chunk in cut(batch.events):
            encode_chunk(chunk)
        for page in batch.pages:
            encode_bars(page.bars)
            candles += len(page.bars) if page.is_final else 0
            minutes += len(page.bars) if page.is_final and page.scale == state.bars.minutes.scale else 0
        encode_state(state)
    seconds = time.perf_counter() - begun
    trades = state.last_trade.trade_id if state.last_trade else 0
    return Rebuilt(commands, state.sequence, trades, candles, minutes, seconds)


def section(rebuilt: Rebuilt) -> str:
    """What docs/benchmarks.md says of it."""
    return SECTION.format(
        commands=f"{rebuilt.commands:,}",
        step=STEP_NS // 1_000_000_000,
        seconds=rebuilt.seconds,
        events=rebuilt.events / rebuilt.seconds,
        trades=rebuilt.trades / rebuilt.seconds,
        candles=rebuilt.candles / rebuilt.seconds,
        trades_per_candle=rebuilt.trades / max(rebuilt.minutes, 1),
    )


def make_log(commands: int) -> Iterator[bytes]:
    """The records of the executions stream that a flow makes."""
    engine, chain = Engine(PRODUCT), genesis_hash(PRODUCT_ID)
    flow = (replace(command, time_ns=number * STEP_NS) for number, command in enumerate(Mix(SEED).commands(), 1))
    limited = islice(flow, commands)
    while group := list(islice(limited, COMMANDS_PER_RECORD)):
        results: list[CommandResult] = [result for command in group if (result := engine.apply(command)) is not None]
        if results:
            yield from encode_event_records(PRODUCT_ID, 1, results, hash_before=chain)
            chain = engine.chain_hash


if __name__ == "__main__":
    print(section(measure()).strip())
