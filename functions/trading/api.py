"""Order entry over REST: place, cancel, get and list orders; list fills."""

import time
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.kinesis import StreamWriter
from exchange.aws.settings import EnvironmentSettings
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.ledger.store import BalanceItem
from exchange.market_data.store import MarketDataItem, MarketTops
from exchange.orders.store import FillItem, OrderItem
from exchange.rest import Api, ApiRequest, Reply, read_body
from exchange.trading.listing import list_fills, list_orders
from exchange.trading.model import Trader, order_json
from exchange.trading.request import TOLERATED, PlaceOrderBody, order_terms
from exchange.trading.service import Desk, cancel_order, cancel_orders, find_order, place_order
from exchange.trading.store import DynamoOrderEntry, KinesisCommandStream
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    api_keys_table: str
    users_table: str
    balances_table: str
    orders_table: str
    fills_table: str
    fee_schedules_table: str
    market_data_table: str
    orders_stream: str
    secrets_key_id: str
    user_pool_id: str
    user_pool_client_id: str


settings = Settings.load()
app = Api("trading")
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(OrderItem, settings.orders_table)
bind(FillItem, settings.fills_table)
bind(FeeScheduleItem, settings.fee_schedules_table)
bind(MarketDataItem, settings.market_data_table)
access = authenticator(
    api_keys_table=settings.api_keys_table,
    users_table=settings.users_table,
    secrets_key_id=settings.secrets_key_id,
    user_pool_id=settings.user_pool_id,
    user_pool_client_id=settings.user_pool_client_id,
)
catalogue = Catalogue(InstrumentStore(), clock)
entry = DynamoOrderEntry(connection())
desk = Desk(
    entry=entry,
    stream=KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream)),
    products=catalogue.products,
    market=MarketTops(clock).view,
    fees=FeeSchedules(clock).schedule,
    clock=clock,
    pause=time.sleep,
)


def _order_reply(request: ApiRequest, name: str) -> Any:
    principal = access.authenticate(request, Scope.VIEW)
    if isinstance(principal, Refused):
        return principal
    order = find_order(desk, principal.account_id, name)
    return order if isinstance(order, Refused) else order_json(order, catalogue.products()[order.product_id])


def _trader(principal: Principal) -> Trader:
    return Trader(principal.user_id, principal.account_id, principal.key_id)


@app.endpoint("POST", "/orders")
def place(request: ApiRequest) -> Any:
    """Accept an order: 200 as soon as it is held and stored, never waiting for the matcher."""
    principal = access.authenticate(request, Scope.TRADE)
    if isinstance(principal, Refused):
        return principal
    body = read_body(PlaceOrderBody, request.body, tolerate=TOLERATED)
    if isinstance(body, Refused):
        return body
    terms = order_terms(body)
    order = place_order(
        desk,
        _trader(principal),
        body.product_id,
        terms,
        client_oid=body.client_oid or "",
        payload_hash=body.payload_hash(),
    )
    return order if isinstance(order, Refused) else order_json(order, catalogue.products()[order.product_id])


@app.endpoint("GET", "/orders")
def orders(request: ApiRequest) -> Any:
    """An account's orders, newest first; without `status` the live ones."""
    principal = access.authenticate(request, Scope.VIEW)
    return principal if isinstance(principal, Refused) else list_orders(entry, principal.account_id, request, catalogue)


@app.endpoint("DELETE", "/orders")
def cancel_many(request: ApiRequest) -> Any:
    """Cancel all live orders, or those of one product."""
    principal = access.authenticate(request, Scope.TRADE)
    if isinstance(principal, Refused):
        return principal
    product_id = request.query("product_id")
    canceled = cancel_orders(desk, principal.account_id, product_id.replace("/", "-") if product_id else None)
    return canceled if isinstance(canceled, Refused) else [to_uuid(order.order_id) for order in canceled]


@app.endpoint("GET", "/orders/{order_id}")
def order(request: ApiRequest, order_id: str) -> Any:
    """One order by our id or by `client:` and the client's own."""
    return _order_reply(request, order_id)


@app.endpoint("DELETE", "/orders/{order_id}")
def cancel(request: ApiRequest, order_id: str) -> Any:
    """Ask the market to cancel one order; answers with its id as a bare JSON string."""
    principal = access.authenticate(request, Scope.TRADE)
    if isinstance(principal, Refused):
        return principal
    canceled = cancel_order(desk, principal.account_id, order_id)
    return canceled if isinstance(canceled, Refused) else Reply(to_uuid(canceled.order_id))


@app.endpoint("GET", "/fills")
def fills(request: ApiRequest) -> Any:
    """An account's fills of one order or one product, by falling trade id."""
    principal = access.authenticate(request, Scope.VIEW)
    return (
        principal
        if isinstance(principal, Refused)
        else list_fills(desk, entry, principal.account_id, request, catalogue)
    )
