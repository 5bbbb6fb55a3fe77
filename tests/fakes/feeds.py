"""Connections, inboxes and everything else that the WebSocket stands on, in memory."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from exchange.feeds.model import Connection, Owner, Pace, Pushed, Subscription
from exchange.feeds.store import CONNECTION_SECONDS_MAX
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.ledger.model import Balance
from exchange.orders.model import Order
from exchange.usage.model import RateLimitTier
from exchange.users.authentication import SignedRequest
from exchange.users.model import Principal, Scope

LIFE_NS = CONNECTION_SECONDS_MAX * 1_000_000_000


class MemoryConnections:
    """The connections table, in memory. Nobody can say who listens to a product while `is_down`."""

    def __init__(self) -> None:
        self.is_down = False
        self.rows: dict[str, set[Subscription]] = {}
        self.addresses: dict[str, str] = {}
        self.begun_at_ns: dict[str, int] = {}
        self.frames_until_ns: dict[str, int] = {}
        self._pulse = ("", 0)
        self.moments: list[list[tuple[str, str]]] = []  # who listened to which channel, after each change

    def count_from(self, source_address: str, now_ns: int, limit: int) -> int:
        """How many connections an address has that may still live."""
        living = [one for one, begun_at_ns in self.begun_at_ns.items() if now_ns < begun_at_ns + LIFE_NS]
        return min(limit, sum(self.addresses[one] == source_address for one in living))

    def open(self, connection_id: str, source_address: str, now_ns: int) -> None:
        """Remember a connection."""
        self.rows[connection_id] = set()
        self.addresses[connection_id] = source_address
        self.begun_at_ns[connection_id] = now_ns

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        self.rows.pop(connection_id, None)
        self.addresses.pop(connection_id, None)
        self.begun_at_ns.pop(connection_id, None)
        self.frames_until_ns.pop(connection_id, None)

    def find(self, connection_id: str) -> Connection | None:
        """A connection with all that it listens to."""
        if connection_id not in self.rows:
            return None
        subscriptions = tuple(sorted(self.rows[connection_id], key=repr))
        until_ns = self.frames_until_ns.get(connection_id, 0)
        return Connection(connection_id, self.addresses[connection_id], subscriptions, until_ns)

    def pace(self, connection: Connection, now_ns: int, pace: Pace) -> bool:
        """Count a frame."""
        due_ns = max(now_ns, self.frames_until_ns.get(connection.connection_id, 0))
        if connection.connection_id not in self.rows or due_ns - now_ns > pace.lead_ns_max:
            return False
        self.frames_until_ns[connection.connection_id] = due_ns + pace.frame_ns
        return True

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Remember subscriptions."""
        for subscription in subscriptions:
            if subscription.connection_id in self.rows:
                self.rows[subscription.connection_id].add(subscription)
        self._remember()

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget subscriptions."""
        for subscription in subscriptions:
            self.rows.get(subscription.connection_id, set()).discard(subscription)
        self._remember()

    def _remember(self) -> None:
        self.moments.append([(one.connection_id, one.channel) for rows in self.rows.values() for one in rows])

    def listeners(self, topic: str) -> list[Subscription]:
        """Every subscription to a topic."""
        if self.is_down:
            raise UnavailableError("the connections table does not answer")
        return sorted((one for rows in self.rows.values() for one in rows if one.topic == topic), key=repr)

    def start_pulse(self, run: str, until_ns: int) -> None:
        """Make a run the one that goes on."""
        self._pulse = (run, until_ns)

    def stop_pulse(self, run: str) -> None:
        """Say that this run has ended, unless another has begun."""
        if self._pulse[0] == run:
            self._pulse = ("", 0)

    def pulse(self) -> tuple[str, int]:
        """The run that goes on."""
        return self._pulse


class Inboxes:
    """What connections were sent; those named in `gone` or `failing` take nothing."""

    def __init__(self) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.failing: set[str] = set()
        self.disconnected: list[str] = []

    def push(self, messages: Mapping[str, Sequence[str]]) -> Pushed:
        """Deliver, or not."""
        for connection_id, texts in messages.items():
            if connection_id not in self.gone | self.failing:
                self.messages.setdefault(connection_id, []).extend(json.loads(text) for text in texts)
        return Pushed(frozenset(self.gone & set(messages)), frozenset(self.failing & set(messages)))

    def disconnect(self, connection_id: str) -> None:
        """Remember who was ended."""
        self.disconnected.append(connection_id)

    def take(self, connection_id: str) -> list[dict[str, Any]]:
        """The messages since last taken."""
        return self.messages.pop(connection_id, [])


class MemoryOrders:
    """Orders by id; none of them while `is_down`."""

    def __init__(self, *orders: Order) -> None:
        self.by_id = {order.order_id: order for order in orders}
        self.is_down = False

    def orders(self, order_ids: Iterable[int]) -> list[Order]:
        """Orders by id; unknown ids are left out."""
        if self.is_down:
            raise UnavailableError("the orders table does not answer")
        return [self.by_id[order_id] for order_id in order_ids if order_id in self.by_id]


class MemoryBalances:
    """Balances by account; `moves` happen one by one, each after a reading."""

    def __init__(self) -> None:
        self.by_account: dict[int, list[Balance]] = {}
        self.moves: list[Balance] = []

    def balances(self, account_id: int) -> list[Balance]:
        """Every balance of an account."""
        read = list(self.by_account.get(account_id, []))
        if self.moves:
            moved = self.moves.pop(0)
            self.by_account[account_id] = [
                replace(one, available=moved.available, held=moved.held) if one.asset == moved.asset else one
                for one in read
            ]
        return read

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance of an account."""
        return next(one for one in self.by_account[account_id] if one.asset == asset)


class KnownKeys:
    """Credentials by key id: a request is proven by naming a key, its signature "good" and its token "a.b.c"."""

    def __init__(self, **owners: Owner) -> None:
        self.owners = owners
        self.requests: list[SignedRequest] = []

    def authenticate(self, request: SignedRequest, scope: Scope) -> Principal | Refused:
        """Whose credential it is."""
        self.requests.append(request)
        owner = self.owners.get(request.headers.get("cb-access-key", ""))
        if owner is None or request.headers.get("cb-access-sign") != "good":
            return Refused(Code.AUTH_INVALID, "invalid signature")
        if scope not in {Scope.VIEW}:
            return Refused(Code.AUTH_SCOPE, "this needs another scope")
        return Principal(owner.user_id, owner.account_id, owner.key_id, frozenset({Scope.VIEW}), RateLimitTier.STANDARD)


class CountingPulse:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        """Count."""
        self.woken += 1
