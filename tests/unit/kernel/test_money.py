import pytest
from exchange.kernel.money import (
    DecimalError,
    DecimalTooPreciseError,
    divide_down,
    divide_up,
    format_units,
    parse_decimal,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "scale", "units"),
    [
        ("10", 2, 1000),
        ("0.5", 2, 50),
        ("100.01", 2, 10001),
        ("0.10", 1, 1),
        ("7", 0, 7),
        ("007", 0, 7),
        ("1.000", 0, 1),
    ],
)
def test_decimal_text_is_read_exactly(text: str, scale: int, units: int) -> None:
    assert parse_decimal(text, scale) == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".5",
        "1.",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        " 1",
        "1 ",
        "1,5",
        "٣",
        "1" * 19,
        "1." + "0" * 19,
        "0x1",
        "1\n",
    ],
)
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(DecimalError):
        parse_decimal(text, 18)


def test_a_value_between_two_units_is_told_from_nonsense() -> None:
    with pytest.raises(DecimalTooPreciseError):
        parse_decimal("0.001", 2)


@given(st.integers(min_value=-(10**30), max_value=10**30), st.integers(min_value=0, max_value=18))
def test_units_survive_text(units: int, scale: int) -> None:
    text = format_units(units, scale)
    assert "e" not in text
    if 0 <= units < 10 ** (18 + scale):
        assert parse_decimal(text, scale) == units


@given(st.integers(), st.integers(min_value=1))
def test_rounding_has_the_direction_in_its_name(dividend: int, divisor: int) -> None:
    down, up = divide_down(dividend, divisor), divide_up(dividend, divisor)
    assert down * divisor <= dividend <= up * divisor
    assert up - down == (1 if dividend % divisor else 0)
