"""The flow that every order book understands: limit orders, cancels, market orders. An order is named by its step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from exchange.messages import Command, EventType, Op, OrderType, ProductParameters, Side, TimeInForce
from exchange.messages.events import EVENT_STRUCTS, RESULT_STRUCT

from bench.engines.flow import records_of
from matcher.engine import ProductSpec

LIMIT, CANCEL, MARKET = 0, 1, 2
MIDDLE: Final = 10_000
# Prices no order of the flow reaches: where a book knows no market order, a limit there does its work.
LOWEST, HIGHEST = 1, 2 * MIDDLE
PRODUCT_ID: Final = "PLAIN-USD"
PRODUCT: Final = ProductSpec.from_parameters(
    PRODUCT_ID, ProductParameters("PLAIN", "USD", "1", "0.01", "1", "1000000", "0.01")
)
_LIVE: Final = 5_000

# Taker, maker, price, size.
Trade = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing sent. `target` is the step whose order a cancel names; prices in ticks, sizes in lots."""

    kind: int
    buying: bool = False
    price: int = 0
    size: int = 0
    target: int = 0


def steps(seed: int, count: int) -> list[Step]:
    """A flow: most orders rest near the middle and are canceled again; four in ten of those traded meanwhile."""
    random, middle = Random(seed), float(MIDDLE)
    placed: list[int] = []
    made: list[Step] = []
    for number in range(count):
        draw = random.random()
        middle += random.gauss(0, 0.3) + (MIDDLE - middle) * 1e-4
        buying = random.random() < 0.5
        if placed and (draw < 0.42 or len(placed) > _LIVE):
            place = random.randrange(len(placed))
            placed[place], placed[-1] = placed[-1], placed[place]
            made.append(Step(CANCEL, target=placed.pop()))
        elif draw < 0.46:
            made.append(Step(MARKET, buying, HIGHEST if buying else LOWEST, random.randint(1, 60)))
        else:
            away = int(random.expovariate(1 / 12)) - 1
            price = int(middle) - away if buying else int(middle) + away
            made.append(Step(LIMIT, buying, price, random.randint(1, 50)))
            placed.append(number)
    return made


def commands(flow: Sequence[Step]) -> Iterator[Command]:
    """The flow as our commands. Every order is of an account of its own, so nothing prevents a trade."""
    for number, step in enumerate(flow, start=1):
        if step.kind == CANCEL:
            yield Command(Op.CANCEL, order_id=step.target + 1, time_ns=number)
            continue
        is_limit = step.kind == LIMIT
        yield Command(
            Op.PLACE,
            order_id=number,
            account_id=number,
            side=Side.BUY if step.buying else Side.SELL,
            order_type=OrderType.LIMIT if is_limit else OrderType.MARKET,
            time_in_force=TimeInForce.GTC if is_limit else TimeInForce.IOC,
            price=step.price if is_limit else 0,
            size=step.size,
            time_ns=number,
        )


def records(flow: Sequence[Step], size: int) -> list[bytes]:
    """The flow as stream records of `size` commands."""
    return records_of(list(commands(flow)), size, PRODUCT_ID)


def trades_of(results: bytes) -> Iterator[Trade]:
    """The trades in what an engine of ours answered."""
    offset = 0
    while offset < len(results):
        count = RESULT_STRUCT.unpack_from(results, offset)[-1]
        offset += RESULT_STRUCT.size
        for _ in range(count):
            kind = results[offset]
            if kind == EventType.MATCH:
                fields = EVENT_STRUCTS[kind].unpack_from(results, offset)
                yield fields[8] - 1, fields[10] - 1, fields[13], fields[14]
            offset += EVENT_STRUCTS[kind].size
