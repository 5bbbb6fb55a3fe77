"""A market's state as compact bytes, and back: what the stream function stores after every batch.

Two kinds of blobs. The *book* changes with every batch; a *page* of closed bars once a minute or an hour.

    book     u8 version, then deflated: state | last trade | current minute | current hour | bids | asks | waiting stops
    page     u8 version, then deflated: u32 count, then the bars
    side     u32 levels, each: i64 price, u32 orders, then (i64 order id, i64 displayed size) in time order
"""

import zlib
from collections.abc import Sequence
from struct import Struct, pack, unpack_from
from typing import Final

from exchange.kernel.errors import require
from exchange.market_data.bars import HOURS, MINUTES, Bar, Bars, Series
from exchange.market_data.book import OrderBook, Resting
from exchange.market_data.model import MarketState, Trade
from exchange.messages import Phase, Side, UnknownVersionError

VERSION: Final = 2
_STATE: Final = Struct("<24s32sqqqB")
_TRADE: Final = Struct("<7qB")
_BAR: Final = Struct("<6q")
_COUNT: Final = Struct("<I")
_LEVEL: Final = Struct("<qI")
_FAST: Final = 1
_SMALL: Final = 9


def encode_state(state: MarketState) -> bytes:
    """The state without its closed bars. Equal states give equal bytes."""
    trade = state.last_trade
    parts = [
        _STATE.pack(state.product_id.encode(), state.chain, state.edition, state.sequence, state.time_ns, state.phase),
        _TRADE.pack(*_trade_fields(trade)) if trade else _TRADE.pack(*[0] * 8),
        _encode_bar(state.bars.minutes.current),
        _encode_bar(state.bars.hours.current),
        *_encode_side(state.book, Side.BUY),
        *_encode_side(state.book, Side.SELL),
        _COUNT.pack(len(state.waiting_stops)),
        pack(f"<{len(state.waiting_stops)}q", *sorted(state.waiting_stops)),
    ]
    return bytes([VERSION]) + zlib.compress(b"".join(parts), _FAST)


def decode_state(data: bytes) -> MarketState:
    """Read a state back; its closed bars are kept apart.

    Raises:   UnknownVersionError.
    """
    data = _inflate(data)
    product, chain, edition, sequence, time_ns, phase = _STATE.unpack_from(data)
    offset = _STATE.size
    trade, offset = _TRADE.unpack_from(data, offset), offset + _TRADE.size
    minute, offset = _BAR.unpack_from(data, offset), offset + _BAR.size
    hour, offset = _BAR.unpack_from(data, offset), offset + _BAR.size
    book = OrderBook()
    for side in (Side.BUY, Side.SELL):
        offset = _decode_side(data, offset, book, side)
    (count,) = _COUNT.unpack_from(data, offset)
    waiting = unpack_from(f"<{count}q", data, offset + _COUNT.size)
    require(offset + _COUNT.size + 8 * count == len(data), "the stored state ends elsewhere than it says")
    book.take_touched()
    return MarketState(
        product_id=product.rstrip(b"\0").decode(),
        chain=chain,
        sequence=sequence,
        time_ns=time_ns,
        phase=Phase(phase),
        book=book,
        waiting_stops=set(waiting),
        last_trade=_trade(trade) if trade[0] else None,
        bars=Bars(Series(MINUTES, current=_bar(minute)), Series(HOURS, current=_bar(hour))),
        edition=edition,
    )


def encode_bars(bars: Sequence[Bar]) -> bytes:
    """Closed bars, oldest first."""
    body = b"".join(map(_encode_bar, bars))
    return bytes([VERSION]) + zlib.compress(_COUNT.pack(len(bars)) + body, _SMALL)


def decode_bars(data: bytes) -> list[Bar]:
    """Read closed bars back.

    Raises:   UnknownVersionError.
    """
    data = _inflate(data)
    (count,) = _COUNT.unpack_from(data)
    require(_COUNT.size + count * _BAR.size == len(data), "the stored bars end elsewhere than they say")
    return [Bar(*fields) for fields in _BAR.iter_unpack(data[_COUNT.size :])]


def _inflate(data: bytes) -> bytes:
    if not data or data[0] != VERSION:
        raise UnknownVersionError(f"version {data[:1].hex()} of the stored market is unknown here")
    return zlib.decompress(data[1:])


def _encode_side(book: OrderBook, side: Side) -> list[bytes]:
    levels = list(book.levels(side))
    parts = [_COUNT.pack(len(levels))]
    for price, orders in levels:
        parts.append(_LEVEL.pack(price, len(orders)))
        parts.append(pack(f"<{2 * len(orders)}q", *[number for order in orders.items() for number in order]))
    return parts


def _decode_side(data: bytes, offset: int, book: OrderBook, side: Side) -> int:
    (levels,) = _COUNT.unpack_from(data, offset)
    offset += _COUNT.size
    for _ in range(levels):
        price, count = _LEVEL.unpack_from(data, offset)
        offset += _LEVEL.size
        numbers = unpack_from(f"<{2 * count}q", data, offset)
        offset += 16 * count
        for order_id, size in zip(numbers[::2], numbers[1::2], strict=True):
            book.add(Resting(order_id, side, price, size))
    return offset


def _encode_bar(bar: Bar | None) -> bytes:
    if bar is None:
        return _BAR.pack(*[0] * 6)
    return _BAR.pack(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume)


def _bar(fields: tuple[int, ...]) -> Bar | None:
    return Bar(*fields) if fields[1] else None  # Nothing trades at a price of zero.


def _trade_fields(trade: Trade) -> tuple[int, ...]:
    return (
        trade.trade_id,
        trade.sequence,
        trade.time_ns,
        trade.price,
        trade.size,
        trade.maker_order_id,
        trade.taker_order_id,
        int(trade.side),
    )


def _trade(fields: tuple[int, ...]) -> Trade:
    trade_id, sequence, time_ns, price, size, maker, taker, side = fields
    return Trade(trade_id, sequence, time_ns, price, size, Side(side), maker, taker)
