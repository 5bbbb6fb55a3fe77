"""One exchange in memory: a market, its stream function and its socket function."""

import json
from typing import Any

from exchange.feeds.model import Owner
from exchange.feeds.publishing import Publisher
from exchange.feeds.sockets import Sockets
from exchange.instruments.catalogue import Catalogue
from exchange.market_data.service import MarketFold, StreamRecord

from tests.fakes.feeds import CountingPulse, Inboxes, KnownKeys, MemoryBalances, MemoryConnections, MemoryOrders
from tests.fakes.market_data import Listing, MemoryMarkets, SteppingClock, ToyMarket, acme

ADDRESS = "203.0.113.9"
SIGNED: dict[str, Any] = {"key": "ann", "passphrase": "p", "timestamp": 1, "signature": "good"}


class House:
    """Everything between the matcher and a client, wired as the functions wire it."""

    def __init__(self, *, connections_per_address_max: int = 0) -> None:
        self.market, self.markets, self.clock = ToyMarket(), MemoryMarkets(), SteppingClock()
        self.connections, self.inboxes, self.pulse = MemoryConnections(), Inboxes(), CountingPulse()
        self.orders, self.balances = MemoryOrders(), MemoryBalances()
        self.keys = KnownKeys(ann=Owner(1, "user-ann", "ann"), bob=Owner(2, "user-bob", "bob"))
        self.catalogue = Catalogue(Listing(acme()), self.clock)
        self.sockets = Sockets(
            connections=self.connections,
            pusher=self.inboxes,
            catalogue=self.catalogue,
            markets=self.markets,
            balances=self.balances,
            credentials=self.keys,
            pulse=self.pulse,
            clock=self.clock,
            connections_per_address_max=connections_per_address_max,
        )
        self.fold = self.new_worker()
        self._folded = 0

    def new_worker(self) -> MarketFold:
        """Another process of the stream function."""
        publisher = Publisher(self.connections, self.inboxes, self.catalogue, self.orders)
        return MarketFold(self.markets, publisher)

    def connect(self, *connection_ids: str) -> None:
        """Let connections come."""
        for connection_id in connection_ids:
            assert self.sockets.connect(connection_id, ADDRESS)

    def run(self) -> None:
        """Let the stream function catch up with the market."""
        encoded = self.market.encoded(1)
        self.fold.fold([StreamRecord("ACME-USD", data) for data in encoded[self._folded :]])
        self._folded = len(encoded)

    def ask(self, frame: dict[str, Any], connection_id: str = "ann") -> list[dict[str, Any]]:
        """Send a frame and take what came back."""
        self.sockets.receive(connection_id, json.dumps(frame))
        return self.inboxes.take(connection_id)

    def subscribe(self, *channels: Any, connection_id: str = "ann", **more: Any) -> list[dict[str, Any]]:
        """Subscribe to channels of the one product."""
        frame = {"type": "subscribe", "product_ids": ["ACME-USD"], "channels": list(channels), **more}
        return self.ask(frame, connection_id)


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """The types of messages."""
    return [str(message["type"]) for message in messages]
