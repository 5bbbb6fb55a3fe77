"""The items of the market_data table, one kind a class. store.py says what each is for."""

from typing import Final

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, bind
from exchange.market_data.bars import HOURS, MINUTES, Bar, Bars, Page, Scale, Series
from exchange.market_data.history import Chunk, encode_chunk
from exchange.market_data.model import Trade
from exchange.market_data.snapshot import encode_bars
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


class CandlesItem(Model):
    """A page of closed bars."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    data = BinaryAttribute(legacy_encoding=False)


class TickerItem(Model):
    """What a glance at a market tells, and how far it is folded. Prices in ticks, sizes in lots; 0 where there is none.

    `minute_*` and `hour_*` are the bars that may still grow; both close at `price`.
    """

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True, default="ticker")
    sequence = UnitsAttribute()
    edition = UnitsAttribute(default=0)
    time_ns = UnitsAttribute()
    phase = UnitsAttribute()
    bid = UnitsAttribute()
    bid_size = UnitsAttribute()
    bid_orders = UnitsAttribute(default=0)
    ask = UnitsAttribute()
    ask_size = UnitsAttribute()
    ask_orders = UnitsAttribute(default=0)
    trade_id = UnitsAttribute(default=0)
    trade_sequence = UnitsAttribute(default=0)
    trade_time_ns = UnitsAttribute(default=0)
    price = UnitsAttribute(default=0)
    size = UnitsAttribute(default=0)
    side = UnitsAttribute(default=0)
    maker_order_id = UnitsAttribute(default=0)
    taker_order_id = UnitsAttribute(default=0)
    minute = UnitsAttribute(default=0)
    minute_open = UnitsAttribute(default=0)
    minute_high = UnitsAttribute(default=0)
    minute_low = UnitsAttribute(default=0)
    minute_volume = UnitsAttribute(default=0)
    hour = UnitsAttribute(default=0)
    hour_open = UnitsAttribute(default=0)
    hour_high = UnitsAttribute(default=0)
    hour_low = UnitsAttribute(default=0)
    hour_volume = UnitsAttribute(default=0)


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


class EventsItem(Model):
    """A chunk of public events. DynamoDB forgets it some time after it expires."""

    class Meta:
        table_name = "market_data"

    product_id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    data = BinaryAttribute(legacy_encoding=False)
    expires_at = UnitsAttribute()


def bind_market_data(market_data_table: str) -> None:
    """Tell every item of this module which table it is here."""
    for model in (BookItem, CandlesItem, EventsItem, TickerItem, TradeItem):
        bind(model, market_data_table)


def piece_key(sequence: int, index: int) -> str:
    """Where a piece of a large book is kept."""
    return f"book#{sequence:019d}#{index:03d}"


def trade_key(trade_id: int) -> str:
    """Where a trade is kept; keys sort as ids do."""
    return f"trade#{min(max(trade_id, 0), TRADE_ID_MAX):016d}"


def events_key(last_sequence: int) -> str:
    """Where the chunk that ends with a sequence is kept."""
    return f"events#{last_sequence:019d}"


def events_item(product_id: str, chunk: Chunk) -> EventsItem:
    """A chunk of events as an item."""
    return EventsItem(product_id, events_key(chunk.last), data=encode_chunk(chunk), expires_at=chunk.expires_at)


def page_key(scale: Scale, number: int) -> str:
    """Where a page of bars is kept; keys sort as time does."""
    return f"candles#{scale.seconds:05d}#{number:08d}"


def page_item(product_id: str, page: Page) -> CandlesItem:
    """A page of bars as an item."""
    return CandlesItem(product_id, page_key(page.scale, page.number), data=encode_bars(page.bars))


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


def ticker_item(ticker: Ticker, product_id: str, edition: int) -> TickerItem:
    """A ticker as an item; the closed bars are kept apart."""
    item = TickerItem(
        product_id,
        "ticker",
        sequence=ticker.sequence,
        edition=edition,
        time_ns=ticker.time_ns,
        phase=int(ticker.phase),
        bid=ticker.bid,
        bid_size=ticker.bid_size,
        bid_orders=ticker.bid_orders,
        ask=ticker.ask,
        ask_size=ticker.ask_size,
        ask_orders=ticker.ask_orders,
    )
    trade, minute, hour = ticker.last_trade, ticker.bars.minutes.current, ticker.bars.hours.current
    if trade is not None and minute is not None and hour is not None:
        item.trade_id, item.trade_sequence, item.trade_time_ns = trade.trade_id, trade.sequence, trade.time_ns
        item.price, item.size, item.side = trade.price, trade.size, int(trade.side)
        item.maker_order_id, item.taker_order_id = trade.maker_order_id, trade.taker_order_id
        item.minute, item.minute_volume = minute.start, minute.volume
        item.minute_open, item.minute_high, item.minute_low = minute.open, minute.high, minute.low
        item.hour, item.hour_volume = hour.start, hour.volume
        item.hour_open, item.hour_high, item.hour_low = hour.open, hour.high, hour.low
    return item


def read_ticker(item: TickerItem) -> Ticker:
    """An item as a ticker, which holds the bars that may still grow."""
    trade, minute, hour = None, None, None
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
        minute = Bar(item.minute, item.minute_open, item.minute_high, item.minute_low, item.price, item.minute_volume)
        hour = Bar(item.hour, item.hour_open, item.hour_high, item.hour_low, item.price, item.hour_volume)
    return Ticker(
        sequence=item.sequence,
        time_ns=item.time_ns,
        phase=Phase(item.phase),
        bid=item.bid,
        bid_size=item.bid_size,
        bid_orders=item.bid_orders,
        ask=item.ask,
        ask_size=item.ask_size,
        ask_orders=item.ask_orders,
        last_trade=trade,
        bars=Bars(Series(MINUTES, current=minute), Series(HOURS, current=hour)),
    )
