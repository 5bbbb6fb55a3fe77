"""The fail queue of settlement in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.settlement.failures import Failure


@dataclass
class FakeFailures:
    """Every version of a row that was written; `refuses` answers the next put as one that another was faster than."""

    rows: dict[tuple[str, str], Failure] = field(default_factory=dict)
    refuses: bool = False

    def open(self, product_id: str) -> Failure | None:
        """A product's newest failure, where it is open."""
        newest = self.newest(product_id)
        return newest if newest is not None and newest.open else None

    def newest(self, product_id: str) -> Failure | None:
        """A product's newest failure, by its place in the stream."""
        own = [row for row in self.rows.values() if row.product_id == product_id]
        return max(own, key=lambda row: int(row.position), default=None)

    def every_open(self) -> Iterator[Failure]:
        """Every open failure."""
        return iter([row for row in self.rows.values() if row.open])

    def put(self, failure: Failure) -> bool:
        """Write a failure in the place of the version before it."""
        before = self.rows.get((failure.product_id, failure.position))
        if self.refuses or (before.version if before else 0) != failure.version - 1:
            return False
        self.rows[failure.product_id, failure.position] = failure
        return True
