"""Requests of order entry, from body to reply."""

from collections.abc import Callable
from typing import Any

from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.orders.model import Order
from exchange.rest import ApiRequest, read_body
from exchange.trading.amending import AmendTerms, amend_order
from exchange.trading.model import Trader, order_json, refusal_json, trial_json
from exchange.trading.placing import place_order, place_orders, try_order
from exchange.trading.request import (
    TOLERATED,
    AmendBody,
    CancelAfterBody,
    CancelOneBody,
    PlaceBatchBody,
    PlaceOrderBody,
    batch_asked,
    batch_product,
    named,
    order_terms,
    product_named,
    refuse_profile,
    to_cancel,
)
from exchange.trading.service import Desk, cancel_named, cancel_order, cancel_orders, find_order
from exchange.trading.switch import Watch, cancel_after


def place(desk: Desk, trader: Trader, request: ApiRequest) -> Any:
    """POST /orders: 200 as soon as the order is held and stored, never waiting for the matcher."""
    body = _order_asked(trader, request)
    if isinstance(body, Refused):
        return body
    return _shown(desk, place_order(desk, trader, product_named(body), order_terms(body), named(body)))


def place_batch(desk: Desk, trader: Trader, request: ApiRequest, charge: Callable[[int], Refused | None]) -> Any:
    """POST /orders/batch: one transaction, one record; each order is answered for itself, and each counts as a request
    of its own: `charge` takes what they are worth beyond the first."""
    body = read_body(PlaceBatchBody, request.body, tolerate=TOLERATED, bytes_max=BATCH_BYTES_MAX)
    if isinstance(body, Refused):
        return body
    product_id = batch_product(body)
    refused = refuse_profile(body.profile_id, trader.account_id) or charge(len(body.orders) - 1)
    if isinstance(product_id, Refused) or refused:
        return product_id if isinstance(product_id, Refused) else refused
    placed = place_orders(desk, trader, product_id, batch_asked(body, product_id), whole=body.all_or_none)
    if isinstance(placed, Refused):
        return placed
    pairs = zip(placed, body.orders, strict=True)
    return [refusal_json(a, o.client_oid) if isinstance(a, Refused) else _shown(desk, a) for a, o in pairs]


def _order_asked(trader: Trader, request: ApiRequest) -> PlaceOrderBody | Refused:
    body = read_body(PlaceOrderBody, request.body, tolerate=TOLERATED)
    return body if isinstance(body, Refused) else refuse_profile(body.profile_id, trader.account_id) or body


# Forty orders with every field they can have are below this.
BATCH_BYTES_MAX = 65_536


def try_out(desk: Desk, trader: Trader, request: ApiRequest) -> Any:
    """POST /orders/test: every check of POST /orders, funds included, and no trace."""
    body = _order_asked(trader, request)
    if isinstance(body, Refused):
        return body
    found = try_order(desk, trader, product_named(body), order_terms(body), named(body))
    return found if isinstance(found, Refused) else trial_json(found, desk.products()[found.product_id])


def amend(desk: Desk, trader: Trader, request: ApiRequest, name: str) -> Any:
    """PUT /orders/{id}: another size or price; what its market makes of it is told by the order."""
    body = read_body(AmendBody, request.body, tolerate=TOLERATED | {"product_id", "profile_id"})
    if isinstance(body, Refused):
        return body
    terms = AmendTerms(body.size, body.price or "", body.client_amend_id or "")
    return _shown(desk, amend_order(desk, trader, name, terms))


def show(desk: Desk, account_id: int, name: str) -> Any:
    """GET /orders/{id}."""
    return _shown(desk, find_order(desk, account_id, name))


def cancel(desk: Desk, account_id: int, request: ApiRequest, name: str) -> Any:
    """DELETE /orders/{id}: the id as a bare JSON string."""
    body = read_body(CancelOneBody, request.body) if request.body else None
    if isinstance(body, Refused):
        return body
    canceled = cancel_order(desk, account_id, name)
    return canceled if isinstance(canceled, Refused) else to_uuid(canceled.order_id)


def cancel_many(desk: Desk, account_id: int, request: ApiRequest) -> Any:
    """DELETE /orders: all live orders, those of a product or a side, or those that are named; a list of their ids."""
    wanted = to_cancel(request, account_id)
    if isinstance(wanted, Refused):
        return wanted
    if wanted.order_ids:
        canceled = cancel_named(desk, account_id, wanted.order_ids)
    else:
        canceled = cancel_orders(desk, account_id, wanted.product_id, wanted.side)
    return canceled if isinstance(canceled, Refused) else [to_uuid(order.order_id) for order in canceled]


def set_switch(watch: Watch, account_id: int, request: ApiRequest) -> Any:
    """POST /orders/cancel-after: the dead man's switch of an account."""
    body = read_body(CancelAfterBody, request.body)
    if isinstance(body, Refused):
        return body
    deadline_ns = cancel_after(watch, account_id, body.seconds)
    shown = {"current_time": iso_utc(watch.clock.now_ns()), "seconds": body.seconds}
    return {**shown, "trigger_time": iso_utc(deadline_ns)} if deadline_ns else shown


def _shown(desk: Desk, found: Order | Refused) -> Any:
    return found if isinstance(found, Refused) else order_json(found, desk.products()[found.product_id])
