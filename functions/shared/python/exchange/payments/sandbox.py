"""The sandbox bank: somebody else's house that happens to stand in ours.

It knows instructions and notifications and nothing of our tables. It books whatever it is asked to collect or to pay,
but for amounts that end in the digits 666, which it declines, so that a failure can be tried. It keeps no records: its
reference and its event id are functions of the instruction, so an instruction that comes twice is answered twice in the
same words.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DECLINED_ENDING = "666"
DECLINED_REASON = "insufficient funds"


class SandboxBankError(ValueError):
    """Not an instruction that this bank can read."""


def read_instruction(text: str) -> dict[str, str]:
    """An instruction from the queue. Raises SandboxBankError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SandboxBankError("the instruction is not JSON") from error
    names = ("instruction_id", "direction", "amount", "currency", "payment_method_id")
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) and value[name] for name in names):
        raise SandboxBankError(f"an instruction has the texts {', '.join(names)}")
    if value["direction"] not in {"collect", "pay"}:
        raise SandboxBankError("the direction is neither collect nor pay")
    return {name: value[name] for name in names}


def answer(instruction: Mapping[str, str]) -> bytes:
    """The body of the notification that answers an instruction: the same bytes at every time of asking."""
    status = "declined" if instruction["amount"].endswith(DECLINED_ENDING) else "booked"
    reference = "SB-" + _name("reference", instruction["instruction_id"])
    notification: dict[str, Any] = {
        "event_id": "evt-" + _name("event", reference, status),
        "transfer_id": instruction["instruction_id"],
        "status": status,
        "amount": instruction["amount"],
        "currency": instruction["currency"],
        "bank_reference": reference,
    }
    if status == "declined":
        notification["reason"] = DECLINED_REASON
    return json.dumps(notification, separators=(",", ":")).encode()


def _name(*parts: str) -> str:
    return hashlib.sha256("|".join(("sandbox bank", *parts)).encode()).hexdigest()[:24]
