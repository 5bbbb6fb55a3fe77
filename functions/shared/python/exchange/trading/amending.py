"""Amending a live order: what more it may cost is held, with the amend written down, before its market is told.

The amend stays written down until the market answers it: so a repeat is recognised, a lost command is sent again, and
what it holds comes back with the answer, once.
"""

import hashlib
import uuid
from contextlib import suppress
from dataclasses import dataclass

from exchange.instruments.model import Product
from exchange.kernel.errors import Code, OutageError, Refused
from exchange.kernel.ids import command_id_for
from exchange.kernel.money import DecimalError
from exchange.orders.amends import WAITING_MAX, Amend
from exchange.orders.model import Order, ask_amend
from exchange.risk.model import assess_amend, refuse_size_above_max
from exchange.trading.model import Acceptance, Trader, amend_command
from exchange.trading.service import Desk, Patience, find_order, refuse_caller


@dataclass(frozen=True, slots=True)
class AmendTerms:
    """What a customer wants of an order: the new total size, and the price where that changes, as text ("": not).

    `token` is the client's own name for the amend; "" where it gave none.
    """

    size: str
    price: str = ""
    token: str = ""


def amend_order(desk: Desk, trader: Trader, asked_for: str, terms: AmendTerms) -> Order | Refused:
    """Ask the market to give a live order another size or price; what comes of it is told by the order.

    The same token with the same terms is the same amend and changes nothing more, while the order remembers it: until
    ANSWERED_KEPT others are answered behind it. After that it is a new amend, a command of its own that is answered.
    Refuses:  ORDER_ID_INVALID, ORDER_NOT_FOUND, ORDER_DONE, what `risk.assess_amend` refuses, ORDER_AMEND_REUSED,
              ORDER_AMENDS_WAITING, RISK_INSUFFICIENT_FUNDS, RISK_SIZE_TOO_LARGE, AUTH_INVALID, ACCOUNT_FROZEN.
    Raises:   UnavailableError, and nothing has happened; OutcomeUnknownError, ask for the order.
    """
    patience = Patience(desk)
    name = amend_name(terms.token or uuid.uuid4().hex)
    while True:
        order = find_order(desk, trader.account_id, asked_for)
        if isinstance(order, Refused):
            return order
        amended = _ask(desk, order, terms, name)
        if isinstance(amended, Refused):
            return amended
        if amended is not order:
            outcome = desk.entry.amend(order, amended, desk.products()[order.product_id], trader)
            refusal = refuse_caller(outcome) or (_INSUFFICIENT if outcome is Acceptance.BALANCE_REFUSED else None)
            if refusal:
                return refusal
            if outcome is not Acceptance.ACCEPTED:
                patience.wait("the order or its balance is busy")
                continue
        _send(desk, amended, name)
        return amended


_INSUFFICIENT = Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")


def amend_name(token: str) -> str:
    """What an order remembers of a client's id for an amend: as long whatever the client says."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _ask(desk: Desk, order: Order, terms: AmendTerms, name: str) -> Order | Refused:
    """The order with the amend asked for; the order as it is where that was done before."""
    product = desk.products()[order.product_id]
    known = next((amend for amend in order.amends if amend.name == name), None)
    if not order.live and known is None:
        return Refused(Code.ORDER_DONE, "Order already done")
    if known is not None:
        if not _is_same(known, terms, product):
            return Refused(Code.ORDER_AMEND_REUSED, "client_amend_id: another amend has this id; choose a new one")
        return order
    asked = assess_amend(order, size=terms.size, price=terms.price, product=product, market=desk.market(product))
    if isinstance(asked, Refused):
        return asked
    if sum(amend.waits for amend in order.amends) >= WAITING_MAX:
        return Refused(Code.ORDER_AMENDS_WAITING, f"{WAITING_MAX} amends of this order wait for its market; try again")
    size_lots, price_ticks = asked
    # The version makes it a command that was never sent: the engine answers none that it remembers.
    amend_id = command_id_for("amend", order.order_id, name, order.version).hex()
    wanted = Amend(amend_id, size_lots, price_ticks, desk.clock.now_ns(), name=name)
    amended = ask_amend(order, product, wanted)
    too_large = refuse_size_above_max(size_lots, product)
    if too_large:
        more = amended.hold_units - order.hold_units
        available = desk.entry.balance(order.account_id, order.hold_asset(product)).available
        return too_large if more <= available else _INSUFFICIENT
    return amended


def _is_same(amend: Amend, terms: AmendTerms, product: Product) -> bool:
    try:
        price_ticks = product.parse_price(terms.price) if terms.price else 0
        return (product.parse_size(terms.size), price_ticks) == (amend.size_lots, amend.price_ticks)
    except DecimalError:
        return False


def _send(desk: Desk, order: Order, name: str) -> None:
    """Tell the market. A failure is no refusal: the amend stands, and the sweeper sends it."""
    commands = [amend_command(order, amend) for amend in order.amends if amend.name == name and amend.waits]
    if commands:
        with suppress(OutageError):
            desk.stream.send(order.product_id, commands)
