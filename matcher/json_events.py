# cython: language_level=3, annotation_typing=False
"""Events as JSON lines, made straight from the packed results.

This module is compiled where the engine is; it is ordinary Python all the same.
"""

from collections.abc import Callable
from enum import IntEnum
from fractions import Fraction
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

_NUMBERS_KEPT: Final = 65_536
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
_LIMIT, _FILLED = int(OrderType.LIMIT), int(DoneReason.FILLED)
_RESULT_LENGTH: Final = RESULT_STRUCT.size
_OPEN, _DONE, _RECEIVED, _MATCH, _REJECTED, _CHANGE = map(
    int, (EventType.OPEN, EventType.DONE, EventType.RECEIVED, EventType.MATCH, EventType.REJECTED, EventType.CHANGE)
)
_LENGTHS: Final = {kind: body.size for kind, body in EVENT_STRUCTS.items()}
# How a line begins, by the event's type.
_OPENINGS: Final = {item.value: f'{{"type":"{item.name.lower()}","sequence":' for item in EventType}


class EventPrinter:
    """Writes results as lines. `names` are those of live orders, which it keeps; it forgets all others."""

    def __init__(self, product: ProductSpec, names: dict[int, str] | None = None) -> None:
        self.names = names if names is not None else {}
        self._cause_names: dict[int, str] = {}
        self._id_text: Callable[[int], str] = str
        self._product_id = encode_basestring_ascii(product.product_id)
        self._price = _Texts(product.quote_increment)
        self._size = _Texts(product.base_increment)
        self._funds = _Texts(product.quote_increment / product.base_increment.denominator)

    def lines(self, results: bytes, names: dict[int, str], id_text: Callable[[int], str] = str) -> str:
        """The lines of packed results, one after the other.

        `names` are those of the orders and accounts in the commands that caused them; `id_text` writes ids without one.
        """
        self._cause_names, self._id_text = names, id_text
        written: list[str] = []
        offset, end = 0, len(results)
        while offset < end:
            _, _, _, time_ns, sequence, count, _, _, _ = RESULT_STRUCT.unpack_from(results, offset)
            offset += _RESULT_LENGTH
            tail = f',"product_id":{self._product_id},"time_ns":{time_ns}'
            for number in range(sequence, sequence + count):
                kind = results[offset]
                body = self._body(kind, EVENT_STRUCTS[kind].unpack_from(results, offset))
                offset += _LENGTHS[kind]
                written.append(f"{_OPENINGS[kind]}{number}{tail}{body}}}\n")
        return "".join(written)

    def _body(self, kind: int, fields: _Fields) -> str:
        """What an event says beyond type, sequence, product and time; the usual ones first."""
        if kind == _OPEN:
            return self._open(fields)
        if kind == _DONE:
            return self._done(fields)
        if kind == _RECEIVED:
            return self._received(fields)
        if kind == _MATCH:
            return self._match(fields)
        if kind == _REJECTED:
            return self._rejected(fields)
        if kind == _CHANGE:
            return self._change(fields)
        if kind == EventType.ACTIVATE:
            return self._activate(fields)
        if kind == EventType.TRIGGERED:
            return f',"order_id":{self._id(fields[8])}'
        if kind == EventType.PHASE:
            return f',"phase":"{_PHASES[fields[5]]}"'
        return f',"price":"{self._price.of(fields[8])}","size":"{self._size.of(fields[9])}"'

    def _id(self, number: int) -> str:
        """An order's id as JSON text."""
        name = self.names.get(number)
        if name is None:
            name = self._cause_names.get(number)
        return f'"{self._id_text(number)}"' if name is None else encode_basestring_ascii(name)

    def _received(self, fields: _Fields) -> str:
        _, side, order_type, _, _, _, _, by_funds, order_id, account_id, price, size, funds, _ = fields
        name = self._cause_names.get(order_id)
        if name is not None:
            self.names[order_id] = name
        account = self._cause_names.get(account_id)
        account_text = f'"{self._id_text(account_id)}"' if account is None else encode_basestring_ascii(account)
        limit = f',"price":"{self._price.of(price)}"' if order_type == _LIMIT else ""
        measure = f'"funds":"{self._funds.of(funds)}"' if by_funds else f'"size":"{self._size.of(size)}"'
        return (
            f',"order_id":{self._id(order_id)},"account_id":{account_text},"side":"{_SIDES[side]}"'
            f',"order_type":"{_ORDER_TYPES[order_type]}"{limit},{measure}'
        )

    def _rejected(self, fields: _Fields) -> str:
        order_id, op, reason = fields[8], fields[7], fields[3]
        return (
            f',"order_id":{self._id(order_id)},"command":"{_OPS.get(op, "unknown")}"'
            f',"reason":"{_REJECT_REASONS[reason]}"'
        )

    def _activate(self, fields: _Fields) -> str:
        order_id, stop, stop_price = fields[8], fields[6], fields[10]
        return f',"order_id":{self._id(order_id)},"stop":"{_STOPS[stop]}","stop_price":"{self._price.of(stop_price)}"'

    def _open(self, fields: _Fields) -> str:
        order_id, side, price, shown = fields[8], fields[1], fields[10], fields[11]
        return (
            f',"order_id":{self._id(order_id)},"side":"{_SIDES[side]}","price":"{self._price.of(price)}"'
            f',"remaining_size":"{self._size.of(shown)}"'
        )

    def _match(self, fields: _Fields) -> str:
        side, taker_id, maker_id, trade_id, price, size = (
            fields[1],
            fields[8],
            fields[10],
            fields[12],
            fields[13],
            fields[14],
        )
        return (
            f',"trade_id":{trade_id},"maker_order_id":{self._id(maker_id)},"taker_order_id":{self._id(taker_id)}'
            f',"side":"{_SIDES[side]}","price":"{self._price.of(price)}","size":"{self._size.of(size)}"'
        )

    def _change(self, fields: _Fields) -> str:
        reason, by_funds, order_id = fields[3], fields[7], fields[8]
        old_size, new_size, old_price, new_price, old_funds, new_funds = fields[11:]
        if by_funds:
            measure = f'"old_funds":"{self._funds.of(old_funds)}","new_funds":"{self._funds.of(new_funds)}"'
        else:
            measure = f'"old_size":"{self._size.of(old_size)}","new_size":"{self._size.of(new_size)}"'
        prices = ""
        if old_price:
            prices = f',"old_price":"{self._price.of(old_price)}","new_price":"{self._price.of(new_price)}"'
        return f',"order_id":{self._id(order_id)},"reason":"{_CHANGE_REASONS[reason]}",{measure}{prices}'

    def _done(self, fields: _Fields) -> str:
        reason, done_reason, by_funds, order_id = fields[3], fields[4], fields[7], fields[8]
        order = self._id(order_id)
        self.names.pop(order_id, None)
        if by_funds:
            measure = f'"remaining_funds":"{self._funds.of(fields[12])}"'
        else:
            measure = f'"remaining_size":"{self._size.of(fields[11])}"'
        if done_reason == _FILLED:
            return f',"order_id":{order},"reason":"filled",{measure}'
        return f',"order_id":{order},"reason":"canceled",{measure},"cancel_reason":"{_CANCEL_REASONS[reason]}"'


class _Texts:
    """Counts of `unit` as decimal text, remembered."""

    def __init__(self, unit: Fraction) -> None:
        self._scale = next(scale for scale in range(_DECIMALS_MAX + 1) if (unit * 10**scale).denominator == 1)
        self._step = int(unit * 10**self._scale)
        self._known: dict[int, str] = {}

    def of(self, count: int) -> str:
        """The text of a count."""
        text = self._known.get(count)
        if text is None:
            text = format_units(count * self._step, self._scale)
            if len(self._known) == _NUMBERS_KEPT:
                self._known.clear()
            self._known[count] = text
        return text
