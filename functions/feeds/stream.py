"""The balances table's own stream: whoever listens to an account's balances is told how they are now."""

from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.feeds.balances import BalanceFeed, moved_from_stream
from exchange.feeds.gateway import ManagementApi
from exchange.feeds.store import ConnectionStore, bind_connections
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.ledger.store import BalanceItem, BalanceStore


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    balances_table: str
    connections_table: str
    instruments_table: str
    websocket_endpoint: str


@cache
def feed() -> BalanceFeed:
    """Put the feed together, once a process."""
    settings = Settings.load()
    bind(BalanceItem, settings.balances_table)
    bind(InstrumentItem, settings.instruments_table)
    bind_connections(settings.connections_table)
    clock = SystemClock()
    pusher = ManagementApi.at(settings.websocket_endpoint)
    return BalanceFeed(ConnectionStore(), pusher, BalanceStore(), Catalogue(InstrumentStore(), clock), clock)


def handler(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Tell of a batch of changes. Raises where the batch must be tried again: that tells only what is true by then."""
    return {"told": feed().publish(moved_from_stream(event["Records"]))}
