"""The walk through the public door says what held, and stops at the first thing that did not."""

from typing import Any

import pytest

from infra.deploy.smoke import Door, SmokeError, walk
from tests.fakes.deployment import FakeAws, FakeExchange

PRODUCT = {"id": "ACME-USD", "quote_currency": "USD", "reference_price": "100", "base_min_size": "0.001"}
ORDER = {"id": "o-1"}


def exchange(**statuses: int) -> FakeExchange:
    replies: dict[str, list[Any]] = {
        "GET /products": [[PRODUCT]],
        "POST /v1/sessions": [{"access_token": "token"}],
        "GET /payment-methods": [[{"id": "m", "currency": "USD"}]],
        "POST /deposits/payment-method": [{"id": "t-1"}],
        "GET /transfers/t-1": [{"completed_at": "now"}],
        "POST /orders": [ORDER],
        "GET /orders/o-1": [{"status": "open"}, {"status": "open"}, {"status": "done"}],
        "DELETE /orders/o-1": ["o-1"],
    }
    return FakeExchange(replies, {"GET /nothing/here": 404, **statuses})


def said(found: FakeExchange, *, sandbox: bool) -> list[str]:
    door = Door("https://exchange.test/", pool=found)  # type: ignore[arg-type]
    return list(walk(door, {"UserPoolId": "pool"}, FakeAws(), sandbox=sandbox))


def test_with_a_sandbox_bank_an_order_goes_all_the_way() -> None:
    found = exchange()
    steps = said(found, sandbox=True)
    assert steps[-1] == "it is done and settled; its hold is released"
    assert "DELETE /orders/o-1" in [name for name, _ in found.asked]


def test_after_the_login_everything_is_asked_as_the_customer() -> None:
    found = exchange()
    said(found, sandbox=True)
    names = [name for name, _ in found.asked]
    after = found.asked[names.index("POST /v1/sessions") + 1 :]
    assert {headers["Authorization"] for _, headers in after} == {"Bearer token"}


def test_with_a_real_bank_the_order_must_be_refused_for_want_of_money() -> None:
    found = exchange(**{"POST /orders": 400})
    found.replies["POST /orders"][0] = {"code": "RISK_INSUFFICIENT_FUNDS"}
    assert said(found, sandbox=False)[-1] == "an order without money is refused"
    found.replies["POST /orders"][0] = {"code": "RISK_PRICE_OUT_OF_BAND"}
    with pytest.raises(SmokeError, match="another reason"):
        said(found, sandbox=False)


def test_an_answer_that_must_not_be_stops_the_walk_with_its_words() -> None:
    with pytest.raises(SmokeError, match="POST /orders answered 503 instead of 200"):
        said(exchange(**{"POST /orders": 503}), sandbox=True)
    with pytest.raises(SmokeError, match="GET /nothing/here answered 403"):
        said(exchange(**{"GET /nothing/here": 403}), sandbox=True)
