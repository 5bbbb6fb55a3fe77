"""Tables that a trader can read: orders on the left margin, what they cause indented below.

    buy a1 alice 10 @ 100 ioc         limit order; without a price it is a market order, by funds where it says $500
    sell b1 bob 4 @ 99 show=2 post gtt=50 stop=loss:95 stp=cn cap=101 trail=2 oco=b0
    cancel a1 / amend a1 7 [@ 99] [until=40] / mass alice / phase auction / tick
    at 40                             moves the time of the commands that follow

Everything goes through the JSON reader and printer of the replay tool, except `cap` and `until`: JSON has neither.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from exchange.messages import Command, ProductParameters, decode_commands
from exchange.messages.commands import join_commands

from matcher.engine import ProductSpec
from matcher.json_commands import CommandReader
from matcher.json_events import EventPrinter

ACME = ProductSpec.from_parameters(
    "ACME-USD", ProductParameters("ACME", "USD", "0.001", "0.01", "0.001", "1000000", "1", "100.00", "0.10")
)
_OPTIONS = {
    "gtt": "expire_time_ns",
    "show": "display_size",
    "stp": "self_trade_prevention",
    "trail": "trail_amount",
    "oco": "oco_order_id",
}


class EngineLike(Protocol):
    """What every engine offers."""

    def apply_packed(self, command: Command) -> bytes | None:
        """Carry out one command."""
        ...


def run_table(engine: EngineLike, text: str, product: ProductSpec = ACME) -> str:
    """Run the commands of a table and write the table that they make."""
    reader, printer = CommandReader(product), EventPrinter(product)
    time_ns, lines = 1, []
    for line in _command_lines(text):
        lines.append(line)
        words = line.split()
        if words[0] == "at":
            time_ns = int(words[1])
        elif not line.startswith("#"):
            packed = engine.apply_packed(_read(reader, words, time_ns, product)) or b""
            events = printer.lines(packed, reader.take_names()).splitlines()
            lines += ["    " + _show(json.loads(event)) for event in events]
    return "\n".join(lines) + "\n"


def tables(path: Path) -> Iterator[tuple[str, str]]:
    """The titled tables of a file: title and text."""
    for part in path.read_text("utf-8").split("== ")[1:]:
        title, _, text = part.partition("\n")
        yield title.strip(), text.strip("\n") + "\n"


def _command_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line and not line.startswith(" "):
            yield line.rstrip()


def _read(reader: CommandReader, words: list[str], time_ns: int, product: ProductSpec) -> Command:
    fields: dict[str, Any] = {"time_ns": time_ns}
    packed_only: dict[str, Any] = {}
    verb = words[0]
    if verb in ("buy", "sell"):
        fields |= _order_fields(words)
    elif verb == "amend":
        fields |= {"type": verb, "order_id": words[1], "size": words[2]}
        if "@" in words:
            fields["price"] = words[4]
        if words[-1].startswith("until="):
            packed_only["expire_time_ns"] = int(words[-1].removeprefix("until="))
    elif verb == "mass":
        fields |= {"type": "cancel_all", "account_id": words[1]}
    else:
        fields |= {"type": verb}
        if len(words) > 1:
            fields["order_id" if verb == "cancel" else "phase"] = words[1]
    if "cap" in fields:
        packed_only["cap_price"] = int(fields.pop("cap")) * 100
    packed = reader.read(json.dumps(fields).encode())
    command = decode_commands(join_commands(product.product_id, [packed])).commands[0]
    return replace(command, **packed_only)


def _order_fields(words: list[str]) -> dict[str, Any]:
    side, order_id, account, amount, *rest = words
    fields: dict[str, Any] = {
        "type": "place",
        "order_id": order_id,
        "account_id": account,
        "side": side,
        "order_type": "market",
    }
    fields |= {"funds": amount[1:]} if amount.startswith("$") else {"size": amount}
    if rest[:1] == ["@"]:
        fields |= {"order_type": "limit", "price": rest[1]}
        rest = rest[2:]
    for word in rest:
        key, _, value = word.partition("=")
        if key == "stop":
            fields["stop"], fields["stop_price"] = value.split(":")
        elif key == "post":
            fields["post_only"] = True
        elif value:
            fields[_OPTIONS.get(key, key)] = int(value) if key == "gtt" else value
        else:
            fields["time_in_force"] = key.upper()
    if "expire_time_ns" in fields:
        fields["time_in_force"] = "GTT"
    return fields


def _show(event: dict[str, Any]) -> str:
    """One event in a trader's words."""
    kind, order = event["type"], event.get("order_id")
    measure = event.get("remaining_size", "$" + event.get("remaining_funds", ""))
    match kind:
        case "received" | "triggered":
            return f"{kind} {order}"
        case "rejected":
            return f"rejected {event['command']} {order}: {event['reason']}"
        case "activate":
            return f"activate {order} {event['stop']}:{event['stop_price']}"
        case "open":
            return f"open {order} {event['remaining_size']} @ {event['price']}"
        case "match":
            maker = "bid" if event["side"] == "buy" else "ask"
            sides = f"{maker} {event['maker_order_id']} x {event['taker_order_id']}"
            return f"match {sides} {event['size']} @ {event['price']}"
        case "change":
            old = event.get("old_size", "$" + event.get("old_funds", ""))
            new = event.get("new_size", "$" + event.get("new_funds", ""))
            moved = f", @ {event['old_price']} -> {event['new_price']}" if "old_price" in event else ""
            return f"change {order} {event['reason']} {old} -> {new}{moved}"
        case "done":
            return f"done {order} {event.get('cancel_reason', 'filled')}, {measure} left"
        case "phase":
            return f"phase {event['phase']}"
        case _:
            return f"auction {event['size']} @ {event['price']}"
