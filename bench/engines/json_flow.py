"""Commands as the lines that people write: what the replay tool is measured with."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from exchange.kernel.money import format_units
from exchange.messages import Command, Op, OrderType, SelfTradePrevention, Side, StopKind, TimeInForce

PRICE_SCALE: Final = 2
SIZE_SCALE: Final = 3


def lines(commands: Iterable[Command]) -> Iterator[bytes]:
    """Each command of the flow's product as a line; ids are text, as a customer's would be."""
    for command in commands:
        yield json.dumps(_fields(command), separators=(",", ":")).encode("ascii") + b"\n"


def _fields(command: Command) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": Op(command.op).name.lower(), "time_ns": command.time_ns}
    if command.order_id:
        fields["order_id"] = f"{command.order_id:016x}"
    if command.account_id:
        fields["account_id"] = f"a{command.account_id:x}"
    for name, units, scale in (
        ("price", command.price, PRICE_SCALE),
        ("stop_price", command.stop_price, PRICE_SCALE),
        ("size", command.size, SIZE_SCALE),
        ("display_size", command.display_size, SIZE_SCALE),
        ("funds", command.funds, PRICE_SCALE + SIZE_SCALE),
    ):
        if units:
            fields[name] = format_units(units, scale)
    if command.op == Op.PLACE:
        fields |= _place_fields(command)
    return fields


def _place_fields(command: Command) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "side": Side(command.side).name.lower(),
        "order_type": OrderType(command.order_type).name.lower(),
        "time_in_force": TimeInForce(command.time_in_force).name,
        "self_trade_prevention": SelfTradePrevention(command.self_trade_prevention).name.lower(),
    }
    if command.stop:
        fields["stop"] = StopKind(command.stop).name.lower()
    if command.post_only:
        fields["post_only"] = True
    if command.expire_time_ns:
        fields["expire_time_ns"] = command.expire_time_ns
    return fields
