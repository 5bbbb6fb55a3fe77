"""Pages of a statement, and how journal batches become lines on them.

The journal is kept by product and by rail; a statement is the same entries by balance. Lines are numbered from 1 and
each page carries its opening balance, so a page alone says what a balance was at any time within it. How batches of
different partitions fall between each other is decided once, by who writes the page first, and never changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from exchange.kernel.errors import require
from exchange.ledger.model import Batch, Entry, EntryKind

LINES_PER_PAGE_MAX = 500
_PRODUCT = "product:"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as its balance sees it. Units: in the asset's units; `partition` is where the journal has it."""

    units: int
    kind: EntryKind
    reference: str
    partition: str
    posted_at_ns: int
    bought: bool | None = None  # of a trade's lines: which side the account was on
    counterparty: str = ""  # of a transfer's lines: the account on its other side

    @property
    def product_id(self) -> str:
        """The product of a trade's line; empty for all others."""
        return self.partition.removeprefix(_PRODUCT) if self.partition.startswith(_PRODUCT) else ""


@dataclass(frozen=True, slots=True)
class Page:
    """Successive lines of one balance. `first` is the number of the first of them; `cursors` how far each partition
    of the journal is in this statement, this page included."""

    account: str
    asset: str
    first: int = 1
    opening: int = 0
    lines: tuple[Line, ...] = ()
    cursors: Mapping[str, int] = field(default_factory=dict)

    @property
    def next_number(self) -> int:
        """The number that the line after this page gets."""
        return self.first + len(self.lines)

    @property
    def closing(self) -> int:
        """What the balance was after the last line."""
        return self.opening + sum(line.units for line in self.lines)

    def numbered(self) -> list[tuple[int, Line, int]]:
        """Every line with its number and the balance after it, oldest first."""
        after = list(accumulate((line.units for line in self.lines), initial=self.opening))[1:]
        return [(self.first + index, line, after[index]) for index, line in enumerate(self.lines)]


def touched(batches: Iterable[Batch]) -> list[tuple[str, str]]:
    """The balances that have a line in any of the batches, once each, in the order of appearance."""
    return list({(entry.account, entry.asset): None for batch in batches for entry in batch.entries})


def next_page(head: Page, batches: Sequence[Batch]) -> Page | None:
    """The page after `head` that takes in what it lacks of `batches`; None where it lacks nothing.

    Shape:    batches of one partition, in its order. A page ends with a whole batch, so one of many lines may be longer
              than LINES_PER_PAGE_MAX; asked again with the new page as head, the rest follows.
    Raises:   InvariantError for batches of several partitions.
    """
    lines: list[Line] = []
    cursors = dict(head.cursors)
    require(len({batch.partition for batch in batches}) <= 1, "a statement is extended by one partition at a time")
    for batch in batches:
        if batch.number <= cursors.get(batch.partition, 0):
            continue
        own = _lines_of(batch, head.account, head.asset)
        if lines and len(lines) + len(own) > LINES_PER_PAGE_MAX:
            break
        if own:
            lines += own
            cursors[batch.partition] = batch.number
    if not lines:
        return None
    return Page(head.account, head.asset, head.next_number, head.closing, tuple(lines), cursors)


def _lines_of(batch: Batch, account: str, asset: str) -> list[Line]:
    lines: list[Line] = []
    base = batch.partition.removeprefix(_PRODUCT).split("-")[0] if batch.partition.startswith(_PRODUCT) else ""
    bought: bool | None = None
    for entry in batch.entries:
        if entry.account != account:
            continue
        # A trade's fee follows its two legs, and both say which side this was.
        if entry.kind is EntryKind.MATCH and base:
            bought = (entry.units > 0) == (entry.asset == base)
        if entry.asset == asset:
            side = bought if base else None
            other = _counterparty(batch, entry) if entry.kind is EntryKind.TRANSFER else ""
            lines.append(
                Line(entry.units, entry.kind, entry.reference, batch.partition, batch.posted_at_ns, side, other)
            )
    return lines


def _counterparty(batch: Batch, entry: Entry) -> str:
    return next(
        (other.account for other in batch.entries if other is not entry and other.reference == entry.reference), ""
    )
