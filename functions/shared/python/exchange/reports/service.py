"""Asking for a report, and making it: both safe to do again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import time_uuid
from exchange.reports.model import (
    OPEN,
    OPEN_NS_MAX,
    OPEN_REPORTS_MAX,
    ROWS_MAX,
    Report,
    ReportRequest,
    ReportStatus,
)
from exchange.reports.rows import Row, Sources, rows_of


class Reports(Protocol):
    """Where reports are kept."""

    def same(self, report: Report) -> Report | None:
        """The report that was asked for under the same client_report_id."""
        ...

    def add(self, report: Report) -> Report:
        """Keep a new report; the one under its client_report_id, where another was quicker."""
        ...

    def report(self, user_id: str, report_id: str) -> Report | None:
        """One of the customer's reports."""
        ...

    def newest(self, user_id: str, *, before: str | None) -> Iterator[Report]:
        """The customer's reports, newest first, older than `before`."""
        ...

    def change(self, report: Report) -> None:
        """Write how far it is; never away from ready."""
        ...


class Queue(Protocol):
    """Where reports wait to be made."""

    def ring(self, report: Report) -> None:
        """Ask for one to be made."""
        ...


class Files(Protocol):
    """Where files are kept."""

    def save(self, name: str, rows: Iterable[Row]) -> None:
        """Write a CSV file whole, or not at all."""
        ...


class TooLongError(Exception):
    """More rows than a file may have."""


def ask_report(
    user_id: str, request: ReportRequest, *, reports: Reports, queue: Queue, clock: Clock, chance: int
) -> Report | Refused:
    """Note the report and put it in the queue. The same client_report_id with the same request is the same report.

    Refuses:  REPORT_LIMIT, REPORT_KEY_REUSED.
    Raises:   OutageError; ask again with the same client_report_id, and it is asked for once.
    """
    now_ns = clock.now_ns()
    wanted = Report(user_id, time_uuid(now_ns, chance), request, now_ns)
    kept = reports.same(wanted)
    if kept is None:
        if _count_open(reports, user_id, now_ns) >= OPEN_REPORTS_MAX:
            return Refused(
                Code.REPORT_LIMIT,
                f"type: {OPEN_REPORTS_MAX} of your reports are not made yet; wait until one is ready, then ask again",
            )
        kept = reports.add(wanted)
    if kept.request.payload_hash != request.payload_hash:
        return Refused(Code.REPORT_KEY_REUSED, "client_report_id: it names another report of yours; take a new one")
    if kept.status is ReportStatus.PENDING:
        queue.ring(kept)
    return kept


def _count_open(reports: Reports, user_id: str, now_ns: int) -> int:
    count = 0
    for report in reports.newest(user_id, before=None):
        if now_ns - report.created_at_ns > OPEN_NS_MAX or count == OPEN_REPORTS_MAX:
            break
        count += report.status in OPEN
    return count


def make_report(
    user_id: str,
    report_id: str,
    *,
    reports: Reports,
    sources: Sources,
    files: Files,
    clock: Clock,
    rows_max: int = ROWS_MAX,
) -> Report | None:
    """Write the file of a report; what is made or has failed is left as it is. None where there is no such report.

    Raises:   OutageError; make it again then: the file has one name and is written whole.
    """
    report = reports.report(user_id, report_id)
    if report is None or report.status not in OPEN:
        return report
    reports.change(replace(report, status=ReportStatus.CREATING))
    count = _Count(rows_max)
    try:
        files.save(report.file_name, count.through(rows_of(report.request, sources)))
    except TooLongError as error:
        done = replace(report, status=ReportStatus.FAILED, completed_at_ns=clock.now_ns(), failure=str(error))
    else:
        done = replace(report, status=ReportStatus.READY, completed_at_ns=clock.now_ns(), rows=count.rows)
    reports.change(done)
    return done


class _Count:
    """Counts the rows that pass, the head apart."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self.rows = -1

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows. Raises TooLongError."""
        for row in rows:
            self.rows += 1
            if self.rows > self._rows_max:
                raise TooLongError(f"it has more than {self._rows_max} rows; ask for a shorter time or for one product")
            yield row
