"""Candles and figures against a plain second implementation that reads the trades one by one.

TRADES_MAX trades by default; `make candles` sets CANDLE_TRADES to a million.
"""

import itertools
import os
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import pytest
from exchange.market_data.bars import (
    DAY_MINUTES,
    HOUR_NS,
    MINUTE_NS,
    MONTH_HOURS,
    SECOND_NS,
    Bar,
    Bars,
    Day,
    Scale,
    pages_of_days,
)
from exchange.market_data.candles import CANDLES_MAX, GRANULARITIES, Candle, CandleQuery, candles, filled
from exchange.market_data.snapshot import decode_bars, encode_bars
from hypothesis import given
from hypothesis import strategies as st

TRADES_MAX = int(os.environ.get("CANDLE_TRADES", "50000"))
BEGIN_NS = 1_700_000_000_000_000_000


class Print(NamedTuple):
    """One trade: when, at what price, how much."""

    time_ns: int
    price: int
    size: int


class Kept:
    """The pages that a fold wrote, as bytes, and the bars that may still grow."""

    def __init__(self) -> None:
        self.bars = Bars()
        self.pages: dict[tuple[Scale, int], bytes] = {}
        self.finals: dict[tuple[Scale, int], bytes] = {}

    def fold(self, prints: Iterable[Print]) -> None:
        for trade in prints:
            self.bars.add(*trade)
        for page in self.bars.take_pages():
            data = encode_bars(page.bars)
            assert (page.scale, page.number) not in self.finals, "a page that was over has changed"
            if page.is_final:
                self.finals[page.scale, page.number] = data
            self.pages[page.scale, page.number] = data

    def candles(self, query: CandleQuery) -> list[Candle]:
        first, last = query.pages
        series = self.bars.minutes if query.scale == self.bars.minutes.scale else self.bars.hours
        found: dict[int, Bar] = {}
        for page in range(first, last + 1):
            data = self.pages.get((query.scale, page))
            found.update({bar.start: bar for bar in decode_bars(data)} if data else {})
        if series.current is not None:
            found.setdefault(series.current.start, series.current)
        return candles([found[start] for start in sorted(found)], query)

    def at(self, now_ns: int) -> Bars:
        """The bars as a reader finds them who knows only where to look."""
        read = Bars()
        read.minutes.current, read.hours.current = self.bars.minutes.current, self.bars.hours.current
        for scale, number in pages_of_days(now_ns, 30):
            data = self.pages.get((scale, number))
            series = read.minutes if scale == read.minutes.scale else read.hours
            series.keep({number: decode_bars(data)} if data else {})
        return read


def random_prints(random: Random, count: int) -> list[Print]:
    """Trades in bursts, with pauses of seconds, of minutes and, some twenty times, of days; prices walk."""
    now_ns, price, prints = BEGIN_NS, 10_000, []
    for _ in range(count):
        chance = random.random()
        if chance < 0.3:
            now_ns += int(random.expovariate(1) * SECOND_NS)
        elif chance < 0.302:
            now_ns += int(random.expovariate(1) * 600 * SECOND_NS)
        elif chance < 0.302 + 20 / count:
            now_ns += int(random.expovariate(1) * 30 * HOUR_NS)
        price = max(price + random.randint(-3, 3), 1)
        prints.append(Print(now_ns, price, random.randint(1, 1_000)))
    return prints


def plain_candles(prints: Iterable[Print], granularity: int) -> dict[int, Candle]:
    """One bucket after the other, as anybody would write it."""
    buckets: dict[int, list[Print]] = {}
    for trade in prints:
        buckets.setdefault(trade.time_ns // (granularity * SECOND_NS) * granularity, []).append(trade)
    return {
        time: Candle(
            time=time,
            low=min(trade.price for trade in inside),
            high=max(trade.price for trade in inside),
            open=inside[0].price,
            close=inside[-1].price,
            volume=sum(trade.size for trade in inside),
        )
        for time, inside in buckets.items()
    }


def plain_day(prints: Iterable[Print], now_ns: int) -> Day:
    inside = [trade for trade in prints if trade.time_ns // MINUTE_NS > now_ns // MINUTE_NS - DAY_MINUTES]
    if not inside:
        return Day()
    prices = [trade.price for trade in inside]
    return Day(inside[0].price, max(prices), min(prices), sum(trade.size for trade in inside))


@pytest.mark.parametrize("seed", [20_261_122])
def test_candles_equal_a_plain_second_implementation(seed: int) -> None:
    random = Random(seed)
    prints, kept, position = random_prints(random, TRADES_MAX), Kept(), 0
    while position < len(prints):
        batch = random.choice([1, 2, 50, 2_000])
        kept.fold(prints[position : position + batch])
        position += batch
    begin, end = prints[0].time_ns // SECOND_NS, prints[-1].time_ns // SECOND_NS
    for granularity in GRANULARITIES:
        plain = plain_candles(prints, granularity)
        compared = 0
        for first in range(begin // granularity * granularity, end + 1, CANDLES_MAX * granularity):
            query = CandleQuery(granularity, first, first + (CANDLES_MAX - 1) * granularity)
            ours = kept.candles(query)
            assert ours == [plain[time] for time in sorted(plain) if query.first <= time <= query.last]
            compared += len(ours)
        assert compared == len(plain)


PRINTS = st.lists(
    st.tuples(st.sampled_from([0, 1, 59, 61, 3_600, 86_399, 90_000, 700_000]), st.integers(1, 20), st.integers(1, 9)),
    max_size=60,
)


def told(steps: list[tuple[int, int, int]]) -> list[Print]:
    now_ns, prints = BEGIN_NS, []
    for seconds, price, size in steps:
        now_ns += seconds * SECOND_NS
        prints.append(Print(now_ns, price, size))
    return prints


@given(PRINTS, st.integers(1, 9), st.integers(0, 32 * 86_400))
def test_the_figures_of_a_day_and_a_month_are_summed_from_the_trades(
    steps: list[tuple[int, int, int]], batch: int, later: int
) -> None:
    prints, kept = told(steps), Kept()
    for start in range(0, len(prints), batch):
        kept.fold(prints[start : start + batch])
    now_ns = (prints[-1].time_ns if prints else BEGIN_NS) + later * SECOND_NS
    read = kept.at(now_ns)
    assert read.day(now_ns) == plain_day(prints, now_ns)
    oldest = now_ns // HOUR_NS - MONTH_HOURS
    assert read.month_volume(now_ns) == sum(trade.size for trade in prints if trade.time_ns // HOUR_NS > oldest)
    if prints:
        assert kept.bars.day(prints[-1].time_ns) == plain_day(prints, prints[-1].time_ns)


@given(PRINTS, st.lists(st.integers(1, 60), max_size=8))
def test_where_batches_are_cut_changes_no_page(steps: list[tuple[int, int, int]], cuts: list[int]) -> None:
    prints, whole, pieces = told(steps), Kept(), Kept()
    whole.fold(prints)
    ends = sorted({*cuts, len(prints)})
    for start, end in zip([0, *ends], ends, strict=False):
        pieces.fold(prints[start:end])
    assert pieces.pages == whole.pages
    assert (pieces.bars.minutes.current, pieces.bars.hours.current) == (
        whole.bars.minutes.current,
        whole.bars.hours.current,
    )


@given(PRINTS, st.sampled_from(GRANULARITIES), st.integers(-3, 600), st.integers(0, CANDLES_MAX - 1))
def test_flat_candles_have_no_hole_and_go_on_where_the_last_closed(
    steps: list[tuple[int, int, int]], granularity: int, skipped: int, length: int
) -> None:
    prints, kept = told(steps), Kept()
    kept.fold(prints)
    now_ns = prints[-1].time_ns if prints else BEGIN_NS
    first = (BEGIN_NS // SECOND_NS // granularity + skipped) * granularity
    query = CandleQuery(granularity, first, first + length * granularity, is_flat=True)
    before = [trade.price for trade in prints if trade.time_ns < first * SECOND_NS]
    traded = kept.candles(query)
    flat = filled(traded, query, close_before=before[-1] if before else None, now_ns=now_ns)
    assert [candle for candle in flat if candle.volume] == traded
    for one, following in itertools.pairwise(flat):
        assert following.time == one.time + granularity
        assert following.volume or following.open == following.close == following.low == following.high == one.close
    if before and first * SECOND_NS <= now_ns:
        assert flat[0].time == first
        assert flat[-1].time == min(query.last, now_ns // SECOND_NS // granularity * granularity)
