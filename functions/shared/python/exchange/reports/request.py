"""What customers send: the body of POST /reports, in its nested form and in the older flat one."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from exchange.instruments.model import Asset, Product
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import account_uuid
from exchange.reports.model import ALL, LotMethod, ReportKind, ReportRequest
from exchange.rest import Body, parse_moment

Text = Annotated[str, Field(min_length=1, max_length=64)] | None


class FillsBody(Body):
    """The nested form of a report of fills."""

    start_date: Text = None
    end_date: Text = None
    product_id: Text = None


class AccountBody(Body):
    """The nested form of a statement."""

    start_date: Text = None
    end_date: Text = None
    account_id: Text = None


class ReportBody(Body):
    """POST /reports."""

    type: Literal["fills", "account", "pnl", "tax-lots", "contract-notes"]
    format: Literal["csv"] = "csv"
    start_date: Text = None
    end_date: Text = None
    month: Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")] | None = None
    product_id: Text = None
    account_id: Text = None
    profile_id: Text = None
    method: Literal["fifo", "lifo", "hifo"] = "fifo"
    client_report_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = None
    fills: FillsBody | None = None
    account: AccountBody | None = None


def read_request(
    body: ReportBody,
    *,
    account_id: int,
    now_ns: int,
    products: Mapping[str, Product],
    assets: Mapping[str, Asset],
) -> ReportRequest | Refused:
    """The same, in our words; an end that is to come, or none, is now.

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND, ACCOUNT_NOT_FOUND.
    """
    asked = _flat(body)
    if isinstance(asked, Refused):
        return asked
    span = _span(asked, now_ns)
    if isinstance(span, Refused):
        return span
    kind = ReportKind(body.type)
    subject = _subject(kind, asked, account_id, products, assets)
    if isinstance(subject, Refused):
        return subject
    method, key = LotMethod(body.method), body.client_report_id or ""
    start_ns, end_ns, asked_end_ns = span
    return ReportRequest(kind, account_id, start_ns, end_ns, subject, method, key, asked_end_ns)


def _flat(body: ReportBody) -> dict[str, str] | Refused:
    """What was said of the time and the subject, wherever it was said."""
    asked: dict[str, Any] = body.model_dump(include={"start_date", "end_date", "month", "product_id", "account_id"})
    for name, part in (("fills", body.fills), ("account", body.account)):
        if part is not None and body.type != name:
            return _refuse(name, f"leave it away in a report of type {body.type}")
        if part is not None:
            asked.update(part.model_dump(exclude_none=True))
    return {name: value for name, value in asked.items() if value is not None}


def _span(asked: Mapping[str, str], now_ns: int) -> tuple[int, int, int] | Refused:
    if "month" in asked:
        if {"start_date", "end_date"} & asked.keys():
            return _refuse("month", "give a month, or start_date and end_date, not both")
        year, month = (int(part) for part in asked["month"].split("-"))
        follows = f"{year + month // 12:04d}-{month % 12 + 1:02d}"
        asked = {"start_date": f"{asked['month']}-01", "end_date": f"{follows}-01"}
    start = parse_moment(asked.get("start_date", "1970-01-01"), "start_date")
    asked_end = parse_moment(asked["end_date"], "end_date") if "end_date" in asked else 0
    if isinstance(start, Refused):
        return start
    if isinstance(asked_end, Refused):
        return asked_end
    end = min(asked_end, now_ns) if "end_date" in asked else now_ns
    if not 0 <= start < end:
        return _refuse("start_date", "give a time in the past and before end_date")
    return start, end, asked_end


def _subject(
    kind: ReportKind,
    asked: Mapping[str, str],
    account_id: int,
    products: Mapping[str, Product],
    assets: Mapping[str, Asset],
) -> str | Refused:
    wanted, other = ("account_id", "product_id") if kind is ReportKind.ACCOUNT else ("product_id", "account_id")
    if other in asked:
        return _refuse(other, f"leave it away in a report of type {kind}; give {wanted} or {ALL}")
    text = asked.get(wanted, ALL)
    if text == ALL:
        return ALL
    if wanted == "product_id":
        name = text.replace("/", "-")
        return name if name in products else Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    own = _own_asset(account_id, text, assets)
    return own or Refused(Code.ACCOUNT_NOT_FOUND, "account_id: no such account of this profile; GET /accounts has them")


def _own_asset(account_id: int, wire_id: str, assets: Iterable[str]) -> str | None:
    return next((asset for asset in assets if account_uuid(account_id, asset) == wire_id.lower()), None)


def _refuse(field: str, remedy: str) -> Refused:
    return Refused(Code.REQUEST_FIELD_INVALID, f"{field}: {remedy}")
