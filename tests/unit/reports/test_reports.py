"""Asking for reports, making them, and what is in them."""

import itertools
from dataclasses import replace

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import EntryKind
from exchange.messages import Side
from exchange.orders.model import Fill, Liquidity
from exchange.reports.lots import Lots
from exchange.reports.model import (
    FILE_NS,
    OPEN_NS_MAX,
    OPEN_REPORTS_MAX,
    LotMethod,
    Report,
    ReportKind,
    ReportRequest,
    ReportStatus,
)
from exchange.reports.request import ReportBody, read_request
from exchange.reports.rows import FILLS_AT_ONCE, Sources, cell, rows_of
from exchange.reports.service import ask_report, make_report
from exchange.statements.model import Line, Page

from tests.fakes.markets import ACME, USD, acme_usd
from tests.fakes.reports import FakeFiles, FakeFills, FakePrices, FakeQueue, FakeReports
from tests.fakes.statements import FakeStatements
from tests.fakes.wallets import FakeClock

NOW = 1_700_000_000_000_000_000
PRODUCT = acme_usd()


def request(kind: ReportKind = ReportKind.FILLS, *, start_ns: int = 0, key: str = "") -> ReportRequest:
    return ReportRequest(kind, 7, start_ns, NOW, client_report_id=key)


def fill(trade_id: int, side: Side, price: str, size: str, fee: str = "0", at_ns: int | None = None) -> Fill:
    ticks, lots = PRODUCT.parse_price(price), PRODUCT.parse_size(size)
    value = PRODUCT.value_units(ticks, lots)
    made = at_ns if at_ns is not None else trade_id
    taker = Liquidity.TAKER
    return Fill(7, trade_id, "ACME-USD", trade_id, side, taker, ticks, lots, value, USD.parse(fee), made)


def sources(*fills: Fill) -> Sources:
    prices, products = FakePrices({"ACME-USD": PRODUCT.parse_price("120")}), {"ACME-USD": PRODUCT}
    return Sources(FakeFills(list(fills)), FakeStatements(), prices, products, {"USD": USD, "ACME": ACME})


def table(wanted: ReportRequest, given: Sources) -> list[dict[str, str]]:
    head, *rows = rows_of(wanted, given)
    return [dict(zip(head, row, strict=True)) for row in rows]


class World:
    """Everything that asking and making needs."""

    def __init__(self) -> None:
        self.reports, self.queue, self.files, self.clock = FakeReports(), FakeQueue(), FakeFiles(), FakeClock()
        self._chance = itertools.count(1)

    def ask(self, wanted: ReportRequest) -> Report | Refused:
        chance = next(self._chance)
        return ask_report("ann", wanted, reports=self.reports, queue=self.queue, clock=self.clock, chance=chance)

    def asked(self, wanted: ReportRequest) -> Report:
        found = self.ask(wanted)
        assert isinstance(found, Report)
        return found

    def make(self, report: Report, given: Sources, rows_max: int = 100) -> Report | None:
        user, report_id, clock = report.user_id, report.report_id, self.clock
        return make_report(
            user, report_id, reports=self.reports, sources=given, files=self.files, clock=clock, rows_max=rows_max
        )


def test_a_report_is_asked_for_made_once_and_then_left_alone() -> None:
    world = World()
    report = world.asked(request())
    assert world.queue.asked == [report.report_id]
    done = world.make(report, sources(fill(1, Side.BUY, "100", "1")))
    assert done is not None
    assert (done.status, done.rows) == (ReportStatus.READY, 1)
    world.files.files.clear()
    assert world.make(report, sources()) == done
    assert world.files.files == {}


def test_the_same_key_is_the_same_report_and_a_late_retry_rings_again() -> None:
    world = World()
    first, again = world.asked(request(key="a")), world.asked(replace(request(key="a"), end_ns=NOW + 1))
    assert first == again
    assert world.queue.asked == [first.report_id, first.report_id]
    refused = world.ask(replace(request(key="a"), subject="ACME-USD"))
    assert isinstance(refused, Refused)
    assert refused.code is Code.REPORT_KEY_REUSED


def test_open_reports_are_limited_until_one_is_made() -> None:
    world = World()
    made = [world.asked(request()) for _ in range(OPEN_REPORTS_MAX)]
    refused = world.ask(request())
    assert isinstance(refused, Refused)
    assert refused.code is Code.REPORT_LIMIT
    world.make(made[0], sources())
    assert isinstance(world.ask(request()), Report)


def test_a_report_fails_when_it_is_too_long_and_says_so() -> None:
    world = World()
    two = sources(fill(1, Side.BUY, "9", "1"), fill(2, Side.BUY, "9", "1"))
    done = world.make(world.asked(request()), two, rows_max=1)
    assert done is not None
    assert done.status is ReportStatus.FAILED
    assert "shorter time" in done.failure
    assert world.files.files == {}


def test_what_is_not_made_in_time_has_failed_and_files_expire() -> None:
    report = Report("ann", "id", request(), NOW)
    assert report.status_at(NOW + OPEN_NS_MAX) is ReportStatus.PENDING
    assert report.status_at(NOW + OPEN_NS_MAX + 1) is ReportStatus.FAILED
    ready = replace(report, status=ReportStatus.READY, completed_at_ns=NOW)
    assert ready.status_at(NOW + FILE_NS - 1) is ReportStatus.READY
    assert ready.status_at(NOW + FILE_NS) is ReportStatus.EXPIRED


def test_every_fill_is_there_once_when_a_page_ends_between_the_sides_of_a_trade() -> None:
    own = [fill(n, side, "10", "0.001") for n in range(1, FILLS_AT_ONCE) for side in (Side.BUY, Side.SELL)]
    # One row less at the beginning: now the first page ends with the buy of a trade whose sale is on the next.
    rows = table(request(), sources(*own[1:]))
    assert [(row["trade id"], row["side"]) for row in rows] == [(str(one.trade_id), one.side.name) for one in own[1:]]


def test_gains_by_method() -> None:
    trades = [
        fill(1, Side.BUY, "100", "1", "1"),
        fill(2, Side.BUY, "130", "1", "1"),
        fill(3, Side.BUY, "110", "1", "1"),
        fill(4, Side.SELL, "120", "1", "2"),
    ]
    gains = {}
    for method in LotMethod:
        lots = Lots(method)
        gains[method.value] = [USD.format(part.gain_units) for one in trades for part in lots.take(one)]
    assert gains == {"fifo": ["17"], "lifo": ["7"], "hifo": ["-13"]}


def test_profit_of_a_time_counts_lots_bought_before_it() -> None:
    trades = fill(1, Side.BUY, "100", "2", "1"), fill(2, Side.SELL, "110", "1", "1", at_ns=50)
    (row,) = table(request(ReportKind.PROFIT, start_ns=10), sources(*trades))
    assert (row["bought"], row["sold"], row["fees"]) == ("0", "1", "1")
    assert (row["realised"], row["open size"], row["open cost"]) == ("8.5", "1", "100.5")
    assert (row["last price"], row["unrealised"]) == ("120", "19.5")


def test_what_was_never_bought_here_has_no_cost_and_no_gain() -> None:
    trades = fill(1, Side.BUY, "100", "1"), fill(2, Side.SELL, "110", "3")
    sold, deposited = table(request(ReportKind.TAX_LOTS), sources(*trades))
    assert (sold["size"], sold["proceeds"], sold["gain"], sold["term"]) == ("1", "110", "10", "short")
    assert (deposited["size"], deposited["proceeds"], deposited["cost"]) == ("2", "220", "")
    assert (deposited["gain"], deposited["term"]) == ("", "unknown")


def test_a_statement_opens_and_closes_with_the_balance() -> None:
    lines = [Line(units * 10**6, EntryKind.DEPOSIT, f"t{units}", "rail:bank", units) for units in (5, 20, 30)]
    statements = FakeStatements()
    statements.append(Page("7", "USD", lines=tuple(lines)))
    given = replace(sources(), statements=statements)
    rows = table(request(ReportKind.ACCOUNT, start_ns=10), given)
    assert [(row["type"], row["amount"], row["balance"]) for row in rows] == [
        ("opening", "", "5"),
        ("deposit", "20", "25"),
        ("deposit", "30", "55"),
        ("closing", "", "55"),
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("@a", "'@a"), ("-a", "'-a"), ("-1.5", "-1.5"), ("\tx", "'\tx"), ("a=b", "a=b")],
)
def test_no_cell_is_a_formula(value: str, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"type": "fills", "account_id": "ALL"}, "account_id:"),
        ({"type": "account", "product_id": "ALL"}, "product_id:"),
        ({"type": "pnl", "fills": {}}, "fills:"),
        ({"type": "pnl", "month": "2023-01", "end_date": "2023-02-01"}, "month:"),
        ({"type": "pnl", "start_date": "yesterday"}, "start_date:"),
        ({"type": "pnl", "start_date": "2099-01-01"}, "start_date:"),
        ({"type": "pnl", "product_id": "NO-NE"}, "Product not found"),
        ({"type": "account", "account_id": "nobody's"}, "account_id:"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_its_field(body: dict[str, object], message: str) -> None:
    read = ReportBody.model_validate(body)
    found = read_request(read, account_id=7, now_ns=NOW, products={"ACME-USD": PRODUCT}, assets={"USD": USD})
    assert isinstance(found, Refused)
    assert found.message.startswith(message)


def test_a_month_is_from_its_first_moment_to_the_next_months() -> None:
    read = ReportBody.model_validate({"type": "account", "month": "2022-12"})
    found = read_request(read, account_id=7, now_ns=NOW, products={}, assets={})
    assert isinstance(found, ReportRequest)
    assert (found.start_ns, found.end_ns) == (1_669_852_800 * 10**9, 1_672_531_200 * 10**9)


def test_a_contract_note_says_what_was_dealt_and_what_moved_and_whether_it_was_undone() -> None:
    bought, sold = fill(1, Side.BUY, "100", "2", fee="0.2"), fill(2, Side.SELL, "101", "1", fee="0.1")
    notes = table(request(ReportKind.CONTRACT_NOTES), sources(bought, replace(sold, busted_at_ns=NOW - 1)))
    assert [(row["note"], row["consideration"], row["fee"], row["net"], row["settlement"]) for row in notes] == [
        ("ACME-USD/1/BUY", "200", "0.2", "-200.2", "settled"),
        ("ACME-USD/2/SELL", "101", "0.1", "100.9", "undone"),
    ]
    assert [row["undone at"] != "" for row in notes] == [False, True]


def test_what_was_undone_makes_no_profit_and_no_lot() -> None:
    bought, sold = fill(1, Side.BUY, "100", "2"), fill(2, Side.SELL, "150", "2")
    undone = sources(bought, replace(sold, busted_at_ns=NOW - 1))
    assert table(request(ReportKind.PROFIT), undone) == table(request(ReportKind.PROFIT), sources(bought))
    assert table(request(ReportKind.TAX_LOTS), undone) == table(request(ReportKind.TAX_LOTS), sources(bought))
