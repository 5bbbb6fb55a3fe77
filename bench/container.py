"""The container's work in process: from the bytes of commands to the bytes of events, and starting again.

Seconds are of the processor: other work on the machine spoils the caches, not the clock. `python -m bench.container`.
"""

import argparse
import time
from dataclasses import asdict
from statistics import median
from typing import Final

from exchange.messages import ProductParameters

from bench.engines.flow import PARAMETERS, PRODUCT, PRODUCT_ID, mix, records_of
from matcher.engine import COMPILED, Engine
from matcher.engines import ProductEngines
from matcher.intake import Intake
from matcher.markets import Listing, Market, Markets
from matcher.patience import Patience
from matcher.snapshots import ShardState, decode_state, encode_state
from matcher.stream_reader import StreamRecord

SHARD: Final = "shard"
_ARRIVAL_NS: Final = 1_700_000_000_000_000_000


class Surroundings:
    """What the intake asks for beside its records: one listed product, a lease that holds, an empty quarantine."""

    def find_or_add(self, product_id: str, *, first_record: str) -> Listing:
        """The product's terms."""
        del product_id, first_record
        return Listing(ProductParameters(**asdict(PARAMETERS)), "1")

    def require(self) -> None:
        """The lease holds."""

    def keep(self, shard_id: str, record: StreamRecord, reason: str) -> None:
        """Nothing in the flow is poison."""
        raise ValueError(f"{shard_id} {record.sequence_number}: {reason}")


def stream(seed: int, commands: int, size: int) -> list[StreamRecord]:
    """A flow as records of `size` commands."""
    packed = records_of(mix(seed, commands), size)
    return [StreamRecord(str(n), _ARRIVAL_NS + n * 1_000_000, PRODUCT_ID, data) for n, data in enumerate(packed, 1)]


def pipeline(records: list[StreamRecord]) -> tuple[float, int, int]:
    """Match and pack, a drain a record. Returns seconds, records and bytes of events."""
    market, made, length = Market(PRODUCT_ID, Engine(PRODUCT)), 0, 0
    began = time.process_time()
    for record in records:
        market.accept(record)
        for data in market.drain(1):
            made += 1
            length += len(data)
    return time.process_time() - began, made, length


def recovery(records: list[StreamRecord], snapshot: bytes) -> tuple[float, float]:
    """Start from a snapshot and apply the tail, as a new leader does. Returns the seconds of both steps."""
    around = Surroundings()
    began = time.process_time()
    state = decode_state(snapshot, shard_id=SHARD)
    markets = Markets(ProductEngines(), around)
    markets.restore(state)
    restored = time.process_time()
    intake = Intake(state, markets, around, Patience(around, time.sleep), expected_first="")
    for record in records:
        intake.take(record)
        for market in markets:
            market.forget()
    return restored - began, time.process_time() - restored


def snapshot_of(records: list[StreamRecord]) -> bytes:
    """The shard's state after these records."""
    market = Market(PRODUCT_ID, Engine(PRODUCT))
    for record in records:
        market.accept(record)
    market.forget()
    position = records[-1].sequence_number
    return encode_state(ShardState(SHARD, position, "1", {PRODUCT_ID: market.snapshot()}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.container", description=__doc__)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"compiled engine: {COMPILED}; seed {options.seed}, medians of {options.runs} runs")
    for size in (1000, 40, 1):
        count = options.commands if size > 1 else options.commands // 10
        records = stream(options.seed, count, size)
        runs = [pipeline(records) for _ in range(options.runs)]
        seconds, (_, made, length) = median(run[0] for run in runs), runs[0]
        print(
            f"records of {size}: {count / seconds:,.0f} commands/s into {made} records, {length / count:.0f} bytes each"
        )
    head, tail = stream(options.seed, 100_000, 1000), stream(options.seed + 1, options.commands, 40)
    saved = snapshot_of(head)
    starts = [recovery(tail, saved) for _ in range(options.runs)]
    loaded, applied = median(s[0] for s in starts), median(s[1] for s in starts)
    print(
        f"recovery: snapshot of {len(saved):,} bytes in {loaded:.3f} s, tail of {options.commands:,} in {applied:.3f} s"
    )


if __name__ == "__main__":
    main()
