"""The public REST shapes: money and sizes as text, times in ISO, what doesn't apply absent."""

from typing import Any

from exchange.instruments.model import Asset, Product, ProductStatus
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import to_uuid
from exchange.market_data.auction import indication
from exchange.market_data.book import Level
from exchange.market_data.checksum import checksum
from exchange.market_data.model import MarketState, Trade
from exchange.market_data.ticker import Ticker
from exchange.messages import Phase, Side

View = dict[str, Any]
SIDES = {Side.BUY: "buy", Side.SELL: "sell"}


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
        "details": {"type": asset.kind, "min_withdrawal_amount": asset.max_precision},
        "supported_networks": [],
    }


def product_view(product: Product) -> View:
    """A product and what may be done with it now."""
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
        "limit_only": product.status is ProductStatus.AUCTION,
        "cancel_only": product.status is ProductStatus.CANCEL_ONLY,
        "trading_disabled": product.status is ProductStatus.HALTED,
        "auction_mode": product.status is ProductStatus.AUCTION,
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


def trade_view(trade: Trade, product: Product) -> View:
    """A trade; `side` is the maker's. Order ids stay out: clients take a trade that bears them for their own."""
    return {
        "time": iso_utc(trade.time_ns),
        "trade_id": trade.trade_id,
        "price": product.format_price(trade.price),
        "size": product.format_size(trade.size),
        "side": SIDES[trade.side],
    }


def book_view(state: MarketState, product: Product, *, depth: int, time_ns: int) -> View:
    """The book at depth 1 (best prices), 2 (every price) or 3 (every order), with its checksum and its auction."""
    rows = _orders if depth == 3 else _levels
    levels_max = 1 if depth == 1 else None
    view = {
        "bids": rows(state, product, Side.BUY, levels_max),
        "asks": rows(state, product, Side.SELL, levels_max),
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


def _levels(state: MarketState, product: Product, side: Side, levels_max: int | None) -> list[list[Any]]:
    levels = list(state.book.levels(side))[:levels_max]
    return [
        [product.format_price(price), product.format_size(level_size(level)), len(level)] for price, level in levels
    ]


def _orders(state: MarketState, product: Product, side: Side, _levels_max: int | None) -> list[list[Any]]:
    return [
        [product.format_price(price), product.format_size(size), to_uuid(order_id)]
        for price, level in state.book.levels(side)
        for order_id, size in level.items()
    ]
