"""Withdrawals on the laptop cloud: paid, declined, and all the money many times at once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.test_profiles import dave
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud

AT_ONCE = 24
Eventually = Callable[[Callable[[], Any]], Any]
METHOD = {"currency": "USD", "payment_method_id": "sandbox-bank-USD"}

__all__ = ["dave"]


def read(person: Visitor, path: str) -> Any:
    """What a GET that succeeds answers."""
    status, found = person.send("GET", path)
    assert status == 200, found
    return found


def ended(person: Visitor, transfer_id: str) -> Any:
    """The transfer once it is no longer pending."""
    found = read(person, f"/transfers/{transfer_id}")
    return found if found["status"] != "pending" else None


def account(person: Visitor) -> Any:
    """The dollars."""
    return next(row for row in read(person, "/accounts") if row["currency"] == "USD")


def test_a_withdrawal_is_held_paid_and_in_the_ledger(dave: Visitor, eventually: Eventually) -> None:
    status, made = dave.send("POST", "/withdrawals/payment-method", {"amount": 12.5, **METHOD})
    assert (status, made["amount"], made["status"]) == (200, "12.5", "pending")
    paid = eventually(lambda: ended(dave, made["id"]))
    assert (paid["status"], paid["type"]) == ("completed", "withdraw")
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("87.5", "87.5", "0")
    entry = eventually(lambda: [e for e in dave.send("GET", f"/accounts/{row['id']}/ledger")[1] if e["id"] == "2"])[0]
    assert (entry["amount"], entry["balance"], entry["details"]["transfer_type"]) == ("-12.5", "87.5", "withdraw")
    assert entry["details"]["transfer_id"] == made["id"]


def test_a_declined_withdrawal_gives_its_money_back(dave: Visitor, eventually: Eventually) -> None:
    made = dave.send("POST", "/withdrawals/payment-method", {"amount": "10.666", **METHOD})[1]
    canceled = eventually(lambda: ended(dave, made["id"]))
    assert (canceled["status"], canceled["details"]["cancel_reason"]) == (
        "canceled",
        "declined by the bank: insufficient funds",
    )
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("100", "100", "0")


@pytest.mark.parametrize(("amount", "back", "left"), [("10.777", "10.777", "100"), ("10.778", "10", "99.222")])
def test_a_withdrawal_that_the_customers_bank_returns_is_theirs_again(
    dave: Visitor, eventually: Eventually, amount: str, back: str, left: str
) -> None:
    made = dave.send("POST", "/withdrawals/payment-method", {"amount": amount, **METHOD})[1]

    def returned() -> Any:
        return next((row for row in read(dave, "/transfers") if row["details"].get("reverses") == made["id"]), None)

    came = eventually(returned)
    assert (came["type"], came["status"], came["amount"]) == ("deposit", "completed", back)
    assert came["details"]["cancel_reason"] == "returned by the bank: the account is closed"
    paid = read(dave, f"/transfers/{made['id']}")
    assert (paid["status"], paid["details"]["reversed_by"]) == ("completed", came["id"])
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == (left, left, "0")


def test_the_whole_balance_withdrawn_many_times_at_once_leaves_once(dave: Visitor, eventually: Eventually) -> None:
    def once(_: int) -> Any:
        return dave.send("POST", "/withdrawals/payment-method", {"amount": "100", **METHOD})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(once, range(AT_ONCE)))
    codes = Counter("held" if status == 200 else answer["code"] for status, answer in said)
    assert codes == {"held": 1, "RISK_INSUFFICIENT_FUNDS": AT_ONCE - 1}
    (made,) = [answer for status, answer in said if status == 200]
    assert eventually(lambda: ended(dave, made["id"]))["status"] == "completed"
    assert account(dave)["balance"] == "0"


def test_the_same_money_spent_in_three_ways_at_once_is_spent_in_one(dave: Visitor, eventually: Eventually) -> None:
    savings = dave.send("POST", "/profiles", {"name": "savings"})[1]["id"]
    home = read(dave, "/profiles")[0]["id"]
    ways: list[tuple[str, dict[str, Any]]] = [
        ("/withdrawals/payment-method", {"amount": "100", **METHOD}),
        ("/orders", {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "55", "size": "1.8"}),
        ("/profiles/transfer", {"from": home, "to": savings, "currency": "USD", "amount": "100"}),
    ]

    def once(number: int) -> tuple[str, int, Any]:
        path, body = ways[number % len(ways)]
        return path, *dave.send("POST", path, body)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(once, range(AT_ONCE)))
    assert Counter("spent" if status == 200 else answer["code"] for _, status, answer in said) == {
        "spent": 1,
        "RISK_INSUFFICIENT_FUNDS": AT_ONCE - 1,
    }
    ((path, made),) = ((path, answer) for path, status, answer in said if status == 200)
    if path == "/withdrawals/payment-method":
        assert eventually(lambda: ended(dave, made["id"]))["status"] == "completed"
        assert account(dave)["balance"] == "0"
    elif path == "/orders":
        assert account(dave)["balance"] == "100"
        assert dave.send("DELETE", f"/orders/{made['id']}")[0] == 200
        assert eventually(lambda: account(dave)["available"] == "100")
    else:
        assert account(dave)["balance"] == "0"
