"""What is asked of the report store, against the fake and against DynamoDB alike; files against S3."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.ids import time_uuid
from exchange.reports.model import Report, ReportKind, ReportRequest, ReportStatus
from exchange.reports.service import Reports
from exchange.reports.store import ReportFiles, ReportItem, ReportStore
from moto import mock_aws

from tests.fakes.reports import FakeReports
from tests.fakes.tables import REGION, create_tables

NOW = 1_700_000_000_000_000_000


@pytest.fixture(params=["fake", "dynamodb"])
def reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """The store, empty."""
    if request.param == "fake":
        yield FakeReports()
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        create_tables("reports")
        bind(ReportItem, "reports")
        yield ReportStore(connection())


def report(number: int, *, key: str = "", user: str = "ann") -> Report:
    asked = ReportRequest(ReportKind.PROFIT, 7, 5, NOW, client_report_id=key, asked_end_ns=NOW + 9)
    return Report(user, time_uuid(NOW + number * 1_000_000, number), asked, NOW + number)


def test_a_report_is_read_back_whole_and_by_its_customer_alone(reports: Reports) -> None:
    kept = reports.add(report(1, key="a"))
    assert reports.report("ann", kept.report_id) == kept == report(1, key="a")
    assert reports.report("bob", kept.report_id) is None
    assert list(reports.newest("bob", before=None)) == []


def test_a_key_is_taken_once_by_each_customer(reports: Reports) -> None:
    first = reports.add(report(1, key="a"))
    assert reports.add(report(2, key="a")) == first == reports.same(report(3, key="a"))
    assert reports.add(report(4, key="a", user="bob")).report_id != first.report_id
    assert list(reports.newest("ann", before=None)) == [first]


def test_pages_are_newest_first_and_meet(reports: Reports) -> None:
    made = [reports.add(report(number)) for number in range(1, 6)]
    first = list(islice(reports.newest("ann", before=None), 2))
    rest = list(reports.newest("ann", before=first[-1].report_id))
    assert first + rest == made[::-1]


def test_what_is_ready_stays_ready(reports: Reports) -> None:
    kept = reports.add(report(1))
    ready = replace(kept, status=ReportStatus.READY, completed_at_ns=NOW + 5, rows=3)
    reports.change(ready)
    reports.change(replace(kept, status=ReportStatus.CREATING))
    assert reports.report("ann", kept.report_id) == ready


def test_a_file_is_put_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="files")
        files = ReportFiles(s3, "files")
        files.save("good", [["a", "b"], ['say "hi"', "1,5"]])
        assert s3.get_object(Bucket="files", Key="good")["Body"].read() == b'a,b\r\n"say ""hi""","1,5"\r\n'
        with pytest.raises(ZeroDivisionError):
            files.save("bad", (str(1 // number) for number in (1, 0)))
        assert [one["Key"] for one in s3.list_objects_v2(Bucket="files")["Contents"]] == ["good"]
