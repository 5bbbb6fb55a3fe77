"""Bodies that come with an order or its cancel: whose it is meant to be, and what is not understood."""

import json
from typing import Any

import pytest
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.rest import ApiRequest
from exchange.trading import entry
from exchange.trading.model import Trader

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue

ANN = Trader("ann", 1, None)
ORDER = {"product_id": "ACME/USD", "side": "buy", "price": "100", "size": "1", "client_oid": "mine"}


@pytest.fixture
def venue() -> Venue:
    """Ann with 1,000 USD."""
    opened = Venue(acme_usd(), Rates(maker_ppm=0, taker_ppm=0))
    opened.deposit(1, "USD", 1_000_000_000)
    return opened


def request(body: Any) -> ApiRequest:
    """A request with this body."""
    return ApiRequest("POST", "/", "", {}, b"" if body is None else json.dumps(body).encode(), "", "")


def place(venue: Venue, **changes: Any) -> Any:
    """POST /orders."""
    return entry.place(venue.desk, ANN, request({**ORDER, **changes}))


def code(answer: Any) -> Code | None:
    """A refusal's code."""
    return answer.code if isinstance(answer, Refused) else None


def test_an_order_for_another_profile_is_refused_by_name_and_one_for_the_own_is_the_same_order(venue: Venue) -> None:
    refused = place(venue, profile_id=to_uuid(2))
    assert isinstance(refused, Refused)
    assert refused.message.startswith("profile_id: ")
    assert venue.tables.stored == {}
    placed = place(venue, profile_id=to_uuid(1))
    assert place(venue)["id"] == placed["id"]
    assert code(entry.try_out(venue.desk, ANN, request({**ORDER, "profile_id": "x"}))) is Code.REQUEST_FIELD_INVALID


def test_a_batch_for_another_profile_or_of_two_products_places_nothing(venue: Venue) -> None:
    own = {name: value for name, value in ORDER.items() if name != "client_oid"}
    for body in (
        {"orders": [own], "profile_id": to_uuid(2)},
        {"orders": [own, {**own, "product_id": "BTC-USD"}]},
    ):
        refused = entry.place_batch(venue.desk, ANN, request(body), lambda _: None)
        assert code(refused) is Code.REQUEST_FIELD_INVALID
    assert venue.tables.stored == {}
    placed = entry.place_batch(venue.desk, ANN, request({"orders": [own, own]}), lambda _: None)
    assert [row["product_id"] for row in placed] == ["ACME-USD", "ACME-USD"]


@pytest.mark.parametrize("body", [None, {}, {"product_id": "ACME/USD"}, {"profile_id": to_uuid(1)}])
def test_a_cancel_bears_the_body_that_stock_clients_sign(venue: Venue, body: Any) -> None:
    placed = place(venue)
    assert entry.cancel(venue.desk, 1, request(body), "client:mine") == placed["id"]


@pytest.mark.parametrize("body", [{"reason": "x"}, [], "x", {"product_id": 7}])
def test_a_cancel_whose_body_is_not_understood_cancels_nothing(venue: Venue, body: Any) -> None:
    place(venue)
    sent = len(venue.stream.records)
    assert code(entry.cancel(venue.desk, 1, request(body), "client:mine")) in {
        Code.REQUEST_FIELD_UNKNOWN, Code.REQUEST_FIELD_INVALID, Code.REQUEST_MALFORMED,
    }  # fmt: skip
    assert len(venue.stream.records) == sent
