"""Statements in memory."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.statements.model import Page


@dataclass
class FakeStatements:
    """Pages by balance and first number; a page is put once."""

    rows: dict[tuple[str, str], dict[int, Page]] = field(default_factory=lambda: defaultdict(dict))
    cursors: dict[str, int] = field(default_factory=dict)

    def head(self, account: str, asset: str) -> Page:
        """The last page."""
        for page in self.pages(account, asset, before=None):
            return page
        return Page(account, asset)

    def page_with(self, account: str, asset: str, number: int) -> Page:
        """The page that has a line."""
        for page in self.pages(account, asset, before=number + 1):
            return page
        return Page(account, asset)

    def append(self, page: Page) -> bool:
        """Put a page unless its place is taken."""
        own = self.rows[page.account, page.asset]
        if page.first in own:
            return False
        own[page.first] = page
        return True

    def pages(self, account: str, asset: str, *, before: int | None) -> Iterator[Page]:
        """Newest first."""
        own = self.rows[account, asset]
        yield from (own[first] for first in sorted(own, reverse=True) if before is None or first < before)

    def pages_from(self, account: str, asset: str, *, number: int) -> Iterator[Page]:
        """Oldest first."""
        own = self.rows[account, asset]
        yield from (own[first] for first in sorted(own) if own[first].next_number > number)

    def reached(self, partition: str) -> int:
        """The cursor of a partition."""
        return self.cursors.get(partition, 0)

    def reach(self, partition: str, number: int) -> None:
        """Move it forward."""
        self.cursors[partition] = max(number, self.reached(partition))
