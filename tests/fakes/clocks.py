"""Time that stands still until a test moves it."""

from dataclasses import dataclass


@dataclass
class VirtualClock:
    """Monotonic seconds and wall-clock nanoseconds, moved together."""

    seconds: float = 1_000.0

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.seconds

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return 1_700_000_000_000_000_000 + round(self.seconds * 1e9)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
