"""The sandbox bank: somebody else's house that happens to stand in ours.

It knows instructions and notifications and nothing of our tables. It books whatever it is asked to collect or to pay,
but for amounts that end in the digits 666, which it declines, so that a failure can be tried. Amounts that end in .777
the customer's bank has back after they were collected, and gives back after they were paid; of what it paid of amounts
that end in .778 it keeps the part after the point. The sandbox keeps no records: its references and its event ids are
functions of the instruction, so an instruction that comes twice is answered twice in the same words.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DECLINED_ENDING = "666"
DECLINED_REASON = "insufficient funds"
RETURNED_ENDING = ".777"
RETURNED_REASON = "returned by the customer's bank"
RETURNED_LESS_ENDING = ".778"
CLOSED_REASON = "the account is closed"


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
    if instruction["amount"].endswith(DECLINED_ENDING):
        return _notification(instruction, "declined", "reference", DECLINED_REASON)
    return _notification(instruction, "booked", "reference")


def afterwards(instruction: Mapping[str, str]) -> bytes | None:
    """The body of the notification that follows once the first is credited; None where none does."""
    amount, pays = instruction["amount"], instruction["direction"] == "pay"
    if amount.endswith(RETURNED_ENDING):
        return _notification(instruction, "returned", "return", CLOSED_REASON if pays else RETURNED_REASON)
    whole = amount.removesuffix(RETURNED_LESS_ENDING)
    if pays and whole not in {amount, "", "0"}:
        return _notification({**instruction, "amount": whole}, "returned", "return", CLOSED_REASON)
    return None


def _notification(instruction: Mapping[str, str], status: str, named: str, reason: str = "") -> bytes:
    reference = "SB-" + _name(named, instruction["instruction_id"])
    notification: dict[str, Any] = {
        "event_id": "evt-" + _name("event", reference, status),
        "transfer_id": instruction["instruction_id"],
        "status": status,
        "amount": instruction["amount"],
        "currency": instruction["currency"],
        "bank_reference": reference,
    }
    if reason:
        notification["reason"] = reason
    return json.dumps(notification, separators=(",", ":")).encode()


def _name(*parts: str) -> str:
    return hashlib.sha256("|".join(("sandbox bank", *parts)).encode()).hexdigest()[:24]
