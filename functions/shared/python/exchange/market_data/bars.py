"""Trades by the minute, over the trailing day: what the 24 hour figures are summed from."""

from dataclasses import dataclass, field, replace

MINUTE_NS = 60 * 1_000_000_000
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Bar:
    """The trades of one minute since 1970. Prices in ticks, volume in lots."""

    minute: int
    open: int
    high: int
    low: int
    close: int
    volume: int

    def with_trade(self, price: int, size: int) -> "Bar":
        """The bar after one more trade."""
        return replace(
            self, high=max(self.high, price), low=min(self.low, price), close=price, volume=self.volume + size
        )


@dataclass(frozen=True, slots=True)
class Day:
    """Open, high, low in ticks and volume in lots over 24 hours; all zero where nothing traded."""

    open: int = 0
    high: int = 0
    low: int = 0
    volume: int = 0


@dataclass(slots=True)
class Bars:
    """The minutes that are over, oldest first and at most a day of them, and the minute that may still grow."""

    closed: list[Bar] = field(default_factory=list)
    current: Bar | None = None

    def add(self, time_ns: int, price: int, size: int) -> None:
        """Count a trade. Time never runs backward, so a new minute closes the one before."""
        minute = time_ns // MINUTE_NS
        if self.current is not None and minute <= self.current.minute:
            self.current = self.current.with_trade(price, size)
            return
        if self.current is not None:
            self.closed.append(self.current)
        self.closed = [bar for bar in self.closed if bar.minute > minute - DAY_MINUTES]
        self.current = Bar(minute, price, price, price, price, size)

    @property
    def closed_through(self) -> int:
        """The last closed minute; it changes exactly when `closed` does."""
        return self.closed[-1].minute if self.closed else 0

    def day(self, now_ns: int) -> Day:
        """The 24 hours that end with the minute of `now_ns`."""
        oldest = now_ns // MINUTE_NS - DAY_MINUTES
        bars = [bar for bar in (*self.closed, self.current) if bar is not None and bar.minute > oldest]
        if not bars:
            return Day()
        return Day(
            open=bars[0].open,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            volume=sum(bar.volume for bar in bars),
        )


def bars_before(closed: list[Bar], current: Bar | None) -> list[Bar]:
    """The closed bars that `current` follows. Who reads the two apart may find its minute closed already."""
    return [bar for bar in closed if current is not None and bar.minute < current.minute]
