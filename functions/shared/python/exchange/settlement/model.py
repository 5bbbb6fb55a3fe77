"""The settlement plan: events in, transactions out.

A batch of events is cut into *parts*. A part is what one transaction carries: the cursor's step, the journal batch, the
net movement of every balance, and the orders' new states. The journal keeps every entry gross; balances
move net. The cursor is the only guard of exactly-once: a part commits only on the cursor it was planned from.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from exchange.instruments.model import Product
from exchange.kernel.errors import require
from exchange.ledger.model import (
    GENESIS,
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    customer_account,
    fee_account,
    next_batch,
    sub_balance,
)
from exchange.messages import (
    ChainCheck,
    ChangeReason,
    CommandResult,
    DoneReason,
    Event,
    EventRecord,
    EventType,
    Op,
    RejectReason,
    Side,
    genesis_hash,
    reason_name,
)
from exchange.orders.model import (
    Fill,
    Liquidity,
    Order,
    OrderStatus,
    apply_amend,
    end_order,
    fill_order,
    reduce_order,
    refuse_amend,
)

PART_ITEMS_MAX = 100
_PLACING = frozenset({Op.PLACE, Op.CANCEL_IF_UNSEEN})


class GapError(Exception):
    """Events are missing between the cursor and this record; nothing is guessed."""


class SplitBrainError(Exception):
    """Two records say different things about the same sequence: two matchers have diverged."""


class Commit(Enum):
    """What became of a part."""

    DONE = auto()
    STALE = auto()  # the cursor is elsewhere (somebody settled this), or an order is (its owner asked for an amend)
    CONFLICT = auto()  # another transaction held one of the items; nothing happened


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a product is settled.

    `sequence` is the last event settled; `hash` is the chain at its last point up to there, which is at
    `hash_sequence`; `head` is the product's last journal batch.
    """

    sequence: int = 0
    hash_sequence: int = 0
    hash: bytes = GENESIS
    epoch: int = 0
    head: Head = field(default_factory=Head)

    @classmethod
    def start(cls, product_id: str) -> "Cursor":
        """Before a product's first event."""
        return cls(hash=genesis_hash(product_id))


@dataclass(frozen=True, slots=True)
class Part:
    """One transaction's worth of settlement.

    Its fills are written just before: they say what the log of the engine says, and are the same for all who have read
    the orders as they are. What was reckoned from an older order never takes the place of what was from a newer one.
    """

    product_id: str
    before: Cursor
    after: Cursor
    batch: Batch | None
    orders: tuple[tuple[Order, Order], ...]
    fills: tuple[Fill, ...]
    movements: Movements

    @property
    def numbered_fills(self) -> tuple[tuple[Fill, int], ...]:
        """Its fills, each with the version of the order that it was reckoned from."""
        versions = {before.order_id: before.version for before, _ in self.orders}
        return tuple((fill, versions[fill.order_id]) for fill in self.fills)

    @property
    def changed_orders(self) -> tuple[tuple[Order, Order], ...]:
        """The orders that it changes."""
        return tuple((before, after) for before, after in self.orders if before != after)

    @property
    def items(self) -> int:
        """How many items the transaction has."""
        return 1 + (self.batch is not None) + len(self.changed_orders) + len(self.movements.by_item())


def journal_partition(product_id: str) -> str:
    """The journal's partition for a product's trades."""
    return f"product:{product_id}"


def fresh_results(cursor: Cursor, records: Iterable[EventRecord]) -> tuple[list[CommandResult], int]:
    """The results that the cursor has not covered, each cut to its fresh events, and the highest epoch seen.

    Raises:   GapError where a sequence is missing; SplitBrainError where bytes differ from what was settled.
    """
    fresh: list[CommandResult] = []
    expected, epoch, chain = cursor.sequence + 1, cursor.epoch, ChainCheck()
    for record in records:
        epoch = max(epoch, record.epoch)
        _refuse_divergence(cursor, record, chain)
        for result in record.results:
            events = tuple(event for event in result.events if event.sequence >= expected)
            if not events:
                continue
            if events[0].sequence != expected:
                raise GapError(f"{record.product_id}: expected sequence {expected}, found {events[0].sequence}")
            expected = events[-1].sequence + 1
            dropped = len(result.events) - len(events)
            fresh.append(replace(result, events=events, first_index=result.first_index + dropped))
    return fresh, epoch


def _refuse_divergence(cursor: Cursor, record: EventRecord, chain: ChainCheck) -> None:
    if not chain.take(record):
        raise SplitBrainError(
            f"{record.product_id}: a record from {record.first_sequence} on doesn't hash to what it says"
        )
    seen = min(cursor.sequence, record.last_sequence)
    # The log fixes where the chain has its points: there is none between the cursor's last point and the cursor.
    if seen >= cursor.hash_sequence and record.hash_at(seen) not in {None, cursor.hash}:
        raise SplitBrainError(f"{record.product_id}: up to sequence {seen}, other bytes were settled")


def order_ids(results: Iterable[CommandResult]) -> list[int]:
    """Every order that the results touch, once, in the order of appearance."""
    seen: dict[int, None] = {}
    for result in results:
        for event in result.events:
            for order_id in (event.order_id, event.maker_order_id):
                if order_id and event.type not in {EventType.PHASE, EventType.AUCTION}:
                    seen[order_id] = None
    return list(seen)


def plan_parts(
    product: Product,
    cursor: Cursor,
    results: Iterable[CommandResult],
    orders: Mapping[int, Order],
    *,
    epoch: int,
    now_ns: int,
) -> Iterator[Part]:
    """Plan the transactions that settle `results` from `cursor` on, in order.

    Raises:   InvariantError where an event contradicts an order.
    """
    book = dict(orders)
    draft = _Draft(product, cursor, book)
    for result in results:
        for event in result.events:
            if draft.items + draft.items_of(event) > PART_ITEMS_MAX:
                part = draft.close(epoch, now_ns)
                yield part
                draft = _Draft(product, part.after, book)
            draft.apply(result, event)
        if result.hash_after:
            draft.reached(result.events[-1].sequence, result.hash_after)
    if draft.sequence != draft.cursor.sequence:
        yield draft.close(epoch, now_ns)


class _Draft:
    """A part while it is being filled."""

    def __init__(self, product: Product, cursor: Cursor, book: dict[int, Order]) -> None:
        self.product = product
        self.cursor = cursor
        self.sequence = cursor.sequence
        self._hash_at, self._hash = cursor.hash_sequence, cursor.hash
        self._book = book
        self._before: dict[int, Order] = {}
        self._fills: list[Fill] = []
        self._entries: list[Entry] = []
        self._movements = Movements()
        self._balance_items: set[tuple[str, str]] = set()
        self._fees = (fee_account(product.product_id), product.quote.asset_id)

    @property
    def items(self) -> int:
        """An upper bound of the transaction's items so far: cursor, journal, orders, balances."""
        return 2 + len(self._before) + len(self._balance_items)

    def items_of(self, event: Event) -> int:
        """How many items an event adds at most."""
        orders, items = 0, {self._fees} if event.type == EventType.MATCH else set()
        for order_id in (event.order_id, event.maker_order_id):
            order = self._book.get(order_id)
            if order is not None:
                orders += order_id not in self._before
                items |= self._items_of(order)
        return orders + len(items - self._balance_items)

    def _items_of(self, order: Order) -> set[tuple[str, str]]:
        """Where an order's account has what it earns, and what it holds: one item but for older orders."""
        account, product_id = customer_account(order.account_id), self.product.product_id
        return {(account, product_id), (account, order.hold_product or order.hold_asset(self.product))}

    def apply(self, result: CommandResult, event: Event) -> None:
        """Take one event in."""
        self.sequence = event.sequence
        match event.type:
            case EventType.MATCH:
                self._match(event)
            case EventType.OPEN:
                self._set_status(event, OrderStatus.OPEN)
            case EventType.ACTIVATE:
                self._set_status(event, OrderStatus.ACTIVE)
            case EventType.CHANGE if event.reason == ChangeReason.AMEND:
                self._amended(result, event)
            case EventType.CHANGE:
                self._change(event)
            case EventType.DONE:
                self._done(event)
            case EventType.REJECTED if result.op in _PLACING and event.reason != RejectReason.DUPLICATE_ORDER_ID:
                self._rejected(event)
            case EventType.REJECTED if result.op == Op.AMEND and event.order_id in self._book:
                self._amend_refused(result, event)
            case _:
                pass  # received, triggered, phase, auction and refused cancels move no money

    def reached(self, sequence: int, chain_hash: bytes) -> None:
        """Remember the chain at one of its points."""
        self._hash_at, self._hash = sequence, chain_hash

    def close(self, epoch: int, now_ns: int) -> Part:
        """The finished part."""
        batch = None
        head = self.cursor.head
        if self._entries:
            batch = next_batch(
                head,
                partition=journal_partition(self.product.product_id),
                posted_at_ns=now_ns,
                reference=str(self.sequence),
                entries=self._entries,
            )
            head = Head(batch.number, batch.hash())
        for order_id, before in self._before.items():
            if self._book[order_id] != before:
                self._book[order_id] = replace(self._book[order_id], version=before.version + 1)
        part = Part(
            product_id=self.product.product_id,
            before=self.cursor,
            after=Cursor(self.sequence, self._hash_at, self._hash, epoch, head),
            batch=batch,
            orders=tuple((before, self._book[order_id]) for order_id, before in self._before.items()),
            fills=tuple(self._fills),
            movements=self._movements,
        )
        require(part.items <= PART_ITEMS_MAX, f"a part of {part.items} items")
        return part

    def _order(self, order_id: int) -> Order:
        require(order_id in self._book, f"an event for order {order_id}, which nobody accepted")
        order = self._book[order_id]
        if order_id not in self._before:
            self._before[order_id] = order
            self._balance_items |= self._items_of(order)
        return order

    def _replace(self, before: Order, after: Order, *, spent: int = 0) -> None:
        """Put an order's next state in, and give back what it no longer holds and has not spent."""
        self._book[before.order_id] = after
        place = sub_balance(before.hold_asset(self.product), before.hold_product)
        movement = self._movements.of(customer_account(before.account_id), place)
        freed = before.hold_units - after.hold_units
        require(freed >= spent, f"order {before.order_id} cost more than its hold")
        movement.held -= freed
        movement.available += freed - spent
        movement.open_orders -= before.live and not after.live

    def _set_status(self, event: Event, status: OrderStatus) -> None:
        order = self._order(event.order_id)
        self._replace(order, replace(order, status=status))

    def _change(self, event: Event) -> None:
        order = self._order(event.order_id)
        changed = reduce_order(
            order,
            self.product,
            remaining_lots=0 if order.funds else event.new_size,
            remaining_funds=event.new_funds if order.funds else 0,
            price_ticks=event.new_price,
        )
        self._replace(order, changed)

    def _amended(self, result: CommandResult, event: Event) -> None:
        order = self._order(event.order_id)
        amended = apply_amend(
            order,
            self.product,
            result.command_id.hex(),
            remaining_lots=event.new_size,
            price_ticks=event.new_price,
        )
        self._replace(order, amended)

    def _amend_refused(self, result: CommandResult, event: Event) -> None:
        order = self._order(event.order_id)
        self._replace(order, refuse_amend(order, self.product, result.command_id.hex(), reason_name(event)))

    def _done(self, event: Event) -> None:
        order = self._order(event.order_id)
        filled = event.done_reason == DoneReason.FILLED
        ended = end_order(
            order,
            status=OrderStatus.DONE,
            time_ns=event.time_ns,
            done_reason="filled" if filled else "canceled",
            cancel_reason="" if filled else reason_name(event),
        )
        self._replace(order, ended)

    def _rejected(self, event: Event) -> None:
        order = self._order(event.order_id)
        if event.reason == RejectReason.UNSEEN:
            self._replace(order, _canceled_by_its_owner(order, event))
            return
        ended = end_order(
            order, status=OrderStatus.REJECTED, time_ns=event.time_ns, done_reason="", reject_reason=reason_name(event)
        )
        self._replace(order, ended)

    def _match(self, event: Event) -> None:
        value = self.product.value_units(event.price, event.size)
        sides = ((event.maker_order_id, Liquidity.MAKER), (event.order_id, Liquidity.TAKER))
        for order_id, liquidity in sides:
            order = self._order(order_id)
            filled, fill = fill_order(
                order,
                self.product,
                liquidity=liquidity,
                trade_id=event.trade_id,
                price_ticks=event.price,
                size_lots=event.size,
                time_ns=event.time_ns,
            )
            self._fills.append(fill)
            self._settle_side(order, filled, fill, value)

    def _settle_side(self, order: Order, filled: Order, fill: Fill, value: int) -> None:
        account = customer_account(order.account_id)
        base, quote = self.product.base.asset_id, self.product.quote.asset_id
        size = self.product.size_units(fill.size_lots)
        buys = order.side is Side.BUY
        self._replace(order, filled, spent=value + fill.fee_units if buys else size)
        # What is earned stays in the product's own sub-balance, so no other product's settlement meets it there.
        received = self._movements.of(account, sub_balance(base if buys else quote, self.product.product_id))
        received.available += size if buys else value - fill.fee_units
        reference = str(fill.trade_id)
        sign = 1 if buys else -1
        self._entries.append(Entry(account, base, sign * size, EntryKind.MATCH, reference))
        self._entries.append(Entry(account, quote, -sign * value, EntryKind.MATCH, reference))
        if fill.fee_units:
            income, _ = self._fees
            self._balance_items.add(self._fees)
            self._movements.of(income, quote).available += fill.fee_units
            self._entries.append(Entry(account, quote, -fill.fee_units, EntryKind.FEE, reference))
            self._entries.append(Entry(income, quote, fill.fee_units, EntryKind.FEE, reference))


def _canceled_by_its_owner(order: Order, event: Event) -> Order:
    """An order that was canceled before it reached the engine."""
    return end_order(
        order, status=OrderStatus.DONE, time_ns=event.time_ns, done_reason="canceled", cancel_reason="user"
    )
