"""The bodies of order entry, as stock clients send them, and our own."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.rest import ApiRequest, Body, read_body
from exchange.risk.model import OrderTerms
from exchange.trading.model import Intent, payload_hash
from exchange.trading.placing import BATCH_ORDERS_MAX, Asked
from exchange.trading.switch import SECONDS_MAX

# Sent by clients and of no meaning here: there is no margin.
TOLERATED = frozenset({"overdraft_enabled", "funding_amount"})
_SECOND_NS = 1_000_000_000
_LIFETIMES_NS = {"min": 60 * _SECOND_NS, "hour": 3_600 * _SECOND_NS, "day": 86_400 * _SECOND_NS}

CANCELS_MAX = 100
_CANCEL_QUERY = frozenset({"product_id", "side", "profile_id"})
CLIENT_ID = r"^[A-Za-z0-9_.-]+$"

Decimal = Annotated[str, Field(min_length=1, max_length=40)]
ProductId = Annotated[str, Field(min_length=3, max_length=24)]
ProfileId = Annotated[str, Field(max_length=64)]


class BatchedOrderBody(Body):
    """One order of a batch; it may name the batch's product once more. Amounts are decimal text."""

    product_id: ProductId | None = None
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop"] = "limit"
    price: Decimal | None = None
    size: Decimal | None = None
    funds: Decimal | None = None
    client_oid: Annotated[str, Field(min_length=1, max_length=64, pattern=CLIENT_ID)] | None = None
    stop: Literal["loss", "entry"] | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    display_size: Decimal | None = None
    oco_order_id: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] = "GTC"
    cancel_after: Literal["min", "hour", "day"] | None = None
    post_only: bool = False
    stp: Literal["dc", "co", "cn", "cb"] = "dc"


class PlaceOrderBody(BatchedOrderBody):
    """POST /orders."""

    product_id: ProductId
    profile_id: ProfileId | None = None


def named(body: PlaceOrderBody) -> Intent:
    """What the client calls this order, and what makes a repeat of the request the same request."""
    asked = body.model_dump(exclude={"profile_id"})
    return Intent(body.client_oid or "", payload_hash({**asked, "product_id": product_named(body)}))


def product_named(body: PlaceOrderBody) -> str:
    """The product's id: `BTC/USD` is read as BTC-USD."""
    return body.product_id.replace("/", "-")


class PlaceBatchBody(Body):
    """POST /orders/batch: orders of one product, which the batch names or each order does."""

    product_id: ProductId | None = None
    profile_id: ProfileId | None = None
    orders: Annotated[list[BatchedOrderBody], Field(min_length=1, max_length=BATCH_ORDERS_MAX)]
    all_or_none: bool = False


def batch_product(body: PlaceBatchBody) -> str | Refused:
    """The one product of a batch. Refuses REQUEST_FIELD_INVALID."""
    product_id = (body.product_id or body.orders[0].product_id or "").replace("/", "-")
    if not product_id:
        return Refused(Code.REQUEST_FIELD_INVALID, "product_id: this field is required")
    for number, order in enumerate(body.orders):
        if order.product_id is not None and order.product_id.replace("/", "-") != product_id:
            return Refused(
                Code.REQUEST_FIELD_INVALID, f"orders.{number}.product_id: a batch is of one product, {product_id}"
            )
    return product_id


def batch_asked(body: PlaceBatchBody, product_id: str) -> list[Asked]:
    """The orders of a batch, each named and hashed as POST /orders would."""
    alone = [PlaceOrderBody(**{**order.model_dump(), "product_id": product_id}) for order in body.orders]
    return [(order_terms(order), named(order)) for order in alone]


class AmendBody(Body):
    """PUT /orders/{id}: the new total size, and the price where that changes."""

    size: Decimal
    price: Decimal | None = None
    client_amend_id: Annotated[str, Field(min_length=1, max_length=64, pattern=CLIENT_ID)] | None = None


class CancelAfterBody(Body):
    """POST /orders/cancel-after: seconds until all orders are canceled; 0 turns it off."""

    seconds: Annotated[int, Field(ge=0, le=SECONDS_MAX)]


class CancelOneBody(Body):
    """The body that stock clients sign with DELETE /orders/{id}; the order's name says it all."""

    product_id: ProductId | None = None
    profile_id: ProfileId | None = None


class CancelBody(CancelOneBody):
    """The body that stock clients sign with DELETE /orders."""

    order_ids: (
        Annotated[list[Annotated[str, Field(max_length=80)]], Field(min_length=1, max_length=CANCELS_MAX)] | None
    ) = None
    side: Literal["buy", "sell"] | None = None


@dataclass(frozen=True, slots=True)
class ToCancel:
    """What DELETE /orders names: single orders, or all of a product and a side (None: of every one)."""

    order_ids: tuple[str, ...] = ()
    product_id: str | None = None
    side: Side | None = None


def refuse_profile(profile_id: str | None, account_id: int) -> Refused | None:
    """Refuse to act in a profile for one who named another. A key or login acts for one profile only."""
    if profile_id is None or profile_id == to_uuid(account_id):
        return None
    return Refused(
        Code.REQUEST_FIELD_INVALID,
        "profile_id: this key or login acts for another profile; leave it out or use its own",
    )


def to_cancel(request: ApiRequest, account_id: int) -> ToCancel | Refused:
    """What DELETE /orders names, in its query or its body.

    Refuses:  what `read_body` refuses, REQUEST_FIELD_INVALID.
    """
    body = read_body(CancelBody, request.body) if request.body else CancelBody()
    if isinstance(body, Refused):
        return body
    for name in request.query_names():
        # What is misspelt must not cancel more than was meant.
        if name not in _CANCEL_QUERY:
            return Refused(Code.REQUEST_FIELD_UNKNOWN, f"{name[:80]}: unknown parameter; leave it out")
    foreign = refuse_profile(request.query("profile_id") or body.profile_id, account_id)
    if foreign:
        return foreign
    product_id, side = request.query("product_id") or body.product_id, request.query("side") or body.side
    if side not in {None, "buy", "sell"}:
        return Refused(Code.REQUEST_FIELD_INVALID, "side: give buy or sell, or leave it out for both")
    if body.order_ids and side:
        return Refused(Code.REQUEST_FIELD_INVALID, "side: it has no meaning beside order_ids; leave one of them out")
    return ToCancel(
        tuple(body.order_ids or ()),
        product_id.replace("/", "-") if product_id else None,
        Side[side.upper()] if side else None,
    )


def order_terms(body: PlaceOrderBody) -> OrderTerms:
    """The terms a body stands for. A stop_price without `stop` means entry for a buy and loss for a sell."""
    side = Side.BUY if body.side == "buy" else Side.SELL
    stop = StopKind[body.stop.upper()] if body.stop else StopKind.NONE
    if body.stop_price and stop is StopKind.NONE:
        stop = StopKind.ENTRY if side is Side.BUY else StopKind.LOSS
    is_market = body.type == "market" or (body.type == "stop" and body.price is None)
    return OrderTerms(
        side=side,
        order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
        price=body.price or "",
        size=body.size or "",
        funds=body.funds or "",
        stop=stop,
        stop_price=body.stop_price or "",
        trail_amount=body.trail_amount or "",
        display_size=body.display_size or "",
        oco_order=body.oco_order_id or "",
        stop_wanted=body.type == "stop",
        time_in_force=TimeInForce[body.time_in_force],
        lifetime_ns=_LIFETIMES_NS[body.cancel_after] if body.cancel_after else 0,
        post_only=body.post_only,
        self_trade_prevention=SelfTradePrevention[body.stp.upper()],
    )
