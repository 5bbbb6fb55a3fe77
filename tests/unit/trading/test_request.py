"""What clients send, read as they mean it."""

from exchange.kernel.errors import Code, Refused
from exchange.messages import OrderType, Side, StopKind
from exchange.rest import ApiRequest, read_body
from exchange.risk.model import MarketView, Owner, assess
from exchange.trading.request import PlaceOrderBody, ToCancel, named, order_terms, product_named, to_cancel

from tests.fakes.markets import acme_usd


def cancel(raw_query: str = "", body: bytes = b"") -> ApiRequest:
    """A DELETE /orders."""
    return ApiRequest("DELETE", "/orders", raw_query, {}, body, "", "")


def placed(body: str) -> PlaceOrderBody:
    """A body of POST /orders."""
    read = read_body(PlaceOrderBody, body.encode())
    assert isinstance(read, PlaceOrderBody)
    return read


def test_cancels_name_their_product_in_the_query_or_in_a_signed_body() -> None:
    assert to_cancel(cancel()) == ToCancel()
    assert to_cancel(cancel(body=b"{}")) == ToCancel()
    assert to_cancel(cancel("product_id=BTC%2FUSD")) == ToCancel(product_id="BTC-USD")
    assert to_cancel(cancel(body=b'{"product_id":"BTC/USD","profile_id":"x"}')) == ToCancel(product_id="BTC-USD")


def test_cancels_name_a_side_or_their_orders() -> None:
    assert to_cancel(cancel("side=buy")) == ToCancel(side=Side.BUY)
    assert to_cancel(cancel(body=b'{"side":"sell","product_id":"A-B"}')) == ToCancel((), "A-B", Side.SELL)
    assert to_cancel(cancel(body=b'{"order_ids":["client:a","b"]}')) == ToCancel(("client:a", "b"))
    for query, body in (("side=both", b""), ("side=buy", b'{"order_ids":["a"]}'), ("", b'{"order_ids":[]}')):
        assert isinstance(to_cancel(cancel(query, body)), Refused)


def test_a_cancel_whose_body_can_not_be_read_cancels_nothing() -> None:
    for body in (b"{", b'{"product_id":7}', b"[]"):
        assert isinstance(to_cancel(cancel(body=body)), Refused)


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
