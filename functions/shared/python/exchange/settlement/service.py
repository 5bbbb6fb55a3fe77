"""Settle records of the executions stream: drop what is settled, plan the rest, commit part by part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import InvariantError, UnavailableError, require
from exchange.messages import EventRecord
from exchange.orders.model import Order
from exchange.settlement.model import Commit, Cursor, Part, fresh_results, order_ids, plan_parts

CONFLICTS_MAX = 12
# A part is planned anew for each amend that its orders' owners ask for meanwhile; each order may have few under way.
REPLANS_MAX = 64

PreparedT = TypeVar("PreparedT")


class SettlementStore(Protocol[PreparedT]):
    """What settlement needs of the tables."""

    def cursor(self, product_id: str) -> Cursor:
        """How far a product is settled, read consistently."""
        ...

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id, read consistently."""
        ...

    def prepare(self, part: Part) -> PreparedT:
        """Write a part's fills, and make all else ready to be committed. Raises OutageError; doing it again is safe."""
        ...

    def commit(self, prepared: PreparedT) -> Commit:
        """Write a part whole or not at all. Raises OutageError."""
        ...


@dataclass(slots=True)
class Settled:
    """What one call did. Counts of transactions, events, trades, and of tries that met another transaction."""

    product_id: str
    sequence: int
    parts: int = 0
    events: int = 0
    trades: int = 0
    conflicts: int = 0


def settle(
    product: Product,
    records: Sequence[EventRecord],
    *,
    store: SettlementStore[PreparedT],
    clock: Clock,
    executor: Executor,
    pause: Callable[[int], None],
) -> Settled:
    """Settle `records` of one product, in order; what is settled already changes nothing.

    While a part is being committed, `executor` prepares the next. `pause(n)` waits out the n-th conflict in a row.
    Raises:   GapError, SplitBrainError, InvariantError (the product must stop); OutageError (try again).
    """
    done = Settled(product.product_id, 0)
    for _ in range(REPLANS_MAX):
        cursor = store.cursor(product.product_id)
        done.sequence = cursor.sequence
        results, epoch = fresh_results(cursor, records)
        if not results:
            return done
        orders = {order.order_id: order for order in store.orders(order_ids(results))}
        parts = plan_parts(product, cursor, results, orders, epoch=epoch, now_ns=clock.now_ns())
        prepared = ((part, store.prepare(part)) for part in parts)
        reached = cursor
        try:
            for part, ready in _one_ahead(prepared, executor):
                if not _commit(part, ready, done, store, pause):
                    break
                reached = part.after
            else:
                done.events += sum(len(result.events) for result in results)
                return done
        except InvariantError:
            # Somebody may have settled between the two reads: then the orders are from after the cursor, and nothing is
            # wrong with them. Where the cursor stands where we left it, it is a defect.
            if store.cursor(product.product_id) == reached:
                raise
    raise UnavailableError(f"{product.product_id}: cursor or orders moved {REPLANS_MAX} times under us")


RowT = TypeVar("RowT")


def _one_ahead(rows: Iterator[RowT], executor: Executor) -> Iterator[RowT]:
    """The same rows in the same order, each made while the one before it is in use."""
    coming = executor.submit(next, rows, None)
    try:
        while (row := coming.result()) is not None:
            coming = executor.submit(next, rows, None)
            yield row
    finally:
        # Who stops early plans anew, and must not meet what is still being made.
        wait([coming])


def _commit(
    part: Part,
    prepared: PreparedT,
    done: Settled,
    store: SettlementStore[PreparedT],
    pause: Callable[[int], None],
) -> bool:
    """Commit a part, waiting out conflicts; False where cursor or orders have moved and all must be planned anew."""
    for attempt in range(CONFLICTS_MAX):
        outcome = store.commit(prepared)
        if outcome is Commit.DONE:
            require(part.after.sequence > part.before.sequence, "a part that settles nothing")
            done.parts += 1
            done.trades += len(part.fills) // 2
            done.sequence = part.after.sequence
            return True
        if outcome is Commit.STALE:
            return False
        done.conflicts += 1
        pause(attempt)
    raise UnavailableError(f"{part.product_id}: {CONFLICTS_MAX} conflicts in a row")
