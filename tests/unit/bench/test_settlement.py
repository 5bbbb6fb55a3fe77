"""The formula of what one product settles."""

from dataclasses import replace

import pytest

from bench.settlement import HOP_SECONDS, INPUT_BYTES, Cost, part_seconds, trades_a_second

COST = Cost(
    trades_a_part=20,
    items_a_part=98,
    plan_seconds=0.004,
    prepare_seconds=0.004,
    commit_seconds=0.002,
    read_seconds_a_trade=0.0,
    bytes_a_trade=INPUT_BYTES / 400,
)


def test_a_part_takes_its_transaction_or_its_computing_whichever_is_longer() -> None:
    assert part_seconds(COST, 0.0125) == pytest.approx(0.0145)
    assert part_seconds(COST, 0.001) == pytest.approx(0.010)


def test_an_execution_is_a_hop_its_reads_and_its_parts() -> None:
    seconds = HOP_SECONDS + (2 + 2) * 0.0125 + 20 * 0.0145
    assert trades_a_second(COST, 0.0125) == pytest.approx(400 / seconds)


def test_more_trades_a_part_or_an_execution_are_more_trades_a_second() -> None:
    usual = trades_a_second(COST, 0.0125)
    assert trades_a_second(replace(COST, trades_a_part=30), 0.0125) > usual
    assert trades_a_second(replace(COST, bytes_a_trade=COST.bytes_a_trade / 3), 0.0125) > usual
    assert trades_a_second(COST, 0.02) < usual
