"""Profiles on the laptop cloud: a second trading account with its own key, and money that goes there once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud

AT_ONCE = 16
Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def dave(laptop: RunningLaptop, eventually: Eventually) -> Visitor:
    """A newcomer with 100 dollars in their default profile."""
    person = Visitor(laptop)
    person.register()
    eventually(lambda: person.confirm(person.mailed_code())[0] == 200)
    person.log_in()
    body = {"amount": "100", "currency": "USD", "payment_method_id": "sandbox-bank-USD"}
    assert person.send("POST", "/deposits/payment-method", body, person.bearer)[0] == 200
    eventually(lambda: dollars(person) == "100")
    return person


def dollars(person: Visitor, key: Any = None) -> str:
    """What one profile owns: the default one, or a key's."""
    status, rows = (
        person.by_key(key, "GET", "/accounts") if key else person.send("GET", "/accounts", None, person.bearer)
    )
    assert status == 200
    return str(next(row["balance"] for row in rows if row["currency"] == "USD"))


def test_a_profile_has_its_own_key_money_and_orders(dave: Visitor, eventually: Eventually) -> None:
    status, bot = dave.send("POST", "/profiles", {"name": "bot"}, dave.bearer)
    assert status == 200
    status, key = dave.send(
        "POST",
        "/v1/api-keys",
        {"name": "k", "scopes": ["view", "trade", "transfer"], "profile_id": bot["id"]},
        dave.bearer,
    )
    assert (status, key["profile_id"]) == (200, bot["id"])
    home = dave.send("GET", "/profiles", None, dave.bearer)[1][0]["id"]
    move = {"from": home, "to": bot["id"], "currency": "USD", "amount": "60"}
    assert dave.send("POST", "/profiles/transfer", move, dave.bearer)[0] == 200
    assert (dollars(dave), dollars(dave, key)) == ("40", "60")
    order = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "55", "size": "1", "client_oid": "one"}
    status, placed = dave.by_key(key, "POST", "/orders", order)
    assert status == 200, placed
    assert dave.send("GET", f"/orders/{placed['id']}", None, dave.bearer)[0] == 404
    assert dave.by_key(key, "DELETE", f"/orders/{placed['id']}")[0] == 200
    usd = next(row for row in dave.by_key(key, "GET", "/accounts")[1] if row["currency"] == "USD")
    assert usd["profile_id"] == bot["id"]
    (entry,) = eventually(lambda: dave.by_key(key, "GET", f"/accounts/{usd['id']}/ledger")[1])
    assert (entry["amount"], entry["balance"], entry["type"]) == ("60", "60", "transfer")
    assert (entry["details"]["from"], entry["details"]["to"]) == (home, bot["id"])


def test_a_move_that_is_asked_for_again_moves_nothing_again(dave: Visitor) -> None:
    bot = dave.send("POST", "/profiles", {"name": "bot"}, dave.bearer)[1]
    home = dave.send("GET", "/profiles", None, dave.bearer)[1][0]["id"]
    move = {"from": home, "to": bot["id"], "currency": "USD", "amount": "60", "client_transfer_id": "once"}
    first, again = (dave.send("POST", "/profiles/transfer", move, dave.bearer) for _ in range(2))
    assert first[0] == 200
    assert again == first
    status, said = dave.send("POST", "/profiles/transfer", {**move, "amount": "1"}, dave.bearer)
    assert (status, said["code"]) == (400, "TRANSFER_KEY_REUSED")
    assert dollars(dave) == "40"


def test_all_the_money_moved_many_times_at_once_moves_once(dave: Visitor) -> None:
    bot = dave.send("POST", "/profiles", {"name": "bot"}, dave.bearer)[1]
    home = dave.send("GET", "/profiles", None, dave.bearer)[1][0]["id"]
    move = {"from": home, "to": bot["id"], "currency": "USD", "amount": "100"}

    def once(_: int) -> Any:
        return dave.send("POST", "/profiles/transfer", move, dave.bearer)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(once, range(AT_ONCE)))
    codes = Counter("moved" if status == 200 else answer["code"] for status, answer in said)
    assert codes["moved"] == 1, codes
    assert set(codes) <= {"moved", "RISK_INSUFFICIENT_FUNDS"}
    assert dollars(dave) == "0"
