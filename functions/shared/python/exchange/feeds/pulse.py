"""What is told by the clock and not by the market: heartbeats each second, `ticker_batch` each five, `status`.

EventBridge is no finer than a minute, so a run goes on for longer than one, second by second, for as long as somebody
listens; the run that begins last is the one that goes on, and the one before it sees that and ends. Who subscribes
while none goes on wakes one. The sweep ends what private subscriptions have outlived their credentials.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from exchange.feeds.model import PULSE_TOPIC, WATCH_TOPIC, Owner, Pushed, Subscription
from exchange.feeds.public import Message, error_message, heartbeat_message, status_messages, ticker_message
from exchange.feeds.publishing import Pusher, to_text
from exchange.instruments.catalogue import Catalogue
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code
from exchange.market_data.ticker import Ticker
from exchange.users.model import ApiKey, Customer, CustomerStatus, KeyStatus

SECOND_NS: Final = 1_000_000_000
RUN_SECONDS_MAX: Final = 75  # More than the minute after which the next one begins.
TICKER_EVERY_SECONDS: Final = 5
_LOG = logging.getLogger(__name__)


class Listeners(Protocol):
    """Who listens, and which run goes on."""

    def listeners(self, topic: str) -> list[Subscription]:
        """Every subscription to a topic."""
        ...

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        ...

    def start_pulse(self, run: str, until_ns: int) -> None:
        """Make a run the one that goes on."""
        ...

    def stop_pulse(self, run: str) -> None:
        """Say that this run has ended, unless another has begun."""
        ...

    def pulse(self) -> tuple[str, int]:
        """The run that goes on and until when, in nanoseconds; empty and 0 where none does."""
        ...


class Tickers(Protocol):
    """Where tickers are read."""

    def tickers(self, product_ids: Iterable[str]) -> Mapping[str, Ticker]:
        """The tickers of many products as they stand, without closed bars."""
        ...

    def ticker(self, product_id: str, *, now_ns: int) -> Ticker | None:
        """A ticker with its trailing day."""
        ...


class Keys(Protocol):
    """Where API keys are kept."""

    def find(self, key_id: str) -> ApiKey | None:
        """A key by id, revoked ones too."""
        ...


class Customers(Protocol):
    """Where customers are kept."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id."""
        ...


class Pulse:
    """One run: begins, beats every second, ends."""

    def __init__(
        self,
        *,
        listeners: Listeners,
        pusher: Pusher,
        catalogue: Catalogue,
        tickers: Tickers,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._listeners = listeners
        self._pusher = pusher
        self._catalogue = catalogue
        self._tickers = tickers
        self._clock = clock
        self._sleep = sleep
        self._told_status: list[str] = []
        self._told_trades: dict[str, int] = {}

    def run(self, name: str) -> int:
        """Beat until nobody listens, another run has begun, or RUN_SECONDS_MAX are over; return how often it beat.

        Raises:   OutageError; the next run begins within a minute.
        """
        if not self._listeners.listeners(PULSE_TOPIC):
            return 0
        until_ns = self._clock.now_ns() + RUN_SECONDS_MAX * SECOND_NS
        beats = 0
        self._told_status, self._told_trades = [], {}
        self._listeners.start_pulse(name, until_ns)
        while self._clock.now_ns() < until_ns:
            subscriptions = self._listeners.listeners(PULSE_TOPIC)
            if not subscriptions or self._listeners.pulse()[0] != name:
                break
            self._beat(subscriptions, beats)
            beats += 1
            left_ns = SECOND_NS - self._clock.now_ns() % SECOND_NS
            self._sleep(left_ns / SECOND_NS)
        self._listeners.stop_pulse(name)
        return beats

    def _beat(self, subscriptions: Sequence[Subscription], beats: int) -> None:
        now_ns = self._clock.now_ns()
        made = self._heartbeats(subscriptions, now_ns)
        if beats % TICKER_EVERY_SECONDS == 0:
            made |= self._tickers_that_moved(subscriptions, now_ns) | self._status(subscriptions)
        outgoing: dict[str, list[str]] = {}
        # Two frames at once may have made two subscriptions of one: each connection is told once.
        for connection_id, pair in dict.fromkeys((one.connection_id, one.pair) for one in subscriptions):
            outgoing.setdefault(connection_id, []).extend(made.get(pair, ()))
        pushed = self._pusher.push({name: texts for name, texts in outgoing.items() if texts})
        self._forget(pushed)

    def _heartbeats(self, subscriptions: Sequence[Subscription], now_ns: int) -> dict[tuple[str, str], list[str]]:
        named = {one.product_id for one in subscriptions if one.channel == "heartbeat"}
        found = self._tickers.tickers(sorted(named)) if named else {}
        products = {name: self._catalogue.product(name) for name in named}
        return {
            ("heartbeat", name): [to_text(heartbeat_message(found.get(name), product, now_ns))]
            for name, product in products.items()
            if product is not None
        }

    def _tickers_that_moved(
        self, subscriptions: Sequence[Subscription], now_ns: int
    ) -> dict[tuple[str, str], list[str]]:
        named = {one.product_id for one in subscriptions if one.channel == "ticker_batch"}
        made: dict[tuple[str, str], list[str]] = {}
        for name, glance in (self._tickers.tickers(sorted(named)) if named else {}).items():
            trade_id = glance.last_trade.trade_id if glance.last_trade else 0
            if self._told_trades.get(name) == trade_id:
                continue
            ticker, product = self._tickers.ticker(name, now_ns=now_ns), self._catalogue.product(name)
            message = ticker_message(ticker, product) if ticker and product else None
            if message is not None:
                made["ticker_batch", name] = [to_text(message)]
            self._told_trades[name] = trade_id
        return made

    def _status(self, subscriptions: Sequence[Subscription]) -> dict[tuple[str, str], list[str]]:
        """Once a run, and whenever something has changed."""
        if not any(one.channel == "status" for one in subscriptions):
            return {}
        products, assets = self._catalogue.products(), self._catalogue.assets()
        messages: list[Message] = status_messages(
            [products[name] for name in sorted(products)], [assets[name] for name in sorted(assets)]
        )
        texts = [to_text(message) for message in messages]
        if texts == self._told_status:
            return {}
        self._told_status = texts
        return {("status", ""): texts}

    def _forget(self, pushed: Pushed) -> None:
        for connection_id in pushed.gone:
            self._listeners.close(connection_id)
        if pushed.failed:
            _LOG.warning("%d connections did not take their beat", len(pushed.failed))


class Sweep:
    """Ends connections whose private subscriptions outlived what proved them: a revoked or expired key, a frozen
    account, a token whose time is over."""

    def __init__(self, *, listeners: Listeners, pusher: Pusher, keys: Keys, customers: Customers, clock: Clock) -> None:
        self._listeners = listeners
        self._pusher = pusher
        self._keys = keys
        self._customers = customers
        self._clock = clock

    def run(self) -> int:
        """End what must end; return how many connections that were. Raises OutageError."""
        watched: dict[Owner, list[str]] = {}
        for one in self._listeners.listeners(WATCH_TOPIC):
            if one.owner is not None:
                watched.setdefault(one.owner, []).append(one.connection_id)
        ended = [name for owner, names in watched.items() if not self._lives(owner) for name in names]
        text = to_text(error_message("Authentication Failed", "your credential has ended", Code.AUTH_EXPIRED))
        if ended:
            self._pusher.push({name: [text] for name in ended})
        for connection_id in ended:
            self._pusher.disconnect(connection_id)
            self._listeners.close(connection_id)
        return len(ended)

    def _lives(self, owner: Owner) -> bool:
        now_ns = self._clock.now_ns()
        if owner.ends_at_ns and now_ns >= owner.ends_at_ns:
            return False
        if owner.key_id:
            key = self._keys.find(owner.key_id)
            if key is None or key.status is not KeyStatus.ACTIVE or key.expired(now_ns):
                return False
        customer = self._customers.find(owner.user_id)
        return customer is not None and customer.status is CustomerStatus.ACTIVE
