"""Cursor pages, newest first: which trades were asked for, and the cursors that lead on from them."""

import re
from dataclasses import dataclass

from exchange.kernel.errors import Code, Refused

LIMIT_MAX = 1000
_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` items with ids above `before` (newer) and below `after` (older), where given."""

    limit: int = LIMIT_MAX
    before: int | None = None
    after: int | None = None


def parse_page(*, limit: str | None, before: str | None, after: str | None) -> Page | Refused:
    """Read the three query parameters.

    Refuses:  REQUEST_FIELD_INVALID naming the first that is no such number.
    """
    numbers: dict[str, int | None] = {}
    for name, text in (("limit", limit), ("before", before), ("after", after)):
        if text is not None and not _NUMBER.fullmatch(text):
            return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: must be a whole number in digits")
        numbers[name] = None if text is None else int(text)
    asked = LIMIT_MAX if numbers["limit"] is None else numbers["limit"]
    if not 1 <= asked <= LIMIT_MAX:
        return Refused(Code.REQUEST_FIELD_INVALID, f"limit: must be from 1 to {LIMIT_MAX}")
    return Page(asked, numbers["before"], numbers["after"])
