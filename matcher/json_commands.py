"""Commands as JSON lines: what people and conformance checks write, read strictly."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

from exchange.messages import (
    REFUSED_VALUE,
    Command,
    Op,
    OrderType,
    Phase,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)

from matcher.engine import ProductSpec

TIME_NS_MAX: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)
_DECIMALS: Final = 18
_PLAIN_ID: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_HASHED_IDS: Final = 2**62
_TEXTS_CACHED: Final = 65_536

_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_ORDER_TYPES: Final = {"limit": OrderType.LIMIT, "market": OrderType.MARKET}
_TIMES_IN_FORCE: Final = {item.name: item for item in TimeInForce}
_STOPS: Final = {"loss": StopKind.LOSS, "entry": StopKind.ENTRY}
_PREVENTIONS: Final = {item.name.lower(): item for item in SelfTradePrevention}
_PHASES: Final = {item.name.lower(): item for item in Phase}
_Word = TypeVar("_Word", bound=IntEnum)


class MalformedLineError(ValueError):
    """A line that is no command; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class NamedCommand:
    """A command with the ids as they were written; a name is empty where the number says it all."""

    command: Command
    order_name: str = ""
    account_name: str = ""


def id_number(text: str) -> int:
    """The 63-bit number of a textual id: a plain number is itself, anything else a hash above all of those."""
    if _PLAIN_ID.fullmatch(text):
        return int(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return _HASHED_IDS | (int.from_bytes(digest[:8], "big") >> 2)


class CommandReader:
    """Reads the lines of one product."""

    def __init__(self, product: ProductSpec) -> None:
        self._ticks = _units_reader(product.quote_increment, 1)
        self._lots = _units_reader(product.base_increment, 1)
        self._funds = _units_reader(product.quote_increment, product.base_increment.denominator)

    def read(self, line: bytes) -> NamedCommand:
        """Read one line.

        Raises:   MalformedLineError.
        """
        fields = _parse(line)
        kind = fields.get("type")
        time_ns = _time(fields, "time_ns")
        if time_ns is None:
            raise MalformedLineError("time_ns is missing")
        match kind:
            case "place":
                return self._place(fields, time_ns)
            case "cancel":
                name = _id(fields, "order_id")
                return _named(Command(Op.CANCEL, order_id=id_number(name), time_ns=time_ns), order=name)
            case "cancel_all":
                name = _id(fields, "account_id")
                return _named(Command(Op.CANCEL_ALL, account_id=id_number(name), time_ns=time_ns), account=name)
            case "amend":
                return self._amend(fields, time_ns)
            case "phase":
                phase = _required(_word(fields, "phase", _PHASES), "phase")
                return NamedCommand(Command(Op.PHASE, phase=phase, time_ns=time_ns))
            case "tick":
                return NamedCommand(Command(Op.TICK, time_ns=time_ns))
            case _:
                raise MalformedLineError(f"type is not one of the commands: {_excerpt(kind)}")

    def _place(self, fields: Mapping[str, Any], time_ns: int) -> NamedCommand:
        order_name, account_name = _id(fields, "order_id"), _id(fields, "account_id")
        command = Command(
            Op.PLACE,
            order_id=id_number(order_name),
            account_id=id_number(account_name),
            side=_required(_word(fields, "side", _SIDES), "side"),
            order_type=_required(_word(fields, "order_type", _ORDER_TYPES), "order_type"),
            time_in_force=_word(fields, "time_in_force", _TIMES_IN_FORCE) or TimeInForce.GTC,
            stop=_word(fields, "stop", _STOPS) or StopKind.NONE,
            self_trade_prevention=_word(fields, "self_trade_prevention", _PREVENTIONS) or SelfTradePrevention.DC,
            post_only=_flag(fields, "post_only"),
            price=_decimal(fields, "price", self._ticks),
            size=_decimal(fields, "size", self._lots),
            funds=_decimal(fields, "funds", self._funds),
            stop_price=_decimal(fields, "stop_price", self._ticks),
            expire_time_ns=_time(fields, "expire_time_ns") or 0,
            display_size=_decimal(fields, "display_size", self._lots),
            time_ns=time_ns,
        )
        _check_combination(command, has_expiry=fields.get("expire_time_ns") is not None)
        return _named(command, order=order_name, account=account_name)

    def _amend(self, fields: Mapping[str, Any], time_ns: int) -> NamedCommand:
        name = _id(fields, "order_id")
        size = _decimal(fields, "size", self._lots)
        if not size:
            raise MalformedLineError("amend needs a size")
        price = _decimal(fields, "price", self._ticks)
        return _named(Command(Op.AMEND, order_id=id_number(name), size=size, price=price, time_ns=time_ns), order=name)


def _check_combination(command: Command, *, has_expiry: bool) -> None:
    """Refuse what can't stand together.

    Raises:   MalformedLineError.
    """
    is_limit = command.order_type == OrderType.LIMIT
    may_rest = is_limit and command.time_in_force in (TimeInForce.GTC, TimeInForce.GTT)
    if has_expiry != (command.time_in_force == TimeInForce.GTT):
        raise MalformedLineError("expire_time_ns belongs to GTT, and GTT needs it")
    if bool(command.stop) != bool(command.stop_price):
        raise MalformedLineError("stop and stop_price belong together")
    if command.post_only and (not may_rest or command.stop):
        raise MalformedLineError("post_only can't stand with IOC, FOK, market or stop")
    if command.display_size and not may_rest:
        raise MalformedLineError("display_size belongs to limit orders that are GTC or GTT")
    if is_limit and (command.funds or not command.price or not command.size):
        raise MalformedLineError("a limit order has a price and a size, and no funds")
    if not is_limit and (command.price or bool(command.size) == bool(command.funds)):
        raise MalformedLineError("a market order has either size or funds, and no price")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedLineError("the line is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise MalformedLineError(f"the line is not JSON: {_excerpt(str(error))}") from error
    if not isinstance(fields, dict):
        raise MalformedLineError("the line is not a JSON object")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _units_reader(increment: Fraction, factor: int) -> Callable[[str], int | None]:
    """A function from decimal text to whole units of `increment`/`factor`.

    It gives None where the text is no decimal, and REFUSED_VALUE where it is one that no order may carry: zero, off the
    increment, or too large for 64 bits.
    """
    scaled = increment * 10**_DECIMALS
    step = scaled.numerator

    @lru_cache(maxsize=_TEXTS_CACHED)
    def read(text: str) -> int | None:
        match = _DECIMAL.fullmatch(text)
        if match is None:
            return None
        whole, fraction = match.groups(default="")
        count, rest = divmod(int(whole + fraction.ljust(_DECIMALS, "0")), step)
        units = count * factor
        return units if not rest and 0 < units <= TIME_NS_MAX else REFUSED_VALUE

    return read


def _decimal(fields: Mapping[str, Any], field: str, read: Callable[[str], int | None]) -> int:
    text = fields.get(field)
    if text is None:
        return 0
    units = read(text) if isinstance(text, str) else None
    if units is None:
        raise MalformedLineError(f'{field} is not a decimal string like "10" or "0.25": {_excerpt(text)}')
    return units


def _id(fields: Mapping[str, Any], field: str) -> str:
    text = fields.get(field)
    if not isinstance(text, str) or not text:
        raise MalformedLineError(f"{field} is not a non-empty string: {_excerpt(text)}")
    return text


def _word(fields: Mapping[str, Any], field: str, words: Mapping[str, _Word]) -> _Word | None:
    text = fields.get(field)
    if text is None:
        return None
    word = words.get(text) if isinstance(text, str) else None
    if word is None:
        raise MalformedLineError(f"{field} is not one of {', '.join(words)}: {_excerpt(text)}")
    return word


def _required(word: _Word | None, field: str) -> _Word:
    if word is None:
        raise MalformedLineError(f"{field} is missing")
    return word


def _flag(fields: Mapping[str, Any], field: str) -> bool:
    value = fields.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise MalformedLineError(f"{field} is neither true nor false: {_excerpt(value)}")
    return value


def _time(fields: Mapping[str, Any], field: str) -> int | None:
    value = fields.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= TIME_NS_MAX:
        raise MalformedLineError(f"{field} is not an integer from 0 to 2^63-1: {_excerpt(value)}")
    return value


def _named(command: Command, *, order: str = "", account: str = "") -> NamedCommand:
    """Keep a name only where the number does not tell it."""
    return NamedCommand(
        command,
        order if command.order_id >= _HASHED_IDS else "",
        account if command.account_id >= _HASHED_IDS else "",
    )


def _excerpt(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return ascii(text[:60])
