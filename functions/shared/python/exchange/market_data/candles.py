"""Candles of every granularity, from bars of minutes or of hours. Pure."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from exchange.kernel.errors import Code, Refused
from exchange.market_data.bars import HOURS, MINUTES, SECOND_NS, Bar, Scale

GRANULARITIES: Final = (60, 300, 900, 3600, 21600, 86400)
CANDLES_MAX: Final = 300
_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(slots=True)
class Candle:
    """One bucket, `time` being its first second since 1970. Prices in ticks, volume in lots."""

    time: int
    low: int
    high: int
    open: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class CandleQuery:
    """The buckets of `granularity` seconds from the one at `first` to the one at `last`, both included."""

    granularity: int
    first: int
    last: int
    is_flat: bool = False

    @property
    def scale(self) -> Scale:
        """The bars they are made of."""
        return MINUTES if self.granularity < HOURS.seconds else HOURS

    @property
    def is_empty(self) -> bool:
        """Whether no bucket begins within the range."""
        return self.first > self.last

    @property
    def pages(self) -> tuple[int, int]:
        """The first and the last page that has such bars."""
        end = self.last + self.granularity - 1
        return self.scale.page_of(self.first * SECOND_NS), self.scale.page_of(end * SECOND_NS)


def parse_candles(
    *, granularity: str | None, start: str | None, end: str | None, fill: str | None, now_ns: int
) -> CandleQuery | Refused:
    """Read the query. Without `start` and `end`, both of them, it is the 300 buckets that end now.

    Refuses:  REQUEST_FIELD_INVALID naming the parameter and the remedy.
    """
    if granularity is not None and granularity not in map(str, GRANULARITIES):
        choices = ", ".join(map(str, GRANULARITIES))
        return _refused(f"granularity: give seconds, one of {choices}")
    if fill not in (None, "flat"):
        return _refused("fill: give flat, or leave it out")
    seconds = int(granularity or GRANULARITIES[0])
    now = now_ns // SECOND_NS
    moments = {name: _moment(text) for name, text in (("start", start), ("end", end)) if text is not None}
    for name, moment in moments.items():
        if moment is None:
            return _refused(f"{name}: give an ISO time like 2026-01-31T12:00:00Z, or seconds since 1970")
    if len(moments) < 2:
        last = now // seconds * seconds
        return CandleQuery(seconds, last - (CANDLES_MAX - 1) * seconds, last, fill is not None)
    first, last = moments["start"] or 0, moments["end"] or 0
    if first > last:
        return _refused("start: must not be after end")
    if last - first > CANDLES_MAX * seconds:
        return _refused(
            f"granularity: {seconds} is too small for this time range, there are at most {CANDLES_MAX} candles; "
            "ask for a shorter range or a larger granularity"
        )
    begin = -(-first // seconds) * seconds
    # A range of exactly 300 candles has 301 beginnings: its end belongs to the range that follows.
    last = min(last // seconds * seconds, begin + (CANDLES_MAX - 1) * seconds)
    return CandleQuery(seconds, begin, last, fill is not None)


def candles(bars: Iterable[Bar], query: CandleQuery) -> list[Candle]:
    """The candles of the buckets in which there was a trade, oldest first, from bars oldest first."""
    found: list[Candle] = []
    for bar in bars:
        begun = bar.start * query.scale.seconds
        time = begun - begun % query.granularity
        if not query.first <= time <= query.last:
            continue
        if not found or found[-1].time != time:
            found.append(Candle(time, bar.low, bar.high, bar.open, bar.close, bar.volume))
            continue
        candle = found[-1]
        candle.low, candle.high = min(candle.low, bar.low), max(candle.high, bar.high)
        candle.close, candle.volume = bar.close, candle.volume + bar.volume
    return found


def filled(found: Iterable[Candle], query: CandleQuery, *, close_before: int | None, now_ns: int) -> list[Candle]:
    """The same with every empty bucket flat at the previous close, up to now and from the first trade ever on."""
    by_time = {candle.time: candle for candle in found}
    flat: list[Candle] = []
    close = close_before
    for time in range(query.first, min(query.last, now_ns // SECOND_NS) + 1, query.granularity):
        candle = by_time.get(time)
        if candle is None and close is not None:
            candle = Candle(time, close, close, close, close, 0)
        if candle is not None:
            flat.append(candle)
            close = candle.close
    return flat


def _moment(text: str) -> int | None:
    """Seconds since 1970; None where the text is no time from then on."""
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        moment = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH
    seconds = since // dt.timedelta(seconds=1)
    return seconds if seconds >= 0 else None


def _refused(message: str) -> Refused:
    return Refused(Code.REQUEST_FIELD_INVALID, message)
