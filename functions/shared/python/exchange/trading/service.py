"""The use cases of order entry. An order is accepted when its item and its hold are written; the stream comes after.

A crash or a failed put between the two leaves the order `pending`; the sweeper sends the same command again. Nothing
but an engine event ever releases a hold.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.fees.model import FeeSchedule
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, OutageError, Refused, UnavailableError
from exchange.kernel.ids import order_id_for
from exchange.ledger.model import Balance
from exchange.messages import Command
from exchange.orders.model import Fill, Order, OrderStatus, created_key
from exchange.risk.model import MarketView, OrderTerms, Owner, assess, refuse_size_above_max
from exchange.trading.model import (
    Acceptance,
    Intent,
    Trader,
    cancel_all_command,
    cancel_commands,
    close_command,
    order_id_named,
    place_command,
)

# How long an order may wait for a busy balance before the customer is told to try again.
CONFLICT_NS_MAX = 250_000_000
CONFLICTS_MAX = 50
SWEEP_AGE_NS = 5_000_000_000
SWEEP_ORDERS_MAX = 200
CLOSED_WITH_ONE_CANCEL_MAX = 2_000


class OrderEntry(Protocol):
    """Where orders are kept."""

    def accept(self, order: Order, product: Product, trader: Trader) -> Acceptance:
        """Write the order and its hold whole or not at all. Raises OutageError."""
        ...

    def order(self, order_id: int) -> Order | None:
        """One order, read consistently."""
        ...

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, read consistently."""
        ...

    def list_orders(
        self, account_id: int, *, live_only: bool, before_key: str | None, limit: int, after_key: str | None = None
    ) -> Sequence[Order]:
        """An account's orders, newest first, older than `before_key` and newer than `after_key`."""
        ...

    def pending_since(self, before_ns: int, *, limit: int) -> Sequence[Order]:
        """Orders that no engine event has answered since a time."""
        ...


class CommandStream(Protocol):
    """The orders stream."""

    def send(self, product_id: str, commands: Sequence[Command]) -> None:
        """Put commands of one product on the stream, as one record. Raises OutageError."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What order entry needs of the outside."""

    entry: OrderEntry
    stream: CommandStream
    products: Callable[[], Mapping[str, Product]]
    market: Callable[[Product], MarketView]
    fees: Callable[[int], FeeSchedule]
    clock: Clock
    pause: Callable[[int], None]  # waits out the n-th conflict in a row


def place_order(desk: Desk, trader: Trader, product_id: str, terms: OrderTerms, intent: Intent) -> Order | Refused:
    """Check an order, hold the funds it may spend, and send it to its market.

    The same client order id with the same payload answers with the first order.
    Refuses:  PRODUCT_NOT_FOUND, what `risk.assess` refuses, RISK_INSUFFICIENT_FUNDS, RISK_SIZE_TOO_LARGE,
              RISK_TOO_MANY_OPEN_ORDERS, ORDER_CLIENT_OID_REUSED, AUTH_INVALID, ACCOUNT_FROZEN.
    Raises:   UnavailableError, and nothing has happened; OutcomeUnknownError, ask by client order id.
    """
    product = desk.products().get(product_id)
    if product is None:
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    fees = desk.fees(trader.account_id)
    order_id = order_id_for(trader.account_id, intent.client_oid or uuid.uuid4().hex)
    owner = Owner(trader.account_id, order_id, intent.client_oid, intent.payload_hash, fees.maker_ppm, fees.taker_ppm)
    order = assess(terms, product, desk.market(product), owner, now_ns=desk.clock.now_ns())
    if isinstance(order, Refused):
        first = desk.entry.order(order_id) if intent.client_oid else None
        return _first_order(first, intent.payload_hash) if first else order
    too_large = refuse_size_above_max(order, product)
    if too_large:
        return _refuse_balance(desk, order, product) or too_large
    accepted = _accept(desk, order, product, trader)
    if accepted is order:
        _send(desk, order)
    return accepted


def _accept(desk: Desk, order: Order, product: Product, trader: Trader) -> Order | Refused:
    deadline_ns = desk.clock.now_ns() + CONFLICT_NS_MAX
    for attempt in range(CONFLICTS_MAX):
        outcome = desk.entry.accept(order, product, trader)
        if outcome is not Acceptance.CONFLICT or desk.clock.now_ns() > deadline_ns:
            break
        desk.pause(attempt)
    if outcome is Acceptance.ACCEPTED:
        return order
    if outcome is Acceptance.CONFLICT:
        raise UnavailableError("the balance is busy with other orders")
    if outcome is Acceptance.ORDER_EXISTS:
        return _first_order(desk.entry.order(order.order_id), order.payload_hash)
    if outcome is Acceptance.KEY_REVOKED:
        return Refused(Code.AUTH_INVALID, "this API key has been revoked")
    if outcome is Acceptance.CUSTOMER_FROZEN:
        return Refused(Code.ACCOUNT_FROZEN, "this account is frozen; ask support")
    refusal = _refuse_balance(desk, order, product)
    if refusal:
        return refusal
    raise UnavailableError("the balance changed while the order was being placed")


def _first_order(first: Order | None, payload_hash: str) -> Order | Refused:
    if first is None:
        raise UnavailableError("the first order under this client_oid can't be read now")
    if first.payload_hash != payload_hash:
        return Refused(Code.ORDER_CLIENT_OID_REUSED, "client_oid: another order has this id; choose a new one")
    return first


def _refuse_balance(desk: Desk, order: Order, product: Product) -> Refused | None:
    balance = desk.entry.balance(order.account_id, order.hold_asset(product))
    if balance.available < order.hold_units:
        return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    if balance.open_orders >= product.open_orders_max:
        most = product.open_orders_max
        return Refused(Code.RISK_TOO_MANY_OPEN_ORDERS, f"{most} orders are open on this balance; cancel some first")
    return None


def _send(desk: Desk, order: Order) -> None:
    """Publish an accepted order. A failure is no refusal: the order stands and the sweeper sends it."""
    try:
        desk.stream.send(order.product_id, [place_command(order)])
    except OutageError:
        return


def find_order(desk: Desk, account_id: int, name: str) -> Order | Refused:
    """An account's own order by our id or `client:` and its own. A foreign order is as absent as a missing one.

    Refuses:  ORDER_ID_INVALID, ORDER_NOT_FOUND.
    """
    order_id = order_id_named(account_id, name)
    if order_id is None:
        return Refused(Code.ORDER_ID_INVALID, "Invalid order id")
    order = desk.entry.order(order_id) if order_id else None
    if order is None or order.account_id != account_id:
        return Refused(Code.ORDER_NOT_FOUND, "order not found")
    return order


def cancel_order(desk: Desk, account_id: int, name: str) -> Order | Refused:
    """Ask the market to cancel one order; what comes of it is told by the order's status.

    Refuses:  ORDER_ID_INVALID, ORDER_NOT_FOUND, ORDER_DONE.
    Raises:   OutageError: the cancel may or may not reach the market; ask again.
    """
    order = find_order(desk, account_id, name)
    if isinstance(order, Refused):
        return order
    if not order.live:
        return Refused(Code.ORDER_DONE, "Order already done")
    desk.stream.send(order.product_id, cancel_commands(order, uuid.uuid4().hex))
    return order


def cancel_orders(desk: Desk, account_id: int, product_id: str | None) -> list[Order] | Refused:
    """Ask every market (or one) to cancel all that an account has there; returns what was seen live.

    Refuses:  PRODUCT_NOT_FOUND.
    """
    if product_id is not None and product_id not in desk.products():
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    live = all_live_orders(desk, account_id, product_id)
    markets = [product_id] if product_id else sorted({order.product_id for order in live})
    request_id = uuid.uuid4().hex
    for market in markets:
        unseen = [o for o in live if o.product_id == market and o.status is OrderStatus.PENDING]
        closing = [close_command(order, request_id) for order in unseen[:CLOSED_WITH_ONE_CANCEL_MAX]]
        desk.stream.send(market, [*closing, cancel_all_command(account_id, request_id)])
    return live


def all_live_orders(desk: Desk, account_id: int, product_id: str | None) -> list[Order]:
    """Every live order of an account, newest first."""
    found: list[Order] = []
    before: str | None = None
    while page := desk.entry.list_orders(account_id, live_only=True, before_key=before, limit=100):
        found += [order for order in page if order.live and product_id in {None, order.product_id}]
        before = created_key(page[-1])
    return found


def sweep(entry: OrderEntry, stream: CommandStream, clock: Clock) -> int:
    """Send again every order that has waited too long for its first event; returns how many.

    The command is the very same, so an engine that has seen it drops it.
    Raises:   OutageError; the next sweep sends the rest.
    """
    before_ns = clock.now_ns() - SWEEP_AGE_NS
    by_product: dict[str, list[Command]] = {}
    for order in entry.pending_since(before_ns, limit=SWEEP_ORDERS_MAX):
        if order.status is OrderStatus.PENDING:
            by_product.setdefault(order.product_id, []).append(place_command(order))
    for product_id, commands in sorted(by_product.items()):
        stream.send(product_id, commands)
    return sum(len(commands) for commands in by_product.values())


class FillReader(Protocol):
    """Where fills are kept."""

    def fills(
        self, account_id: int, product_id: str, *, before_trade: int | None, first_trade: int, limit: int
    ) -> Sequence[Fill]:
        """An account's fills in a product by falling trade id."""
        ...


def order_fills(reader: FillReader, order: Order, *, before_trade: int | None, limit: int) -> list[Fill]:
    """One order's fills by falling trade id, older than `before_trade`."""
    if not order.last_trade_id:
        return []
    found: list[Fill] = []
    before = min(before_trade or order.last_trade_id + 1, order.last_trade_id + 1)
    while len(found) < limit:
        page = reader.fills(
            order.account_id, order.product_id, before_trade=before, first_trade=order.first_trade_id, limit=limit
        )
        found += [fill for fill in page if fill.order_id == order.order_id]
        if len(page) < limit:
            break
        before = page[-1].trade_id
    return found[:limit]
