"""Placing orders, one or many of one product: checked, held and stored in one transaction, then sent as one record.

What concerns one order alone is told of that order alone. One place is a batch of one.
"""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from exchange.instruments.model import Product
from exchange.kernel.errors import Code, OutageError, Refused, UnavailableError
from exchange.kernel.ids import order_id_for
from exchange.ledger.model import Balance
from exchange.orders.model import Order
from exchange.risk.model import OrderTerms, Owner, assess, refuse_size_above_max
from exchange.trading.model import Acceptance, Intent, Trader, order_id_named, place_command
from exchange.trading.service import Desk, Patience, find_order, refuse_caller

BATCH_ORDERS_MAX = 40
Asked = tuple[OrderTerms, Intent]


def place_order(desk: Desk, trader: Trader, product_id: str, terms: OrderTerms, intent: Intent) -> Order | Refused:
    """Check an order, hold the funds it may spend, and send it to its market.

    The same client order id with the same payload answers with the first order.
    Refuses:  PRODUCT_NOT_FOUND, what `risk.assess` refuses, RISK_INSUFFICIENT_FUNDS, RISK_SIZE_TOO_LARGE,
              RISK_TOO_MANY_OPEN_ORDERS, ORDER_CLIENT_OID_REUSED, AUTH_INVALID, ACCOUNT_FROZEN.
    Raises:   UnavailableError, and nothing has happened; OutcomeUnknownError, ask by client order id.
    """
    placed = place_orders(desk, trader, product_id, [(terms, intent)])
    return placed if isinstance(placed, Refused) else placed[0]


def place_orders(
    desk: Desk, trader: Trader, product_id: str, asked: Sequence[Asked], *, whole: bool = False
) -> list[Order | Refused] | Refused:
    """Place orders of one product: what became of each, in the order asked.

    One transaction takes all that may be. Funds are given in the order asked: an order that no longer fits is refused,
    and a smaller one after it may still fit. With `whole` all are taken, or one refusal speaks for all.
    Refuses:  PRODUCT_NOT_FOUND, AUTH_INVALID, ACCOUNT_FROZEN; of each order what `place_order` refuses.
    Raises:   UnavailableError, and nothing has happened; OutcomeUnknownError, ask by client order ids.
    """
    product = desk.products().get(product_id)
    if product is None:
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    basket = _assess_all(desk, trader, product, asked)
    _answer_repeats(desk, basket)
    _refuse_too_large(desk, basket, product)
    refusal = _accept(desk, basket, product, trader, whole=whole)
    if refusal:
        return refusal
    if basket.accepted:
        # A failure is no refusal: the orders stand, and the sweeper sends them.
        with suppress(OutageError):
            desk.stream.send(product_id, [place_command(order) for order in basket.accepted])
    return basket.answers()


def try_order(desk: Desk, trader: Trader, product_id: str, terms: OrderTerms, intent: Intent) -> Order | Refused:
    """What `place_order` would answer now, with every check and no trace.

    Refuses:  what `place_order` refuses.
    Raises:   UnavailableError.
    """
    product = desk.products().get(product_id)
    if product is None:
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    basket = _assess_all(desk, trader, product, [(terms, intent)])
    first = desk.entry.order(basket.orders[0].order_id) if intent.client_oid and basket.orders else None
    if first:
        return _first_order(first, intent.payload_hash)
    _answer_repeats(desk, basket)
    _refuse_too_large(desk, basket, product)
    _give_funds(desk, basket, product)
    return basket.answers()[0]


@dataclass(slots=True)
class _Basket:
    """Orders on their way in: what is still wanted, what was accepted, and the answers so far, by position."""

    orders: list[Order]
    positions: dict[int, int]  # by order id
    settled: dict[int, Order | Refused]
    twins: dict[int, int]  # a position that repeats an earlier one
    ids: dict[int, int]  # order ids by position, of what was refused
    hashes: dict[int, str]
    accepted: list[Order]
    size: int

    def settle(self, order_id: int, answer: Order | Refused) -> None:
        """Answer an order and want it no longer."""
        self.settled[self.positions[order_id]] = answer
        self.orders = [order for order in self.orders if order.order_id != order_id]

    def refusal(self) -> Refused | None:
        """The first refusal, naming its order where there are many."""
        for position in range(self.size):
            answer = self.settled.get(self.twins.get(position, position))
            if isinstance(answer, Refused):
                return answer if self.size == 1 else replace(answer, message=f"orders.{position}: {answer.message}")
        return None

    def answers(self) -> list[Order | Refused]:
        """What became of each, in the order asked."""
        taken: dict[int, Order | Refused] = {self.positions[order.order_id]: order for order in self.orders}
        known = {**taken, **self.settled}
        return [known[self.twins.get(position, position)] for position in range(self.size)]


def _assess_all(desk: Desk, trader: Trader, product: Product, asked: Sequence[Asked]) -> _Basket:
    fees, market, now_ns = desk.fees(trader.account_id, product.product_id), desk.market(product), desk.clock.now_ns()
    basket = _Basket([], {}, {}, {}, {}, {}, [], len(asked))
    for position, (terms, intent) in enumerate(asked):
        order_id = order_id_for(trader.account_id, intent.client_oid or uuid.uuid4().hex)
        basket.hashes[position] = intent.payload_hash
        if order_id in basket.positions:
            _answer_twin(basket, position, order_id, intent)
            continue
        basket.positions[order_id] = position
        owner = Owner(
            trader.account_id, order_id, intent.client_oid, intent.payload_hash, fees.maker_ppm, fees.taker_ppm
        )
        # A nanosecond apart, so that lists keep the order asked.
        order = assess(terms, product, market, owner, now_ns=now_ns + position)
        if isinstance(order, Order) and terms.oco_order:
            order = _paired(desk, basket, order, terms.oco_order)
        if isinstance(order, Refused):
            basket.settled[position] = order
            if intent.client_oid:
                basket.ids[position] = order_id
        else:
            basket.orders.append(order)
    return basket


def _paired(desk: Desk, basket: _Basket, order: Order, name: str) -> Order | Refused:
    """The order with the one it is to be paired with, which may stand before it in the same batch.

    The engine has the last word: it knows what has traded.
    """
    order_id = order_id_named(order.account_id, name)
    other = next((earlier for earlier in basket.orders if earlier.order_id == order_id), None)
    found = other or find_order(desk, order.account_id, name)
    if isinstance(found, Refused):
        return Refused(Code.REQUEST_FIELD_INVALID, f"oco_order_id: {found.message}; name a live order of yours")
    for broken, message in (
        (not found.live, "that order is done; name a live one"),
        (found.product_id != order.product_id, "that order is of another product; both must be of one"),
        (not (order.stop or found.stop), "one of the two must be a stop order"),
    ):
        if broken:
            return Refused(Code.REQUEST_FIELD_INVALID, f"oco_order_id: {message}")
    return replace(order, oco_order_id=found.order_id)


def _answer_twin(basket: _Basket, position: int, order_id: int, intent: Intent) -> None:
    earlier = basket.positions[order_id]
    if basket.hashes[earlier] == intent.payload_hash:
        basket.twins[position] = earlier
    else:
        basket.settled[position] = _REUSED


_REUSED = Refused(Code.ORDER_CLIENT_OID_REUSED, "client_oid: another order has this id; choose a new one")


def _answer_repeats(desk: Desk, basket: _Basket) -> None:
    """A repeat is answered with its first order, though the market would no longer admit it."""
    if basket.ids:
        found = {order.order_id: order for order in desk.entry.orders(basket.ids.values())}
        for position, order_id in basket.ids.items():
            if order_id in found:
                basket.settled[position] = _first_order(found[order_id], basket.hashes[position])


def _first_order(first: Order, payload_hash: str) -> Order | Refused:
    return first if first.payload_hash == payload_hash else _REUSED


def _refuse_too_large(desk: Desk, basket: _Basket, product: Product) -> None:
    """The largest size is told only to those who could have paid."""
    for order in basket.orders:
        too_large = refuse_size_above_max(order.size_lots, product)
        if too_large:
            balance = desk.entry.balance(order.account_id, order.hold_asset(product))
            basket.settle(order.order_id, _refuse_balance(balance, order, product) or too_large)


def _accept(desk: Desk, basket: _Basket, product: Product, trader: Trader, *, whole: bool) -> Refused | None:
    """Try until the transaction takes what is left of the basket; what can't be taken is answered on the way."""
    patience = Patience(desk)
    while basket.orders:
        if whole and (refusal := basket.refusal()):
            return refusal
        verdict = desk.entry.accept(basket.orders, product, trader)
        refusal = refuse_caller(verdict.outcome)
        if refusal:
            return refusal
        if verdict.outcome is Acceptance.ACCEPTED:
            basket.accepted = list(basket.orders)
            return None
        if verdict.outcome is Acceptance.ORDER_EXISTS:
            _answer_existing(desk, basket, verdict.existing)
        elif verdict.outcome is Acceptance.BALANCE_REFUSED and _give_funds(desk, basket, product):
            continue
        else:
            patience.wait("the balance is busy with other orders")
    return basket.refusal() if whole else None


def _answer_existing(desk: Desk, basket: _Basket, existing: frozenset[int]) -> None:
    found = {order.order_id: order for order in desk.entry.orders(sorted(existing))}
    for order_id in existing:
        if order_id not in found:
            raise UnavailableError("the first order under this client_oid can't be read now")
        basket.settle(order_id, _first_order(found[order_id], basket.hashes[basket.positions[order_id]]))


def _give_funds(desk: Desk, basket: _Basket, product: Product) -> bool:
    """Give what is available in the order asked, and refuse what doesn't fit; whether anything was refused."""
    balances: dict[str, Balance] = {}
    refused: dict[int, Refused] = {}
    for order in basket.orders:
        asset = order.hold_asset(product)
        if asset not in balances:
            balances[asset] = desk.entry.balance(order.account_id, asset)
        left = balances[asset]
        refusal = _refuse_balance(left, order, product)
        if refusal:
            refused[order.order_id] = refusal
        else:
            balances[asset] = replace(
                left, available=left.available - order.hold_units, open_orders=left.open_orders + 1
            )
    for order_id, refusal in refused.items():
        basket.settle(order_id, refusal)
    return bool(refused)


def _refuse_balance(balance: Balance, order: Order, product: Product) -> Refused | None:
    if balance.available < order.hold_units:
        return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    if balance.open_orders >= product.open_orders_max:
        most = product.open_orders_max
        return Refused(Code.RISK_TOO_MANY_OPEN_ORDERS, f"{most} orders are open on this balance; cancel some first")
    return None
