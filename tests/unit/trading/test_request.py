"""What clients send, read as they mean it."""

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.messages import OrderType, Side, StopKind
from exchange.rest import ApiRequest, read_body
from exchange.risk.model import MarketView, Owner, assess
from exchange.trading.request import (
    PlaceBatchBody,
    PlaceOrderBody,
    ToCancel,
    batch_product,
    named,
    order_terms,
    product_named,
    to_cancel,
)

from tests.fakes.markets import acme_usd


def wanted(raw_query: str = "", body: bytes = b"") -> ToCancel | Refused:
    """What account 7's DELETE /orders names."""
    return to_cancel(ApiRequest("DELETE", "/orders", raw_query, {}, body, "", ""), 7)


def placed(body: str) -> PlaceOrderBody:
    """A body of POST /orders."""
    read = read_body(PlaceOrderBody, body.encode())
    assert isinstance(read, PlaceOrderBody)
    return read


def test_cancels_name_their_product_in_the_query_or_in_a_signed_body() -> None:
    assert wanted() == ToCancel()
    assert wanted(body=b"{}") == ToCancel()
    assert wanted("product_id=BTC%2FUSD") == ToCancel(product_id="BTC-USD")
    assert wanted(body=b'{"product_id":"BTC/USD"}') == ToCancel(product_id="BTC-USD")


def test_cancels_name_a_side_or_their_orders() -> None:
    assert wanted("side=buy") == ToCancel(side=Side.BUY)
    assert wanted(body=b'{"side":"sell","product_id":"A-B"}') == ToCancel((), "A-B", Side.SELL)
    assert wanted(body=b'{"order_ids":["client:a","b"]}') == ToCancel(("client:a", "b"))
    for query, body in (("side=both", b""), ("side=buy", b'{"order_ids":["a"]}'), ("", b'{"order_ids":[]}')):
        assert isinstance(wanted(query, body), Refused)


def test_a_cancel_whose_body_can_not_be_read_cancels_nothing() -> None:
    for body in (b"{", b'{"product_id":7}', b"[]", b'["518100e6-fe0d-e300-8000-000000000002"]'):
        assert isinstance(wanted(body=body), Refused)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"orders":["a"]}'),
        ("", b'{"product":"BTC-USD"}'),
        ("", b'{"side":"sell","sides":"sell"}'),
        ("prodct_id=BTC-USD", b""),
        ("product_id=BTC-USD&SIDE=sell", b"{}"),
    ],
)
def test_a_cancel_that_is_misspelt_cancels_nothing(query: str, body: bytes) -> None:
    refused = wanted(query, body)
    assert isinstance(refused, Refused)
    assert refused.code is Code.REQUEST_FIELD_UNKNOWN


def test_a_cancel_in_the_name_of_another_profile_cancels_nothing() -> None:
    own, other = to_uuid(7), to_uuid(8)
    assert wanted(f"profile_id={own}", f'{{"product_id":"A-B","profile_id":"{own}"}}'.encode()) == ToCancel((), "A-B")
    for query, body in ((f"profile_id={other}", b""), ("", f'{{"profile_id":"{other}"}}'.encode())):
        refused = wanted(query, body)
        assert isinstance(refused, Refused)
        assert refused.message.startswith("profile_id: ")


def test_a_batch_is_of_the_one_product_that_it_or_its_orders_name() -> None:
    order = '{"side":"buy","price":"1","size":"1"'
    for text, found in (
        (f'{{"product_id":"A/B","orders":[{order}}},{order},"product_id":"A-B"}}]}}', "A-B"),
        (f'{{"orders":[{order},"product_id":"A/B"}},{order},"product_id":"A-B"}}]}}', "A-B"),
        (f'{{"orders":[{order},"product_id":"A-B"}},{order},"product_id":"C-B"}}]}}', None),
        (f'{{"product_id":"A-B","orders":[{order},"product_id":"C-B"}}]}}', None),
        (f'{{"orders":[{order}}}]}}', None),
    ):
        body = read_body(PlaceBatchBody, text.encode())
        assert isinstance(body, PlaceBatchBody)
        product = batch_product(body)
        assert isinstance(product, Refused) if found is None else product == found


def test_a_slash_is_the_same_product_and_the_same_request() -> None:
    slash = placed('{"product_id":"ACME/USD","side":"buy","price":"1","size":"1","client_oid":"a"}')
    dash = placed('{"product_id":"ACME-USD","side":"buy","price":"1","size":"1","client_oid":"a"}')
    assert product_named(slash) == "ACME-USD"
    assert named(slash) == named(dash)


def test_a_stop_price_alone_means_entry_for_a_buy_and_loss_for_a_sell() -> None:
    for side, kind in (("buy", StopKind.ENTRY), ("sell", StopKind.LOSS)):
        body = placed(f'{{"product_id":"ACME-USD","side":"{side}","type":"stop","size":"1","stop_price":"90"}}')
        terms = order_terms(body)
        assert (terms.stop, terms.order_type) == (kind, OrderType.MARKET)


def test_a_trail_and_a_partner_are_terms_like_others_and_part_of_the_request() -> None:
    plain = '{"product_id":"ACME-USD","side":"sell","type":"stop","size":"1","stop_price":"90","client_oid":"a"'
    body = placed(f'{plain},"trail_amount":"2","oco_order_id":"client:b"}}')
    assert (order_terms(body).trail_amount, order_terms(body).oco_order) == ("2", "client:b")
    assert named(body) != named(placed(f"{plain}}}"))


def test_a_stop_order_without_its_price_is_refused_and_does_not_trade_at_once() -> None:
    terms = order_terms(placed('{"product_id":"ACME-USD","side":"buy","type":"stop","size":"1"}'))
    owner = Owner(1, 1, "", "", 0, 0)
    refusal = assess(terms, acme_usd(price_band="0.1"), MarketView(), owner, now_ns=1)
    assert isinstance(refusal, Refused)
    assert refusal.code is Code.REQUEST_FIELD_INVALID
    assert "stop_price" in refusal.message
    assert terms.side is Side.BUY
