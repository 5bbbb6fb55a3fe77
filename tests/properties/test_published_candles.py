"""Our candles for an exchange's own published trades are the candles that it published, where such files are supplied.

Files as Binance publishes them (https://data.binance.vision, spot, daily): SYMBOL-trades-DATE and SYMBOL-1m-DATE, as
.zip or .csv side by side, in the folder that EXCHANGE_PUBLISHED_CANDLES names, else where the other supplied data are.
"""

import csv
import os
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from exchange.market_data.bars import MINUTES, SECOND_NS, Bars
from exchange.market_data.candles import CandleQuery, candles, filled

FOLDER = Path(os.environ.get("EXCHANGE_PUBLISHED_CANDLES", Path(__file__).parents[3] / "shared" / "data"))
TRADES = sorted(path for path in FOLDER.glob("*-trades-*") if path.suffix in {".zip", ".csv"})
UNIT = Decimal(10) ** 8
DAY_SECONDS = 86_400


@pytest.mark.skipif(not TRADES, reason=f"no published trades (SYMBOL-trades-DATE.zip) in {FOLDER}")
@pytest.mark.parametrize("path", TRADES, ids=lambda path: path.stem)
def test_our_minutes_are_those_that_were_published(path: Path) -> None:
    published = [row for row in rows(path.with_name(path.name.replace("-trades-", "-1m-"))) if row[0].isdigit()]
    bars = Bars()
    for _, price, size, _, time, *_ in (row for row in rows(path) if row[0].isdigit()):
        bars.add(nanoseconds(time), units(price), units(size))
    first = nanoseconds(published[0][0]) // SECOND_NS
    query = CandleQuery(MINUTES.seconds, first, first + DAY_SECONDS - MINUTES.seconds, is_flat=True)
    found = filled(
        candles(bars.minutes.after(-1), query), query, close_before=None, now_ns=(first + DAY_SECONDS) * 10**9
    )
    ours = [(candle.time, candle.open, candle.high, candle.low, candle.close, candle.volume) for candle in found]
    theirs = [(nanoseconds(row[0]) // SECOND_NS, *map(units, row[1:6])) for row in published]
    # Before the day's first trade they go on at yesterday's close, which the day's trades don't tell.
    assert ours == theirs[len(theirs) - len(ours) :]
    assert all(volume == 0 for *_, volume in theirs[: len(theirs) - len(ours)])


def rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV file, zipped or not."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = path.read_text()
    return csv.reader(text.splitlines())


def nanoseconds(text: str) -> int:
    """Their times are milliseconds, since 2025 microseconds."""
    return int(text) * (10**3 if len(text) > 14 else 10**6)


def units(text: str) -> int:
    """Their prices and sizes have at most eight decimals."""
    return int(Decimal(text) * UNIT)
