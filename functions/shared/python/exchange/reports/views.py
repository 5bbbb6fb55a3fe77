"""A report as the trading API shows it."""

from typing import Any, Protocol

from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import account_uuid, to_uuid
from exchange.reports.model import ALL, Report, ReportKind, ReportStatus


class Links(Protocol):
    """Where links to files are signed."""

    def link(self, name: str, download_as: str) -> str:
        """A link that works for some minutes."""
        ...


def report_view(report: Report, *, now_ns: int, links: Links) -> dict[str, Any]:
    """One report; `file_url` only while there is a file, and signed anew each time."""
    status, request = report.status_at(now_ns), report.request
    view: dict[str, Any] = {
        "id": report.report_id,
        "type": request.kind.value,
        "status": status.value,
        "created_at": iso_utc(report.created_at_ns),
        "user_id": report.user_id,
        "file_count": int(status is ReportStatus.READY),
        "params": _params(report),
    }
    if request.client_report_id:
        view["client_report_id"] = request.client_report_id
    if report.completed_at_ns:
        view["completed_at"] = iso_utc(report.completed_at_ns)
    if report.expires_at_ns:
        view["expires_at"] = iso_utc(report.expires_at_ns)
    if status is ReportStatus.READY:
        view["row_count"] = report.rows
        view["file_url"] = links.link(report.file_name, f"{request.kind}-{report.report_id}.csv")
    if status is ReportStatus.FAILED:
        view["failure_reason"] = report.failure or "it could not be made in time; ask for it again"
    return view


def _params(report: Report) -> dict[str, str]:
    request = report.request
    params = {
        "start_date": iso_utc(request.start_ns),
        "end_date": iso_utc(request.end_ns),
        "format": "csv",
        "profile_id": to_uuid(request.account_id),
    }
    if request.kind is ReportKind.ACCOUNT:
        all_of_them = request.subject == ALL
        params["account_id"] = ALL if all_of_them else account_uuid(request.account_id, request.subject)
    else:
        params["product_id"] = request.subject
    if request.kind is ReportKind.TAX_LOTS or request.kind is ReportKind.PROFIT:
        params["method"] = request.method.value
    return params
