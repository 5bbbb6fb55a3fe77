"""Reports in DynamoDB, their queue in SQS and their files in S3."""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, error_code, outage, reading
from exchange.kernel.errors import UnavailableError
from exchange.reports.model import ROW_SECONDS, LotMethod, Report, ReportKind, ReportRequest, ReportStatus
from exchange.reports.rows import Row

LINK_SECONDS = 900
# In memory up to here, on the function's own disk above.
_SPOOL_BYTES = 8 * 1024 * 1024
_REPORT, _KEY = "report#", "key#"


class ReportItem(Model):
    """A report, or the mark that a client_report_id is taken (then `report_id` is all there is in it)."""

    class Meta:
        table_name = "reports"

    user_id = UnicodeAttribute(hash_key=True)
    row_key = UnicodeAttribute(range_key=True)
    report_id = UnicodeAttribute()
    kind = UnicodeAttribute(null=True)
    account_id = UnitsAttribute(null=True)
    start_ns = UnitsAttribute(null=True)
    end_ns = UnitsAttribute(null=True)
    asked_end_ns = UnitsAttribute(null=True)
    subject = UnicodeAttribute(null=True)
    method = UnicodeAttribute(null=True)
    client_report_id = UnicodeAttribute(null=True)
    created_at_ns = UnitsAttribute(null=True)
    status = UnicodeAttribute(null=True)
    completed_at_ns = UnitsAttribute(null=True)
    row_count = UnitsAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    forget_at = UnitsAttribute()


class ReportStore:
    """Reports by customer, in the order of time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def same(self, report: Report) -> Report | None:
        """The report that was asked for under the same client_report_id. Raises UnavailableError."""
        key = report.request.client_report_id
        mark = _item(report.user_id, f"{_KEY}{key}") if key else None
        return self.report(report.user_id, mark.report_id) if mark is not None else None

    def add(self, report: Report) -> Report:
        """Keep a new report; the one under its client_report_id, where another was quicker. Raises OutageError."""
        transaction = TransactWrite(connection=self._connection)
        key = report.request.client_report_id
        try:
            with transaction:
                transaction.save(_report_item(report), condition=ReportItem.row_key.does_not_exist())
                if key:
                    mark = ReportItem(report.user_id, f"{_KEY}{key}")
                    mark.report_id, mark.forget_at = report.report_id, _forget_at(report)
                    transaction.save(mark, condition=ReportItem.row_key.does_not_exist())
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            kept = self.same(report) if "ConditionalCheckFailed" in codes else None
            if kept is None:
                raise UnavailableError(f"a report was not kept: {list(codes)}") from error
            return kept
        return report

    def report(self, user_id: str, report_id: str) -> Report | None:
        """One of the customer's reports, read consistently. Raises UnavailableError."""
        item = _item(user_id, f"{_REPORT}{report_id}")
        return _report_from(item) if item is not None else None

    def newest(self, user_id: str, *, before: str | None) -> Iterator[Report]:
        """The customer's reports, newest first, older than `before`. Raises UnavailableError."""
        # "$" comes after "#": above every report. The bound itself is left out by its caller's own id.
        high = f"{_REPORT}{before}" if before else "report$"
        with reading():
            for item in ReportItem.query(
                user_id,
                ReportItem.row_key.between(_REPORT, high),
                consistent_read=True,
                scan_index_forward=False,
                page_size=100,
            ):
                if item.report_id != before:
                    yield _report_from(item)

    def change(self, report: Report) -> None:
        """Write how far it is; never away from ready. Raises OutageError."""
        item = ReportItem(report.user_id, f"{_REPORT}{report.report_id}")
        actions: list[Action] = [
            ReportItem.status.set(report.status.value),
            ReportItem.completed_at_ns.set(report.completed_at_ns),
            ReportItem.row_count.set(report.rows),
            ReportItem.failure.set(report.failure),
        ]
        try:
            item.update(actions=actions, condition=ReportItem.status != ReportStatus.READY.value)
        except UpdateError as error:
            # Made by another reader of the queue meanwhile: the same file under the same name.
            if error_code(error) != "ConditionalCheckFailedException":
                raise outage(error) from error


def _item(user_id: str, row_key: str) -> ReportItem | None:
    with reading():
        return next(iter(ReportItem.query(user_id, ReportItem.row_key == row_key, consistent_read=True)), None)


def _forget_at(report: Report) -> int:
    return report.created_at_ns // 1_000_000_000 + ROW_SECONDS


def _report_item(report: Report) -> ReportItem:
    request = report.request
    return ReportItem(
        user_id=report.user_id,
        row_key=f"{_REPORT}{report.report_id}",
        report_id=report.report_id,
        kind=request.kind.value,
        account_id=request.account_id,
        start_ns=request.start_ns,
        end_ns=request.end_ns,
        asked_end_ns=request.asked_end_ns,
        subject=request.subject,
        method=request.method.value,
        client_report_id=request.client_report_id,
        created_at_ns=report.created_at_ns,
        status=report.status.value,
        completed_at_ns=report.completed_at_ns,
        row_count=report.rows,
        failure=report.failure,
        forget_at=_forget_at(report),
    )


def _report_from(item: Any) -> Report:
    request = ReportRequest(
        ReportKind(item.kind),
        item.account_id,
        item.start_ns,
        item.end_ns,
        item.subject,
        LotMethod(item.method),
        item.client_report_id,
        item.asked_end_ns,
    )
    status = ReportStatus(item.status)
    return Report(
        item.user_id,
        item.report_id,
        request,
        item.created_at_ns,
        status,
        item.completed_at_ns,
        item.row_count,
        item.failure,
    )


class ReportQueue:
    """Reports that wait to be made."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def ring(self, report: Report) -> None:
        """Ask for one to be made; twice does no harm. Raises UnavailableError."""
        body = json.dumps({"user_id": report.user_id, "report_id": report.report_id})
        _ask(self._client.send_message, QueueUrl=self._url, MessageBody=body)


class ReportFiles:
    """CSV files in a bucket that forgets them."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def save(self, name: str, rows: Iterable[Row]) -> None:
        """Write the rows to a file and put it whole. Raises UnavailableError, and whatever the rows raise."""
        with (
            tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool,
            io.TextIOWrapper(spool, encoding="utf-8", newline="", write_through=True) as text,
        ):
            csv.writer(text, lineterminator="\r\n").writerows(rows)
            spool.seek(0)
            content = "text/csv; charset=utf-8"
            _ask(self._client.put_object, Bucket=self._bucket, Key=name, Body=spool, ContentType=content)

    def link(self, name: str, download_as: str) -> str:
        """A link to a file that works for LINK_SECONDS."""
        params = {
            "Bucket": self._bucket,
            "Key": name,
            "ResponseContentDisposition": f'attachment; filename="{download_as}"',
        }
        return str(self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=LINK_SECONDS))


def _ask(operation: Any, **arguments: Any) -> None:
    try:
        operation(**arguments)
    except ClientError as error:
        raise UnavailableError(f"AWS: {error.response.get('Error', {}).get('Code', '')}") from error
    except BotoCoreError as error:
        raise UnavailableError(f"AWS: {type(error).__name__}") from error
