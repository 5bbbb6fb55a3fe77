"""How many trades a second one product settles: `python -m bench.settlement`, into docs/benchmarks.md.

Computing is measured in this process, with a DynamoDB that answers at once. The seconds that AWS takes can't be
measured on a laptop: they are arguments of the formula. Beside it stands a whole run over a laptop's DynamoDB.
"""

import argparse
import base64
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from botocore.awsrequest import AWSResponse
from exchange.aws.dynamodb import connection
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.messages import decode_events
from exchange.orders.store import order_item, order_of
from exchange.settlement.delivery import packed, unpacked
from exchange.settlement.model import Cursor, Part, fresh_results, plan_parts
from exchange.settlement.service import settle
from exchange.settlement.store import DynamoSettlementStore

from bench import machine
from bench.page import PAGE, table, write_part
from bench.settlement_flow import TABLES, bind_tables, load, records_of, traded
from tests.fakes.executors import InlineExecutor
from tests.fakes.tables import create_tables
from tests.fakes.venue import Venue
from tests.integration.matcher_cloud import start_cloud

TRADES: Final = 1_000
RUNS: Final = 5
SHAPES: Final = {"two customers of its own in each trade": False, "one maker in every trade": True}
LATENCIES_SECONDS: Final = (0.008, 0.0125, 0.02)
HOP_SECONDS: Final = 0.06
INPUT_BYTES: Final = 180_000  # of events: an Express execution's 256 KB, less what base64 adds
ORDERS_A_READ: Final = 100
READS_AT_ONCE: Final = 4

HEAD = """
## Settlement

Made by `python -m bench.settlement`. {machine}. Medians of {runs} runs of {trades} trades in one product.

What a part of settlement is, is in [life-of-an-order.md](life-of-an-order.md); why it is so, in
[023](decisions/023-settlement-capacity.md). Computing is processor time of one core here, with a DynamoDB that answers
at once.
"""

FORMULA = """
One product settles one part after the other, so what counts is how far apart two commits are:
`max(latency + commit, plan + prepare + commit)`, for the next part is planned, and its fills are put, while one
commits. To that comes, once an execution of {input} KB of events, the way through two functions and Express (taken as
{hop:.0f} ms), two reads of the cursor, and the orders, {orders} a read and {reads} reads at once. `trades_a_second` in
`bench/settlement.py` is the whole formula. The latency of a transaction of 100 items and the hop are assumptions, and
a core here is taken for a core there; 12.5 ms is what the design reckons with.
"""

RUN = """
A run over a laptop's DynamoDB, the functions left out, for what that says: there a commit takes {latency:.0f} ms, and
MiniStack, which takes one transaction after the other, has the same two cores.
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What settling trades of one shape costs: seconds of one core a part, bytes of events a trade."""

    trades_a_part: float
    items_a_part: float
    plan_seconds: float
    prepare_seconds: float
    commit_seconds: float
    read_seconds_a_trade: float
    bytes_a_trade: float


def part_seconds(cost: Cost, latency_seconds: float) -> float:
    """How far apart two parts of a product are committed. One Python process computes one thing at a time."""
    computing = cost.plan_seconds + cost.prepare_seconds + cost.commit_seconds
    return max(latency_seconds + cost.commit_seconds, computing)


def trades_a_second(cost: Cost, latency_seconds: float) -> float:
    """What one product settles, execution after execution, each with its hop and its reads."""
    trades = INPUT_BYTES / cost.bytes_a_trade
    reads = 2 + math.ceil(2 * trades / (ORDERS_A_READ * READS_AT_ONCE))
    before = HOP_SECONDS + reads * latency_seconds + trades * cost.read_seconds_a_trade
    return trades / (before + trades / cost.trades_a_part * part_seconds(cost, latency_seconds))


def measure(venue: Venue) -> Cost:
    """Plan, prepare and commit all trades of a product, with a DynamoDB that answers at once."""
    store = DynamoSettlementStore(_answering(), InlineExecutor())
    results, epoch = fresh_results(Cursor.start(venue.product.product_id), records_of(venue))
    start = Cursor.start(venue.product.product_id)
    seconds: dict[str, list[float]] = {"plan": [], "prepare": [], "commit": []}
    for _ in range(RUNS):
        plan = partial(plan_parts, venue.product, start, results, venue.tables.stored, epoch=epoch, now_ns=1)
        parts: list[Part] = _timed(seconds["plan"], lambda plan=plan: list(plan()))  # type: ignore[misc]
        prepared = _timed(seconds["prepare"], partial(list, map(store.prepare, parts)))
        _timed(seconds["commit"], partial(list, map(store.commit, prepared)))
    trades = sum(len(part.fills) for part in parts) // 2
    each = {name: statistics.median(taken) / len(parts) for name, taken in seconds.items()}
    return Cost(
        trades_a_part=trades / len(parts),
        items_a_part=sum(part.items for part in parts) / len(parts),
        plan_seconds=each["plan"],
        prepare_seconds=each["prepare"],
        commit_seconds=each["commit"],
        read_seconds_a_trade=_read_seconds(venue) / trades,
        bytes_a_trade=sum(len(packed(base64.b64encode(data).decode())) for data in venue.executions) * 3 / 4 / trades,
    )


def _read_seconds(venue: Venue) -> float:
    """To make records and orders of what Kinesis and DynamoDB send."""
    items = [order_item(order).serialize() for order in venue.tables.stored.values()]
    inputs = [packed(base64.b64encode(data).decode()) for data in venue.executions]
    taken: list[float] = []
    for _ in range(RUNS):
        _timed(taken, lambda: ([order_of(item) for item in items], [decode_events(unpacked(data)) for data in inputs]))
    return statistics.median(taken)


def _timed(taken: list[float], work: Callable[[], Any]) -> Any:
    began = time.process_time()
    done = work()
    taken.append(time.process_time() - began)
    return done


class _Body:
    """The body of an answer that says nothing."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b"{}"


def _answering() -> Any:
    """A connection whose every request is made and signed, and answered before it is sent."""
    made = connection()

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, {"x-amzn-requestid": "1"}, _Body())

    made.client.meta.events.register("before-send.dynamodb", answer)
    return made


@contextmanager
def laptops_dynamodb() -> Iterator[None]:
    """A laptop's DynamoDB with the exchange's tables, which this process reaches."""
    with tempfile.TemporaryDirectory(prefix="bench-settlement-") as folder:
        cloud = start_cloud(Path(folder))
        try:
            os.environ.update({name: value for name, value in cloud.environment.items() if name.startswith("AWS_")})
            create_tables(*TABLES)
            bind_tables()
            yield
        finally:
            cloud.stop()


def run_seconds() -> tuple[float, float]:
    """Seconds to settle a product's trades over a laptop's DynamoDB, and the median seconds of a commit."""
    venue = traded(0, TRADES, one_maker=False)
    commits: list[float] = []

    class Timed(DynamoSettlementStore):
        """Notes how long each commit takes."""

        def commit(self, prepared: Any) -> Any:
            """Commit, by the clock."""
            began = time.monotonic()
            outcome = super().commit(prepared)
            commits.append(time.monotonic() - began)
            return outcome

    with laptops_dynamodb(), ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(4) as fills:
        load([venue], connection())
        store = Timed(connection(), fills)
        began = time.monotonic()
        settle(venue.product, records_of(venue), store=store, clock=SystemClock(), executor=ahead, pause=jittered_pause)
        return time.monotonic() - began, statistics.median(commits)


def document(described: str, costs: dict[str, Cost], run: tuple[float, float]) -> str:
    """The part of the page."""
    rows: list[tuple[str, ...]] = [("", *costs)]
    figures: tuple[tuple[str, Callable[[Cost], str]], ...] = (
        ("trades a part", lambda cost: f"{cost.trades_a_part:.1f}"),
        ("items a part", lambda cost: f"{cost.items_a_part:.0f}"),
        ("plan, ms a part", lambda cost: f"{cost.plan_seconds * 1000:.1f}"),
        ("prepare, its fills among it", lambda cost: f"{cost.prepare_seconds * 1000:.1f}"),
        ("commit", lambda cost: f"{cost.commit_seconds * 1000:.1f}"),
        ("records and orders read, µs a trade", lambda cost: f"{cost.read_seconds_a_trade * 1e6:.0f}"),
        ("bytes of events a trade, deflated", lambda cost: f"{cost.bytes_a_trade:.0f}"),
    )
    rows += [(title, *(figure(cost) for cost in costs.values())) for title, figure in figures]
    reach = [("trades a second, where a transaction takes", *costs)]
    reach += [
        (f"{latency * 1000:g} ms", *(f"{trades_a_second(cost, latency):,.0f}" for cost in costs.values()))
        for latency in LATENCIES_SECONDS
    ]
    seconds, latency = run
    parts = [
        HEAD.format(machine=described, runs=RUNS, trades=TRADES),
        table(rows),
        FORMULA.format(input=INPUT_BYTES // 1000, hop=HOP_SECONDS * 1000, orders=ORDERS_A_READ, reads=READS_AT_ONCE),
        table(reach),
        RUN.format(latency=latency * 1000),
        f"{TRADES:,} trades in {seconds:.1f} s: **{TRADES / seconds:.0f} trades a second**.",
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="bench.settlement", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    described = machine.describe()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    bind_tables()
    venues = {title: traded(0, TRADES, one_maker=one_maker) for title, one_maker in SHAPES.items()}
    costs = {title: measure(venue) for title, venue in venues.items()}
    for title, cost in costs.items():
        print(f"{title}: {trades_a_second(cost, 0.0125):,.0f} trades a second at 12.5 ms", flush=True)
    # In a process of its own: PynamoDB's connections belong to the first DynamoDB of theirs.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        run = executor.submit(run_seconds).result()
    print(f"over a laptop's DynamoDB: {TRADES / run[0]:.0f} trades a second", flush=True)
    write_part(options.output, "settlement", document(described, costs, run))
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
