"""Charts of TradingView's library: symbols, and bars of any resolution as its UDF protocol wants them.

The library counts bars back from a moment and wants as many as there are, over whatever gaps: so a market that traded
a year ago still fills the screen. Prices and volumes stay text, which the protocol's own client reads as numbers.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.market_data.bars import SECOND_NS, Bar, Scale
from exchange.market_data.candles import Candle, CandleQuery, candles
from exchange.market_data.views import View

RESOLUTIONS: Final = {"1": 60, "5": 300, "15": 900, "60": 3600, "360": 21600, "1D": 86400}
_SECONDS_OF: Final = {**RESOLUTIONS, "D": RESOLUTIONS["1D"]}  # The library writes a day both ways.
BARS_MAX: Final = 1_000
VENUE: Final = "Exchange"
_KINDS: Final = {"fiat": "forex", "crypto": "crypto", "stock": "stock"}
_MOMENT: Final = re.compile(r"-?[0-9]{1,11}", re.ASCII)
_COUNT: Final = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The bars that begin from `first` on and before `end`, seconds since 1970; or the newest `count` before `end`."""

    granularity: int
    first: int
    end: int
    count: int | None


def parse_history(
    *, resolution: str | None, first: str | None, end: str | None, count: str | None, now_ns: int
) -> HistoryQuery | Refused:
    """Read `resolution`, `from`, `to` and `countback`, which counts before `from`; without `to` it is until now.

    Refuses:  REQUEST_FIELD_INVALID naming the parameter and the remedy.
    """
    granularity = _SECONDS_OF.get(resolution or "")
    if granularity is None:
        return _refused(f"resolution: give one of {', '.join(RESOLUTIONS)}")
    for name, text in (("from", first), ("to", end)):
        if text is not None and not _MOMENT.fullmatch(text):
            return _refused(f"{name}: give whole seconds since 1970")
    if count is not None and not _COUNT.fullmatch(count):
        return _refused("countback: give a whole number, 1 or more")
    return HistoryQuery(
        granularity,
        max(int(first or 0), 0),
        max(int(end), 0) if end is not None else now_ns // SECOND_NS + 1,
        min(int(count), BARS_MAX) if count is not None else None,
    )


class BarReader(Protocol):
    """Where the bars come from."""

    def bars_before(self, product_id: str, scale: Scale, *, end: int, count: int) -> list[Bar]:
        """The newest `count` bars of those that begin before `end`, oldest first; all where there are fewer."""
        ...


class Charts:
    """Answers the library's questions. A symbol that is no product is refused with PRODUCT_NOT_FOUND."""

    def __init__(self, catalogue: Catalogue, markets: BarReader, clock: Clock) -> None:
        self._catalogue = catalogue
        self._markets = markets
        self._clock = clock

    def now_ns(self) -> int:
        """The moment of a question."""
        return self._clock.now_ns()

    def config(self) -> View:
        """What this feed can do."""
        kinds = sorted({_KINDS[product.base.kind] for product in self._catalogue.products().values()})
        return {
            "supported_resolutions": list(RESOLUTIONS),
            "supports_group_request": False,
            "supports_marks": False,
            "supports_timescale_marks": False,
            "supports_search": True,
            "supports_time": True,
            "exchanges": [{"value": "", "name": VENUE, "desc": VENUE}],
            "symbols_types": [{"name": "All", "value": ""}, *({"name": kind, "value": kind} for kind in kinds)],
        }

    def symbol(self, name: str | None) -> View | Refused:
        """One product as a symbol."""
        product = self._find(name)
        return product if isinstance(product, Refused) else _symbol_view(product)

    def search(self, text: str, kind: str, limit: int) -> list[View]:
        """Products whose id or whose assets' names have this text, of one kind or ("") of any."""
        wanted = text.replace("/", "-").casefold()
        found = (product for _, product in sorted(self._catalogue.products().items()))
        hits = [_hit_view(one) for one in found if kind in {"", _KINDS[one.base.kind]} and wanted in _searched(one)]
        return hits[:limit]

    def history(self, name: str | None, query: HistoryQuery) -> View | Refused:
        """Bars oldest first; where there are none, the beginning of the nearest older bar, if there is one."""
        product = self._find(name)
        if isinstance(product, Refused):
            return product
        scale = CandleQuery(query.granularity, 0, 0).scale
        bar_seconds = scale.seconds
        wanted = query.count or BARS_MAX
        # As many bars as so many buckets can have; where buckets have gaps, these reach farther back.
        last = (query.end - 1) // query.granularity * query.granularity
        bars = self._markets.bars_before(
            product.product_id,
            scale,
            end=(last + query.granularity) // bar_seconds,
            count=wanted * query.granularity // bar_seconds,
        )
        found = candles(bars, CandleQuery(query.granularity, 0, last))[-wanted:]
        shown = [candle for candle in found if query.count is not None or candle.time >= query.first]
        if shown:
            return _table(shown, product)
        return {"s": "no_data", "nextTime": found[-1].time} if found else {"s": "no_data"}

    def _find(self, name: str | None) -> Product | Refused:
        product = self._catalogue.product((name or "").removeprefix(f"{VENUE}:").replace("/", "-"))
        return product or Refused(Code.PRODUCT_NOT_FOUND, "Product not found")


def _searched(product: Product) -> str:
    return f"{product.product_id}\n{product.base.name}\n{product.quote.name}".casefold()


def _table(found: Iterable[Candle], product: Product) -> View:
    """One column a figure."""
    rows = list(found)
    return {
        "s": "ok",
        "t": [row.time for row in rows],
        "o": [product.format_price(row.open) for row in rows],
        "h": [product.format_price(row.high) for row in rows],
        "l": [product.format_price(row.low) for row in rows],
        "c": [product.format_price(row.close) for row in rows],
        "v": [product.format_size(row.volume) for row in rows],
    }


def _symbol_view(product: Product) -> View:
    decimals = _decimals(product.format_price(1))
    scale = int(10**decimals)
    return {
        "name": product.product_id,
        "ticker": product.product_id,
        "description": _description(product.base, product.quote),
        "type": _KINDS[product.base.kind],
        "session": "24x7",
        "timezone": "Etc/UTC",
        "exchange": VENUE,
        "listed_exchange": VENUE,
        "currency_code": product.quote.asset_id,
        "format": "price",
        "pricescale": scale,
        # A tick, counted in the last decimal that prices show.
        "minmov": product.tick_units * scale // int(10**product.quote.scale),
        "volume_precision": _decimals(product.format_size(1)),
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": False,
        "intraday_multipliers": [name for name, seconds in RESOLUTIONS.items() if seconds < RESOLUTIONS["1D"]],
        "supported_resolutions": list(RESOLUTIONS),
        "data_status": "streaming",
    }


def _hit_view(product: Product) -> View:
    return {
        "symbol": product.product_id,
        "ticker": product.product_id,
        "full_name": f"{VENUE}:{product.product_id}",
        "description": _description(product.base, product.quote),
        "exchange": VENUE,
        "type": _KINDS[product.base.kind],
    }


def _description(base: Asset, quote: Asset) -> str:
    return f"{base.name} / {quote.name}"


def _decimals(increment: str) -> int:
    """How many decimals a step like 0.05 has."""
    return len(increment.partition(".")[2])


def _refused(message: str) -> Refused:
    return Refused(Code.REQUEST_FIELD_INVALID, message)
