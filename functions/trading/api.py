"""Order entry over REST: place, cancel, get and list orders; list fills."""

from functools import partial
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.kinesis import StreamWriter
from exchange.aws.settings import AccessSettings
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.orders.model import Order
from exchange.rest import Api, ApiRequest, read_body
from exchange.trading.listing import list_fills, list_orders
from exchange.trading.market import RecentMarket
from exchange.trading.model import Trader, order_json
from exchange.trading.request import TOLERATED, PlaceOrderBody, named, order_terms, product_named, product_to_cancel
from exchange.trading.service import Desk, cancel_order, cancel_orders, find_order, place_order
from exchange.trading.store import DynamoOrderEntry, KinesisCommandStream, bind_order_entry
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope


class Settings(AccessSettings):
    """This function's environment."""

    instruments_table: str
    balances_table: str
    orders_table: str
    fills_table: str
    fee_schedules_table: str
    market_data_table: str
    orders_stream: str


settings = Settings.load()
app = Api("trading", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind_order_entry(orders=settings.orders_table, fills=settings.fills_table, balances=settings.balances_table)
bind(InstrumentItem, settings.instruments_table)
bind(FeeScheduleItem, settings.fee_schedules_table)
bind_market_data(settings.market_data_table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
entry = DynamoOrderEntry(connection())
desk = Desk(
    entry=entry,
    stream=KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream)),
    products=catalogue.products,
    market=RecentMarket(MarketDataStore(), clock).view,
    fees=FeeSchedules(clock).schedule,
    clock=clock,
    pause=jittered_pause,
)


viewer = partial(access.authenticate, scope=Scope.VIEW)
trader = partial(access.authenticate, scope=Scope.TRADE)
# Placing checks key and customer again inside its transaction, so what was read a moment ago will do.
placer = partial(access.authenticate, scope=Scope.TRADE, rechecked=True)


def _shown(found: Order | Refused) -> Any:
    return found if isinstance(found, Refused) else order_json(found, catalogue.products()[found.product_id])


@app.endpoint("POST", "/orders", caller=placer)
def place(request: ApiRequest, who: Principal) -> Any:
    """Accept an order: 200 as soon as it is held and stored, never waiting for the matcher."""
    body = read_body(PlaceOrderBody, request.body, tolerate=TOLERATED)
    if isinstance(body, Refused):
        return body
    owner = Trader(who.user_id, who.account_id, who.key_id)
    return _shown(place_order(desk, owner, product_named(body), order_terms(body), named(body)))


@app.endpoint("GET", "/orders", caller=viewer)
def orders(request: ApiRequest, who: Principal) -> Any:
    """An account's orders, newest first; without `status` the live ones."""
    return list_orders(entry, who.account_id, request, catalogue)


@app.endpoint("DELETE", "/orders", caller=trader, cancels=True)
def cancel_many(request: ApiRequest, who: Principal) -> Any:
    """Cancel all live orders, or those of one product."""
    product_id = product_to_cancel(request)
    if isinstance(product_id, Refused):
        return product_id
    canceled = cancel_orders(desk, who.account_id, product_id)
    return canceled if isinstance(canceled, Refused) else [to_uuid(order.order_id) for order in canceled]


@app.endpoint("GET", "/orders/{order_id}", caller=viewer)
def order(_request: ApiRequest, who: Principal, order_id: str) -> Any:
    """One order by our id or by `client:` and the client's own."""
    return _shown(find_order(desk, who.account_id, order_id))


@app.endpoint("DELETE", "/orders/{order_id}", caller=trader, cancels=True)
def cancel(_request: ApiRequest, who: Principal, order_id: str) -> Any:
    """Ask the market to cancel one order; answers with its id as a bare JSON string."""
    canceled = cancel_order(desk, who.account_id, order_id)
    return canceled if isinstance(canceled, Refused) else to_uuid(canceled.order_id)


@app.endpoint("GET", "/fills", caller=viewer)
def fills(request: ApiRequest, who: Principal) -> Any:
    """An account's fills of one order or one product, by falling trade id."""
    return list_fills(desk, entry, who.account_id, request, catalogue)
