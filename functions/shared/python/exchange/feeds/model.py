"""Who listens to what, and what became of what was sent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel of one product, for one connection. A later subscription to the same has a later generation."""

    connection_id: str
    product_id: str
    channel: str
    generation: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of messages: connections that are gone, and those that did not take all of theirs."""

    gone: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
