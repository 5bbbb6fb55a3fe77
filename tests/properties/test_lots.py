"""However somebody buys and sells, the figures of their lots add up to their cash to the last unit."""

from exchange.messages import Side
from exchange.orders.model import Fill, Liquidity
from exchange.reports.lots import Disposal, Lots
from exchange.reports.model import LotMethod
from hypothesis import given, settings
from hypothesis import strategies as st

TRADES = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 10**6), st.integers(1, 10**12), st.integers(0, 10**6)), max_size=40
)


def fills(trades: list[tuple[Side, int, int, int]]) -> list[Fill]:
    return [
        Fill(1, number, "ACME-USD", number, side, Liquidity.TAKER, 1, size, value, fee, number)
        for number, (side, size, value, fee) in enumerate(trades, 1)
    ]


@settings(deadline=None, max_examples=300)
@given(trades=TRADES, method=st.sampled_from(LotMethod))
def test_nothing_is_earned_or_lost_by_counting(trades: list[tuple[Side, int, int, int]], method: LotMethod) -> None:
    lots, parts = Lots(method), list[Disposal]()
    for fill in fills(trades):
        sold = lots.take(fill)
        parts += sold
        if fill.side is Side.SELL:
            assert sum(part.size_lots for part in sold) == fill.size_lots
            assert sum(part.proceeds_units for part in sold) == fill.value_units - fill.fee_units
        cash = sum(
            (1 if f.side is Side.SELL else -1) * f.value_units - f.fee_units for f in fills(trades)[: fill.trade_id]
        )
        assert lots.cash_units == cash == lots.realised_units + lots.uncovered_units - lots.open_cost_units
        assert lots.open_size_lots == lots.bought_lots - lots.sold_lots + lots.uncovered_lots
    assert lots.realised_units == sum(part.gain_units for part in parts if part.buy_trade_id)
    assert lots.fee_units == sum(fee for _, _, _, fee in trades)
    assert all(lot.size_lots > 0 and lot.cost_units >= 0 for lot in lots.open_lots())


@settings(deadline=None, max_examples=200)
@given(trades=TRADES)
def test_the_method_changes_when_gains_are_taken_never_what_all_is_worth(
    trades: list[tuple[Side, int, int, int]],
) -> None:
    sums = set()
    for method in LotMethod:
        lots = Lots(method)
        for fill in fills(trades):
            lots.take(fill)
        sums.add((lots.realised_units - lots.open_cost_units, lots.open_size_lots, lots.uncovered_units))
    assert len(sums) == 1
