# cython: language_level=3, annotation_typing=False
"""Commands as JSON lines: what people and conformance checks write, read strictly and packed at once.

This module is compiled where the engine is; it is ordinary Python all the same.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final, NoReturn

import orjson
from exchange.messages import (
    NO_COMMAND_ID,
    REFUSED_VALUE,
    Op,
    OrderType,
    Phase,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)
from exchange.messages.commands import COMMAND_STRUCT, EXTENSION_STRUCT, FLAG_EXTENDED, FLAG_POST_ONLY

from matcher.engine import ProductSpec

TIME_NS_MAX: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)
_DECIMALS: Final = 18
_PLAIN_DIGITS_MAX: Final = 18
_DIGITS_READ: Final = 1_000
_HASHED_IDS: Final = 2**62
_TEXTS_KEPT: Final = 65_536


def _numbers(words: Mapping[str, IntEnum]) -> dict[str, int]:
    return {word: item.value for word, item in words.items()}


_SIDES: Final = _numbers({"buy": Side.BUY, "sell": Side.SELL})
_ORDER_TYPES: Final = _numbers({"limit": OrderType.LIMIT, "market": OrderType.MARKET})
_TIMES_IN_FORCE: Final = _numbers({item.name: item for item in TimeInForce})
_STOPS: Final = _numbers({"loss": StopKind.LOSS, "entry": StopKind.ENTRY})
_PREVENTIONS: Final = _numbers({item.name.lower(): item for item in SelfTradePrevention})
_PHASES: Final = _numbers({item.name.lower(): item for item in Phase})
# Enumerations are looked up by way of a class; these stand in every line.
_PLACE, _CANCEL, _CANCEL_ALL, _AMEND, _PHASE, _TICK = map(
    int, (Op.PLACE, Op.CANCEL, Op.CANCEL_ALL, Op.AMEND, Op.PHASE, Op.TICK)
)
_LIMIT, _GTC, _GTT = int(OrderType.LIMIT), int(TimeInForce.GTC), int(TimeInForce.GTT)
_NO_STOP, _DC = int(StopKind.NONE), int(SelfTradePrevention.DC)
_PACK: Final = COMMAND_STRUCT.pack


class MalformedLineError(ValueError):
    """A line that is no command; the message says what is wrong with it."""


def id_number(text: str) -> int:
    """The 63-bit number of a textual id: a plain number is itself, anything else a hash above all of those."""
    if len(text) <= _PLAIN_DIGITS_MAX and text.isascii() and text.isdecimal() and not text.startswith("0"):
        return int(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return _HASHED_IDS | (int.from_bytes(digest[:8], "big") >> 2)


class CommandReader:
    """Reads the lines of one product. `names` are the ids among them that their number does not tell, by number."""

    def __init__(self, product: ProductSpec) -> None:
        self.names: dict[int, str] = {}
        self._ticks = _UnitsReader(product.quote_increment, 1)
        self._lots = _UnitsReader(product.base_increment, 1)
        self._funds = _UnitsReader(product.quote_increment, product.base_increment.denominator)
        self._accounts: dict[str, int] = {}

    def take_names(self) -> dict[int, str]:
        """The names of what was read since they were last taken."""
        names, self.names = self.names, {}
        return names

    def read(self, line: bytes) -> bytes:
        """Read one line as a packed command.

        Raises:   MalformedLineError.
        """
        fields = _parse(line)
        kind = fields.get("type")
        time_ns = _time(fields, "time_ns")
        if time_ns is None:
            raise MalformedLineError("time_ns is missing")
        if kind == "place":
            return self._place(fields, time_ns)
        if kind == "cancel":
            return _packed(_CANCEL, time_ns, order_id=self._order(fields))
        if kind == "amend":
            return self._amend(fields, time_ns)
        if kind == "cancel_all":
            return _packed(_CANCEL_ALL, time_ns, account_id=self._account(fields))
        if kind == "phase":
            phase = _word(fields, "phase", _PHASES, 0)
            if not phase:
                raise MalformedLineError("phase is missing")
            return _packed(_PHASE, time_ns, phase=phase)
        if kind == "tick":
            return _packed(_TICK, time_ns)
        raise MalformedLineError(f"type is not one of the commands: {_excerpt(kind)}")

    def _place(self, fields: dict[str, Any], time_ns: int) -> bytes:
        order_id, account_id = self._order(fields), self._account(fields)
        side = _word(fields, "side", _SIDES, 0)
        order_type = _word(fields, "order_type", _ORDER_TYPES, 0)
        if not side or not order_type:
            raise MalformedLineError("order_type is missing" if side else "side is missing")
        time_in_force = _word(fields, "time_in_force", _TIMES_IN_FORCE, _GTC)
        stop = _word(fields, "stop", _STOPS, _NO_STOP)
        prevention = _word(fields, "self_trade_prevention", _PREVENTIONS, _DC)
        post_only = _flag(fields, "post_only")
        price = _decimal(fields, "price", self._ticks)
        size = _decimal(fields, "size", self._lots)
        funds = _decimal(fields, "funds", self._funds)
        stop_price = _decimal(fields, "stop_price", self._ticks)
        display_size = _decimal(fields, "display_size", self._lots)
        expire_time_ns = _time(fields, "expire_time_ns")
        trail_amount = _decimal(fields, "trail_amount", self._ticks)
        oco_order_id = id_number(_id(fields, "oco_order_id")) if fields.get("oco_order_id") is not None else 0
        is_limit = order_type == _LIMIT
        may_rest = is_limit and time_in_force <= _GTT
        if (expire_time_ns is not None) != (time_in_force == _GTT):
            raise MalformedLineError("expire_time_ns belongs to GTT, and GTT needs it")
        if (stop != 0) != (stop_price != 0):
            raise MalformedLineError("stop and stop_price belong together")
        if post_only and (not may_rest or stop):
            raise MalformedLineError("post_only can't stand with IOC, FOK, market or stop")
        if display_size and not may_rest:
            raise MalformedLineError("display_size belongs to limit orders that are GTC or GTT")
        if is_limit and (funds or not price or not size):
            raise MalformedLineError("a limit order has a price and a size, and no funds")
        if not is_limit and (price or (size != 0) == (funds != 0)):
            raise MalformedLineError("a market order has either size or funds, and no price")
        if trail_amount and not stop:
            raise MalformedLineError("trail_amount belongs to stop orders")
        if oco_order_id and not (may_rest or stop):
            raise MalformedLineError("oco_order_id belongs to orders that rest or wait: limit GTC or GTT, or stop")
        is_extended = trail_amount != 0 or oco_order_id != 0
        flags = (FLAG_POST_ONLY if post_only else 0) | (FLAG_EXTENDED if is_extended else 0)
        packed: bytes = _PACK(
            _PLACE, side, order_type, time_in_force, stop, prevention, flags, 0, NO_COMMAND_ID, 0,
            order_id, account_id, price, size, funds, stop_price, 0, expire_time_ns or 0, display_size, time_ns,
        )  # fmt: skip
        return packed + EXTENSION_STRUCT.pack(oco_order_id, trail_amount) if is_extended else packed

    def _amend(self, fields: dict[str, Any], time_ns: int) -> bytes:
        order_id = self._order(fields)
        size = _decimal(fields, "size", self._lots)
        if not size:
            raise MalformedLineError("amend needs a size")
        return _packed(_AMEND, time_ns, order_id=order_id, size=size, price=_decimal(fields, "price", self._ticks))

    def _order(self, fields: dict[str, Any]) -> int:
        """The order's number; its name is kept where the number does not tell it."""
        text = _id(fields, "order_id")
        number = id_number(text)
        if number >= _HASHED_IDS:
            self.names[number] = text
        return number

    def _account(self, fields: dict[str, Any]) -> int:
        text = _id(fields, "account_id")
        number = self._accounts.get(text)
        if number is None:
            number = id_number(text)
            if len(self._accounts) == _TEXTS_KEPT:
                self._accounts.clear()
            self._accounts[text] = number
        if number >= _HASHED_IDS:
            self.names[number] = text
        return number


class _UnitsReader:
    """Reads decimal text as whole units of `increment`/`factor`, and knows again what it has read."""

    def __init__(self, increment: Fraction, factor: int) -> None:
        self.known: dict[str, int] = {}
        self._factor = factor
        self._step = (increment * 10**_DECIMALS).numerator

    def read(self, text: str) -> int | None:
        """The units; None where the text is no decimal.

        It is REFUSED_VALUE for a decimal that no order may carry: zero, off the increment, or too large for 64 bits.
        """
        match = _DECIMAL.fullmatch(text)
        if match is None:
            return None
        whole, fraction = match.groups(default="")
        count, rest = divmod(int(whole + fraction.ljust(_DECIMALS, "0")), self._step)
        units = count * self._factor
        units = units if not rest and 0 < units <= TIME_NS_MAX else REFUSED_VALUE
        if len(self.known) == _TEXTS_KEPT:
            self.known.clear()
        self.known[text] = units
        return units


def _packed(
    op: int, time_ns: int, *, order_id: int = 0, account_id: int = 0, price: int = 0, size: int = 0, phase: int = 0
) -> bytes:
    return _PACK(
        op, 0, 0, 0, 0, 0, 0, phase, NO_COMMAND_ID, 0, order_id, account_id, price, size, 0, 0, 0, 0, 0, time_ns
    )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        # What it refuses is judged again by the standard library: half a surrogate pair is JSON, NaN is not.
        fields = _parse_slowly(line)
    if not isinstance(fields, dict):
        raise MalformedLineError("the line is not a JSON object")
    return fields


def _parse_slowly(line: bytes) -> object:
    try:
        return _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedLineError("the line is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise MalformedLineError(f"the line is not JSON: {_excerpt(str(error))}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _integer(text: str) -> int | float:
    """An integer; one of more digits than any field takes (and than Python reads) is a float, as orjson has it."""
    return int(text) if len(text) <= _DIGITS_READ else float(text)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer)


def _decimal(fields: dict[str, Any], field: str, reader: _UnitsReader) -> int:
    text = fields.get(field)
    if text is None:
        return 0
    if isinstance(text, str):
        units = reader.known.get(text)
        if units is None:
            units = reader.read(text)
        if units is not None:
            return units
    raise MalformedLineError(f'{field} is not a decimal string like "10" or "0.25": {_excerpt(text)}')


def _id(fields: dict[str, Any], field: str) -> str:
    text = fields.get(field)
    if not isinstance(text, str) or not text:
        raise MalformedLineError(f"{field} is not a non-empty string: {_excerpt(text)}")
    return text


def _word(fields: dict[str, Any], field: str, words: dict[str, int], absent: int) -> int:
    text = fields.get(field)
    if text is None:
        return absent
    word = words.get(text) if isinstance(text, str) else None
    if word is None:
        raise MalformedLineError(f"{field} is not one of {', '.join(words)}: {_excerpt(text)}")
    return word


def _flag(fields: dict[str, Any], field: str) -> bool:
    value = fields.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise MalformedLineError(f"{field} is neither true nor false: {_excerpt(value)}")
    return value


def _time(fields: dict[str, Any], field: str) -> int | None:
    value = fields.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= TIME_NS_MAX:
        raise MalformedLineError(f"{field} is not an integer from 0 to 2^63-1: {_excerpt(value)}")
    return value


def _excerpt(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return ascii(text[:60])
