"""Reading what a list is asked for: how many, from where, between which moments. Every refusal names its parameter."""

import datetime as dt
from dataclasses import dataclass

from exchange.kernel.errors import Code, Refused
from exchange.rest.request import ApiRequest

LIMIT_MAX = 100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_REST_OF_MICROSECOND_NS = 999


@dataclass(frozen=True, slots=True)
class NumberPage:
    """A page of a list numbered from 1, newest first: below `after`, or next above `before`."""

    limit: int
    after: int | None = None
    before: int | None = None


def read_limit(request: ApiRequest, most: int = LIMIT_MAX) -> int | Refused:
    """`limit`: a whole number from 1, cut to `most`; `most` where it is absent. Refuses REQUEST_FIELD_INVALID."""
    text = request.query("limit")
    if text is None:
        return most
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1:
        return min(int(text), most)
    return Refused(Code.REQUEST_FIELD_INVALID, f"limit: give a whole number from 1 to {most}")


def read_number_page(request: ApiRequest) -> NumberPage | Refused:
    """`limit`, `after` and `before` of a list whose rows are numbered. Refuses REQUEST_FIELD_INVALID."""
    limit = read_limit(request)
    if isinstance(limit, Refused):
        return limit
    cursors: dict[str, int | None] = {}
    for name in ("after", "before"):
        text = request.query(name)
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 17):
            return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: give a number, as the CB-{name.upper()} header has it")
        cursors[name] = int(text) if text is not None else None
    if cursors["after"] is not None and cursors["before"] is not None:
        return Refused(Code.REQUEST_FIELD_INVALID, "before: give before or after, not both")
    return NumberPage(limit, cursors["after"], cursors["before"])


def read_moment(request: ApiRequest, name: str) -> int | Refused | None:
    """A date or a moment in nanoseconds since 1970; without a zone it is UTC. Refuses REQUEST_FIELD_INVALID."""
    text = request.query(name)
    return None if text is None else parse_moment(text, name)


def read_last_moment(request: ApiRequest, name: str) -> int | Refused | None:
    """The last nanosecond of a moment: moments are shown to the microsecond, so one that is asked for is all of it.

    Refuses:  REQUEST_FIELD_INVALID.
    """
    moment_ns = read_moment(request, name)
    return moment_ns + _REST_OF_MICROSECOND_NS if isinstance(moment_ns, int) else moment_ns


def parse_moment(text: str, name: str) -> int | Refused:
    """The same, of a text in the field `name`. Refuses REQUEST_FIELD_INVALID."""
    try:
        moment = dt.datetime.fromisoformat(text)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: give an ISO date or time, like 2026-01-31T12:00:00Z")
    return since // dt.timedelta(microseconds=1) * 1_000
