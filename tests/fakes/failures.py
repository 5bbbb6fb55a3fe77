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
        """A product's open failure."""
        found = [row for row in self.every_open() if row.product_id == product_id]
        assert len(found) <= 1, "a product has at most one"
        return found[0] if found else None

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
