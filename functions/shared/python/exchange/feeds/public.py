"""The public WebSocket messages of the trading API, made from public events and states. Pure.

docs/api/asyncapi.yaml describes each of them.
"""

from collections.abc import Iterable
from typing import Any, Final

from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import to_uuid
from exchange.market_data.auction import indication
from exchange.market_data.bars import MINUTES, SECOND_NS
from exchange.market_data.candles import CandleQuery, candles
from exchange.market_data.checksum import checksum
from exchange.market_data.model import UNTOLD, MarketState, PublicEvent, Trade, trades_of
from exchange.market_data.ticker import Ticker
from exchange.market_data.views import SIDES, candle_row, currency_view, level_size, product_view
from exchange.messages import ChangeReason, DoneReason, EventType, OrderType, Phase, Side

Message = dict[str, Any]

# A message may have 128 KB: a row of a snapshot or an update is below 64 bytes.
SNAPSHOT_LEVELS_MAX: Final = 900
CHANGES_MAX: Final = 1_800
STATUS_ROWS_MAX: Final = 120
_DONE: Final = {DoneReason.FILLED: "filled", DoneReason.CANCELED: "canceled"}


def full_message(event: PublicEvent, product: Product) -> Message:
    """An event for the `full` channel; of a private one its type, sequence and time alone."""
    message = _head(event.type.name.lower(), event, product)
    if event.is_private:
        return message
    return message | _BODIES[event.type](event, product)


def match_message(trade: Trade, product: Product, *, kind: str = "match") -> Message:
    """A trade for the `matches` channel; `side` is the maker's."""
    return {
        "type": kind,
        "trade_id": trade.trade_id,
        "maker_order_id": to_uuid(trade.maker_order_id),
        "taker_order_id": to_uuid(trade.taker_order_id),
        "side": SIDES[trade.side],
        "size": product.format_size(trade.size),
        "price": product.format_price(trade.price),
        "product_id": product.product_id,
        "sequence": trade.sequence,
        "time": iso_utc(trade.time_ns),
    }


def ticker_message(ticker: Ticker, product: Product) -> Message | None:
    """The `ticker` channel's message; `side` is the taker's. None before the first trade."""
    trade = ticker.last_trade
    if trade is None:
        return None
    day = ticker.bars.day(ticker.time_ns)
    return {
        "type": "ticker",
        "sequence": trade.sequence,
        "product_id": product.product_id,
        "price": product.format_price(trade.price),
        "open_24h": product.format_price(day.open),
        "volume_24h": product.format_size(day.volume),
        "low_24h": product.format_price(day.low),
        "high_24h": product.format_price(day.high),
        **_best("best_bid", ticker.bid, ticker.bid_size, product),
        **_best("best_ask", ticker.ask, ticker.ask_size, product),
        "side": SIDES[Side.SELL if trade.side is Side.BUY else Side.BUY],
        "time": iso_utc(trade.time_ns),
        "trade_id": trade.trade_id,
        "last_size": product.format_size(trade.size),
    }


def snapshot_message(state: MarketState, product: Product) -> Message:
    """The book that `level2` starts from: its best levels, as many as fit into a message."""
    return {
        "type": "snapshot",
        "product_id": product.product_id,
        "sequence": state.sequence,
        "time": iso_utc(state.time_ns),
        "bids": _snapshot_side(state, product, Side.BUY),
        "asks": _snapshot_side(state, product, Side.SELL),
        "checksum": checksum(state.book, product),
    }


def update_messages(state: MarketState, touched: Iterable[tuple[Side, int]], product: Product) -> list[Message]:
    """The new sizes of the levels that were touched (0: the level is gone), in as few messages as hold them.

    The last one bears the checksum of the book as it then is.
    """
    changes = [
        [SIDES[side], product.format_price(price), product.format_size(level_size(state.book.level(side, price)))]
        for side, price in sorted(touched)
    ]
    messages: list[Message] = [
        {
            "type": "l2update",
            "product_id": product.product_id,
            "sequence": state.sequence,
            "time": iso_utc(state.time_ns),
            "changes": changes[start : start + CHANGES_MAX],
        }
        for start in range(0, len(changes), CHANGES_MAX)
    ]
    if messages:
        messages[-1]["checksum"] = checksum(state.book, product)
    return messages


def heartbeat_message(ticker: Ticker | None, product: Product, now_ns: int) -> Message:
    """That we are there, and the last event and trade of a product, once a second."""
    trade = ticker.last_trade if ticker else None
    return {
        "type": "heartbeat",
        "sequence": ticker.sequence if ticker else 0,
        "last_trade_id": trade.trade_id if trade else 0,
        "product_id": product.product_id,
        "time": iso_utc(now_ns),
    }


def status_messages(products: Iterable[Product], assets: Iterable[Asset]) -> list[Message]:
    """Every product and every currency as REST tells them, in as few messages as hold them."""
    rows = [("products", product_view(product)) for product in products]
    rows += [("currencies", currency_view(asset)) for asset in assets]
    messages: list[Message] = []
    for start in range(0, len(rows), STATUS_ROWS_MAX) or [0]:
        message: Message = {"type": "status", "products": [], "currencies": []}
        for name, row in rows[start : start + STATUS_ROWS_MAX]:
            message[name].append(row)
        messages.append(message)
    return messages


def candle_messages(state: MarketState, times_ns: Iterable[int], granularity: int, product: Product) -> list[Message]:
    """The candles that trades at these times belong to, as they stand now, oldest first."""
    buckets = sorted({time_ns // SECOND_NS // granularity * granularity for time_ns in times_ns})
    if not buckets:
        return []
    query = CandleQuery(granularity, buckets[0], buckets[-1])
    series = state.bars.minutes if query.scale is MINUTES else state.bars.hours
    bars = series.after(buckets[0] // query.scale.seconds - 1)
    return [
        {
            "type": "candle",
            "product_id": product.product_id,
            "sequence": state.sequence,
            "time": iso_utc(state.time_ns),
            "granularity": granularity,
            "candle": candle_row(candle, product),
        }
        for candle in candles(bars, query)
        if candle.time in buckets
    ]


def auction_message(state: MarketState, product: Product, uncrossed: PublicEvent | None = None) -> Message:
    """Where an auction stands: what would trade if it ended now, or what traded when it did."""
    best_bid, bid_size = state.book.best(Side.BUY)
    best_ask, ask_size = state.book.best(Side.SELL)
    indicated = indication(state, product)
    price, size = (indicated.price, indicated.size) if indicated else (0, 0)
    if uncrossed is not None:
        price, size = uncrossed.price, uncrossed.size
    message: Message = {
        "type": "auction",
        "product_id": product.product_id,
        "sequence": state.sequence,
        "auction_state": "complete" if uncrossed is not None or indicated is None else "collection",
        "can_open": "yes" if size else "no",
        **_best("best_bid", best_bid, bid_size, product, price_suffix="_price"),
        **_best("best_ask", best_ask, ask_size, product, price_suffix="_price"),
        "timestamp": iso_utc(state.time_ns),
    }
    if size:
        message |= {"open_price": product.format_price(price), "open_size": product.format_size(size)}
    return message


def error_message(message: str, reason: str, code: str) -> Message:
    """What a frame earns that is not understood or not allowed; `code` is stable."""
    return {"type": "error", "message": message, "reason": reason, "code": code}


def subscriptions_message(subscribed: Iterable[tuple[str, str]]) -> Message:
    """All that a connection listens to: pairs of channel and product."""
    channels: dict[str, list[str]] = {}
    for channel, product_id in sorted(set(subscribed)):
        channels.setdefault(channel, []).append(product_id)
    return {"type": "subscriptions", "channels": [_channel(*entry) for entry in channels.items()]}


def _channel(channel: str, product_ids: list[str]) -> Message:
    name, _, granularity = channel.partition("candles_")
    if granularity:
        return {"name": "candles", "granularity": int(granularity), "product_ids": product_ids}
    return {"name": name, "product_ids": [product_id for product_id in product_ids if product_id]}


def _head(kind: str, event: PublicEvent, product: Product) -> Message:
    return {
        "type": kind,
        "product_id": product.product_id,
        "sequence": event.sequence,
        "time": iso_utc(event.time_ns),
    }


def _best(name: str, price: int, size: int, product: Product, *, price_suffix: str = "") -> Message:
    if not price:
        return {}
    return {f"{name}{price_suffix}": product.format_price(price), f"{name}_size": product.format_size(size)}


def _snapshot_side(state: MarketState, product: Product, side: Side) -> list[list[str]]:
    levels = list(state.book.levels(side))[:SNAPSHOT_LEVELS_MAX]
    return [[product.format_price(price), product.format_size(level_size(level))] for price, level in levels]


def _order(event: PublicEvent, product: Product) -> Message:
    """What every message about one order has; a market order has no price."""
    body: Message = {"order_id": to_uuid(event.order_id)}
    if event.side:
        body["side"] = SIDES[Side(event.side)]
    if event.price:
        body["price"] = product.format_price(event.price)
    return body


def _received(event: PublicEvent, product: Product) -> Message:
    body = _order(event, product) | {"order_type": OrderType(event.order_type).name.lower()}
    if event.funds:
        return body | {"funds": product.quote.format(event.funds * product.units_per_tick_lot)}
    return body | {"size": product.format_size(event.size)}


def _open(event: PublicEvent, product: Product) -> Message:
    return _order(event, product) | {"remaining_size": product.format_size(event.size)}


def _match(event: PublicEvent, product: Product) -> Message:
    return match_message(trades_of([event])[0], product)


def _change(event: PublicEvent, product: Product) -> Message:
    body = _order(event, product) | {"reason": ChangeReason(event.reason).name.lower()}
    if not event.old_size:  # An order by funds: what it may still spend is its owner's business.
        return body
    return body | {"old_size": product.format_size(event.old_size), "new_size": product.format_size(event.new_size)}


def _done(event: PublicEvent, product: Product) -> Message:
    body = _order(event, product) | {"reason": _DONE[DoneReason(event.reason)]}
    if event.size == UNTOLD:
        return body
    return body | {"remaining_size": product.format_size(event.size)}


def _phase(event: PublicEvent, _product: Product) -> Message:
    return {"phase": Phase(event.phase).name.lower()}


def _auction(event: PublicEvent, product: Product) -> Message:
    return {"price": product.format_price(event.price), "size": product.format_size(event.size)}


_BODIES: Final = {
    EventType.RECEIVED: _received,
    EventType.OPEN: _open,
    EventType.MATCH: _match,
    EventType.CHANGE: _change,
    EventType.DONE: _done,
    EventType.PHASE: _phase,
    EventType.AUCTION: _auction,
}
