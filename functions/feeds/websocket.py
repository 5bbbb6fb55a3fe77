"""WebSocket connections: they come, ask for channels, and go."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.feeds.gateway import LambdaPulse, ManagementApi
from exchange.feeds.sockets import Sockets, frame_text
from exchange.feeds.store import ConnectionStore, bind_connections
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.rest import ApiRequest
from exchange.users.access import authenticator


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    connections_table: str
    connections_per_address: int
    origin_secret: str
    instruments_table: str
    market_data_table: str
    balances_table: str
    api_keys_table: str
    users_table: str
    usage_table: str
    secrets_key_id: str
    user_pool_id: str
    user_pool_client_id: str
    websocket_endpoint: str
    pulse_function: str


@cache
def settings() -> Settings:
    """The environment, read once a process."""
    return Settings.load()


@cache
def sockets() -> Sockets:
    """Put the service together, once a process."""
    bind(InstrumentItem, settings().instruments_table)
    bind(BalanceItem, settings().balances_table)
    bind_market_data(settings().market_data_table)
    bind_connections(settings().connections_table)
    clock, connections = SystemClock(), ConnectionStore()
    access = {"api_keys_table", "users_table", "usage_table", "secrets_key_id", "user_pool_id", "user_pool_client_id"}
    return Sockets(
        connections=connections,
        pusher=ManagementApi.at(settings().websocket_endpoint),
        catalogue=Catalogue(InstrumentStore(), clock),
        markets=MarketDataStore(),
        balances=BalanceStore(),
        credentials=authenticator(**settings().model_dump(include=access)),
        pulse=LambdaPulse(client("lambda"), settings().pulse_function, connections, clock),
        clock=clock,
        connections_per_address_max=settings().connections_per_address,
    )


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Serve $connect, $disconnect and every frame between. A refused $connect is 429: the handshake fails."""
    context = event["requestContext"]
    connection_id = str(context["connectionId"])
    if context["eventType"] == "CONNECT":
        address = ApiRequest.from_event(event, b"", origin_secret=settings().origin_secret).source_address
        return {"statusCode": 200 if sockets().connect(connection_id, address) else 429}
    if context["eventType"] == "DISCONNECT":
        sockets().disconnect(connection_id)
    else:
        text = frame_text(str(event.get("body") or ""), is_base64=bool(event.get("isBase64Encoded")))
        sockets().receive(connection_id, text)
    return {"statusCode": 200}
