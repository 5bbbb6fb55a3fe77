"""Whatever fails, passes, is hurried and comes again: every event is settled once and in order, none stays behind."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from exchange.kernel.errors import OutageError, OutcomeUnknownError
from exchange.settlement.delivery import StreamRecord, deliver
from exchange.settlement.failures import Failure, FailureState, hurried
from exchange.settlement.retrying import retry_due
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.failures import FakeFailures

PRODUCTS = ("A-B", "C-D")
STEP_NS = 37 * 1_000_000_000


@dataclass
class Kept:
    """The quarantine in memory. What others do `meanwhile` happens before each look at it and after each change."""

    records: dict[tuple[str, int], StreamRecord] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    stale: bool = False  # Whoever asks whether a product is paused asked long ago.
    meanwhile: Callable[[], None] = lambda: None

    def is_paused(self, product_id: str) -> bool:
        self.meanwhile()
        return self.stale or product_id in self.marks

    def pause(self, product_id: str, reason: str) -> None:
        assert reason
        self.marks.add(product_id)
        self.meanwhile()

    def keep(self, record: StreamRecord) -> None:
        self.records[record.product_id, int(record.sequence_number)] = record
        self.meanwhile()

    def kept(self, product_id: str) -> Iterator[StreamRecord]:
        self.meanwhile()
        return iter([row for key, row in sorted(self.records.items()) if key[0] == product_id])

    def holds(self, product_id: str) -> bool:
        self.meanwhile()
        return product_id in self.marks or any(key[0] == product_id for key in self.records)

    def settled(self, record: StreamRecord) -> None:
        self.records.pop((record.product_id, int(record.sequence_number)), None)
        self.meanwhile()

    def release(self, product_id: str) -> None:
        self.marks.discard(product_id)
        self.meanwhile()


@dataclass
class Rows(FakeFailures):
    """The rows in memory, with what others do before each write."""

    meanwhile: Callable[[], None] = lambda: None

    def put(self, failure: Failure) -> bool:
        """Write a failure in the place of the version before it."""
        self.meanwhile()
        return super().put(failure)


@dataclass
class World:
    """Two products on one shard, settled by numbered events; the cursor drops what it has, a gap is refused."""

    kept: Kept = field(default_factory=Kept)
    failures: Rows = field(default_factory=Rows)
    at_ns: int = 10**18
    settled: dict[str, list[int]] = field(default_factory=lambda: {product: [] for product in PRODUCTS})
    ails: dict[str, str] = field(default_factory=dict)
    stream: list[StreamRecord] = field(default_factory=list)
    read: int = 0

    def now_ns(self) -> int:
        return self.at_ns

    def run(self, payload: dict[str, Any]) -> Any:
        product = payload["product_id"]
        ails, done = self.ails.get(product), self.settled[product]
        if ails == "outage":
            raise OutcomeUnknownError("the machine is away")
        for number in (int(base64.b64decode(data)) for data in payload["records"]):
            if number > len(done) + 1:
                return {"outcome": "poison", "reason": f"GapError: expected {len(done) + 1}, found {number}"}
            if number > len(done):
                if ails == "defect":
                    return {"outcome": "poison", "reason": "InvariantError: broken"}
                done.append(number)
        if ails == "unheard":
            raise OutcomeUnknownError("settled, and nobody heard")
        return {"outcome": "settled", "trades": 0}

    def put(self, product: str) -> None:
        number = 1 + sum(record.product_id == product for record in self.stream)
        data = base64.b64encode(str(number).encode()).decode()
        self.stream.append(StreamRecord(product, str(len(self.stream) + 1), data, self.at_ns))

    def deliver(self, size: int) -> None:
        batch = self.stream[self.read : self.read + size]
        try:
            deliver(batch, machine=self, quarantine=self.kept, failures=self.failures, clock=self)
        except OutageError:
            return
        self.read += len(batch)

    def retry(self) -> None:
        retry_due(failures=self.failures, machine=self, quarantine=self.kept, clock=self)

    def hurry(self) -> None:
        for failure in self.failures.every_open():
            self.failures.put(hurried(failure, self.at_ns))


PRODUCT = st.sampled_from(PRODUCTS)
DOINGS = st.one_of(
    st.tuples(st.just("put"), PRODUCT),
    st.tuples(st.just("deliver"), st.integers(1, 5)),
    st.tuples(st.just("again"), st.integers(1, 4)),
    st.tuples(st.just("retry"), st.none()),
    st.tuples(st.just("hurry"), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 4)),
    st.tuples(st.just("ails"), st.tuples(PRODUCT, st.sampled_from(["outage", "defect", "unheard", ""]))),
)


def do(world: World, what: str, how: Any) -> None:
    if what == "put":
        world.put(how)
    elif what == "deliver":
        world.deliver(how)
    elif what == "again":  # The stream tells again what it told before.
        world.read = max(0, world.read - how)
    elif what == "wait":
        world.at_ns += how * STEP_NS
    elif what == "ails":
        world.ails[how[0]] = how[1]
    elif what == "retry":
        world.retry()
    else:
        world.hurry()


@given(st.lists(DOINGS, max_size=60))
def test_everything_is_settled_once_and_in_order_in_the_end(doings: list[tuple[str, Any]]) -> None:
    world = World()
    for what, how in doings:
        do(world, what, how)
        for failure in world.failures.every_open():
            assert failure.state is not FailureState.SETTLED
        for product in world.kept.marks:
            assert world.failures.open(product) is not None, "nobody would try it again"
    world.ails.clear()
    for _ in range(4):  # Mended: the stream is read to its end, operators have what stopped tried again.
        world.at_ns += 100 * STEP_NS
        world.deliver(len(world.stream))
        world.hurry()
        world.retry()
    for product in PRODUCTS:
        brought = sum(record.product_id == product for record in world.stream)
        assert world.settled[product] == list(range(1, brought + 1))
    assert (world.kept.records, world.kept.marks, list(world.failures.every_open())) == ({}, set(), [])
    assert all(row.settled_at_ns for row in world.failures.rows.values())


@pytest.mark.parametrize("first", ["deliver", "retry", "retry beside a stale look"])
@pytest.mark.parametrize("at", range(12))
def test_who_comes_between_two_steps_of_another_leaves_nothing_that_waits_for_nobody(first: str, at: int) -> None:
    world, product = World(), PRODUCTS[0]
    calls, inside = 0, False

    def other() -> None:
        """The outage is over: what is in the queue is tried again at once, or the stream brings the next record."""
        world.ails.clear()
        if first == "deliver":
            world.hurry()
            world.retry()
        else:
            world.kept.stale = "stale" in first
            world.deliver(1)
            world.kept.stale = False

    def meanwhile() -> None:
        nonlocal calls, inside
        if inside:
            return
        if calls == at:
            inside = True
            other()
            inside = False
        calls += 1

    world.put(product)
    world.at_ns += 100 * STEP_NS
    world.ails[product] = "outage"
    if first != "deliver":
        world.deliver(1)
        world.put(product)
        world.hurry()
        world.ails.clear()
    world.kept.meanwhile = world.failures.meanwhile = meanwhile
    if first == "deliver":
        world.deliver(1)
    else:
        world.retry()
    world.kept.meanwhile = world.failures.meanwhile = lambda: None
    waits = {*world.kept.marks, *(key[0] for key in world.kept.records)}
    assert not waits or world.failures.open(product) is not None, "nobody would try it again"
