"""A key's last use is written once an hour, and missing it turns nobody away."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.errors import UnavailableError
from exchange.usage.last_uses import EVERY_NS, LastUses
from exchange.usage.store import UsageItem, UsageStore
from moto import mock_aws

from tests.fakes.users import KEY_ID, NOW_NS


@dataclass
class Records:
    """What was written."""

    writes: list[int] = field(default_factory=list)
    broken: bool = False

    def note_use(self, key_id: str, now_ns: int, *, unless_after_ns: int) -> None:
        """Write."""
        if self.broken:
            raise UnavailableError("away")
        self.writes.append(now_ns)


@pytest.fixture
def store() -> Iterator[UsageStore]:
    with mock_aws():
        bind(UsageItem, "usage-of-this-test")
        UsageItem.create_table(billing_mode="PAY_PER_REQUEST")
        yield UsageStore(connection())


def test_a_thousand_requests_in_an_hour_are_one_write() -> None:
    records = Records()
    uses = LastUses(records)
    for second in range(1_000):
        uses.note(KEY_ID, NOW_NS + second * 10**9)
    assert records.writes == [NOW_NS]
    uses.note(KEY_ID, NOW_NS + EVERY_NS)
    assert records.writes == [NOW_NS, NOW_NS + EVERY_NS]


def test_an_outage_is_nobodys_problem() -> None:
    LastUses(Records(broken=True)).note(KEY_ID, NOW_NS)


def test_a_second_process_leaves_a_fresh_record_alone(store: UsageStore) -> None:
    for later_ns in (0, 5 * 10**9, EVERY_NS - 1):
        store.note_use(KEY_ID, NOW_NS + later_ns, unless_after_ns=NOW_NS + later_ns - EVERY_NS)
        assert store.last_uses([KEY_ID, "f" * 32]) == {KEY_ID: NOW_NS}
    store.note_use(KEY_ID, NOW_NS + EVERY_NS, unless_after_ns=NOW_NS)
    assert store.last_uses([KEY_ID]) == {KEY_ID: NOW_NS + EVERY_NS}


def test_no_keys_are_no_question(store: UsageStore) -> None:
    assert store.last_uses([]) == {}
