"""Campaigns against real processes while orders flow: workers killed and frozen, the cloud away, requests disturbed.

Each flow ends with the customers' own books equal to the exchange's, and with the audit; only then are its figures
told, so that a campaign that somebody interrupts has shown what it told. `make campaign-...` runs them long; here is a
slice. The matcher's own are in test_matcher.py.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.fakes.faults import Fault, Rule
from tests.integration.campaign import AT_WORK, FLOW_ORDERS, IDLE, Suffering, suffering

pytestmark = pytest.mark.cloud
Eventually = Callable[[Callable[[], Any]], Any]
SETTLEMENT_KILLS = int(os.environ.get("SETTLEMENT_KILLS", "6"))
WORKER_STOPS = int(os.environ.get("WORKER_STOPS", "4"))
FAULT_ORDERS = int(os.environ.get("FAULT_ORDERS", "150"))
FAULT_FLOW_ORDERS_MAX = 500
OUTAGES = int(os.environ.get("CLOUD_OUTAGES", "1"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "1"))
SETTLEMENT = ("settlement-tasks", "settlement-stream")
# So many orders a hit at least: a flow in which nobody was left alone could never come to its end.
ORDERS_A_HIT = 10
EVERYBODY = (*SETTLEMENT, "trading-api", "market-data-stream", "feeds-stream", "ledger-stream")
# Longer than the matcher's lease, so that it must stop by itself and lead again.
OUTAGE_SECONDS = 6.0
# Of each request's chances; a LOST or BROKEN one was carried out, and nobody hears of it.
PARTS = {Fault.THROTTLED: 0.05, Fault.FAILED: 0.04, Fault.LATE: 0.03, Fault.LOST: 0.05, Fault.BROKEN: 0.03}
DISTURBED = (
    Rule("trading-*", "DynamoDB.*", PARTS),
    Rule("settlement-*", "DynamoDB.*", PARTS),
    Rule("settlement-stream", "AWSStepFunctions.*", PARTS),
    Rule("market-data-*", "DynamoDB.*", PARTS),
    Rule("ledger-stream", "DynamoDB.*", PARTS),
    Rule("trading-*", "Kinesis.*", PARTS),
    Rule("matcher", "Kinesis.Put*", PARTS),
    Rule("matcher", "DynamoDB.UpdateItem", {Fault.LOST: 0.05, Fault.THROTTLED: 0.05}),
    Rule("matcher", "s3.PUT", {Fault.FAILED: 0.3, Fault.LOST: 0.2}),
)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suffering]:
    """A laptop of this file's own: what is killed here must not disturb others."""
    with suffering(tmp_path_factory.mktemp("campaign"), SEED) as running:
        yield running


def told(figures: str) -> None:
    """A campaign's figures so far, at once, for whoever watches it or ends it early."""
    print(figures, flush=True)  # noqa: T201 - figures to read


def test_settlement_workers_killed_in_the_middle_lose_and_double_nothing(
    victim: Suffering, eventually: Eventually
) -> None:
    kills, number = victim.kills, 0
    while kills[AT_WORK] < SETTLEMENT_KILLS:
        number += 1
        goal = min(SETTLEMENT_KILLS, kills[AT_WORK] + FLOW_ORDERS // ORDERS_A_HIT)
        most = kills.total() + FLOW_ORDERS // ORDERS_A_HIT
        with victim.flow(number=number) as demo:
            while demo.poll() is None and kills[AT_WORK] < goal and kills.total() < most:
                time.sleep(victim.rng.uniform(0.05, 0.6))
                victim.kill_one(SETTLEMENT)
        counted = ", ".join(f"{kills[doing]} {doing}" for doing in (AT_WORK, IDLE))
        told(f"workers killed in {number} flows of {FLOW_ORDERS} orders: {counted}")
    # The count would mean nothing, were every worker always taken to be at work.
    assert victim.workers(SETTLEMENT)
    eventually(lambda: not victim.at_work(SETTLEMENT))


def test_workers_frozen_in_the_middle_go_on_as_if_nothing_had_been(victim: Suffering) -> None:
    stopped, number = 0, 100
    while stopped < WORKER_STOPS:
        number += 1
        goal = min(WORKER_STOPS, stopped + FLOW_ORDERS // ORDERS_A_HIT)
        with victim.flow(number=number) as demo:
            while demo.poll() is None and stopped < goal:
                time.sleep(victim.rng.uniform(0.05, 0.4))
                stopped += victim.stop_one(EVERYBODY, victim.rng.uniform(0.2, 2.0))
        told(f"{stopped} workers stopped in {number - 100} flows of {FLOW_ORDERS} orders")


def test_every_service_away_at_once_and_back_is_caught_up_with(victim: Suffering) -> None:
    for number in range(OUTAGES):
        with victim.flow(number=200 + number) as demo:
            time.sleep(2)
            assert demo.poll() is None
            victim.freeze(victim.command.process("cloud"), OUTAGE_SECONDS)
        told(f"{number + 1} outages of {OUTAGE_SECONDS:g} seconds, each in a flow of {FLOW_ORDERS} orders")


def test_throttled_failed_late_and_lost_requests_lose_and_double_nothing(victim: Suffering) -> None:
    victim.disturb(SEED, DISTURBED)
    fired: Mapping[str, int] = {}
    try:
        for first in range(0, FAULT_ORDERS, FAULT_FLOW_ORDERS_MAX):
            orders = min(FAULT_FLOW_ORDERS_MAX, FAULT_ORDERS - first)
            with victim.flow(orders=orders, rate=15, number=300 + SEED + first):
                pass
            fired = victim.fired()
            told(f"{first + orders} orders under {sum(fired.values())} faults: {dict(by_kind(fired))}")
    finally:
        victim.disturb(SEED, ())
    told(str(dict(sorted(fired.items()))))
    assert by_kind(fired).keys() == {str(fault) for fault in Fault}
    assert fired.get("lost DynamoDB.TransactWriteItems", 0) + fired.get("broken DynamoDB.TransactWriteItems", 0) > 0


def by_kind(fired: Mapping[str, int]) -> Counter[str]:
    """How many of each kind, whatever the request."""
    kinds: Counter[str] = Counter()
    for name, times in sorted(fired.items()):
        kinds[name.split()[0]] += times
    return kinds
