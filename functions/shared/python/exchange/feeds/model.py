"""Who listens to what, on whose behalf, and what became of what was sent. Pure.

A *topic* is what somebody who has news asks the listeners of: a product, the pulse, an account.
"""

from dataclasses import dataclass
from typing import Final

LEVEL2: Final = frozenset({"level2", "level2_batch"})  # We update by the batch, so the two are one.
PULSED: Final = frozenset({"heartbeat", "status", "ticker_batch"})
PRIVATE: Final = frozenset({"balance", "user"})
WITHOUT_PRODUCT: Final = frozenset({"balance", "status"})
CHANNELS: Final = (
    "auctionfeed",
    "balance",
    "candles",
    "full",
    "heartbeat",
    "level2",
    "level2_batch",
    "matches",
    "status",
    "ticker",
    "ticker_batch",
    "user",
)
GRANULARITIES: Final = (60, 300, 900, 3600, 21600, 86400)  # seconds of a candle
WATCH: Final = "watch"  # No channel of a client's: marks a connection whose credential the sweep looks after.

PULSE_TOPIC: Final = "@pulse"
WATCH_TOPIC: Final = "@watch"


@dataclass(frozen=True, slots=True)
class Owner:
    """On whose behalf a connection listens to what is private. `key_id` is empty and `ends_at_ns` set for a token."""

    account_id: int
    user_id: str
    key_id: str = ""
    ends_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel of one product, for one connection. A later subscription to the same has a later generation.

    Shape:    `product_id` is empty where the channel has none; `channel` of candles bears their seconds: candles_60.
    """

    connection_id: str
    product_id: str
    channel: str
    generation: str
    owner: Owner | None = None

    @property
    def topic(self) -> str:
        """Under which this subscription is found."""
        if self.channel in PULSED:
            return PULSE_TOPIC
        if self.channel == WATCH:
            return WATCH_TOPIC
        if self.channel == "balance" and self.owner is not None:
            return account_topic(self.owner.account_id)
        return self.product_id

    @property
    def pair(self) -> tuple[str, str]:
        """Channel and product."""
        return self.channel, self.product_id


@dataclass(frozen=True, slots=True)
class Connection:
    """One socket: where it came from, when its next frame is due, and all that it listens to."""

    connection_id: str
    source_address: str
    subscriptions: tuple[Subscription, ...] = ()
    frames_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast frames may come: one each `frame_ns` in the long run, `burst` of them at once."""

    frame_ns: int
    burst: int

    @property
    def lead_ns_max(self) -> int:
        """How far behind now the frames before may be due, for one more to be let in."""
        return (self.burst - 1) * self.frame_ns


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of messages: connections that are gone, and those that did not take all of theirs."""

    gone: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


def account_topic(account_id: int) -> str:
    """Where those listen who want to know of an account's balances."""
    return f"@account:{account_id}"


def address_topic(source_address: str) -> str:
    """Where the connections of one address are counted."""
    return f"@address:{source_address}"


def candles_channel(granularity: int) -> str:
    """The channel of candles of so many seconds."""
    return f"candles_{granularity}"
