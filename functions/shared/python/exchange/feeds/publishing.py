"""What a committed batch did, told to everybody who listens to its product.

No gap between snapshot and update: a batch is committed, then it is asked who listens; whom this worker meets for the
first time gets a snapshot of what was just committed, and updates from there on. So does who did not take all that he
was sent: a client that falls behind gets the book as it is, never a backlog. `full` has a sequence that shows a gap;
`user` has no such sequence, so who could not be told something private is ended, and its client, when it comes again,
reads its orders. Where nobody could even say who listens, or a worker fell between commit and telling, the batch comes
again, and owners are told then. So they are told at least once; what is repeated has the sequence that it had.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from exchange.feeds.model import LEVEL2, Pushed, Subscription
from exchange.feeds.private import own_events, told_orders, user_message
from exchange.feeds.public import (
    auction_message,
    candle_messages,
    full_message,
    match_message,
    snapshot_message,
    ticker_message,
    update_messages,
)
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.errors import OutageError
from exchange.market_data.model import trades_of
from exchange.market_data.service import Update
from exchange.market_data.ticker import Ticker
from exchange.messages import Event, EventType, Phase
from exchange.orders.model import Order

MISSES_MAX: Final = 3  # Batches in a row that a connection may miss before it is ended.
Message = dict[str, Any]
_LOG = logging.getLogger(__name__)


class Audience(Protocol):
    """Who listens."""

    def listeners(self, topic: str) -> list[Subscription]:
        """Every subscription to a topic."""
        ...

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        ...


class Pusher(Protocol):
    """The way out to connections."""

    def push(self, messages: Mapping[str, Sequence[str]]) -> Pushed:
        """Send each connection its messages, in order; the first that fails ends a connection's."""
        ...

    def disconnect(self, connection_id: str) -> None:
        """End a connection from our side."""
        ...


class OrderReader(Protocol):
    """Where orders are read."""

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id; unknown ids are left out. Raises UnavailableError."""
        ...


class Publisher:
    """Tells the listeners of a product what a committed batch did."""

    def __init__(self, audience: Audience, pusher: Pusher, catalogue: Catalogue, orders: OrderReader) -> None:
        self._audience = audience
        self._pusher = pusher
        self._catalogue = catalogue
        self._orders = orders
        self._following: dict[str, set[Subscription]] = {}  # whom we sent the book they now update
        self._misses: dict[str, int] = {}
        self._told: dict[str, int] = {}  # the last sequence up to which a product's owners were told from here

    def publish(self, update: Update) -> None:
        """Push an update. Who can't be reached is logged and heals as said above.

        Raises:   OutageError where it can't be said who listens. Then the batch must come again, for `repeat`.
        """
        product_id = update.state.product_id
        following = self._following.pop(product_id, set()) if update.is_continued else set()
        listeners = self._audience.listeners(product_id)
        product = self._catalogue.product(product_id) if listeners else None
        if product is not None:
            self._following[product_id] = self._publish(update, product, listeners, following)
        self._told[product_id] = update.state.sequence

    def repeat(self, product_id: str, said: Sequence[Event]) -> None:
        """Tell owners what was committed, but perhaps not told: by us in an outage, or by a worker that fell.

        What was told from here is left out, so a batch that comes again for another product's sake repeats nothing.
        Raises:   OutageError as `publish` does.
        """
        untold = [event for event in said if event.sequence > self._told.get(product_id, 0)]
        if not untold:
            return
        owners = [one for one in self._audience.listeners(product_id) if one.channel == "user"]
        product = self._catalogue.product(product_id) if owners else None
        if product is not None:
            private, unmade = self._private(untold, product, owners)
            pushed = self._pusher.push(private)
            self._settle(pushed, private, ended=unmade | pushed.failed)
        self._told[product_id] = untold[-1].sequence

    def _publish(
        self, update: Update, product: Product, listeners: Sequence[Subscription], following: set[Subscription]
    ) -> set[Subscription]:
        messages = _BatchMessages(update, product)
        by_connection: dict[str, list[Subscription]] = {}
        for subscription in listeners:
            by_connection.setdefault(subscription.connection_id, []).append(subscription)
        private, untold = self._private(update.said, product, listeners)
        outgoing = {
            connection_id: messages.for_connection(subscriptions, following) + private.get(connection_id, [])
            for connection_id, subscriptions in by_connection.items()
        }
        pushed = self._pusher.push({name: texts for name, texts in outgoing.items() if texts})
        self._settle(pushed, outgoing, ended=untold | (pushed.failed & private.keys()))
        lost = pushed.gone | pushed.failed
        return {one for one in listeners if one.channel in LEVEL2 and one.connection_id not in lost}

    def _private(
        self, said: Sequence[Event], product: Product, listeners: Sequence[Subscription]
    ) -> tuple[dict[str, list[str]], frozenset[str]]:
        """The `user` messages by connection, and the connections whose messages could not be made."""
        # Two frames at once may have made two subscriptions of one: each connection is told once.
        owned = {
            (one.connection_id, one.owner.account_id): one.owner
            for one in listeners
            if one.channel == "user" and one.owner is not None
        }
        own = own_events(said, {account_id for _, account_id in owned})
        ids = told_orders(event for events in own.values() for event in events)
        try:
            orders = {order.order_id: order for order in self._orders.orders(sorted(ids))} if ids else {}
        except OutageError as error:
            _LOG.warning("the owners of %s were not told: %s", product.product_id, error)
            return {}, frozenset(connection_id for connection_id, account_id in owned if own[account_id])
        texts: dict[str, list[str]] = {}
        for (connection_id, account_id), owner in owned.items():
            for event in own[account_id]:
                text = to_text(user_message(event, owner, product, orders))
                texts.setdefault(connection_id, []).append(text)
        return texts, frozenset()

    def _settle(self, pushed: Pushed, outgoing: Mapping[str, Sequence[str]], ended: frozenset[str]) -> None:
        """Forget who is gone, and end those that missed what they can't know they missed, or too much in a row."""
        for connection_id in outgoing.keys() - pushed.failed:
            self._misses.pop(connection_id, None)
        for connection_id in pushed.failed:
            self._misses[connection_id] = self._misses.get(connection_id, 0) + 1
        late = {name for name in pushed.failed if self._misses[name] >= MISSES_MAX}
        for connection_id in (ended | late) - pushed.gone:
            self._pusher.disconnect(connection_id)
        for connection_id in pushed.gone | ended | late:
            self._misses.pop(connection_id, None)
            self._audience.close(connection_id)
        if pushed.failed:
            _LOG.warning("%d connections did not take their messages", len(pushed.failed))


class _BatchMessages:
    """The messages of one batch as text, each made once and only if somebody listens."""

    def __init__(self, update: Update, product: Product) -> None:
        self._update = update
        self._product = product
        self._made: dict[str, list[str]] = {}
        self._trades = trades_of(update.events)
        self._uncrossed = next((event for event in update.events if event.type == EventType.AUCTION), None)

    def for_connection(self, subscriptions: Sequence[Subscription], following: set[Subscription]) -> list[str]:
        """What a connection with these subscriptions is to get, in order."""
        channels = {subscription.channel for subscription in subscriptions}
        names = []
        if "full" in channels:
            names.append("full")
        elif "matches" in channels:
            names.append("matches")
        names += sorted(name for name in channels if name in {"ticker", "auctionfeed"} or name.startswith("candles_"))
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
            return [match_message(trade, product) for trade in self._trades]
        if name == "ticker":
            ticker = ticker_message(Ticker.of(update.state), product) if self._trades else None
            return [ticker] if ticker else []
        if name == "auctionfeed":
            is_told = update.state.phase is Phase.AUCTION or self._uncrossed is not None
            return [auction_message(update.state, product, self._uncrossed)] if is_told else []
        if name.startswith("candles_"):
            times_ns = [trade.time_ns for trade in self._trades]
            return candle_messages(update.state, times_ns, int(name.removeprefix("candles_")), product)
        if name == "snapshot" or self._uncrossed is not None:
            return [snapshot_message(update.state, product)]
        return update_messages(update.state, update.touched, product)


def to_text(message: Message) -> str:
    """A message as JSON text."""
    return json.dumps(message, separators=(",", ":"))
