"""Holds never fall short: whatever fills in whatever pieces, at whatever better prices, as maker or taker."""

from dataclasses import replace

from exchange.messages import OrderType, Side
from exchange.orders.model import Liquidity, Order, accepted, fill_order
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.markets import acme_usd

PRODUCT = acme_usd()
rates = st.integers(min_value=0, max_value=20_000)


@st.composite
def buys(draw: st.DrawFn) -> Order:
    taker = draw(rates)
    order = Order(
        order_id=1,
        account_id=1,
        product_id=PRODUCT.product_id,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        created_at_ns=1,
        maker_ppm=draw(st.integers(min_value=0, max_value=taker)),
        taker_ppm=taker,
        price_ticks=draw(st.integers(min_value=1, max_value=10**6)),
        size_lots=draw(st.integers(min_value=1, max_value=10**6)),
    )
    return accepted(order, PRODUCT)


@given(buys(), st.data())
def test_a_buy_never_costs_more_than_it_holds(order: Order, data: st.DataObject) -> None:
    spent = 0
    first_hold = order.hold_units
    trade_id = 0
    while order.remaining_lots and trade_id < 20:
        trade_id += 1
        before = order
        order, fill = fill_order(
            order,
            PRODUCT,
            liquidity=data.draw(st.sampled_from(Liquidity)),
            trade_id=trade_id,
            price_ticks=data.draw(st.integers(min_value=1, max_value=order.price_ticks)),
            size_lots=data.draw(st.integers(min_value=1, max_value=order.remaining_lots)),
            time_ns=trade_id,
        )
        assert fill.fee_units >= 0
        assert before.hold_units - order.hold_units >= fill.value_units + fill.fee_units
        assert order.hold_units >= 0
        spent += fill.value_units + fill.fee_units
    assert spent + order.hold_units <= first_hold


@given(buys(), st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=30))
def test_dust_trades_cost_no_more_fees_than_one_large_trade(order: Order, pieces: list[int]) -> None:
    lots = sum(pieces)
    whole, _ = fill_order(
        accepted(_sized(order, lots), PRODUCT),
        PRODUCT,
        liquidity=Liquidity.TAKER,
        trade_id=1,
        price_ticks=order.price_ticks,
        size_lots=lots,
        time_ns=1,
    )
    pieced = accepted(_sized(order, lots), PRODUCT)
    for trade_id, size in enumerate(pieces, start=1):
        pieced, _ = fill_order(
            pieced,
            PRODUCT,
            liquidity=Liquidity.TAKER,
            trade_id=trade_id,
            price_ticks=order.price_ticks,
            size_lots=size,
            time_ns=1,
        )
    assert pieced.fees_charged_units == whole.fees_charged_units


def _sized(order: Order, lots: int) -> Order:
    return replace(order, size_lots=lots)
