"""No failure of the network makes a second order, loses one, or calls refused what was accepted."""

import asyncio
import json
from collections import deque
from collections.abc import Coroutine
from itertools import product
from typing import Any, TypeVar

import pytest
from exchange.audit.model import Said
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.users.signature import read_signature, signature_matches

from infra.demo.client import (
    ATTEMPTS_MAX,
    Accepted,
    ExchangeAwayError,
    Refusal,
    Reply,
    RequestRefusedError,
    Trader,
    Unknown,
)
from infra.demo.diary import Diary
from tests.fakes.users import KEY_ID, PASSPHRASE, SECRET, Call
from tests.unit.demo.fake_exchange import FakeExchange, Fault, user

LIMIT = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "100", "size": "1"}
Result = TypeVar("Result")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(coroutine)


async def no_pause(_seconds: float) -> None:
    """Waiting costs nothing here."""


def a_trader(exchange: FakeExchange, *faults: Fault) -> Trader:
    exchange.faults = deque(faults)
    return Trader(user("alice"), exchange, sleep=no_pause)


def test_the_exchange_believes_the_signature() -> None:
    import base64

    exchange = FakeExchange()
    credentials = {
        "name": "ann",
        "api_key": KEY_ID,
        "secret": base64.b64encode(SECRET).decode(),
        "passphrase": PASSPHRASE,
    }
    run(Trader(credentials, exchange, now=lambda: 1_800_000_000.7).place("one", LIMIT))
    method, path, headers, body = exchange.requests[0]
    call = Call(method=method, path_with_query=path, headers={k.lower(): v for k, v in headers.items()}, body=body)
    signature = read_signature(call.headers)
    assert not isinstance(signature, Refused)
    assert signature_matches(signature, SECRET, call)
    assert signature.timestamp == "1800000000"


def test_whatever_fails_three_times_in_a_row_the_order_is_made_once() -> None:
    for faults in product(Fault, repeat=3):
        exchange = FakeExchange()
        outcome = run(a_trader(exchange, *faults).place("one", LIMIT))
        assert outcome == Accepted("id-alice-one"), faults
        assert exchange.made == {"one": 1}, faults


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.LOST_BEFORE, Fault.UNAVAILABLE, Fault.RATE_LIMITED])
def test_a_refusal_is_told_with_its_code_whatever_failed_before(fault: Fault) -> None:
    exchange = FakeExchange()
    outcome = run(a_trader(exchange, fault, fault).place("one", {**LIMIT, "price": "0"}))
    assert outcome == Refusal("RISK_PRICE_TOO_SMALL", "price too small")
    assert not exchange.made


def test_what_can_not_be_found_out_is_called_unknown_and_nothing_else() -> None:
    exchange = FakeExchange()
    outcome = run(a_trader(exchange, *[Fault.LOST_BEFORE] * 3 * ATTEMPTS_MAX).place("one", LIMIT))
    assert outcome == Unknown()


def test_an_unknown_outcome_is_asked_for_before_anything_is_sent_again() -> None:
    exchange = FakeExchange()
    run(a_trader(exchange, Fault.LOST_AFTER).place("one", LIMIT))
    assert [(method, path) for method, path, _, _ in exchange.requests] == [
        ("POST", "/orders"),
        ("GET", "/orders/client:one"),
    ]


def test_a_diary_has_every_answer_as_it_was_meant() -> None:
    for faults in product(Fault, repeat=3):
        trader = a_trader(FakeExchange(), *faults)
        run(trader.place("one", LIMIT))
        *doubts, last = [heard.said for heard in trader.diary.heard]
        assert last in {Said.ACCEPTED, Said.SEEN}, faults
        assert set(doubts) <= {Said.UNAVAILABLE, Said.UNKNOWN, Said.ABSENT}, faults
        assert (Said.UNKNOWN in doubts) >= (Fault.LOST_AFTER in faults[:1]), faults


def test_a_diary_tells_a_refusal_from_a_gateway_s_own_words() -> None:
    diary = Diary()
    diary.placed("one", 1, 400, {"code": "RISK_PRICE_TOO_SMALL", "message": "price too small"})
    diary.placed("two", 1, 503, {"message": "Service Unavailable"})
    diary.placed("three", 1, 503, {"code": "SERVICE_UNAVAILABLE", "message": "try again"})
    diary.canceled("four", 1, to_uuid(7))
    said = [(told.name, told.said, told.order_id) for told in diary.told(account_id=9)]
    assert said == [
        ("one", Said.REFUSED, 0),
        ("two", Said.UNKNOWN, 0),
        ("three", Said.UNAVAILABLE, 0),
        ("four", Said.CANCELING, 7),
    ]


def test_the_same_request_is_sent_again_with_the_same_name() -> None:
    exchange = FakeExchange()
    run(a_trader(exchange, Fault.UNAVAILABLE, Fault.UNAVAILABLE).place("one", LIMIT))
    bodies = [json.loads(body) for _, _, _, body in exchange.requests]
    assert bodies == [{**LIMIT, "client_oid": "one"}] * 3


@pytest.mark.parametrize("faults", list(product(Fault, repeat=2)))
def test_a_cancel_is_asked_for_until_it_is_answered(faults: tuple[Fault, ...]) -> None:
    exchange = FakeExchange()
    trader = a_trader(exchange)
    run(trader.place("one", LIMIT))
    exchange.faults = deque(faults)
    run(trader.cancel("one"))
    assert exchange.orders["alice", "one"]["status"] == "done"


def test_a_late_cancel_is_no_failure() -> None:
    exchange = FakeExchange()
    trader = a_trader(exchange)
    run(trader.place("one", LIMIT))
    assert run(trader.cancel("one")) is True
    assert run(trader.cancel("one")) is False


def test_pages_are_followed_to_the_end() -> None:
    exchange = FakeExchange()
    trader = a_trader(exchange)
    for number in range(250):
        run(trader.place(f"n{number}", LIMIT))
    orders = run(trader.pages("/orders", "status=all"))
    assert [order["client_oid"] for order in orders] == [f"n{number}" for number in range(250)]


def test_an_exchange_that_is_away_is_said_to_be() -> None:
    trader = a_trader(FakeExchange(), *[Fault.UNREACHABLE] * ATTEMPTS_MAX)
    with pytest.raises(ExchangeAwayError, match="exchange status"):
        run(trader.get("/accounts"))


def test_a_refused_get_says_why() -> None:
    with pytest.raises(RequestRefusedError, match="order not found"):
        run(a_trader(FakeExchange()).get("/orders/client:nobody"))


@pytest.mark.parametrize("body", [None, "<html>", {"message": "no code"}])
def test_an_error_without_a_code_is_known_by_its_status(body: Any) -> None:
    assert Reply(400, body, {}).code == "400"
