"""The composition of a desk, shared by every function that enters or cancels orders."""

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.kinesis import StreamWriter
from exchange.aws.settings import EnvironmentSettings
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.trading.market import RecentMarket
from exchange.trading.service import Desk
from exchange.trading.store import DynamoOrderEntry, KinesisCommandStream, bind_order_entry


class DeskSettings(EnvironmentSettings):
    """What a desk has in its environment."""

    instruments_table: str
    balances_table: str
    orders_table: str
    fills_table: str
    fee_schedules_table: str
    market_data_table: str
    orders_stream: str


def open_desk(settings: DeskSettings, clock: SystemClock) -> tuple[Desk, DynamoOrderEntry, Catalogue]:
    """Bind the tables and make this process's desk, with the store and the catalogue that are behind it."""
    bind_order_entry(orders=settings.orders_table, fills=settings.fills_table, balances=settings.balances_table)
    bind(InstrumentItem, settings.instruments_table)
    bind(FeeScheduleItem, settings.fee_schedules_table)
    bind_market_data(settings.market_data_table)
    store, catalogue = DynamoOrderEntry(connection()), Catalogue(InstrumentStore(), clock)
    desk = Desk(
        entry=store,
        stream=KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream)),
        products=catalogue.products,
        market=RecentMarket(MarketDataStore(), clock).view,
        fees=FeeSchedules(clock).schedule,
        clock=clock,
        pause=jittered_pause,
    )
    return desk, store, catalogue
