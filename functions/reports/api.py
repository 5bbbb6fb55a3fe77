"""Reports over REST: asked for, listed, and fetched by a signed link."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import is_uuid, random_id, to_uuid
from exchange.reports.model import Report
from exchange.reports.request import ReportBody, read_request
from exchange.reports.service import ask_report
from exchange.reports.store import ReportFiles, ReportItem, ReportQueue, ReportStore
from exchange.reports.views import report_view
from exchange.rest import Api, ApiRequest, Reply, read_body, read_limit
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.model import Principal, Scope


class Settings(AccessSettings):
    """The environment of this function."""

    instruments_table: str
    reports_table: str
    reports_bucket: str
    reports_queue_url: str


settings = Settings.load()
app = Api("reports", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(ReportItem, settings.reports_table)
catalogue = Catalogue(InstrumentStore(), clock)
reports = ReportStore(connection())
files = ReportFiles(client("s3"), settings.reports_bucket)
queue = ReportQueue(client("sqs"), settings.reports_queue_url)
viewer = partial(authenticator(**settings.access()).authenticate, scope=Scope.VIEW)
NOT_FOUND = Refused(Code.REPORT_NOT_FOUND, "id: no such report; GET /reports lists yours")


@app.endpoint("POST", "/reports", caller=viewer)
def ask(request: ApiRequest, who: Principal) -> Any:
    """Ask for a report of the caller's profile; it is made in the background."""
    body = read_body(ReportBody, request.body)
    if isinstance(body, Refused):
        return body
    if body.profile_id not in {None, to_uuid(who.account_id)}:
        return Refused(Code.PROFILE_NOT_FOUND, "profile_id: give the profile of the key, or leave it away")
    products, assets = catalogue.products(), catalogue.assets()
    wanted = read_request(body, account_id=who.account_id, now_ns=clock.now_ns(), products=products, assets=assets)
    if isinstance(wanted, Refused):
        return wanted
    made = ask_report(who.user_id, wanted, reports=reports, queue=queue, clock=clock, chance=random_id())
    return made if isinstance(made, Refused) else _view(made)


@app.endpoint("GET", "/reports", caller=viewer)
def list_reports(request: ApiRequest, who: Principal) -> Any:
    """The reports of the caller's profile, newest first."""
    limit, after = read_limit(request), request.query("after")
    if isinstance(limit, Refused):
        return limit
    if after is not None and not is_uuid(after):
        return Refused(Code.REQUEST_FIELD_INVALID, "after: give a report's id, as the CB-AFTER header has it")
    found = list(islice(_own(who, after), limit + 1))
    headers = {"CB-AFTER": found[limit - 1].report_id} if len(found) > limit else {}
    return Reply([_view(report) for report in found[:limit]], headers=headers)


@app.endpoint("GET", "/reports/{id}", caller=viewer)
def report(_request: ApiRequest, who: Principal, **path: str) -> Any:
    """One report of the caller's profile; anybody else's is not found."""
    found = reports.report(who.user_id, path["id"].lower()) if is_uuid(path["id"]) else None
    return _view(found) if found is not None and found.request.account_id == who.account_id else NOT_FOUND


def _own(who: Principal, after: str | None) -> Iterator[Report]:
    newest = reports.newest(who.user_id, before=after)
    return (report for report in newest if report.request.account_id == who.account_id)


def _view(found: Report) -> dict[str, Any]:
    return report_view(found, now_ns=clock.now_ns(), links=files)
