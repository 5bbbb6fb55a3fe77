"""Amends, batches, dry runs and the dead man's switch, through the real functions, tables, streams and queue."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud

AMENDS_AT_ONCE = 200
Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def erin(laptop: RunningLaptop, eventually: Eventually) -> Visitor:
    """A newcomer with 1,000 dollars."""
    person = Visitor(laptop)
    person.register()
    eventually(lambda: person.confirm(person.mailed_code())[0] == 200)
    person.log_in()
    body = {"amount": "1000", "currency": "USD", "payment_method_id": "sandbox-bank-USD"}
    assert person.send("POST", "/deposits/payment-method", body, person.bearer)[0] == 200
    eventually(lambda: dollars(person) == ("1000", "0"))
    return person


def dollars(person: Visitor) -> tuple[str, str]:
    """What they own, and how much of it is held."""
    status, rows = person.send("GET", "/accounts", None, person.bearer)
    assert status == 200
    row = next(row for row in rows if row["currency"] == "USD")
    return row["balance"], row["hold"]


def buy(price: str, size: str, **more: str) -> dict[str, str]:
    """A limit buy far from where others trade."""
    return {"side": "buy", "type": "limit", "price": price, "size": size, **more}


def test_an_order_is_amended_and_its_hold_follows(erin: Visitor, eventually: Eventually) -> None:
    order = {"product_id": "ACME-USD", **buy("55", "1", client_oid="mine")}
    assert erin.send("POST", "/orders", order, erin.bearer)[0] == 200
    alone = dollars(erin)[1]
    status, asked = erin.send(
        "PUT", "/orders/client:mine", {"size": "2", "price": "56", "client_amend_id": "a"}, erin.bearer
    )
    assert status == 200, asked
    assert Decimal(dollars(erin)[1]) > 2 * Decimal(alone)

    def shown() -> Any:
        return erin.send("GET", "/orders/client:mine", None, erin.bearer)[1]

    eventually(lambda: (shown()["size"], shown()["price"], shown()["status"]) == ("2", "56", "open"))
    assert [amend["status"] for amend in shown()["amends"]] == ["done"]
    status, refused = erin.send("PUT", "/orders/client:mine", {"size": "1000"}, erin.bearer)
    assert (status, refused["code"]) == (400, "RISK_INSUFFICIENT_FUNDS")
    assert erin.send("DELETE", "/orders/client:mine", None, erin.bearer)[0] == 200
    eventually(lambda: dollars(erin) == ("1000", "0"))


def test_two_hundred_amends_at_once_and_a_cancel_leave_the_money_exact(erin: Visitor, eventually: Eventually) -> None:
    order = {"product_id": "ACME-USD", **buy("55", "1", client_oid="mine")}
    assert erin.send("POST", "/orders", order, erin.bearer)[0] == 200

    def amend(number: int) -> int:
        body = {"size": f"{1 + number % 5}", "price": f"{55 + number % 3}"}
        return int(erin.send("PUT", "/orders/client:mine", body, erin.bearer)[0])

    with ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(amend, range(AMENDS_AT_ONCE)))
    assert statuses[200] > 0
    assert set(statuses) <= {200, 503}
    eventually(lambda: erin.send("DELETE", "/orders/client:mine", None, erin.bearer)[0] in {200, 404})
    eventually(lambda: dollars(erin) == ("1000", "0"))


def test_a_batch_is_tried_placed_repeated_and_canceled(erin: Visitor, eventually: Eventually) -> None:
    orders = [buy("55", "0.01", client_oid=f"b{number}") for number in range(7)]
    body = {"product_id": "ACME-USD", "orders": [*orders, buy("55", "900", client_oid="large")]}
    status, trial = erin.send("POST", "/orders/test", {"product_id": "ACME-USD", **orders[0]}, erin.bearer)
    assert (status, trial["hold_currency"]) == (200, "USD")
    assert dollars(erin) == ("1000", "0")
    status, placed = erin.send("POST", "/orders/batch", body, erin.bearer)
    assert status == 200, placed
    assert [row["status"] for row in placed] == ["pending"] * 7 + ["rejected"]
    assert placed[7]["code"] == "RISK_INSUFFICIENT_FUNDS"
    status, again = erin.send("POST", "/orders/batch", body, erin.bearer)
    assert [row.get("id") for row in again] == [row.get("id") for row in placed]
    named = {"order_ids": [row["id"] for row in placed[:7]]}
    eventually(lambda: len(erin.send("GET", "/orders?status=open", None, erin.bearer)[1]) == 7)
    status, canceled = erin.send("DELETE", "/orders", named, erin.bearer)
    assert (status, len(canceled)) == (200, 7)
    eventually(lambda: dollars(erin) == ("1000", "0"))


def test_a_silent_client_is_canceled(erin: Visitor, eventually: Eventually) -> None:
    order = {"product_id": "ACME-USD", **buy("55", "1", client_oid="mine")}
    assert erin.send("POST", "/orders", order, erin.bearer)[0] == 200
    assert "trigger_time" in erin.send("POST", "/orders/cancel-after", {"seconds": 600}, erin.bearer)[1]
    assert "trigger_time" not in erin.send("POST", "/orders/cancel-after", {"seconds": 0}, erin.bearer)[1]
    status, shown = erin.send("POST", "/orders/cancel-after", {"seconds": 15}, erin.bearer)
    assert status == 200, shown
    assert erin.send("GET", "/orders/client:mine", None, erin.bearer)[1]["status"] in {"pending", "open"}
    eventually(lambda: erin.send("GET", "/orders/client:mine", None, erin.bearer)[1]["status"] == "done")
    assert erin.send("GET", "/orders/client:mine", None, erin.bearer)[1]["cancel_reason"] == "mass"
    eventually(lambda: dollars(erin) == ("1000", "0"))
