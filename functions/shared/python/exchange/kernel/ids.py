"""Identifiers: 63-bit integers inside, UUID-shaped text outside.

An order's id is a function of who placed it and of the client's own id for it. So the order item itself is the
proof of idempotency: the same intent always lands on the same item, whoever retries it and however often.
"""

import hashlib
import re
import uuid

ID_MAX = 2**63 - 1
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII)
# The lower half of every UUID we show: recognised when it comes back, and what tells an order from an account.
_TAIL = 0x8000_0000_0000_0001
_ACCOUNTS = uuid.UUID("6f1f8a52-3f0e-5d1c-9b53-0d3c5a8a7e11")


def _digest63(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def random_id() -> int:
    """A fresh 63-bit id that nobody can guess; never zero."""
    return (uuid.uuid4().int >> 65) or 1


def order_id_for(account_id: int, client_oid: str) -> int:
    """The id of the order that `account_id` calls `client_oid`."""
    return _digest63(f"order|{account_id}|{client_oid}") or 1


def command_id_for(*parts: object) -> bytes:
    """16 bytes that name one command: the same intent, re-sent at any time, has the same name."""
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()[:16]


def to_uuid(identifier: int) -> str:
    """Show a 63-bit id as UUID-shaped text."""
    return str(uuid.UUID(int=(identifier << 64) | _TAIL))


def from_uuid(text: str) -> int | None:
    """The id behind UUID-shaped text; None when no id of ours looks like that."""
    if not _UUID.fullmatch(text.lower()):
        return None
    value = uuid.UUID(text).int
    return value >> 64 if value & (2**64 - 1) == _TAIL and (value >> 64) <= ID_MAX else None


def hex_to_uuid(digits: str) -> str:
    """Show 32 hexadecimal digits as UUID-shaped text."""
    return str(uuid.UUID(hex=digits))


def is_uuid(text: str) -> bool:
    """Whether `text` is shaped like a UUID, with or without dashes."""
    return _UUID.fullmatch(text.lower()) is not None


def time_uuid(now_ns: int, chance: int) -> str:
    """A UUID (version 7) that sorts by its millisecond and is else `chance`, at least 62 random bits."""
    value = (now_ns // 1_000_000 & (1 << 48) - 1) << 80 | 7 << 76 | 2 << 62
    return str(uuid.UUID(int=value | chance & (1 << 62) - 1))


def account_uuid(account_id: int, asset: str) -> str:
    """The id that the trading API shows for one asset's account of a profile."""
    return str(uuid.uuid5(_ACCOUNTS, f"{account_id}|{asset}"))
