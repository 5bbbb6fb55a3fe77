"""What the use cases of order entry share, and cancels. Placing is in `placing`, amending in `amending`.

An order is accepted when its item and its hold are written; the stream comes after.

A crash or a failed put between the two leaves the order `pending`; the sweeper sends the same command again. Nothing
but an engine event ever releases a hold.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.fees.model import Rates
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.ledger.model import Balance
from exchange.messages import Command, Side
from exchange.orders.model import Fill, Order, OrderStatus, created_key
from exchange.risk.model import MarketView
from exchange.trading.model import (
    Acceptance,
    Trader,
    Verdict,
    amend_command,
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

    def accept(self, orders: Sequence[Order], product: Product, trader: Trader) -> Verdict:
        """Write orders of one product and their holds, all or none. Raises OutageError."""
        ...

    def amend(self, before: Order, after: Order, product: Product, trader: Trader) -> Acceptance:
        """Write an order with one more amend and what it holds for that, or nothing. Raises OutageError."""
        ...

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id, read consistently; unknown ids are left out."""
        ...

    def order(self, order_id: int) -> Order | None:
        """One order, read consistently."""
        ...

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, read consistently."""
        ...

    def balances_of(self, account_id: int) -> Sequence[Balance]:
        """Every balance of an account, read consistently."""
        ...

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
        ...

    def pending_since(self, before_ns: int, *, limit: int) -> Sequence[Order]:
        """Orders accepted before a time of which something waits for an answer."""
        ...


class CommandStream(Protocol):
    """The orders stream."""

    def send(self, product_id: str, commands: Sequence[Command]) -> None:
        """Put commands of one product on the stream, as one record. Raises OutageError."""
        ...


@dataclass(frozen=True, slots=True)
class Floor:
    """What canceling needs of the outside."""

    entry: OrderEntry
    stream: CommandStream
    products: Callable[[], Mapping[str, Product]]


@dataclass(frozen=True, slots=True)
class Desk(Floor):
    """What order entry needs of the outside."""

    market: Callable[[Product], MarketView]
    fees: Callable[[int, str], Rates]  # of an account in a product
    clock: Clock
    pause: Callable[[int], None]  # waits out the n-th conflict in a row


class Patience:
    """Waits out other transactions on the same items, for as long as a customer may wait."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._deadline_ns = desk.clock.now_ns() + CONFLICT_NS_MAX
        self._conflicts = 0

    def wait(self, reason: str) -> None:
        """Wait before the next try. Raises UnavailableError, naming the reason, where the time is over."""
        if self._conflicts >= CONFLICTS_MAX or self._desk.clock.now_ns() > self._deadline_ns:
            raise UnavailableError(reason)
        self._desk.pause(self._conflicts)
        self._conflicts += 1


def refuse_caller(outcome: Acceptance) -> Refused | None:
    """The refusal of one who may not trade any more; None where that was not the reason."""
    if outcome is Acceptance.KEY_REVOKED:
        return Refused(Code.AUTH_INVALID, "this API key has been revoked")
    if outcome is Acceptance.CUSTOMER_FROZEN:
        return Refused(Code.ACCOUNT_FROZEN, "this account is frozen; ask support")
    return None


def find_order(desk: Floor, account_id: int, name: str) -> Order | Refused:
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


def cancel_order(desk: Floor, account_id: int, name: str) -> Order | Refused:
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


def cancel_named(desk: Floor, account_id: int, names: Sequence[str]) -> list[Order] | Refused:
    """Ask the markets to cancel the named orders, a record each market; returns those that were seen live.

    Refuses:  ORDER_ID_INVALID.
    Raises:   OutageError: some of the cancels may have reached their markets; ask again.
    """
    order_ids = [order_id_named(account_id, name) for name in names]
    if None in order_ids:
        return Refused(Code.ORDER_ID_INVALID, "Invalid order id")
    found = desk.entry.orders(dict.fromkeys(order_id for order_id in order_ids if order_id))
    live = [order for order in found if order.account_id == account_id and order.live]
    _send_cancels(desk, live)
    return live


def cancel_orders(
    desk: Floor, account_id: int, product_id: str | None, side: Side | None = None
) -> list[Order] | Refused:
    """Ask every market (or one) to cancel all that an account has there; returns what was seen live.

    With a `side` only the orders of that side that were seen: others may be placed meanwhile.
    Refuses:  PRODUCT_NOT_FOUND.
    """
    if product_id is not None and product_id not in desk.products():
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    live = all_live_orders(desk, account_id, product_id)
    if side is not None:
        of_side = [order for order in live if order.side is side]
        _send_cancels(desk, of_side)
        return of_side
    request_id = uuid.uuid4().hex
    for market in [product_id] if product_id else _markets(desk, account_id, live):
        unseen = [o for o in live if o.product_id == market and o.status is OrderStatus.PENDING]
        closing = [close_command(order, request_id) for order in unseen[:CLOSED_WITH_ONE_CANCEL_MAX]]
        desk.stream.send(market, [*closing, cancel_all_command(account_id, request_id)])
    return live


def _send_cancels(desk: Floor, orders: Iterable[Order]) -> None:
    request_id = uuid.uuid4().hex
    by_product: dict[str, list[Command]] = {}
    for order in orders:
        by_product.setdefault(order.product_id, []).extend(cancel_commands(order, request_id))
    for product_id, commands in sorted(by_product.items()):
        for first in range(0, len(commands), CLOSED_WITH_ONE_CANCEL_MAX):
            desk.stream.send(product_id, commands[first : first + CLOSED_WITH_ONE_CANCEL_MAX])


def _markets(desk: Floor, account_id: int, live: Iterable[Order]) -> list[str]:
    """Where an account has live orders. The list may be a moment old; the balances count without fail.

    Where they count more than was listed, every market that can hold of that balance is one.
    """
    products = desk.products()
    listed = Counter(order.hold_asset(products[order.product_id]) for order in live)
    uncertain = {b.asset for b in desk.entry.balances_of(account_id) if b.open_orders != listed[b.asset]}
    markets = {order.product_id for order in live}
    markets |= {p.product_id for p in products.values() if uncertain & {p.base.asset_id, p.quote.asset_id}}
    return sorted(markets)


def all_live_orders(desk: Floor, account_id: int, product_id: str | None) -> list[Order]:
    """Every live order of an account, newest first."""
    found: list[Order] = []
    before: str | None = None
    while page := desk.entry.list_orders(account_id, live_only=True, before_key=before, limit=100):
        found += [order for order in page if order.live and product_id in {None, order.product_id}]
        before = created_key(page[-1])
    return found


def sweep(entry: OrderEntry, stream: CommandStream, clock: Clock) -> int:
    """Send again every order and every amend that has waited too long for its answer; returns how many.

    The commands are the very same, so an engine that has seen them drops them.
    Raises:   OutageError; the next sweep sends the rest.
    """
    before_ns = clock.now_ns() - SWEEP_AGE_NS
    by_product: dict[str, list[Command]] = {}
    for order in entry.pending_since(before_ns, limit=SWEEP_ORDERS_MAX):
        commands = by_product.setdefault(order.product_id, [])
        if order.status is OrderStatus.PENDING:
            commands.append(place_command(order))
        late = (amend for amend in order.amends if amend.waits and amend.asked_at_ns < before_ns)
        commands += (amend_command(order, amend) for amend in late)
    for product_id, commands in sorted(by_product.items()):
        if commands:
            stream.send(product_id, commands)
    return sum(len(commands) for commands in by_product.values())


class FillReader(Protocol):
    """Where fills are kept."""

    def fills(
        self,
        account_id: int,
        product_id: str,
        *,
        before_trade: int | None,
        first_trade: int,
        limit: int,
        oldest_first: bool = False,
    ) -> Sequence[Fill]:
        """An account's fills in a product within [first_trade, before_trade), by falling trade id or by rising."""
        ...


def order_fills(
    reader: FillReader, order: Order, *, before_trade: int | None, limit: int, after_trade: int | None = None
) -> list[Fill]:
    """One order's fills by falling trade id: those next below `before_trade`, or those next above `after_trade`."""
    if not order.last_trade_id:
        return []
    found: list[Fill] = []
    before = min(before_trade or order.last_trade_id + 1, order.last_trade_id + 1)
    first = max(order.first_trade_id, (after_trade or 0) + 1)
    rising = after_trade is not None
    while len(found) < limit:
        page = reader.fills(
            order.account_id,
            order.product_id,
            before_trade=before,
            first_trade=first,
            limit=limit,
            oldest_first=rising,
        )
        found += [fill for fill in page if fill.order_id == order.order_id]
        if len(page) < limit:
            break
        if rising:
            first = page[-1].trade_id + 1
        else:
            before = page[-1].trade_id
    return found[:limit][::-1] if rising else found[:limit]
