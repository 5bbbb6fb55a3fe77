"""The pulse: heartbeats, `ticker_batch` and `status`, and the end of what outlived its credential.

EventBridge wakes it every minute, and a subscription wakes it where it sleeps. While nobody listens it looks once and
ends.
"""

import time
import uuid
from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.feeds.gateway import ManagementApi
from exchange.feeds.pulse import Pulse, Sweep
from exchange.feeds.store import ConnectionStore, bind_connections
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    connections_table: str
    instruments_table: str
    market_data_table: str
    api_keys_table: str
    users_table: str
    websocket_endpoint: str


@cache
def parts() -> tuple[Sweep, Pulse]:
    """Put the two together, once a process."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind(ApiKeyItem, settings.api_keys_table)
    bind(CustomerItem, settings.users_table)
    bind_market_data(settings.market_data_table)
    bind_connections(settings.connections_table)
    clock, listeners = SystemClock(), ConnectionStore()
    pusher = ManagementApi.at(settings.websocket_endpoint)
    sweep = Sweep(
        listeners=listeners, pusher=pusher, keys=ApiKeyStore(connection()), customers=CustomerStore(), clock=clock
    )
    pulse = Pulse(
        listeners=listeners,
        pusher=pusher,
        catalogue=Catalogue(InstrumentStore(), clock),
        tickers=MarketDataStore(),
        clock=clock,
        sleep=time.sleep,
    )
    return sweep, pulse


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Sweep, then beat for as long as somebody listens and no later run has begun."""
    sweep, pulse = parts()
    return {"ended": sweep.run(), "beats": pulse.run(uuid.uuid4().hex)}
