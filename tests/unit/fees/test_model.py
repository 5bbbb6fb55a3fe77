"""Rates, and fees that round up once for an order and not once for a fill."""

from fractions import Fraction

import pytest
from exchange.fees.model import FeeSchedule, FeeScheduleError, FeeState, fee_units, format_rate
from exchange.kernel.errors import InvariantError
from hypothesis import given
from hypothesis import strategies as st

RATES = st.integers(0, 999_999)
VALUES = st.integers(0, 10**18)
FILLS = st.lists(st.tuples(RATES, VALUES), max_size=50)


@pytest.mark.parametrize(("maker", "taker"), [(0, 0), (0, 1), (4000, 6000), (6000, 6000), (0, 999_999)])
def test_a_schedule_has_a_maker_at_most_as_dear_as_the_taker(maker: int, taker: int) -> None:
    schedule = FeeSchedule("default", maker, taker)
    assert (schedule.maker_ppm, schedule.taker_ppm) == (maker, taker)


@pytest.mark.parametrize(("maker", "taker"), [(-1, 0), (1, 0), (6001, 6000), (0, 1_000_000), (0, -1)])
def test_other_schedules_are_refused(maker: int, taker: int) -> None:
    with pytest.raises(FeeScheduleError, match="default"):
        FeeSchedule("default", maker, taker)


@pytest.mark.parametrize(
    ("rate_ppm", "text"), [(0, "0"), (1, "0.000001"), (6000, "0.006"), (4500, "0.0045"), (100_000, "0.1")]
)
def test_a_rate_is_written_exactly(rate_ppm: int, text: str) -> None:
    assert format_rate(rate_ppm) == text


@pytest.mark.parametrize(
    ("numerator", "units"), [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (10**30, 10**24)]
)
def test_a_fee_rounds_up(numerator: int, units: int) -> None:
    assert fee_units(numerator) == units


def test_an_order_in_pieces_costs_what_it_costs_whole() -> None:
    # 6000 ppm of 100 units is 0.6: the first piece pays the whole unit, and the next pieces pay it off.
    fees, state = [], FeeState()
    for _ in range(5):
        state, fee = state.fill(rate_ppm=6000, value_units=100)
        fees.append(fee)
    assert fees == [1, 1, 0, 1, 0]
    assert sum(fees) == fee_units(6000 * 500) == 3


def test_maker_and_taker_fills_of_one_order_round_together() -> None:
    state, taker_fee = FeeState().fill(rate_ppm=6000, value_units=250)
    state, maker_fee = state.fill(rate_ppm=4000, value_units=125)
    assert (taker_fee, maker_fee, state.charged_units) == (2, 0, 2)


@given(FILLS)
def test_fees_are_never_negative_and_miss_the_exact_sum_by_less_than_one_unit(fills: list[tuple[int, int]]) -> None:
    state, charged = FeeState(), 0
    for rate_ppm, value_units in fills:
        state, fee = state.fill(rate_ppm=rate_ppm, value_units=value_units)
        assert fee >= 0
        charged += fee
    exact = Fraction(sum(rate * value for rate, value in fills), 1_000_000)
    assert charged == state.charged_units
    assert 0 <= charged - exact < 1


@given(FILLS, RATES)
def test_an_order_never_costs_more_than_its_hold(fills: list[tuple[int, int]], taker_ppm: int) -> None:
    hold = fee_units(taker_ppm * sum(value for _, value in fills))
    state = FeeState()
    for rate_ppm, value_units in fills:
        state, _ = state.fill(rate_ppm=min(rate_ppm, taker_ppm), value_units=value_units)
    assert state.charged_units <= hold


@pytest.mark.parametrize(("rate", "value"), [(-1, 1), (1, -1)])
def test_a_negative_fill_is_a_defect(rate: int, value: int) -> None:
    with pytest.raises(InvariantError):
        FeeState().fill(rate_ppm=rate, value_units=value)
