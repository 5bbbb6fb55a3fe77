"""What a balance was at a past moment, from its statement: a few pages are read, however long it is.

Lines are numbered as they were written, and those of different chains of the journal may be somewhat out of the order
of their posting. So the search begins where all are an hour past the moment, and ends where all are an hour before.
"""

from collections.abc import Iterator
from typing import Protocol

from exchange.statements.model import Page

DISORDER_NS = 3_600 * 1_000_000_000
# Where an hour is longer than this, a statement is so busy that its lines are not late.
PAGES_MAX = 100


class Pages(Protocol):
    """Where statements are read."""

    def head(self, account: str, asset: str) -> Page:
        """The last page; an empty one before the first."""
        ...

    def page_with(self, account: str, asset: str, number: int) -> Page:
        """The page that has the line of this number; an empty one where there is no such."""
        ...

    def pages(self, account: str, asset: str, *, before: int | None) -> Iterator[Page]:
        """Pages with lines below `before`, newest first."""
        ...


def balance_at(account: str, asset: str, at_ns: int, statements: Pages) -> int:
    """What was posted to a balance up to and including a moment, all together. Units: of the asset.

    Raises:   UnavailableError.
    """
    head = statements.head(account, asset)
    end = _first_after(account, asset, at_ns + DISORDER_NS, head.next_number, statements)
    balance = None
    for walked, page in enumerate(statements.pages(account, asset, before=end), start=1):
        balance = page.closing if balance is None else balance
        balance -= sum(line.units for line in page.lines if line.posted_at_ns > at_ns)
        oldest_matters = max(line.posted_at_ns for line in page.lines) > at_ns - DISORDER_NS
        if not oldest_matters or walked == PAGES_MAX:
            break
    return balance or 0


def _first_after(account: str, asset: str, at_ns: int, end: int, statements: Pages) -> int:
    """The number of the first line of the first page whose lines all are after a moment; `end` where there is none."""
    low, high = 1, end
    while low < high:
        page = statements.page_with(account, asset, (low + high) // 2)
        if min(line.posted_at_ns for line in page.lines) > at_ns:
            high = page.first
        else:
            low = page.next_number
    return low
