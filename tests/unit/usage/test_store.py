"""The table takes from budgets exactly as the fake does: one story told to both, step by step."""

import random
from collections.abc import Iterator

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.errors import UnavailableError
from exchange.usage.model import Budget, Part, Policy
from exchange.usage.store import UsageItem, UsageStore
from moto import mock_aws

from tests.fakes.usage import FakeBuckets
from tests.fakes.users import NOW_NS

BUDGET = Budget("requests:ann", (Part("key_1", Policy(15, 30)), Part("customer_standard", Policy(30, 60))))


@pytest.fixture
def store() -> Iterator[UsageStore]:
    with mock_aws():
        bind(UsageItem, "usage-of-this-test")
        UsageItem.create_table(billing_mode="PAY_PER_REQUEST")
        yield UsageStore(connection())


@pytest.mark.parametrize("seed", range(5))
def test_the_table_and_the_fake_agree(store: UsageStore, seed: int) -> None:
    chance, fake, now_ns = random.Random(seed), FakeBuckets(), NOW_NS
    names = [part.name for part in BUDGET.parts]
    written = 0
    for _ in range(60):
        now_ns += chance.choice([0, 10**6, 10**8, 10**9, 5 * 10**9])
        amount, idle = chance.randint(1, 12), frozenset(chance.sample(names, chance.randint(0, 2)))
        found = store.take(BUDGET, amount, now_ns=now_ns, idle=idle)
        assert found == fake.take(BUDGET, amount, now_ns=now_ns, idle=idle)
        written += found.written
    assert 5 < written < 55


def test_a_budget_is_forgotten_after_an_hour(store: UsageStore) -> None:
    store.take(BUDGET, 1, now_ns=NOW_NS, idle=frozenset(part.name for part in BUDGET.parts))
    assert UsageItem.get(BUDGET.owner).expires_at == NOW_NS // 10**9 + 3_600


def test_a_missing_table_is_an_outage(store: UsageStore) -> None:
    boto3.client("dynamodb", region_name=UsageItem.Meta.region).delete_table(TableName="usage-of-this-test")  # type: ignore[attr-defined]
    with pytest.raises(UnavailableError):
        store.take(BUDGET, 1, now_ns=NOW_NS, idle=frozenset())
