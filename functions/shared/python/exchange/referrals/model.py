"""Referral codes, and what a registration with one means for ever."""

import hashlib
import re
from dataclasses import dataclass

CODE_LENGTH = 10
# No vowels, so that no code is a word, and nothing that is read as something else.
_ALPHABET = "23456789BCDFGHJKLMNPQRSTVWXZ"
_CODE = re.compile(f"[{_ALPHABET}]{{{CODE_LENGTH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Referral:
    """Whose fees these are a part of: the account that the commission goes to, and since when."""

    referrer_id: int
    since_ns: int


@dataclass(frozen=True, slots=True)
class CodeOwner:
    """Whose code it is: the customer, the account that commissions go to, and how many registered with it."""

    user_id: str
    account_id: int
    referred: int = 0


def code_of(user_id: str, attempt: int = 0) -> str:
    """The code of a customer: always the same, so that asking twice makes no second one.

    Where another customer has it, of which the chance is one in 28^10, it is the next attempt's.
    """
    value = int.from_bytes(hashlib.sha256(f"referral|{user_id}|{attempt}".encode()).digest(), "big")
    digits = []
    for _ in range(CODE_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def read_code(text: str) -> str:
    """A code as it is kept, however it was typed; empty where no code can look like this."""
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else ""
