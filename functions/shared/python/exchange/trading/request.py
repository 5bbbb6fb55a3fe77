"""The body of POST /orders, as stock clients send it."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.rest import Body
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
    return Intent(body.client_oid or "", payload_hash(body.model_dump()))


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
        time_in_force=TimeInForce[body.time_in_force],
        lifetime_ns=_LIFETIMES_NS[body.cancel_after] if body.cancel_after else 0,
        post_only=body.post_only,
        self_trade_prevention=SelfTradePrevention[body.stp.upper()],
    )
