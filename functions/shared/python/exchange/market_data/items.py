"""The items of the market_data table, one kind a class, and their checkpoint. store.py says what each is for."""

from typing import Final

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, bind
from exchange.market_data.bars import Bar, Bars, bars_before
from exchange.market_data.model import Trade
from exchange.market_data.ticker import Ticker
from exchange.messages import Phase, Side

TRADE_ID_MAX: Final = 10**16 - 1


class BookItem(Model):
    """The state of one market, or a piece of it."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    sequence = UnitsAttribute()
    pieces = UnitsAttribute(default=0)
    data = BinaryAttribute(null=True, legacy_encoding=False)


class StatsItem(Model):
    """The closed minutes of the trailing day."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True, default="stats")
    data = BinaryAttribute(legacy_encoding=False)


class TickerItem(Model):
    """What a glance at a market tells. Prices in ticks, sizes in lots; 0 where there is none."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True, default="ticker")
    sequence = UnitsAttribute()
    time_ns = UnitsAttribute()
    phase = UnitsAttribute()
    bid = UnitsAttribute()
    bid_size = UnitsAttribute()
    ask = UnitsAttribute()
    ask_size = UnitsAttribute()
    trade_id = UnitsAttribute(default=0)
    trade_sequence = UnitsAttribute(default=0)
    trade_time_ns = UnitsAttribute(default=0)
    price = UnitsAttribute(default=0)
    size = UnitsAttribute(default=0)
    side = UnitsAttribute(default=0)
    maker_order_id = UnitsAttribute(default=0)
    taker_order_id = UnitsAttribute(default=0)
    bar_minute = UnitsAttribute(default=0)
    bar_open = UnitsAttribute(default=0)
    bar_high = UnitsAttribute(default=0)
    bar_low = UnitsAttribute(default=0)
    bar_volume = UnitsAttribute(default=0)


class TradeItem(Model):
    """One trade. Price in ticks, size in lots; side is the maker's."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    sequence = UnitsAttribute()
    time_ns = UnitsAttribute()
    price = UnitsAttribute()
    size = UnitsAttribute()
    side = UnitsAttribute()
    maker_order_id = UnitsAttribute()
    taker_order_id = UnitsAttribute()


class CheckpointItem(Model):
    """How far a consumer of the executions stream has come."""

    class Meta:
        table_name = "checkpoints"

    name = UnicodeAttribute(hash_key=True)
    sequence = UnitsAttribute()
    hash = BinaryAttribute(legacy_encoding=False)


def bind_market_data(market_data_table: str, checkpoints_table: str | None = None) -> None:
    """Tell every item of this module which table it is here."""
    for model in (BookItem, StatsItem, TickerItem, TradeItem):
        bind(model, market_data_table)
    if checkpoints_table is not None:
        bind(CheckpointItem, checkpoints_table)


def piece_key(sequence: int, index: int) -> str:
    """Where a piece of a large book is kept."""
    return f"book#{sequence:019d}#{index:03d}"


def trade_key(trade_id: int) -> str:
    """Where a trade is kept; keys sort as ids do."""
    return f"trade#{min(max(trade_id, 0), TRADE_ID_MAX):016d}"


def checkpoint_name(product_id: str) -> str:
    """The name of market data's checkpoint of a product."""
    return f"market_data:{product_id}"


def trade_item(product_id: str, trade: Trade) -> TradeItem:
    """A trade as an item."""
    return TradeItem(
        product_id,
        trade_key(trade.trade_id),
        sequence=trade.sequence,
        time_ns=trade.time_ns,
        price=trade.price,
        size=trade.size,
        side=int(trade.side),
        maker_order_id=trade.maker_order_id,
        taker_order_id=trade.taker_order_id,
    )


def read_trade(item: TradeItem) -> Trade:
    """An item as a trade."""
    return Trade(
        trade_id=int(item.item.removeprefix("trade#")),
        sequence=item.sequence,
        time_ns=item.time_ns,
        price=item.price,
        size=item.size,
        side=Side(item.side),
        maker_order_id=item.maker_order_id,
        taker_order_id=item.taker_order_id,
    )


def ticker_item(ticker: Ticker, product_id: str) -> TickerItem:
    """A ticker as an item; the closed bars are kept apart."""
    item = TickerItem(
        product_id,
        "ticker",
        sequence=ticker.sequence,
        time_ns=ticker.time_ns,
        phase=int(ticker.phase),
        bid=ticker.bid,
        bid_size=ticker.bid_size,
        ask=ticker.ask,
        ask_size=ticker.ask_size,
    )
    trade, bar = ticker.last_trade, ticker.bars.current
    if trade is not None and bar is not None:
        item.trade_id, item.trade_sequence, item.trade_time_ns = trade.trade_id, trade.sequence, trade.time_ns
        item.price, item.size, item.side = trade.price, trade.size, int(trade.side)
        item.maker_order_id, item.taker_order_id = trade.maker_order_id, trade.taker_order_id
        item.bar_minute, item.bar_volume = bar.minute, bar.volume
        item.bar_open, item.bar_high, item.bar_low = bar.open, bar.high, bar.low
    return item


def read_ticker(item: TickerItem, closed: list[Bar]) -> Ticker:
    """An item and the closed bars as a ticker."""
    trade, bar = None, None
    if item.trade_id:
        trade = Trade(
            trade_id=item.trade_id,
            sequence=item.trade_sequence,
            time_ns=item.trade_time_ns,
            price=item.price,
            size=item.size,
            side=Side(item.side),
            maker_order_id=item.maker_order_id,
            taker_order_id=item.taker_order_id,
        )
        bar = Bar(item.bar_minute, item.bar_open, item.bar_high, item.bar_low, item.price, item.bar_volume)
    return Ticker(
        sequence=item.sequence,
        time_ns=item.time_ns,
        phase=Phase(item.phase),
        bid=item.bid,
        bid_size=item.bid_size,
        ask=item.ask,
        ask_size=item.ask_size,
        last_trade=trade,
        bars=Bars(bars_before(closed, bar), bar),
    )
