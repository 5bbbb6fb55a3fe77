"""GET /orders: dates, cursors and what is no cursor."""

import pytest
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.rest import ApiRequest, Reply
from exchange.trading.listing import list_orders

from tests.fakes.markets import acme_usd
from tests.fakes.venue import ManualClock, Tables
from tests.unit.trading.conftest import TRADER
from tests.unit.trading.test_store import buy

PRODUCT = acme_usd()
DAY_NS = 86_400 * 10**9
STARTS_NS = 1_700_000_000 * 10**9 + 999  # Moments are shown to the microsecond, and each is all of it.


class OneProduct:
    """A catalogue's source."""

    def assets(self) -> dict[str, Asset]:
        """Nobody asks."""
        return {}

    def products(self) -> dict[str, Product]:
        """ACME-USD."""
        return {PRODUCT.product_id: PRODUCT}


def listed(query: str) -> Reply | Refused:
    """Five orders of account 1, a day apart, as a query shows them."""
    tables = Tables()
    tables.deposit(1, "USD", 1_000_000_000, "t")
    for number in range(1, 6):
        tables.accept([buy(number, size_lots=1, created_at_ns=STARTS_NS + number * DAY_NS)], PRODUCT, TRADER)
    request = ApiRequest("GET", "/orders", query, {}, b"", "", "")
    return list_orders(tables, 1, request, Catalogue(OneProduct(), ManualClock()))


def days(query: str) -> list[int]:
    """Which of the five are shown, in the order shown."""
    reply = listed(query)
    assert isinstance(reply, Reply)
    by_time = {iso_utc(STARTS_NS + number * DAY_NS): number for number in range(1, 6)}
    return [by_time[order["created_at"]] for order in reply.body]


def moment(number: int) -> str:
    """When order `number` was created."""
    return iso_utc(STARTS_NS + number * DAY_NS)


def test_dates_bound_the_list_and_are_within_it() -> None:
    assert days("status=all") == [5, 4, 3, 2, 1]
    assert days(f"start_date={moment(4)}") == [5, 4]
    assert days(f"end_date={moment(2)}") == [2, 1]
    assert days(f"start_date={moment(2)}&end_date={moment(4)}") == [4, 3, 2]
    assert days("start_date=2030-01-01T00:00:00Z") == days("end_date=2001-01-01") == []


def test_cursors_lead_to_older_and_newer_orders() -> None:
    first = listed("limit=2")
    assert isinstance(first, Reply)
    assert days(f"limit=2&after={first.headers['CB-AFTER']}") == [3, 2]
    assert days(f"before={first.headers['CB-AFTER']}") == [5]
    assert days(f"before={first.headers['CB-BEFORE']}") == []


def test_walking_to_newer_orders_misses_none() -> None:
    oldest = listed(f"end_date={moment(1)}")
    seen, cursor = [], oldest.headers["CB-BEFORE"] if isinstance(oldest, Reply) else ""
    while page := days(f"limit=2&before={cursor}"):
        seen.append(page)
        reply = listed(f"limit=2&before={cursor}")
        assert isinstance(reply, Reply)
        assert days(f"limit=1&after={reply.headers['CB-AFTER']}") == [page[-1] - 1]
        cursor = reply.headers["CB-BEFORE"]
    assert seen == [[3, 2], [5, 4]]


def test_only_one_way_at_a_time() -> None:
    cursor = f"{1:020d}-{1:019d}"
    refusal = listed(f"before={cursor}&after={cursor}")
    assert isinstance(refusal, Refused)
    assert refusal.message == "before: give before or after, not both"


@pytest.mark.parametrize(
    "query", ["before=x", "after=1", "start_date=yesterday", "end_date=", "start_date=1e9", "limit=0"]
)
def test_what_is_no_bound_is_refused_by_its_name(query: str) -> None:
    refusal = listed(query)
    assert isinstance(refusal, Refused)
    assert refusal.code is Code.REQUEST_FIELD_INVALID
    assert refusal.message.startswith(query.partition("=")[0])
