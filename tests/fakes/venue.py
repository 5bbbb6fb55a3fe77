"""A whole exchange in memory: the real rules, engine, planner and audit, on dictionaries."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from exchange.audit.model import Replayed, TransferRow, World
from exchange.fees.model import Rates
from exchange.instruments.model import Product
from exchange.kernel.errors import Refused, UnavailableError, require
from exchange.ledger.model import (
    Balance,
    Batch,
    Entry,
    EntryKind,
    Head,
    Movement,
    Movements,
    asset_and_product,
    custody_account,
    customer_account,
    may_be_negative,
    next_batch,
    sub_balance,
    together,
)
from exchange.messages import (
    Command,
    EventRecord,
    OrderType,
    PackedGroup,
    Side,
    decode_commands,
    decode_events,
    encode_commands,
    encode_packed_groups,
)
from exchange.orders.model import Fill, Order, created_key
from exchange.risk.model import MarketView, OrderTerms
from exchange.settlement.model import Commit, Cursor, Part
from exchange.settlement.service import Settled, settle
from exchange.statements.service import bring_up
from exchange.trading.amending import AmendTerms, amend_order
from exchange.trading.model import Acceptance, Intent, Trader, Verdict
from exchange.trading.placing import place_order, place_orders
from exchange.trading.service import Desk, cancel_named, cancel_order, cancel_orders

from matcher.engine.product import ProductSpec
from matcher.engine.reference import Engine
from matcher.listings import product_parameters
from tests.fakes.executors import InlineExecutor
from tests.fakes.statements import FakeStatements

RAIL = "rail:test-bank"


@dataclass
class ManualClock:
    """Time that moves when it is told to, and a little whenever it is asked."""

    time_ns: int = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        self.time_ns += 1_000
        return self.time_ns


@dataclass
class Journal:
    """The journal of these tables as its readers see it."""

    rows: dict[str, list[tuple[Batch, bytes]]]

    def batches(self, partition: str, *, after: int) -> Iterable[tuple[Batch, bytes]]:
        """The batches of a partition behind a number."""
        return [row for row in self.rows[partition] if row[0].number > after]


@dataclass
class Tables:
    """The tables that order entry and settlement share. `conflicts` makes that many commits fail first.

    `interruption` happens once, between what settlement has read and what it writes. `old_release` keeps holds in main
    balances, as before there were sub-balances.
    """

    balances: dict[tuple[str, str], Balance] = field(default_factory=dict)
    stored: dict[int, Order] = field(default_factory=dict)
    written: dict[tuple[str, int, int], Fill] = field(default_factory=dict)
    batches: dict[str, list[tuple[Batch, bytes]]] = field(default_factory=lambda: defaultdict(list))
    cursors: dict[str, Cursor] = field(default_factory=dict)
    conflicts: int = 0
    old_release: bool = False
    interruption: Callable[[], object] | None = None

    @property
    def fills(self) -> list[Fill]:
        """Every fill that was written."""
        return list(self.written.values())

    def move(self, movements: Movements) -> bool:
        """Move every balance or none."""
        moved: dict[tuple[str, str], Balance] = {}
        for account, place, move in movements.moving():
            before = self._place(account, place)
            after = replace(
                before,
                available=before.available + move.available,
                held=before.held + move.held,
                open_orders=before.open_orders + move.open_orders,
                shifted=before.shifted + move.shifted,
            )
            if min(after.available, after.held, after.open_orders) < 0 and not may_be_negative(account):
                return False
            moved[account, place] = after
        self.balances |= moved
        return True

    def _place(self, account: str, place: str) -> Balance:
        asset, product_id = asset_and_product(place)
        return self.balances.get((account, place), Balance(account, asset, 0, 0, 0, product_id))

    def _hold(self, movements: Movements, order: Order, units: int, product: Product) -> Movement:
        """Hold from wherever the account has it."""
        account, asset = customer_account(order.account_id), order.hold_asset(product)
        own = [row for (name, _), row in self.balances.items() if name == account and row.asset == asset]
        available = {row.place: row.available for row in own}
        for (name, place), move in movements.by_balance.items():
            if name == account and place in available:
                available[place] += move.available
        movement = movements.debit(account, sub_balance(asset, order.hold_product), units, available)
        movement.held += units
        return movement

    def deposit(self, account_id: int, asset: str, units: int, transfer_id: str) -> None:
        """Credit a customer against custody."""
        customer, custody = customer_account(account_id), custody_account("test-bank")
        movements = Movements()
        movements.of(customer, asset).available += units
        movements.of(custody, asset).available -= units
        chain = self.batches[RAIL]
        head = Head(chain[-1][0].number, chain[-1][1]) if chain else Head()
        entries = (
            Entry(customer, asset, units, EntryKind.DEPOSIT, transfer_id),
            Entry(custody, asset, -units, EntryKind.DEPOSIT, transfer_id),
        )
        batch = next_batch(head, partition=RAIL, posted_at_ns=1, reference=transfer_id, entries=entries)
        chain.append((batch, batch.hash()))
        require(self.move(movements), "a deposit can't fail")

    # Order entry

    def accept(self, orders: Sequence[Order], product: Product, trader: Trader) -> Verdict:
        """Write orders and their holds, all or none."""
        del trader
        existing = frozenset(order.order_id for order in orders if order.order_id in self.stored)
        if existing:
            return Verdict(Acceptance.ORDER_EXISTS, existing)
        if self.old_release:
            orders = [replace(order, held_apart=False) for order in orders]
        movements = Movements()
        for order in orders:
            self._hold(movements, order, order.hold_units, product).open_orders += 1
        for account, place, move in movements.moving():
            known = self._place(account, place)
            if known.open_orders + move.open_orders > product.open_orders_max:
                return Verdict(Acceptance.BALANCE_REFUSED)
        if not self.move(movements):
            return Verdict(Acceptance.BALANCE_REFUSED)
        self.stored |= {order.order_id: order for order in orders}
        return Verdict(Acceptance.ACCEPTED)

    def amend(self, before: Order, after: Order, product: Product, trader: Trader) -> Acceptance:
        """Write an order with one more amend and what it holds for that, or nothing."""
        del trader
        if self.stored[before.order_id].version != before.version:
            return Acceptance.ORDER_MOVED
        movements = Movements()
        self._hold(movements, before, after.hold_units - before.hold_units, product)
        if not self.move(movements):
            return Acceptance.BALANCE_REFUSED
        self.stored[before.order_id] = after
        return Acceptance.ACCEPTED

    def order(self, order_id: int) -> Order | None:
        """One order."""
        return self.stored.get(order_id)

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance."""
        account = customer_account(account_id)
        found = [balance for balance in self.balances_of(account_id) if balance.asset == asset]
        return found[0] if found else Balance(account, asset, 0, 0, 0)

    def balances_of(self, account_id: int) -> Sequence[Balance]:
        """Every balance of an account."""
        own = (row for (account, _), row in self.balances.items() if account == customer_account(account_id))
        return together(own)

    def list_orders(
        self,
        account_id: int,
        *,
        live_only: bool,
        before_key: str | None,
        limit: int,
        after_key: str | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Order]:
        """An account's orders, newest first unless said otherwise, older than `before_key`, newer than `after_key`."""
        newest_known = f"{after_key}~" if after_key else ""
        own = [o for o in self.stored.values() if o.account_id == account_id and (o.live or not live_only)]
        older = [o for o in own if newest_known < created_key(o) < (before_key or "~")]
        return sorted(older, key=created_key, reverse=not oldest_first)[:limit]

    def pending_since(self, before_ns: int, *, limit: int) -> Sequence[Order]:
        """Orders of which something waits for an answer."""
        waiting = [o for o in self.stored.values() if o.unanswered and o.created_at_ns < before_ns]
        return waiting[:limit]

    # Settlement

    def cursor(self, product_id: str) -> Cursor:
        """How far a product is settled."""
        return self.cursors.get(product_id, Cursor.start(product_id))

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id."""
        return [self.stored[order_id] for order_id in order_ids if order_id in self.stored]

    def prepare(self, part: Part) -> Part:
        """Write its fills, each once under its key."""
        self.written |= {(fill.product_id, fill.trade_id, fill.order_id): fill for fill in part.fills}
        return part

    def commit(self, part: Part) -> Commit:
        """Write a part whole or not at all."""
        interruption, self.interruption = self.interruption, None
        if interruption:
            interruption()
        if self.conflicts:
            self.conflicts -= 1
            return Commit.CONFLICT
        moved = any(self.stored[before.order_id].version != before.version for before, _ in part.changed_orders)
        if moved or self.cursor(part.product_id) != part.before:
            return Commit.STALE
        require(self.move(part.movements), "settling would break a balance")
        self.cursors[part.product_id] = part.after
        self.stored |= {after.order_id: after for _, after in part.changed_orders}
        if part.batch is not None:
            self.batches[part.batch.partition].append((part.batch, part.batch.hash()))
        return Commit.DONE


@dataclass
class Stream:
    """A stream in memory. `failing` makes puts fail after the order was accepted; `doubling` puts each record twice."""

    records: list[bytes] = field(default_factory=list)
    failing: bool = False
    doubling: bool = False

    def send(self, product_id: str, commands: Sequence[Command]) -> None:
        """Put a record of commands."""
        if self.failing:
            raise UnavailableError("the stream is away")
        self.records += [encode_commands(product_id, commands)] * (2 if self.doubling else 1)


class Venue:
    """One product's whole flow, step by step."""

    def __init__(self, product: Product, fees: Rates) -> None:
        self.product = product
        self.clock = ManualClock()
        self.tables = Tables()
        self.stream = Stream()
        self.executions: list[bytes] = []
        self._matched = 0
        self._deposits = 0
        self.engine = self._new_engine()
        self.desk = Desk(
            entry=self.tables,
            stream=self.stream,
            products=lambda: {product.product_id: product},
            market=lambda _: MarketView(),
            fees=lambda _account, _product: fees,
            clock=self.clock,
            pause=lambda _: None,
        )

    def _new_engine(self) -> Engine:
        return Engine(ProductSpec.from_parameters(self.product.product_id, product_parameters(self.product)))

    def deposit(self, account_id: int, asset: str, units: int) -> None:
        """Fund an account."""
        self._deposits += 1
        self.tables.deposit(account_id, asset, units, f"deposit-{self._deposits}")

    def place(self, account_id: int, terms: OrderTerms, client_oid: str = "") -> Order | Refused:
        """Place an order as the API does."""
        trader = Trader(f"user-{account_id}", account_id, None)
        return place_order(self.desk, trader, self.product.product_id, terms, Intent(client_oid, repr(terms)))

    def place_batch(
        self, account_id: int, asked: Sequence[tuple[OrderTerms, str]], *, whole: bool = False
    ) -> list[Order | Refused] | Refused:
        """Place orders as the API does with a batch: their terms and their client order ids."""
        trader = Trader(f"user-{account_id}", account_id, None)
        named = [(terms, Intent(client_oid, repr(terms))) for terms, client_oid in asked]
        return place_orders(self.desk, trader, self.product.product_id, named, whole=whole)

    def amend(self, account_id: int, name: str, size: str, price: str = "", token: str = "") -> Order | Refused:
        """Amend one order as the API does."""
        trader = Trader(f"user-{account_id}", account_id, None)
        return amend_order(self.desk, trader, name, AmendTerms(size, price, token))

    def cancel_named(self, account_id: int, names: Sequence[str]) -> list[Order] | Refused:
        """Cancel some orders as the API does."""
        return cancel_named(self.desk, account_id, names)

    def cancel(self, account_id: int, name: str) -> Order | Refused:
        """Cancel one order as the API does."""
        return cancel_order(self.desk, account_id, name)

    def cancel_all(self, account_id: int) -> list[Order] | Refused:
        """Cancel all of an account's orders as the API does."""
        return cancel_orders(self.desk, account_id, None)

    def match(self) -> None:
        """Let the engine read what is new on the stream, and publish what it says."""
        hash_before = self.engine.chain_hash
        groups = []
        for data in self.stream.records[self._matched :]:
            batch = self.engine.apply_record(data, arrival_ns=self.clock.now_ns())
            groups.append(PackedGroup(batch.data, batch.ends, self.engine.chain_hash))
        self._matched = len(self.stream.records)
        self.executions += encode_packed_groups(self.product.product_id, 1, groups, hash_before=hash_before)

    def settle(self, first: int = 0) -> Settled:
        """Settle the executions from record `first` on; settled ones change nothing."""
        records = [decode_events(data) for data in self.executions[first:]]
        return settle(
            self.product, records, store=self.tables, clock=self.clock, executor=InlineExecutor(), pause=lambda _: None
        )

    def world(self) -> World:
        """All of it, for the audit."""
        tables = self.tables
        deposits = [
            TransferRow(batch.reference, 0, batch.entries[0].asset, abs(batch.entries[0].units), True, rail="test-bank")
            for batch, _ in tables.batches[RAIL]
        ]
        statements = FakeStatements()
        for partition in list(tables.batches):
            bring_up(partition, journal=Journal(tables.batches), statements=statements, pause=lambda _attempt: None)
        records: list[EventRecord] = [decode_events(data) for data in self.executions]
        product_id = self.product.product_id
        return World(
            products={product_id: self.product},
            balances=list(tables.balances.values()),
            batches=tables.batches,
            orders=list(tables.stored.values()),
            fills=tables.fills,
            transfers=deposits,
            cursors=tables.cursors,
            executions={product_id: records},
            commands={product_id: [decode_commands(data) for data in self.stream.records]},
            replayed={product_id: Replayed(self.engine.sequence, self.engine.chain_hash)},
            statements=[page for own in statements.rows.values() for page in own.values()],
        )


def a_deposit(venue: Venue) -> None:
    """Ten dollars come to the first customer."""
    venue.deposit(1, "USD", 10_000_000)


def a_trade(venue: Venue) -> None:
    """The first customer buys one share of the second, and it is settled."""
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1"))
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1"))
    venue.match()
    venue.settle()
