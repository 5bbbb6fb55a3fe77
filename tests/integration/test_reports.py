"""Reports on the laptop cloud: trade, ask, fetch the file by its signed link, and find every figure in it."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import urllib3

from tests.integration.conftest import RunningLaptop
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud

PRODUCT = "GOOG-USD"
Eventually = Callable[[Callable[[], Any]], Any]
Ask = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="module")
def trader(
    laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]], eventually: Eventually
) -> Callable[..., tuple[int, Any]]:
    """Somebody who bought twice and sold once, for different prices, from another newcomer."""
    visitor, keys = Visitor(laptop), [newcomer(name) for name in ("reports-trader", "reports-other")]
    own, other = [{"id": key["api_key"], "secret": key["secret"], "passphrase": key["passphrase"]} for key in keys]

    def place(key: Any, side: str, price: str, size: str) -> None:
        order = {"product_id": PRODUCT, "side": side, "type": "limit", "price": price, "size": size}
        status, placed = visitor.by_key(key, "POST", "/orders", order)
        assert status == 200, placed
        eventually(lambda: visitor.by_key(key, "GET", f"/orders/{placed['id']}")[1]["status"] in {"open", "done"})

    reference = Decimal(visitor.send("GET", f"/products/{PRODUCT}", headers={})[1]["reference_price"])
    for side, opposite, step, size in (
        ("sell", "buy", 0, "3"),
        ("sell", "buy", 2, "4"),
        ("buy", "sell", 3, "5"),
    ):
        price = str(reference + step)
        place(other, side, price, size)
        place(own, opposite, price, size)
    eventually(lambda: len(visitor.by_key(own, "GET", f"/fills?product_id={PRODUCT}")[1]) >= 3)
    return lambda method, path, body=None: visitor.by_key(own, method, path, body)


@pytest.fixture(scope="module")
def ask(trader: Callable[..., tuple[int, Any]], eventually: Eventually) -> Ask:
    """Ask for a report and return the rows of its file."""

    def rows(**body: Any) -> list[dict[str, str]]:
        status, asked = trader("POST", "/reports", body)
        assert status == 200, asked
        assert asked["status"] in {"pending", "creating", "ready"}
        ready = eventually(lambda: ended(trader, asked["id"]))
        assert (ready["status"], ready["file_count"]) == ("ready", 1), ready
        answer = urllib3.request("GET", ready["file_url"], retries=False)
        assert answer.status == 200, answer.data
        found = list(csv.DictReader(io.StringIO(answer.data.decode())))
        assert len(found) == ready["row_count"]
        return found

    return rows


def ended(trader: Callable[..., tuple[int, Any]], report_id: str) -> Any:
    found = trader("GET", f"/reports/{report_id}")[1]
    return found if found["status"] in {"ready", "failed"} else None


def test_a_report_of_fills_has_every_fill_to_the_last_decimal(trader: Any, ask: Ask) -> None:
    rows = ask(type="fills", fills={"product_id": PRODUCT, "start_date": "2020-01-01T00:00:00.000Z"})
    fills = trader("GET", f"/fills?product_id={PRODUCT}")[1]
    told = [(str(f["trade_id"]), f["side"].upper(), f["size"], f["price"], f["fee"]) for f in reversed(fills)]
    assert [(r["trade id"], r["side"], r["size"], r["price"], r["fee"]) for r in rows] == told


def test_a_statement_ends_with_the_ledgers_balance(trader: Any, ask: Ask, eventually: Eventually) -> None:
    account = next(row for row in trader("GET", "/accounts")[1] if row["currency"] == "USD")
    # The statement follows the journal a moment later: it has every entry once its balance is the account's.
    ledger = f"/accounts/{account['id']}/ledger"
    eventually(lambda: trader("GET", ledger)[1][0]["balance"] == account["balance"])
    rows = ask(type="account", account_id=account["id"])
    assert (rows[0]["type"], rows[0]["balance"], rows[-1]["type"]) == ("opening", "0", "closing")
    assert rows[-1]["balance"] == account["balance"]
    entries = [(e["id"], e["amount"], e["balance"]) for e in reversed(trader("GET", ledger)[1])]
    assert [(r["entry"], r["amount"], r["balance"]) for r in rows[1:-1]] == entries
    fees = sum(Decimal(r["amount"]) for r in rows if r["type"] == "fee")
    assert -fees == sum(Decimal(f["fee"]) for f in trader("GET", f"/fills?product_id={PRODUCT}")[1])


def test_profit_and_lots_add_up_to_the_cash_of_the_fills(trader: Any, ask: Ask) -> None:
    (profit,) = ask(type="pnl", product_id=PRODUCT)
    lots = ask(type="tax-lots", product_id=PRODUCT, method="fifo")
    sold = [row for row in lots if row["disposed at"]]
    left = [row for row in lots if row["term"] == "open"]
    gains = sum(Decimal(row["gain"]) for row in sold)
    cost = sum(Decimal(row["cost"]) for row in left)
    assert (gains, cost) == (Decimal(profit["realised"]), Decimal(profit["open cost"]))
    fills = trader("GET", f"/fills?product_id={PRODUCT}")[1]
    cash = sum(
        (1 if f["side"] == "sell" else -1) * Decimal(f["price"]) * Decimal(f["size"]) - Decimal(f["fee"]) for f in fills
    )
    assert gains + Decimal(profit["proceeds without a lot"]) - cost == cash
    assert Decimal(profit["open size"]) == sum(Decimal(row["size"]) for row in left) == Decimal("2")
    worth = Decimal(profit["last price"]) * Decimal(profit["open size"])
    assert Decimal(profit["unrealised"]) == worth - cost


def test_the_same_client_report_id_is_the_same_report_and_another_request_is_refused(trader: Any) -> None:
    body = {"type": "fills", "product_id": PRODUCT, "client_report_id": "once"}
    first, again = trader("POST", "/reports", body), trader("POST", "/reports", body)
    assert (first[0], again[0], first[1]["id"]) == (200, 200, again[1]["id"])
    status, refused = trader("POST", "/reports", {**body, "type": "pnl"})
    assert (status, refused["code"]) == (400, "REPORT_KEY_REUSED")


def test_a_report_is_its_customers_alone_and_its_link_is_signed(
    laptop: RunningLaptop, trader: Any, ask: Ask, newcomer: Callable[[str], dict[str, str]]
) -> None:
    ask(type="fills")
    mine = trader("GET", "/reports")[1]
    (newest,) = trader("GET", "/reports?limit=1")[1]
    assert newest["id"] == mine[0]["id"]
    other = newcomer("reports-stranger")
    key = {"id": other["api_key"], "secret": other["secret"], "passphrase": other["passphrase"]}
    stranger = Visitor(laptop)
    assert stranger.by_key(key, "GET", "/reports") == (200, [])
    status, refused = stranger.by_key(key, "GET", f"/reports/{newest['id']}")
    assert (status, refused["code"]) == (404, "REPORT_NOT_FOUND")
    assert "X-Amz-Signature=" in newest["file_url"]
    assert "X-Amz-Expires=900" in newest["file_url"]
