"""Connections that come and ask.

No gap between snapshot and update: a book is posted, then the subscription is made known, then it is looked again
whether the book has moved meanwhile; if so all begins anew. publishing.py has the other half. Balances go the other way
round: the subscription is made known, balances are read and posted, and posted again where they have moved meanwhile.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from exchange.feeds.frames import FRAME_BYTES_MAX, SUBSCRIPTIONS_MAX, Frame, FrameError, parse_frame
from exchange.feeds.model import LEVEL2, PRIVATE, PULSED, WATCH, Connection, Owner, Pace, Subscription
from exchange.feeds.private import balance_message
from exchange.feeds.public import (
    Message,
    auction_message,
    candle_messages,
    error_message,
    heartbeat_message,
    match_message,
    snapshot_message,
    status_messages,
    subscriptions_message,
    ticker_message,
)
from exchange.feeds.publishing import Pusher, to_text
from exchange.instruments.catalogue import Catalogue
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import Balance
from exchange.market_data.model import MarketState
from exchange.market_data.ticker import Ticker
from exchange.messages import Phase
from exchange.users.authentication import SignedRequest
from exchange.users.model import Principal, Scope

SNAPSHOT_ATTEMPTS_MAX: Final = 3
FRAMES_PER_SECOND_MAX: Final = 10
FRAMES_BURST_MAX: Final = 50
SIGNED_PATH: Final = "/users/self/verify"
_PACE: Final = Pace(frame_ns=1_000_000_000 // FRAMES_PER_SECOND_MAX, burst=FRAMES_BURST_MAX)
_HEADERS: Final = {
    "key": "cb-access-key",
    "passphrase": "cb-access-passphrase",
    "timestamp": "cb-access-timestamp",
    "signature": "cb-access-sign",
}


class Connections(Protocol):
    """Where connections and their subscriptions are kept."""

    def count_from(self, source_address: str, now_ns: int, limit: int) -> int:
        """How many connections an address has that may still live, counted up to `limit`."""
        ...

    def open(self, connection_id: str, source_address: str, now_ns: int) -> None:
        """Remember a connection."""
        ...

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        ...

    def find(self, connection_id: str) -> Connection | None:
        """A connection with all that it listens to, read consistently; None where it has ended."""
        ...

    def pace(self, connection: Connection, now_ns: int, pace: Pace) -> bool:
        """Count a frame that comes now, however many others come with it; False where it is one too many.

        `now_ns` is read after the connection was.
        """
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Remember subscriptions of one connection."""
        ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget subscriptions of one connection."""
        ...


class Markets(Protocol):
    """Where books are read."""

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed."""
        ...

    def sequence(self, product_id: str) -> int:
        """The last sequence committed, read consistently."""
        ...


class Balances(Protocol):
    """Where balances are read."""

    def balances(self, account_id: int) -> list[Balance]:
        """Every balance of an account, by asset, read consistently."""
        ...


class Credentials(Protocol):
    """What proves who asks."""

    def authenticate(self, request: SignedRequest, scope: Scope) -> Principal | Refused:
        """Whose credential it is."""
        ...


class Pulse(Protocol):
    """What makes heartbeats."""

    def wake(self) -> None:
        """See to it that it beats."""
        ...


@dataclass(frozen=True, slots=True)
class _Verification:
    """The request that a signed frame stands for."""

    headers: Mapping[str, str]
    source_address: str
    method: str = "GET"
    path_with_query: str = SIGNED_PATH
    body: bytes = field(default=b"")


class Sockets:
    """Answers connections and their frames. `connections_per_address_max` 0 sets no limit."""

    def __init__(
        self,
        *,
        connections: Connections,
        pusher: Pusher,
        catalogue: Catalogue,
        markets: Markets,
        balances: Balances,
        credentials: Credentials,
        pulse: Pulse,
        clock: Clock,
        connections_per_address_max: int = 0,
    ) -> None:
        self._connections = connections
        self._pusher = pusher
        self._catalogue = catalogue
        self._markets = markets
        self._balances = balances
        self._credentials = credentials
        self._pulse = pulse
        self._clock = clock
        self._per_address_max = connections_per_address_max

    def connect(self, connection_id: str, source_address: str) -> bool:
        """A connection has come; False where its address has as many as it may."""
        limit, now_ns = self._per_address_max, self._clock.now_ns()
        if limit and self._connections.count_from(source_address, now_ns, limit) >= limit:
            return False
        self._connections.open(connection_id, source_address, now_ns)
        return True

    def disconnect(self, connection_id: str) -> None:
        """A connection has gone."""
        self._connections.close(connection_id)

    def receive(self, connection_id: str, text: str) -> None:
        """A frame has come; it is answered, whatever it says. Who sends too many is told so and ended."""
        connection = self._paced(connection_id)
        if connection is None:
            reason = f"at most {FRAMES_PER_SECOND_MAX} frames a second; connect again and send fewer"
            self._send(connection_id, [error_message("Rate limit exceeded", reason, Code.RATE_LIMITED)])
            self._pusher.disconnect(connection_id)
            self._connections.close(connection_id)
            return
        try:
            frame = parse_frame(text)
            self._check(frame, connection.subscriptions)
        except FrameError as error:
            self._send(connection_id, [error_message("Failed to subscribe", str(error), error.code)])
            return
        owner = self._owner(frame, connection)
        if isinstance(owner, Refused):
            self._send(connection_id, [error_message("Authentication Failed", owner.message, owner.code)])
        elif frame.is_subscribe:
            self._subscribe(connection, frame, owner)
        else:
            self._unsubscribe(connection, frame)

    def _paced(self, connection_id: str) -> Connection | None:
        """The connection, if it may send another frame now."""
        connection = self._connections.find(connection_id)
        if connection is None or not self._connections.pace(connection, self._clock.now_ns(), _PACE):
            return None
        return connection

    def _check(self, frame: Frame, held: Sequence[Subscription]) -> None:
        for _, product_id in frame.wanted:
            if product_id and self._catalogue.product(product_id) is None:
                raise FrameError(f"{product_id[:40]} is not a valid product", Code.PRODUCT_NOT_FOUND)
        if frame.is_subscribe and len({*_pairs(held), *frame.wanted}) > SUBSCRIPTIONS_MAX:
            raise FrameError(
                f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions; open another one", Code.FEED_LIMIT
            )

    def _owner(self, frame: Frame, connection: Connection) -> Owner | Refused | None:
        """On whose behalf a frame asks. What is signed is verified, even where nothing private is asked for."""
        given = frame.credentials
        if not given:
            if frame.is_subscribe and any(channel in PRIVATE for channel, _ in frame.wanted):
                return Refused(Code.AUTH_MISSING, "sign the frame: key, passphrase, timestamp and signature, or jwt")
            return None
        headers = {_HEADERS[name]: value for name, value in given.items() if name in _HEADERS}
        if "jwt" in given:
            headers["authorization"] = f"Bearer {given['jwt']}"
        request = _Verification(headers, connection.source_address)
        principal = self._credentials.authenticate(request, Scope.VIEW)
        if isinstance(principal, Refused):
            return principal
        ends_at_ns = _token_end_ns(given["jwt"]) if "jwt" in given else 0
        return Owner(principal.account_id, principal.user_id, principal.key_id or "", ends_at_ns)

    def _unsubscribe(self, connection: Connection, frame: Frame) -> None:
        ended = [one for one in connection.subscriptions if frame.ends(one)]
        left = [one for one in connection.subscriptions if one not in ended]
        if not any(one.channel in PRIVATE for one in left):
            ended += [one for one in left if one.channel == WATCH]
        self._connections.unsubscribe(ended)
        self._send(connection.connection_id, [subscriptions_message(_pairs(set(left) - set(ended)))])

    def _subscribe(self, connection: Connection, frame: Frame, owner: Owner | None) -> None:
        connection_id, wanted = connection.connection_id, sorted(set(frame.wanted))
        before = [one for one in connection.subscriptions if one.pair in set(wanted)]
        self._connections.unsubscribe([one for one in before if one.channel in LEVEL2])
        self._send(connection_id, [message for pair in wanted for message in self._greeting(*pair)])
        plain = [pair for pair in wanted if pair[0] not in LEVEL2]
        subscriptions = [self._subscription(connection_id, *pair, owner) for pair in plain]
        if owner is not None and any(channel in PRIVATE for channel, _ in plain):
            subscriptions += self._watch(connection, owner)
        self._connections.subscribe(subscriptions)
        # Only now: between an end and a new beginning events would be lost, and who is found twice is told once.
        self._connections.unsubscribe([one for one in before if one.channel not in LEVEL2])
        self._send(connection_id, [subscriptions_message({*_pairs(connection.subscriptions), *wanted})])
        for channel, product_id in wanted:
            if channel in LEVEL2:
                self._start_book(connection_id, channel, product_id)
        if owner is not None and ("balance", "") in wanted:
            self._start_balances(connection_id, owner)
        if any(channel in PULSED for channel, _ in wanted):
            self._pulse.wake()

    def _watch(self, connection: Connection, owner: Owner) -> list[Subscription]:
        """What lets the sweep find a credential in use, once for each."""
        if any(one.channel == WATCH and one.owner == owner for one in connection.subscriptions):
            return []
        return [self._subscription(connection.connection_id, WATCH, "", owner)]

    def _greeting(self, channel: str, product_id: str) -> list[Message]:
        """Where a channel stands now, so that nobody waits for the next trade to see a price."""
        if channel == "status":
            products, assets = self._catalogue.products(), self._catalogue.assets()
            return status_messages([products[name] for name in sorted(products)], [assets[a] for a in sorted(assets)])
        is_greeted = channel in {"ticker", "ticker_batch", "matches", "auctionfeed", "heartbeat"}
        product = self._catalogue.product(product_id)
        if product is None or not (is_greeted or channel.startswith("candles_")):
            return []
        state = self._markets.state(product_id)
        if channel == "heartbeat":
            return [heartbeat_message(Ticker.of(state) if state else None, product, self._clock.now_ns())]
        if state is not None and channel == "auctionfeed" and state.phase is Phase.AUCTION:
            return [auction_message(state, product)]
        if state is None or state.last_trade is None or channel == "auctionfeed":
            return []
        if channel == "matches":
            return [match_message(state.last_trade, product, kind="last_match")]
        if channel.startswith("candles_"):
            seconds = int(channel.removeprefix("candles_"))
            return candle_messages(state, [state.last_trade.time_ns], seconds, product)
        message = ticker_message(Ticker.of(state), product)
        return [message] if message else []

    def _start_book(self, connection_id: str, channel: str, product_id: str) -> None:
        product = self._catalogue.product(product_id)
        if product is None:
            return
        for attempt in range(1, SNAPSHOT_ATTEMPTS_MAX + 1):
            state = self._markets.state(product_id, consistent=True) or MarketState.genesis(product_id)
            self._send(connection_id, [snapshot_message(state, product)])
            subscription = self._subscription(connection_id, channel, product_id, None)
            self._connections.subscribe([subscription])
            # Where it still moves after some tries, the next batch is near and brings its own snapshot.
            if attempt == SNAPSHOT_ATTEMPTS_MAX or self._markets.sequence(product_id) == state.sequence:
                return
            self._connections.unsubscribe([subscription])

    def _start_balances(self, connection_id: str, owner: Owner) -> None:
        """Post every balance, and again those that moved while they were posted."""
        posted: set[Balance] = set()
        for _ in range(SNAPSHOT_ATTEMPTS_MAX):
            read = self._balances.balances(owner.account_id)
            moved = [balance for balance in read if balance not in posted]
            if not moved:
                return
            self._send(connection_id, list(self._balance_messages(moved, owner)))
            posted = set(read)

    def _balance_messages(self, balances: Sequence[Balance], owner: Owner) -> Iterable[Message]:
        assets, now_ns = self._catalogue.assets(), self._clock.now_ns()
        for balance in balances:
            asset = assets.get(balance.asset)
            if asset is not None:
                yield balance_message(balance, owner.account_id, asset, updated_ns=now_ns, now_ns=now_ns)

    def _subscription(self, connection_id: str, channel: str, product_id: str, owner: Owner | None) -> Subscription:
        generation = f"{self._clock.now_ns():019d}"
        kept = owner if channel in PRIVATE or channel == WATCH else None
        return Subscription(connection_id, product_id, channel, generation, kept)

    def _send(self, connection_id: str, messages: Sequence[Message]) -> None:
        if not messages:
            return
        pushed = self._pusher.push({connection_id: [to_text(message) for message in messages]})
        if connection_id in pushed.gone:
            self._connections.close(connection_id)


def frame_text(body: str, *, is_base64: bool) -> str:
    """A frame's text, from how API Gateway hands it on; binary ones come in base64."""
    if not is_base64 or len(body) > 2 * FRAME_BYTES_MAX:
        return body
    try:
        return base64.b64decode(body, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return body


def _token_end_ns(token: str) -> int:
    """When a token that was verified ends."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return int(claims["exp"]) * 1_000_000_000


def _pairs(subscriptions: Iterable[Subscription]) -> set[tuple[str, str]]:
    return {one.pair for one in subscriptions if one.channel != WATCH}
