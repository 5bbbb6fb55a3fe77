"""Bringing statements up to the journal: run after any crash or twice at once, each entry is there once."""

from collections.abc import Callable, Iterable
from typing import Protocol

from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch
from exchange.statements.model import Page, next_page, touched

# Partitions that write to the same busy balance take turns at the end of its statement.
ATTEMPTS_MAX = 64
_BATCHES_AT_ONCE = 100


class Journal(Protocol):
    """Where batches are read."""

    def batches(self, partition: str, *, after: int) -> Iterable[tuple[Batch, bytes]]:
        """The batches behind number `after`, oldest first."""
        ...


class Statements(Protocol):
    """Where pages are kept, and how far each partition of the journal is on them."""

    def head(self, account: str, asset: str) -> Page:
        """The last page, as it is now; an empty one before the first."""
        ...

    def append(self, page: Page) -> bool:
        """Put a page; False where a page with this first number is there."""
        ...

    def reached(self, partition: str) -> int:
        """The batch up to which the partition is known to be on all statements."""
        ...

    def reach(self, partition: str, number: int) -> None:
        """Note that; a smaller number than the one noted changes nothing."""
        ...


def bring_up(partition: str, *, journal: Journal, statements: Statements, pause: Callable[[int], None]) -> int:
    """Write what a partition of the journal has that the statements lack; return how many batches were looked at.

    Each statement itself says how far it is in each partition, so nothing depends on who else is at it.

    Raises:   UnavailableError where a statement was busy at every attempt; OutcomeUnknownError; run it again then.
    """
    count = 0
    pending: list[Batch] = []
    for batch, _ in journal.batches(partition, after=statements.reached(partition)):
        pending.append(batch)
        if len(pending) == _BATCHES_AT_ONCE:
            count += _take_in(pending, statements, pause)
            pending = []
    return count + _take_in(pending, statements, pause)


def _take_in(batches: list[Batch], statements: Statements, pause: Callable[[int], None]) -> int:
    if not batches:
        return 0
    for account, asset in touched(batches):
        _extend(account, asset, batches, statements, pause)
    statements.reach(batches[-1].partition, batches[-1].number)
    return len(batches)


def _extend(
    account: str, asset: str, batches: list[Batch], statements: Statements, pause: Callable[[int], None]
) -> None:
    head = statements.head(account, asset)
    lost = 0
    while (page := next_page(head, batches)) is not None:
        if statements.append(page):
            head = page
            continue
        lost += 1
        if lost == ATTEMPTS_MAX:
            raise UnavailableError(f"the statement of {account} in {asset} was busy {ATTEMPTS_MAX} times")
        pause(lost)
        head = statements.head(account, asset)
