"""The composition of a desk, shared by every function that enters or cancels orders."""

from functools import partial

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.kinesis import StreamWriter
from exchange.aws.settings import EnvironmentSettings
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.orders.store import FillItem
from exchange.trading.market import RecentMarket
from exchange.trading.service import Desk, Floor
from exchange.trading.store import (
    DynamoOrderEntry,
    KinesisCommandStream,
    SqsBells,
    SwitchItem,
    SwitchStore,
    bind_orders,
)
from exchange.trading.switch import Watch


class FloorSettings(EnvironmentSettings):
    """What canceling has in its environment."""

    instruments_table: str
    balances_table: str
    orders_table: str
    orders_stream: str


class DeskSettings(FloorSettings):
    """What a desk has in its environment."""

    fills_table: str
    fee_schedules_table: str
    market_data_table: str


class SwitchSettings(EnvironmentSettings):
    """What the dead man's switches have in their environment."""

    switches_table: str
    switches_queue_url: str


def open_watch(settings: SwitchSettings, clock: SystemClock) -> Watch:
    """Bind the table of the switches and make what they need."""
    bind(SwitchItem, settings.switches_table)
    return Watch(SwitchStore(), SqsBells(partial(client, "sqs"), settings.switches_queue_url), clock)


def open_floor(settings: FloorSettings, clock: SystemClock) -> Floor:
    """Bind the tables and make what cancels orders."""
    bind_orders(orders=settings.orders_table, balances=settings.balances_table)
    bind(InstrumentItem, settings.instruments_table)
    stream = KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream))
    return Floor(DynamoOrderEntry(connection()), stream, Catalogue(InstrumentStore(), clock).products)


def open_desk(settings: DeskSettings, clock: SystemClock) -> tuple[Desk, DynamoOrderEntry, Catalogue]:
    """Bind the tables and make this process's desk, with the store and the catalogue that are behind it."""
    bind_orders(orders=settings.orders_table, balances=settings.balances_table)
    bind(FillItem, settings.fills_table)
    bind(InstrumentItem, settings.instruments_table)
    bind(FeeScheduleItem, settings.fee_schedules_table)
    bind_market_data(settings.market_data_table)
    store, catalogue = DynamoOrderEntry(connection()), Catalogue(InstrumentStore(), clock)
    desk = Desk(
        entry=store,
        stream=KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream)),
        products=catalogue.products,
        market=RecentMarket(MarketDataStore(), clock).view,
        fees=FeeSchedules(clock).rates,
        clock=clock,
        pause=jittered_pause,
    )
    return desk, store, catalogue
