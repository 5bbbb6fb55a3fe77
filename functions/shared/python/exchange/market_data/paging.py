"""Pages: which trades, newest first, or which events, oldest first, were asked for."""

import re
from dataclasses import dataclass

from exchange.kernel.errors import Code, Refused

LIMIT_MAX = 1000
EVENTS_LIMIT_MAX = 500
_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_NO_LIMIT = 10**16


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` items: the nearest with ids above `before` (newer) or below `after` (older), where given."""

    limit: int = LIMIT_MAX
    before: int | None = None
    after: int | None = None


def parse_page(*, limit: str | None, before: str | None, after: str | None) -> Page | Refused:
    """Read the three query parameters.

    Refuses:  REQUEST_FIELD_INVALID naming the first that is no such number.
    """
    numbers = _numbers(limit=limit, before=before, after=after)
    if isinstance(numbers, Refused):
        return numbers
    asked = _limit(numbers, LIMIT_MAX)
    return asked if isinstance(asked, Refused) else Page(asked, numbers.get("before"), numbers.get("after"))


@dataclass(frozen=True, slots=True)
class EventRange:
    """The events from sequence `first` to sequence `last`, both included, at most `limit` of them."""

    first: int
    last: int
    limit: int


def parse_range(*, first: str | None, last: str | None, limit: str | None) -> EventRange | Refused:
    """Read `from`, which is required, `to` and `limit`.

    Refuses:  REQUEST_FIELD_INVALID naming the first that makes no sense.
    """
    numbers = _numbers(**{"from": first, "to": last, "limit": limit})
    if isinstance(numbers, Refused):
        return numbers
    if not numbers.get("from"):
        return Refused(Code.REQUEST_FIELD_INVALID, "from: give the first sequence wanted, 1 or more")
    asked = _limit(numbers, EVENTS_LIMIT_MAX)
    if isinstance(asked, Refused):
        return asked
    wanted = EventRange(numbers["from"], numbers.get("to", _NO_LIMIT), asked)
    if wanted.last < wanted.first:
        return Refused(Code.REQUEST_FIELD_INVALID, "to: must not be below from")
    return wanted


def _numbers(**texts: str | None) -> dict[str, int] | Refused:
    for name, text in texts.items():
        if text is not None and not _NUMBER.fullmatch(text):
            return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: must be a whole number in digits")
    return {name: int(text) for name, text in texts.items() if text is not None}


def _limit(numbers: dict[str, int], limit_max: int) -> int | Refused:
    """As many as were asked for, cut to the most there are in a page, as on every list here."""
    asked = numbers.get("limit", limit_max)
    if asked < 1:
        return Refused(Code.REQUEST_FIELD_INVALID, f"limit: must be from 1 to {limit_max}")
    return min(asked, limit_max)
