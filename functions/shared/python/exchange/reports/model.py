"""What a report is, from being asked for until its file is forgotten."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

OPEN_REPORTS_MAX = 5
# Longer than the queue tries: what is not made by then never will be.
OPEN_NS_MAX = 45 * 60 * 1_000_000_000
FILE_DAYS = 7
FILE_NS = FILE_DAYS * 86_400 * 1_000_000_000
# The row itself goes some weeks after the file.
ROW_SECONDS = 30 * 86_400
ROWS_MAX = 1_000_000
ALL = "ALL"


class ReportKind(StrEnum):
    """What is in the file. `fills` and `account` are the trading API's own; the others are ours."""

    FILLS = "fills"
    ACCOUNT = "account"
    PROFIT = "pnl"
    TAX_LOTS = "tax-lots"
    CONTRACT_NOTES = "contract-notes"


class LotMethod(StrEnum):
    """Which of the open lots a sale takes first: the oldest, the newest, or the dearest."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"


class ReportStatus(StrEnum):
    """How far a report is."""

    PENDING = "pending"
    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


OPEN = frozenset({ReportStatus.PENDING, ReportStatus.CREATING})


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What was asked: of one profile, from `start_ns` on and before `end_ns`. `subject` is a product, or an asset of an
    account report, or ALL."""

    kind: ReportKind
    account_id: int
    start_ns: int
    end_ns: int
    subject: str = ALL
    method: LotMethod = LotMethod.FIFO
    client_report_id: str = ""
    asked_end_ns: int = 0  # zero: the end was left to the exchange, so it is the moment of asking

    @property
    def payload_hash(self) -> str:
        """The same for the same request, whenever it comes."""
        asked = (self.kind, self.account_id, self.start_ns, self.asked_end_ns, self.subject, self.method)
        text = "|".join(str(part) for part in asked)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a customer."""

    user_id: str
    report_id: str
    request: ReportRequest
    created_at_ns: int
    status: ReportStatus = ReportStatus.PENDING
    completed_at_ns: int = 0
    rows: int = 0
    failure: str = ""

    @property
    def expires_at_ns(self) -> int:
        """When the file goes; zero before there is one."""
        return self.completed_at_ns + FILE_NS if self.status is ReportStatus.READY else 0

    @property
    def file_name(self) -> str:
        """Where the file is in its bucket."""
        return f"reports/{self.user_id}/{self.report_id}.csv"

    def status_at(self, now_ns: int) -> ReportStatus:
        """The status at a moment: files expire, and what was not made in its time has failed."""
        if self.status is ReportStatus.READY and now_ns >= self.expires_at_ns:
            return ReportStatus.EXPIRED
        if self.status in OPEN and now_ns - self.created_at_ns > OPEN_NS_MAX:
            return ReportStatus.FAILED
        return self.status
