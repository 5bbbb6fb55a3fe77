"""Events as JSON lines, made straight from the packed results."""

from collections.abc import Callable, Iterator
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Final

from exchange.kernel.money import format_units
from exchange.messages import (
    CancelReason,
    ChangeReason,
    DoneReason,
    EventType,
    Op,
    OrderType,
    Phase,
    RejectReason,
    Side,
    StopKind,
)
from exchange.messages.events import EVENT_STRUCTS, RESULT_STRUCT

from matcher.engine import ProductSpec
from matcher.json_commands import NamedCommand

_NUMBERS_CACHED: Final = 65_536
_DECIMALS_MAX: Final = 36

_Fields = tuple[int, ...]


def _words(enumeration: type[IntEnum]) -> dict[int, str]:
    return {item.value: item.name.lower() for item in enumeration}


_SIDES: Final = _words(Side)
_ORDER_TYPES: Final = _words(OrderType)
_PHASES: Final = _words(Phase)
_REJECT_REASONS: Final = _words(RejectReason)
_CANCEL_REASONS: Final = _words(CancelReason)
_CHANGE_REASONS: Final = _words(ChangeReason)
_OPS: Final = _words(Op)
_STOPS: Final = _words(StopKind)


class EventPrinter:
    """Writes results as lines. It keeps the names of live orders only."""

    def __init__(self, product: ProductSpec, names: dict[int, str] | None = None) -> None:
        self.names = names if names is not None else {}
        self._product_id = encode_basestring_ascii(product.product_id)
        self._price = _formatter(product.quote_increment)
        self._size = _formatter(product.base_increment)
        self._funds = _formatter(product.quote_increment / product.base_increment.denominator)
        self._id_text: Callable[[int], str] = str
        self._bodies: dict[int, Callable[[_Fields, NamedCommand], str]] = {
            EventType.RECEIVED: self._received,
            EventType.REJECTED: self._rejected,
            EventType.ACTIVATE: self._activate,
            EventType.TRIGGERED: self._triggered,
            EventType.OPEN: self._open,
            EventType.MATCH: self._match,
            EventType.CHANGE: self._change,
            EventType.DONE: self._done,
            EventType.PHASE: self._phase,
            EventType.AUCTION: self._auction,
        }

    def lines(self, packed: bytes, cause: NamedCommand, id_text: Callable[[int], str] = str) -> Iterator[str]:
        """The lines of one packed result; `id_text` writes the ids that have no name."""
        self._id_text = id_text
        _, _, _, time_ns, sequence, count, _, _, _ = RESULT_STRUCT.unpack_from(packed)
        offset = RESULT_STRUCT.size
        tail = f',"product_id":{self._product_id},"time_ns":{time_ns}'
        for number in range(sequence, sequence + count):
            body = EVENT_STRUCTS[packed[offset]]
            fields = body.unpack_from(packed, offset)
            offset += body.size
            kind = EventType(fields[0])
            yield f'{{"type":"{_TYPES[kind]}","sequence":{number}{tail}{self._bodies[kind](fields, cause)}}}\n'

    def _order(self, order_id: int, cause: NamedCommand) -> str:
        if order_id == cause.command.order_id and cause.order_name:
            return encode_basestring_ascii(cause.order_name)
        return encode_basestring_ascii(self.names.get(order_id) or self._id_text(order_id))

    def _received(self, fields: _Fields, cause: NamedCommand) -> str:
        _, side, order_type, _, _, _, _, by_funds, order_id, account_id, price, size, funds, _ = fields
        if cause.order_name:
            self.names[order_id] = cause.order_name
        account = encode_basestring_ascii(cause.account_name or self._id_text(account_id))
        limit = f',"price":"{self._price(price)}"' if order_type == OrderType.LIMIT else ""
        measure = f'"funds":"{self._funds(funds)}"' if by_funds else f'"size":"{self._size(size)}"'
        return (
            f',"order_id":{self._order(order_id, cause)},"account_id":{account},"side":"{_SIDES[side]}"'
            f',"order_type":"{_ORDER_TYPES[order_type]}"{limit},{measure}'
        )

    def _rejected(self, fields: _Fields, cause: NamedCommand) -> str:
        order_id, op, reason = fields[8], fields[7], fields[3]
        return (
            f',"order_id":{self._order(order_id, cause)},"command":"{_OPS.get(op, "unknown")}"'
            f',"reason":"{_REJECT_REASONS[reason]}"'
        )

    def _activate(self, fields: _Fields, cause: NamedCommand) -> str:
        order_id, stop, stop_price = fields[8], fields[6], fields[10]
        return (
            f',"order_id":{self._order(order_id, cause)},"stop":"{_STOPS[stop]}"'
            f',"stop_price":"{self._price(stop_price)}"'
        )

    def _triggered(self, fields: _Fields, cause: NamedCommand) -> str:
        return f',"order_id":{self._order(fields[8], cause)}'

    def _open(self, fields: _Fields, cause: NamedCommand) -> str:
        order_id, side, price, shown = fields[8], fields[1], fields[10], fields[11]
        return (
            f',"order_id":{self._order(order_id, cause)},"side":"{_SIDES[side]}","price":"{self._price(price)}"'
            f',"remaining_size":"{self._size(shown)}"'
        )

    def _match(self, fields: _Fields, cause: NamedCommand) -> str:
        side, taker_id, maker_id, trade_id, price, size = fields[1], fields[8], *fields[10:11], *fields[12:15]
        return (
            f',"trade_id":{trade_id},"maker_order_id":{self._order(maker_id, cause)}'
            f',"taker_order_id":{self._order(taker_id, cause)},"side":"{_SIDES[side]}"'
            f',"price":"{self._price(price)}","size":"{self._size(size)}"'
        )

    def _change(self, fields: _Fields, cause: NamedCommand) -> str:
        reason, by_funds, order_id = fields[3], fields[7], fields[8]
        old_size, new_size, old_price, new_price, old_funds, new_funds = fields[11:]
        if by_funds:
            measure = f'"old_funds":"{self._funds(old_funds)}","new_funds":"{self._funds(new_funds)}"'
        else:
            measure = f'"old_size":"{self._size(old_size)}","new_size":"{self._size(new_size)}"'
        prices = f',"old_price":"{self._price(old_price)}","new_price":"{self._price(new_price)}"' if old_price else ""
        return f',"order_id":{self._order(order_id, cause)},"reason":"{_CHANGE_REASONS[reason]}",{measure}{prices}'

    def _done(self, fields: _Fields, cause: NamedCommand) -> str:
        reason, done_reason, by_funds, order_id = fields[3], fields[4], fields[7], fields[8]
        remaining_size, remaining_funds = fields[11:]
        order = self._order(order_id, cause)
        self.names.pop(order_id, None)
        if by_funds:
            measure = f'"remaining_funds":"{self._funds(remaining_funds)}"'
        else:
            measure = f'"remaining_size":"{self._size(remaining_size)}"'
        if done_reason == DoneReason.FILLED:
            return f',"order_id":{order},"reason":"filled",{measure}'
        return f',"order_id":{order},"reason":"canceled",{measure},"cancel_reason":"{_CANCEL_REASONS[reason]}"'

    def _phase(self, fields: _Fields, _cause: NamedCommand) -> str:
        return f',"phase":"{_PHASES[fields[5]]}"'

    def _auction(self, fields: _Fields, _cause: NamedCommand) -> str:
        return f',"price":"{self._price(fields[8])}","size":"{self._size(fields[9])}"'


_TYPES: Final = {item: item.name.lower() for item in EventType}


def _formatter(unit: Fraction) -> Callable[[int], str]:
    """A function from a count of `unit` to decimal text."""
    scale = next(scale for scale in range(_DECIMALS_MAX + 1) if (unit * 10**scale).denominator == 1)
    step = int(unit * 10**scale)

    @lru_cache(maxsize=_NUMBERS_CACHED)
    def write(count: int) -> str:
        return format_units(count * step, scale)

    return write
