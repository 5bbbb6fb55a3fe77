"""The gate over one shared budget: what a request that is worth several takes, and what is told of it."""

import pytest
from exchange.rest import ApiRequest
from exchange.usage.gate import BudgetGate
from exchange.usage.limiter import Limiter

from tests.fakes.rest import proxy_event
from tests.fakes.usage import FakeBuckets
from tests.fakes.users import StoppedClock
from tests.unit.usage.test_limiter import Bot

REQUEST = ApiRequest.from_event(proxy_event("POST", "/orders/batch"), b"", origin_secret="")


@pytest.mark.parametrize("orders", [2, 29, 30, 31, 40])
def test_a_rested_caller_may_send_a_batch_of_any_size(orders: int) -> None:
    gate = BudgetGate(Limiter(FakeBuckets(), StoppedClock()), address_rate=0)
    first = gate.judge(REQUEST, Bot(), cancels=False)
    rest = gate.judge(REQUEST, Bot(), cancels=False, amount=orders - 1, counted=1)
    assert (first.refusal, rest.refusal) == (None, None)
    assert rest.headers["RateLimit-Remaining"] == str(max(0, 30 - orders))


def test_no_more_is_told_to_be_left_than_there_can_be() -> None:
    clock = StoppedClock()
    gate = BudgetGate(Limiter(FakeBuckets(), clock), address_rate=0)
    for _ in range(40):
        clock.at_ns += 70_000_000
        assert int(gate.judge(REQUEST, Bot(), cancels=False).headers["RateLimit-Remaining"]) <= 30
