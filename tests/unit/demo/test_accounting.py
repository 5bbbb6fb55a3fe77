"""Every change of a balance is explained by fills, to the last unit."""

from typing import Any

import pytest

from infra.demo.accounting import Holdings, account_lines, amount, asset_lines, fill_changes
from tests.unit.demo.test_flow import a_market

ONE = 10**18
MARKETS = {"ACME-USD": a_market()}


def a_fill(**changes: Any) -> dict[str, Any]:
    fill = {"trade_id": 1, "product_id": "ACME-USD", "side": "buy", "price": "99.99", "size": "0.001", "fee": "0.0006"}
    return fill | changes


def test_a_buy_adds_the_base_and_takes_value_and_fee() -> None:
    assert fill_changes([a_fill()], MARKETS) == {"ACME": ONE // 1000, "USD": -(ONE * 10059 // 100_000)}


def test_a_sell_takes_the_base_and_adds_value_without_the_fee() -> None:
    assert fill_changes([a_fill(side="sell")], MARKETS) == {"ACME": -ONE // 1000, "USD": ONE * 9939 // 100_000}


def test_a_trade_worth_no_whole_unit_is_no_trade_of_this_exchange() -> None:
    with pytest.raises(ValueError, match="no whole unit"):
        fill_changes([a_fill(price="0.0000000001", size="0.000000001")], MARKETS)


def test_what_fills_do_not_explain_is_shown() -> None:
    before = Holdings({"alice": {"ACME": 0, "USD": 10 * ONE}})
    after = Holdings({"alice": {"ACME": ONE // 1000, "USD": 10 * ONE - ONE * 10059 // 100_000 - 1}})
    lines = account_lines(before, after, {"alice": [a_fill()]}, MARKETS)
    assert [(line.asset, line.unexplained) for line in lines] == [("ACME", 0), ("USD", -1)]


def test_an_asset_that_came_later_has_its_line() -> None:
    lines = account_lines(Holdings({"bob": {}}), Holdings({"bob": {"EUR": 5}}), {"bob": []}, MARKETS)
    assert [(line.asset, line.unexplained) for line in lines] == [("EUR", 5)]


def test_fees_are_not_missing_and_what_is_missing_shows() -> None:
    before = Holdings({"alice": {"USD": 100}, "bob": {"USD": 50}})
    after = Holdings({"alice": {"USD": 90}, "bob": {"USD": 57}})
    (line,) = asset_lines(before, after, {"USD": 10}, {"USD": 13})
    assert (line.before, line.after, line.fees, line.missing) == (150, 147, 3, 0)
    (line,) = asset_lines(before, after, {}, {})
    assert line.missing == -3


@pytest.mark.parametrize(
    ("fine", "text"),
    [(0, "0"), (1234 * ONE, "1,234"), (-ONE // 2, "-0.5"), (-1234567 * ONE - 1, "-1,234,567.000000000000000001")],
)
def test_amounts_read_well(fine: int, text: str) -> None:
    assert amount(fine) == text
