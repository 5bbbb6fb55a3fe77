"""The public REST shapes: money and sizes as text, times in ISO, what doesn't apply absent."""

from typing import Any

from exchange.instruments.model import Asset, Product, ProductStatus
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import to_uuid
from exchange.market_data.auction import indication
from exchange.market_data.bars import DAY_HOURS, HOUR_NS, HOURS, Day
from exchange.market_data.book import Level
from exchange.market_data.candles import Candle
from exchange.market_data.checksum import checksum
from exchange.market_data.model import MarketState, Trade
from exchange.market_data.ticker import Ticker
from exchange.messages import Phase, Side

View = dict[str, Any]
Row = list[Any]
SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
# Clients know fiat, crypto and other; what the asset really is stands beside it.
_CLIENTS_WORD = {"stock": "other"}


def time_view(now_ns: int) -> View:
    """The exchange's clock; `epoch` in whole seconds, because no float leaves this house."""
    return {"iso": iso_utc(now_ns), "epoch": now_ns // 1_000_000_000}


def currency_view(asset: Asset) -> View:
    """An asset."""
    return {
        "id": asset.asset_id,
        "name": asset.name,
        "display_name": asset.name,
        "status": "online",
        "min_size": asset.max_precision,
        "max_precision": asset.max_precision,
        "convertible_to": [],
        "details": {
            "type": _CLIENTS_WORD.get(asset.kind, asset.kind),
            "asset_class": asset.kind,
            "min_withdrawal_amount": asset.format(asset.withdrawal_min_units),
        },
        "supported_networks": [],
    }


def product_view(product: Product, phase: Phase = Phase.CONTINUOUS) -> View:
    """A product and what may be done with it now: as its operator says, and as its market's phase has it."""
    in_auction = product.status is ProductStatus.AUCTION or phase is Phase.AUCTION
    is_shut = product.status is ProductStatus.HALTED or phase in {Phase.HALTED, Phase.CLOSED}
    view = {
        "id": product.product_id,
        "base_currency": product.base.asset_id,
        "quote_currency": product.quote.asset_id,
        "display_name": f"{product.base.asset_id}/{product.quote.asset_id}",
        "base_increment": product.format_size(1),
        "quote_increment": product.format_price(1),
        "base_min_size": product.format_size(product.size_min_lots),
        "base_max_size": product.format_size(product.size_max_lots),
        "min_market_funds": product.quote.format(product.market_funds_min_units),
        "status": "online",
        "status_message": "",
        "post_only": False,
        "limit_only": in_auction,
        "cancel_only": product.status is ProductStatus.CANCEL_ONLY,
        "trading_disabled": is_shut,
        "auction_mode": in_auction,
        "margin_enabled": False,
        "fx_stablecoin": False,
    }
    if product.reference_price_ticks:
        view["reference_price"] = product.format_price(product.reference_price_ticks)
    return view


def ticker_view(ticker: Ticker | None, product: Product, now_ns: int) -> View:
    """The last trade, the best prices and the volume of the 24 hours that end now."""
    if ticker is None:
        return {"volume": "0"}
    view: View = {"volume": product.format_size(ticker.bars.day(now_ns).volume)}
    if ticker.bid:
        view["bid"] = product.format_price(ticker.bid)
    if ticker.ask:
        view["ask"] = product.format_price(ticker.ask)
    if ticker.last_trade is not None:
        view |= {
            "trade_id": ticker.last_trade.trade_id,
            "price": product.format_price(ticker.last_trade.price),
            "size": product.format_size(ticker.last_trade.size),
            "time": iso_utc(ticker.last_trade.time_ns),
        }
    return view


def stats_view(ticker: Ticker | None, product: Product, now_ns: int) -> View:
    """The 24 hours that end now, and the volume of 30 days."""
    return {**_day_view(ticker, product, now_ns), "volume_30day": _month_volume(ticker, product, now_ns)}


def day_and_month_view(ticker: Ticker | None, product: Product, now_ns: int) -> View:
    """The same as the list of all products has it."""
    month = {"volume": _month_volume(ticker, product, now_ns)}
    return {"stats_24hour": _day_view(ticker, product, now_ns), "stats_30day": month}


def volume_view(ticker: Ticker | None, product: Product, now_ns: int) -> View:
    """The volume of 24 hours and of 30 days; everything is traded in the book."""
    return {
        "id": product.product_id,
        "base_currency": product.base.asset_id,
        "quote_currency": product.quote.asset_id,
        "display_name": f"{product.base.asset_id}/{product.quote.asset_id}",
        "market_types": ["spot"],
        "spot_volume_24hour": _day_view(ticker, product, now_ns)["volume"],
        "spot_volume_30day": _month_volume(ticker, product, now_ns),
        "rfq_volume_24hour": "0",
        "rfq_volume_30day": "0",
        "conversion_volume_24hour": "0",
        "conversion_volume_30day": "0",
    }


def spark_line(ticker: Ticker | None, product: Product, now_ns: int) -> list[Row]:
    """The hours of the last day that had a trade, newest first, without their volume; else the last that had one."""
    if ticker is None or ticker.bars.hours.current is None:
        return []
    hours = list(ticker.bars.hours.after(now_ns // HOUR_NS - DAY_HOURS)) or [ticker.bars.hours.current]
    return [
        [bar.start * HOURS.seconds, *map(product.format_price, (bar.low, bar.high, bar.open, bar.close))]
        for bar in reversed(hours)
    ]


def candle_row(candle: Candle, product: Product) -> Row:
    """A candle, in the order in which clients expect its figures."""
    prices = map(product.format_price, (candle.low, candle.high, candle.open, candle.close))
    return [candle.time, *prices, product.format_size(candle.volume)]


def _day_view(ticker: Ticker | None, product: Product, now_ns: int) -> View:
    """A day without a trade is flat at the last price; before the first trade there is no price."""
    if ticker is None or ticker.last_trade is None:
        return {"volume": "0"}
    last = ticker.last_trade.price
    day = ticker.bars.day(now_ns)
    if not day.volume:
        day = Day(open=last, high=last, low=last)
    return {
        "open": product.format_price(day.open),
        "high": product.format_price(day.high),
        "low": product.format_price(day.low),
        "last": product.format_price(last),
        "volume": product.format_size(day.volume),
    }


def _month_volume(ticker: Ticker | None, product: Product, now_ns: int) -> str:
    return product.format_size(ticker.bars.month_volume(now_ns) if ticker else 0)


def trade_view(trade: Trade, product: Product) -> View:
    """A trade; `side` is the maker's. Order ids stay out: clients take a trade that bears them for their own."""
    return {
        "time": iso_utc(trade.time_ns),
        "trade_id": trade.trade_id,
        "price": product.format_price(trade.price),
        "size": product.format_size(trade.size),
        "side": SIDES[trade.side],
    }


def top_view(ticker: Ticker, product: Product) -> View:
    """The best prices of a book."""

    def row(price: int, size: int, orders: int) -> list[Row]:
        return [[product.format_price(price), product.format_size(size), orders]] if price else []

    return {
        "bids": row(ticker.bid, ticker.bid_size, ticker.bid_orders),
        "asks": row(ticker.ask, ticker.ask_size, ticker.ask_orders),
        "sequence": ticker.sequence,
        "auction_mode": ticker.phase == Phase.AUCTION,
        "time": iso_utc(ticker.time_ns),
    }


def book_view(state: MarketState, product: Product, *, depth: int, time_ns: int) -> View:
    """The book at depth 2 (every price) or 3 (every order), with its checksum and its auction."""
    rows = _orders if depth == 3 else _levels
    view = {
        "bids": rows(state, product, Side.BUY),
        "asks": rows(state, product, Side.SELL),
        "sequence": state.sequence,
        "checksum": checksum(state.book, product),
        "auction_mode": state.phase == Phase.AUCTION,
        "time": iso_utc(time_ns),
    }
    auction = auction_view(state, product)
    return view if auction is None else {**view, "auction": auction}


def auction_view(state: MarketState, product: Product) -> View | None:
    """What an auction would do if it ended now; None outside of one."""
    indicated = indication(state, product)
    if indicated is None:
        return None
    view: View = {
        "auction_state": "collection",
        "can_open": "yes" if indicated.size else "no",
        "timestamp": iso_utc(state.time_ns),
    }
    if indicated.size:
        view["open_price"] = product.format_price(indicated.price)
        view["open_size"] = product.format_size(indicated.size)
    for name, side in (("bid", Side.BUY), ("ask", Side.SELL)):
        price, size = state.book.best(side)
        if price:
            view[f"best_{name}_price"] = product.format_price(price)
            view[f"best_{name}_size"] = product.format_size(size)
    return view


def level_size(level: Level) -> int:
    """Lots displayed at one price."""
    return sum(level.values())


def _levels(state: MarketState, product: Product, side: Side) -> list[Row]:
    return [
        [product.format_price(price), product.format_size(level_size(level)), len(level)]
        for price, level in state.book.levels(side)
    ]


def _orders(state: MarketState, product: Product, side: Side) -> list[Row]:
    return [
        [product.format_price(price), product.format_size(size), to_uuid(order_id)]
        for price, level in state.book.levels(side)
        for order_id, size in level.items()
    ]
