"""What the gateway says to each order before it may hold funds."""

from dataclasses import replace

import pytest
from exchange.instruments.model import ProductStatus
from exchange.kernel.errors import Code, Refused
from exchange.messages import OrderType, Side, StopKind, TimeInForce
from exchange.orders.model import Order
from exchange.risk.model import MarketView, OrderTerms, Owner, assess

from tests.fakes.markets import acme_usd

OWNER = Owner(account_id=7, order_id=1, client_oid="", payload_hash="", maker_ppm=4_000, taker_ppm=6_000)
LIMIT = OrderTerms(side=Side.BUY, order_type=OrderType.LIMIT, price="100", size="1")
MARKET = OrderTerms(side=Side.BUY, order_type=OrderType.MARKET, size="1")
STOP = {"stop": StopKind.LOSS, "stop_price": "95"}
VIEW = MarketView(best_bid_ticks=9_990, best_ask_ticks=10_010, last_ticks=10_000)


def ask(terms: OrderTerms, market: MarketView = VIEW, price_band: str | None = "0.1") -> Order | Refused:
    return assess(terms, acme_usd(price_band=price_band), market, OWNER, now_ns=1)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"price": "0"}, Code.RISK_PRICE_TOO_SMALL, "price too small"),
        ({"price": "100.001"}, Code.RISK_PRICE_TOO_PRECISE, "price too precise"),
        ({"price": "-1"}, Code.REQUEST_FIELD_INVALID, "not a decimal"),
        ({"price": "1e2"}, Code.REQUEST_FIELD_INVALID, "not a decimal"),
        ({"price": "99999999999999"}, Code.RISK_PRICE_TOO_LARGE, "price too large"),
        ({"size": "0"}, Code.RISK_SIZE_TOO_SMALL, "size is too small"),
        ({"size": "0.0001"}, Code.RISK_SIZE_TOO_SMALL, "size is too small"),
        ({"size": "1.0001"}, Code.RISK_SIZE_TOO_PRECISE, "steps of 0.001"),
        ({"price": "110.01"}, Code.RISK_PRICE_OUT_OF_BAND, "at most 110"),
        ({"side": Side.SELL, "price": "89.99"}, Code.RISK_PRICE_OUT_OF_BAND, "at least 90"),
        ({"price": ""}, Code.REQUEST_FIELD_INVALID, "needs a price"),
        ({"size": ""}, Code.REQUEST_FIELD_INVALID, "needs a size"),
        ({"funds": "10"}, Code.REQUEST_FIELD_INVALID, "leave funds out"),
        ({"time_in_force": TimeInForce.GTT}, Code.REQUEST_FIELD_INVALID, "cancel_after"),
        ({"post_only": True, "time_in_force": TimeInForce.IOC}, Code.REQUEST_FIELD_INVALID, "post_only"),
        ({"stop": StopKind.LOSS}, Code.REQUEST_FIELD_INVALID, "stop_price"),
        ({"trail_amount": "1"}, Code.REQUEST_FIELD_INVALID, "trail_amount: only a stop"),
        (STOP | {"trail_amount": "0"}, Code.RISK_PRICE_TOO_SMALL, "trail_amount: price too small"),
        (STOP | {"trail_amount": "0.001"}, Code.RISK_PRICE_TOO_PRECISE, "trail_amount: price too precise"),
        (STOP | {"trail_amount": "95"}, Code.RISK_PRICE_TOO_LARGE, "below stop_price"),
        ({"display_size": "0"}, Code.RISK_SIZE_TOO_SMALL, "display_size: size is too small"),
        ({"display_size": "0.0001"}, Code.RISK_SIZE_TOO_PRECISE, "display_size: size too precise"),
        ({"display_size": "1.001"}, Code.RISK_SIZE_TOO_LARGE, "above the order's own"),
        ({"display_size": "0.001", "size": "1.001"}, Code.RISK_SIZE_TOO_SMALL, "the least of this order is 0.002"),
        ({"display_size": "-1"}, Code.REQUEST_FIELD_INVALID, "display_size"),
        ({"display_size": "1", "time_in_force": TimeInForce.FOK}, Code.REQUEST_FIELD_INVALID, "display_size: only"),
        ({"oco_order": "x", "time_in_force": TimeInForce.IOC}, Code.REQUEST_FIELD_INVALID, "oco_order_id"),
    ],
)
def test_a_limit_order_is_refused_with_the_field_and_the_remedy(
    change: dict[str, object], code: Code, words: str
) -> None:
    refusal = ask(replace(LIMIT, **change))  # type: ignore[arg-type]
    assert isinstance(refusal, Refused)
    assert refusal.code is code
    assert words in refusal.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": "1"}, Code.REQUEST_FIELD_INVALID),
        ({"funds": "10"}, Code.REQUEST_FIELD_INVALID),
        ({"size": ""}, Code.REQUEST_FIELD_INVALID),
        ({"size": "", "funds": "10", "side": Side.SELL}, Code.REQUEST_FIELD_INVALID),
        ({"size": "", "funds": "0.5"}, Code.RISK_FUNDS_TOO_SMALL),
        ({"size": "", "funds": "1"}, Code.RISK_FUNDS_TOO_SMALL),
        ({"size": "", "funds": "10.001"}, Code.RISK_FUNDS_TOO_PRECISE),
    ],
)
def test_a_market_order_is_refused(change: dict[str, object], code: Code) -> None:
    refusal = ask(replace(MARKET, **change))  # type: ignore[arg-type]
    assert isinstance(refusal, Refused)
    assert refusal.code is code


def test_a_limit_buy_holds_its_cost_and_the_takers_fee_on_it() -> None:
    order = ask(LIMIT)
    assert isinstance(order, Order)
    assert order.hold_units == 100_000_000 + 600_000


def test_a_sell_holds_its_size() -> None:
    order = ask(replace(LIMIT, side=Side.SELL))
    assert isinstance(order, Order)
    assert order.hold_units == 10_000


def test_a_market_buy_by_size_is_capped_at_the_bands_edge() -> None:
    order = ask(MARKET)
    assert isinstance(order, Order)
    assert order.cap_ticks == 11_000
    assert order.hold_units == 110_000_000 + 660_000


def test_without_a_band_the_cap_is_a_tenth_over_the_ask_and_without_an_ask_there_is_none() -> None:
    order = ask(MARKET, price_band=None)
    assert isinstance(order, Order)
    assert order.cap_ticks == 11_011
    refusal = ask(MARKET, MarketView(), price_band=None)
    assert isinstance(refusal, Refused)
    assert refusal.code is Code.RISK_NO_REFERENCE_PRICE


def test_a_buy_by_funds_never_costs_more_than_it_was_given() -> None:
    order = ask(replace(MARKET, size="", funds="100"))
    assert isinstance(order, Order)
    assert order.specified_funds_units == 100_000_000
    assert order.funds * acme_usd().units_per_tick_lot == 99_400_000
    assert order.hold_units <= 100_000_000


def test_a_halted_product_takes_no_orders() -> None:
    product = replace(acme_usd(), status=ProductStatus.HALTED)
    refusal = assess(LIMIT, product, VIEW, OWNER, now_ns=1)
    assert isinstance(refusal, Refused)
    assert refusal.code is Code.RISK_TRADING_DISABLED
