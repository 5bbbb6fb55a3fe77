"""The page says what was measured, and its sums are sums."""

import re

from bench.costs import BILL, Phase, dollars_a_million
from bench.document import Measured, document, figures_of
from bench.load import Run, percentile
from bench.market_data import measure
from bench.sockets import Delays

COUNTS = {
    "request ApiGateway.REST": 1.0,
    "request DynamoDB.TransactWriteItems": 2.0,
    "invocation trading-api": 1.0,
    "cpu trading-api": 0.005,
    "write orders": 10.0,
    "write orders indexes": 3.0,
    "read users": 1.0,
    "put units orders": 2.0,
    "bytes ApiGateway.REST": 700.0,
}
PHASES = [Phase(title, COUNTS) for title in ("an order that rests", "its cancel", "an order that takes", "one of many")]


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7.0
    assert percentile([], 50) == 0.0


def test_the_page_shows_medians_percentiles_and_a_bill_that_adds_up() -> None:
    runs = [
        Run(8, [0.010] * 9 + [0.100], [], 10 / rate, 10 / rate * 2, {"MiniStack": 0.9, "the edge": 0.1})
        for rate in (100, 150, 400)
    ]
    delays, rebuilt = Delays([0.05] * 10, [0.07] * 10), measure(commands=400)
    measured = Measured("a machine", {8: runs}, {8: [0.2] * 10}, delays, PHASES, 10, 0.02, rebuilt, 420)
    first = document(measured, {})
    assert "in 7 minutes." in first
    assert " on " not in "".join(re.findall(r"^\| 8.*", first, re.MULTILINE))
    page = document(measured, {**figures_of(first), "day": "2026-01-31", "8 accepted": 77})
    assert "| 8 | 150 | 75 | 10 ms | 100 ms | 200 ms | 200 ms |" in page
    assert "| 8, on 2026-01-31 | 77 | 75 | 10 ms | 100 ms | 200 ms | 200 ms |" in page
    assert "| from the trade | 50 ms | 50 ms |" in page
    assert re.search(r"\*\*[0-9,]+ events, [0-9,]+ trades and [0-9,]+ candles a second\*\*", page)
    assert "| write orders indexes | 3 | 3 | 3 | 3 |" in page
    assert "| **all write** | **13** |" in page
    lines = [float(text) for text in re.findall(r"^\| [A-Z][^|]+ \| [^|]+ \| \S+ = ([0-9.]+) \|", page, re.MULTILINE)]
    shown = float(re.findall(r"\*\*a million\*\* \|  \| \*\*([0-9.]+)\*\*", page)[0])
    assert len(lines) == len(BILL)
    assert abs(sum(lines) - shown) < 0.005 * len(BILL)
    assert abs(shown - dollars_a_million(PHASES[0])) < 0.01


def test_what_a_million_of_one_request_costs_is_its_list_price() -> None:
    one_write = Phase("x", {"write orders": 1.0})
    assert round(dollars_a_million(one_write), 6) == 0.625
    assert round(dollars_a_million(Phase("x", {"put units orders": 1.0})), 6) == 0.014
