"""Reports, their queue, files and sources in memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from exchange.orders.model import Fill
from exchange.reports.model import Report, ReportStatus
from exchange.reports.rows import Row


@dataclass
class FakeReports:
    """Reports by customer and id."""

    rows: dict[tuple[str, str], Report] = field(default_factory=dict)

    def same(self, report: Report) -> Report | None:
        """By client_report_id."""
        key = report.request.client_report_id
        own = (one for one in self.rows.values() if one.user_id == report.user_id)
        return next((one for one in own if key and one.request.client_report_id == key), None)

    def add(self, report: Report) -> Report:
        """Keep it, unless its key is taken."""
        return self.same(report) or self.rows.setdefault((report.user_id, report.report_id), report)

    def report(self, user_id: str, report_id: str) -> Report | None:
        """By id."""
        return self.rows.get((user_id, report_id))

    def newest(self, user_id: str, *, before: str | None) -> Iterator[Report]:
        """Newest first."""
        own = sorted((report_id for owner, report_id in self.rows if owner == user_id), reverse=True)
        yield from (self.rows[user_id, report_id] for report_id in own if before is None or report_id < before)

    def change(self, report: Report) -> None:
        """Never away from ready."""
        if self.rows[report.user_id, report.report_id].status is not ReportStatus.READY:
            self.rows[report.user_id, report.report_id] = report


@dataclass
class FakeQueue:
    """What was asked for."""

    asked: list[str] = field(default_factory=list)

    def ring(self, report: Report) -> None:
        """Note it."""
        self.asked.append(report.report_id)


@dataclass
class FakeFiles:
    """Files by name; one that breaks off is not there."""

    files: dict[str, list[Row]] = field(default_factory=dict)

    def save(self, name: str, rows: Iterable[Row]) -> None:
        """Keep all rows."""
        self.files[name] = list(rows)


@dataclass
class FakeFills:
    """Fills of everybody, by rising trade id."""

    rows: list[Fill] = field(default_factory=list)

    def fills(
        self,
        account_id: int,
        product_id: str,
        *,
        before_trade: int | None,
        first_trade: int,
        limit: int,
        oldest_first: bool,
    ) -> Sequence[Fill]:
        """A page."""
        assert (before_trade, oldest_first) == (None, True)
        own = [
            fill
            for fill in self.rows
            if (fill.account_id, fill.product_id) == (account_id, product_id) and fill.trade_id >= first_trade
        ]
        return own[:limit]


@dataclass
class FakePrices:
    """Last prices by product."""

    ticks: dict[str, int] = field(default_factory=dict)

    def last_trade_ticks(self, product_id: str) -> int | None:
        """The last one."""
        return self.ticks.get(product_id)
