"""What a process remembers for a while, within named limits, so that a hot path need not ask again."""

from typing import Generic, TypeVar

from exchange.kernel.clock import Clock

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Recent(Generic[KeyT, ValueT]):
    """Values by key, each at most `age_max_ns` old and at most `entries_max` of them; the oldest leave first."""

    def __init__(self, clock: Clock, *, age_max_ns: int, entries_max: int) -> None:
        self._clock = clock
        self._age_max_ns = age_max_ns
        self._entries_max = entries_max
        self._entries: dict[KeyT, tuple[int, ValueT]] = {}

    def get(self, key: KeyT) -> ValueT | None:
        """The value put under `key` while it is young enough; else None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        put_at_ns, value = entry
        # A clock that was set back must not make a value live longer.
        if 0 <= self._clock.now_ns() - put_at_ns < self._age_max_ns:
            return value
        del self._entries[key]
        return None

    def put(self, key: KeyT, value: ValueT) -> None:
        """Remember a value from now on."""
        self._entries.pop(key, None)
        while len(self._entries) >= self._entries_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.now_ns(), value)
