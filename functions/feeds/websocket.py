"""WebSocket connections: they come, ask for channels, and go."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.feeds.sockets import Sockets
from exchange.feeds.store import ConnectionStore, ManagementApi, bind_connections
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.market_data.store import MarketDataStore, bind_market_data


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    connections_table: str
    instruments_table: str
    market_data_table: str
    websocket_endpoint: str


@cache
def sockets() -> Sockets:
    """Put the service together, once a process."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind_market_data(settings.market_data_table)
    bind_connections(settings.connections_table)
    clock = SystemClock()
    catalogue = Catalogue(InstrumentStore(), clock)
    pusher = ManagementApi.at(settings.websocket_endpoint)
    return Sockets(ConnectionStore(), pusher, catalogue, MarketDataStore(), clock)


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Serve $connect, $disconnect and every frame between."""
    context = event["requestContext"]
    connection_id = str(context["connectionId"])
    if context["eventType"] == "CONNECT":
        sockets().connect(connection_id)
    elif context["eventType"] == "DISCONNECT":
        sockets().disconnect(connection_id)
    else:
        sockets().receive(connection_id, str(event.get("body") or ""))
    return {"statusCode": 200}
