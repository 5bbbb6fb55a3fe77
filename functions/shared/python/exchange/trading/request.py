"""The body of POST /orders, as stock clients send it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from exchange.kernel.errors import Refused
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.rest import ApiRequest, Body, read_body
from exchange.risk.model import OrderTerms
from exchange.trading.model import Intent, payload_hash

# Sent by clients and of no meaning here: the product decides the account, and there is no margin.
TOLERATED = frozenset({"overdraft_enabled", "funding_amount", "profile_id"})
_SECOND_NS = 1_000_000_000
_LIFETIMES_NS = {"min": 60 * _SECOND_NS, "hour": 3_600 * _SECOND_NS, "day": 86_400 * _SECOND_NS}

Decimal = Annotated[str, Field(min_length=1, max_length=40)]


class PlaceOrderBody(Body):
    """POST /orders. Amounts are decimal text."""

    product_id: Annotated[str, Field(min_length=3, max_length=24)]
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop"] = "limit"
    price: Decimal | None = None
    size: Decimal | None = None
    funds: Decimal | None = None
    client_oid: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] | None = None
    stop: Literal["loss", "entry"] | None = None
    stop_price: Decimal | None = None
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] = "GTC"
    cancel_after: Literal["min", "hour", "day"] | None = None
    post_only: bool = False
    stp: Literal["dc", "co", "cn", "cb"] = "dc"


def named(body: PlaceOrderBody) -> Intent:
    """What the client calls this order, and what makes a repeat of the request the same request."""
    return Intent(body.client_oid or "", payload_hash({**body.model_dump(), "product_id": product_named(body)}))


def product_named(body: PlaceOrderBody) -> str:
    """The product's id: `BTC/USD` is read as BTC-USD."""
    return body.product_id.replace("/", "-")


class CancelBody(Body):
    """The body that stock clients sign with DELETE /orders; other fields mean nothing here."""

    model_config = ConfigDict(extra="ignore")

    product_id: Annotated[str, Field(min_length=3, max_length=24)] | None = None


def product_to_cancel(request: ApiRequest) -> str | Refused | None:
    """The product that DELETE /orders names, in its query or its body; None for all of them."""
    named_product = request.query("product_id")
    if named_product is None and request.body:
        body = read_body(CancelBody, request.body)
        if isinstance(body, Refused):
            return body
        named_product = body.product_id
    return named_product.replace("/", "-") if named_product else None


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
        stop_wanted=body.type == "stop",
        time_in_force=TimeInForce[body.time_in_force],
        lifetime_ns=_LIFETIMES_NS[body.cancel_after] if body.cancel_after else 0,
        post_only=body.post_only,
        self_trade_prevention=SelfTradePrevention[body.stp.upper()],
    )
