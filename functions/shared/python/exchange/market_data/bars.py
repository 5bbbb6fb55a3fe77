"""Trades by the minute and by the hour: what candles, and the figures of a day and a month, are made of.

A bar that is over never changes. Bars are kept in pages, an hour of minutes or a day of hours, and a page that is over
never changes either: whoever folds the same log writes the same pages.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

SECOND_NS: Final = 1_000_000_000
HOUR_MINUTES: Final = 60
DAY_HOURS: Final = 24
DAY_MINUTES: Final = 24 * HOUR_MINUTES
MONTH_HOURS: Final = 30 * DAY_HOURS


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a bar is, and how many of them a page has."""

    seconds: int
    page_bars: int

    @property
    def length_ns(self) -> int:
        """A bar's length in nanoseconds."""
        return self.seconds * SECOND_NS

    def page_of(self, time_ns: int) -> int:
        """The page that a moment falls into."""
        return time_ns // (self.length_ns * self.page_bars)


MINUTES: Final = Scale(60, HOUR_MINUTES)
HOURS: Final = Scale(3600, DAY_HOURS)
MINUTE_NS: Final = MINUTES.length_ns
HOUR_NS: Final = HOURS.length_ns


@dataclass(slots=True)
class Bar:
    """The trades of one minute or hour; `start` counts minutes or hours since 1970. Prices in ticks, volume in lots."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int

    def add(self, price: int, size: int) -> None:
        """Count one more trade."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += size


@dataclass(frozen=True, slots=True)
class Page:
    """A page of closed bars, oldest first. Until it is final the page of the bar that grows may still get more."""

    scale: Scale
    number: int
    bars: tuple[Bar, ...]
    is_final: bool


@dataclass(frozen=True, slots=True)
class Day:
    """Open, high, low in ticks and volume in lots over 24 hours; all zero where nothing traded."""

    open: int = 0
    high: int = 0
    low: int = 0
    volume: int = 0


@dataclass(slots=True)
class Series:
    """The bars of one scale: those that are over, by page, and the one that may still grow."""

    scale: Scale
    pages: dict[int, list[Bar]] = field(default_factory=dict)
    current: Bar | None = None
    touched: set[int] = field(default_factory=set, compare=False)

    def add(self, time_ns: int, price: int, size: int) -> None:
        """Count a trade. Time never runs backward, so a new bar closes the one before."""
        start = time_ns // self.scale.length_ns
        current = self.current
        if current is not None:
            if start <= current.start:
                current.add(price, size)
                return
            page = current.start // self.scale.page_bars
            self.pages.setdefault(page, []).append(current)
            self.touched.add(page)
        self.current = Bar(start, price, price, price, price, size)

    def keep(self, pages: Mapping[int, Iterable[Bar]]) -> None:
        """Take pages from where they are kept. Who reads them apart may find the current bar closed already."""
        if self.current is None:
            return
        for page, bars in pages.items():
            before = [bar for bar in bars if bar.start < self.current.start]
            if before:
                self.pages[page] = before

    def after(self, start: int) -> Iterator[Bar]:
        """The bars that begin after `start`, oldest first, as far as they are held."""
        oldest = (start + 1) // self.scale.page_bars
        for page in sorted(page for page in self.pages if page >= oldest):
            yield from (bar for bar in self.pages[page] if bar.start > start)
        if self.current is not None and self.current.start > start:
            yield self.current

    def take_pages(self, *, kept: int) -> Iterator[Page]:
        """The pages that changed since the last call; of all pages the last `kept` and the current stay in memory."""
        if self.current is None:
            return
        now = self.current.start // self.scale.page_bars
        for page in sorted(self.touched):
            yield Page(self.scale, page, tuple(self.pages[page]), is_final=page < now)
        self.touched.clear()
        for page in [page for page in self.pages if page < now - kept]:
            del self.pages[page]


@dataclass(slots=True)
class Bars:
    """The bars of one market, as far back as the figures of its trailing day need them."""

    minutes: Series = field(default_factory=lambda: Series(MINUTES))
    hours: Series = field(default_factory=lambda: Series(HOURS))

    def add(self, time_ns: int, price: int, size: int) -> None:
        """Count a trade."""
        self.minutes.add(time_ns, price, size)
        self.hours.add(time_ns, price, size)

    def take_pages(self) -> list[Page]:
        """The pages that changed since the last call."""
        return [*self.minutes.take_pages(kept=DAY_HOURS), *self.hours.take_pages(kept=1)]

    def day(self, now_ns: int) -> Day:
        """The 24 hours that end with the minute of `now_ns`: the minutes of their first hour, then whole hours."""
        oldest = now_ns // MINUTE_NS - DAY_MINUTES
        first_hour = (oldest + 1) // HOUR_MINUTES
        minutes = [bar for bar in self.minutes.after(oldest) if bar.start // HOUR_MINUTES == first_hour]
        bars = [*minutes, *self.hours.after(first_hour)]
        if not bars:
            return Day()
        return Day(
            open=bars[0].open,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            volume=sum(bar.volume for bar in bars),
        )

    def month_volume(self, now_ns: int) -> int:
        """Lots traded in the 720 hours that end with the hour of `now_ns`; whose days are to be held."""
        return sum(bar.volume for bar in self.hours.after(now_ns // HOUR_NS - MONTH_HOURS))


def pages_of_days(now_ns: int, days: int) -> list[tuple[Scale, int]]:
    """The pages that `Bars.day` needs at `now_ns`, and the hours of so many days back."""
    oldest = now_ns // MINUTE_NS - DAY_MINUTES
    today = HOURS.page_of(now_ns)
    return [(MINUTES, (oldest + 1) // HOUR_MINUTES), *((HOURS, today - back) for back in range(days, -1, -1))]


def pages_held(bars: Bars) -> list[tuple[Scale, int]]:
    """The pages that a fold holds in memory beside its current bars."""
    minute, hour = bars.minutes.current, bars.hours.current
    if minute is None or hour is None:
        return []
    this_hour, today = minute.start // HOUR_MINUTES, hour.start // DAY_HOURS
    return [
        *((MINUTES, this_hour - back) for back in range(DAY_HOURS, -1, -1)),
        *((HOURS, today - back) for back in (1, 0)),
    ]
