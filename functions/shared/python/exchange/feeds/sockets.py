"""The WebSocket side: connections that come and ask, and updates that go out.

No gap between snapshot and update. The socket function posts a snapshot and then makes the subscription known; it looks
again whether the book has moved meanwhile, and if so begins anew. The stream function commits a batch and then asks who
listens; whom it meets for the first time gets a snapshot of what it just committed, and updates from there on. Posts to
one connection are made one after the other, so no older book overtakes a newer one.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from exchange.feeds.frames import LEVEL2, SUBSCRIPTIONS_MAX, Frame, FrameError, parse_frame
from exchange.feeds.model import Pushed, Subscription
from exchange.feeds.public import (
    Message,
    error_message,
    full_message,
    match_message,
    snapshot_message,
    subscriptions_message,
    ticker_message,
    update_messages,
)
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import OutageError
from exchange.market_data.model import MarketState, trades_of
from exchange.market_data.service import Update
from exchange.market_data.ticker import Ticker
from exchange.messages import EventType

SNAPSHOT_ATTEMPTS_MAX: Final = 3
_LOG = logging.getLogger(__name__)


class Connections(Protocol):
    """Where connections and their subscriptions are kept."""

    def open(self, connection_id: str, now_ns: int) -> None:
        """Remember a connection."""
        ...

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        ...

    def subscriptions(self, connection_id: str) -> list[Subscription]:
        """What a connection listens to, read consistently."""
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Remember subscriptions of one connection."""
        ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget subscriptions of one connection."""
        ...

    def listeners(self, product_id: str) -> list[Subscription]:
        """Every subscription to a product."""
        ...


class Pusher(Protocol):
    """The way out to connections."""

    def push(self, messages: Mapping[str, Sequence[str]]) -> Pushed:
        """Send each connection its messages, in order; the first that fails ends a connection's."""
        ...


class Markets(Protocol):
    """Where books are read."""

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed."""
        ...

    def sequence(self, product_id: str) -> int:
        """The last sequence committed, read consistently."""
        ...


class Publisher:
    """Tells the listeners of a product what a committed batch did."""

    def __init__(self, connections: Connections, pusher: Pusher, catalogue: Catalogue) -> None:
        self._connections = connections
        self._pusher = pusher
        self._catalogue = catalogue
        self._following: dict[str, set[Subscription]] = {}  # whom we sent the book they now update

    def publish(self, update: Update) -> None:
        """Push an update. What can't be reached is logged and gets a fresh snapshot later; the batch never fails."""
        product_id = update.state.product_id
        following = self._following.pop(product_id, set()) if update.is_continued else set()
        try:
            listeners = self._connections.listeners(product_id)
            product = self._catalogue.product(product_id) if listeners else None
            if product is not None:
                self._following[product_id] = self._publish(update, product, listeners, following)
        except OutageError as error:
            _LOG.warning("the feed of %s was not pushed: %s", product_id, error)

    def _publish(
        self, update: Update, product: Product, listeners: Sequence[Subscription], following: set[Subscription]
    ) -> set[Subscription]:
        messages = _BatchMessages(update, product)
        by_connection: dict[str, list[Subscription]] = {}
        for subscription in listeners:
            by_connection.setdefault(subscription.connection_id, []).append(subscription)
        outgoing = {
            connection_id: messages.for_connection(subscriptions, following)
            for connection_id, subscriptions in by_connection.items()
        }
        pushed = self._pusher.push({name: texts for name, texts in outgoing.items() if texts})
        for connection_id in pushed.gone:
            self._connections.close(connection_id)
        if pushed.failed:
            _LOG.warning("%d connections did not take their messages", len(pushed.failed))
        lost = pushed.gone | pushed.failed
        return {one for one in listeners if one.channel in LEVEL2 and one.connection_id not in lost}


class _BatchMessages:
    """The messages of one batch as text, each made once and only if somebody listens."""

    def __init__(self, update: Update, product: Product) -> None:
        self._update = update
        self._product = product
        self._made: dict[str, list[str]] = {}

    def for_connection(self, subscriptions: Sequence[Subscription], following: set[Subscription]) -> list[str]:
        """What a connection with these subscriptions is to get, in order."""
        channels = {subscription.channel for subscription in subscriptions}
        names = []
        if "full" in channels:
            names.append("full")
        elif "matches" in channels:
            names.append("matches")
        if "ticker" in channels:
            names.append("ticker")
        books = [subscription for subscription in subscriptions if subscription.channel in LEVEL2]
        if books:
            names.append("updates" if following.issuperset(books) else "snapshot")
        return [text for name in names for text in self._texts(name)]

    def _texts(self, name: str) -> list[str]:
        if name not in self._made:
            self._made[name] = [to_text(message) for message in self._make(name)]
        return self._made[name]

    def _make(self, name: str) -> list[Message]:
        update, product = self._update, self._product
        if name == "full":
            return [full_message(event, product) for event in update.events]
        if name == "matches":
            return [match_message(trade, product) for trade in trades_of(update.events)]
        if name == "ticker":
            traded = any(event.type == EventType.MATCH for event in update.events)
            ticker = ticker_message(Ticker.of(update.state), product) if traded else None
            return [ticker] if ticker else []
        uncrossed = any(event.type == EventType.AUCTION for event in update.events)
        if name == "snapshot" or uncrossed:
            return [snapshot_message(update.state, product)]
        return update_messages(update.state, update.touched, product)


class Sockets:
    """Answers connections and their frames."""

    def __init__(
        self, connections: Connections, pusher: Pusher, catalogue: Catalogue, markets: Markets, clock: Clock
    ) -> None:
        self._connections = connections
        self._pusher = pusher
        self._catalogue = catalogue
        self._markets = markets
        self._clock = clock

    def connect(self, connection_id: str) -> None:
        """A connection has come."""
        self._connections.open(connection_id, self._clock.now_ns())

    def disconnect(self, connection_id: str) -> None:
        """A connection has gone."""
        self._connections.close(connection_id)

    def receive(self, connection_id: str, text: str) -> None:
        """A frame has come; it is answered, whatever it says."""
        held = self._connections.subscriptions(connection_id)
        try:
            frame = parse_frame(text)
            self._check(frame, held)
        except FrameError as error:
            self._send(connection_id, [error_message("Failed to subscribe", str(error))])
            return
        if frame.is_subscribe:
            self._subscribe(connection_id, frame, held)
        else:
            self._unsubscribe(connection_id, frame, held)

    def _check(self, frame: Frame, held: Sequence[Subscription]) -> None:
        for _, product_id in frame.wanted:
            if product_id and self._catalogue.product(product_id) is None:
                raise FrameError(f"{product_id[:40]} is not a valid product")
        if frame.is_subscribe and len({*_pairs(held), *frame.wanted}) > SUBSCRIPTIONS_MAX:
            raise FrameError(f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions; open another one")

    def _unsubscribe(self, connection_id: str, frame: Frame, held: Sequence[Subscription]) -> None:
        ended = [subscription for subscription in held if frame.ends(subscription)]
        self._connections.unsubscribe(ended)
        self._send(connection_id, [subscriptions_message(_pairs(set(held) - set(ended)))])

    def _subscribe(self, connection_id: str, frame: Frame, held: Sequence[Subscription]) -> None:
        wanted = sorted(set(frame.wanted))
        renewed = [one for one in held if (one.channel, one.product_id) in set(wanted)]
        self._connections.unsubscribe(renewed)
        self._send(connection_id, [message for pair in wanted for message in self._greeting(*pair)])
        plain = [pair for pair in wanted if pair[0] not in LEVEL2]
        self._connections.subscribe([self._subscription(connection_id, *pair) for pair in plain])
        self._send(connection_id, [subscriptions_message({*_pairs(held), *wanted})])
        for channel, product_id in wanted:
            if channel in LEVEL2:
                self._start_book(connection_id, channel, product_id)

    def _greeting(self, channel: str, product_id: str) -> list[Message]:
        """Where `ticker` and `matches` stand now, so that nobody waits for the next trade to see a price."""
        if channel not in {"ticker", "matches"}:
            return []
        state, product = self._markets.state(product_id), self._catalogue.product(product_id)
        if state is None or state.last_trade is None or product is None:
            return []
        if channel == "matches":
            return [match_message(state.last_trade, product, kind="last_match")]
        message = ticker_message(Ticker.of(state), product)
        return [message] if message else []

    def _start_book(self, connection_id: str, channel: str, product_id: str) -> None:
        product = self._catalogue.product(product_id)
        if product is None:
            return
        for attempt in range(1, SNAPSHOT_ATTEMPTS_MAX + 1):
            state = self._markets.state(product_id, consistent=True) or MarketState.genesis(product_id)
            self._send(connection_id, [snapshot_message(state, product)])
            subscription = self._subscription(connection_id, channel, product_id)
            self._connections.subscribe([subscription])
            # Where it still moves after some tries, the next batch is near and brings its own snapshot.
            if attempt == SNAPSHOT_ATTEMPTS_MAX or self._markets.sequence(product_id) == state.sequence:
                return
            self._connections.unsubscribe([subscription])

    def _subscription(self, connection_id: str, channel: str, product_id: str) -> Subscription:
        return Subscription(connection_id, product_id, channel, f"{self._clock.now_ns():019d}")

    def _send(self, connection_id: str, messages: Sequence[Message]) -> None:
        if not messages:
            return
        pushed = self._pusher.push({connection_id: [to_text(message) for message in messages]})
        if connection_id in pushed.gone:
            self._connections.close(connection_id)


def to_text(message: Message) -> str:
    """A message as JSON text."""
    return json.dumps(message, separators=(",", ":"))


def _pairs(subscriptions: Sequence[Subscription] | set[Subscription]) -> set[tuple[str, str]]:
    return {(subscription.channel, subscription.product_id) for subscription in subscriptions}
