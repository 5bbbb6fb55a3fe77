"""What the clock tells, and the end of credentials."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from exchange.feeds.gateway import LambdaPulse
from exchange.feeds.model import Owner, Subscription
from exchange.feeds.pulse import RUN_SECONDS_MAX, Pulse, Sweep
from exchange.messages import Side
from exchange.users.model import ApiKey, Credential, Customer, CustomerStatus, KeyStatus, Scope

from tests.unit.feeds.house import SIGNED, House, kinds

SECOND_NS = 1_000_000_000


class Turning:
    """A clock that sleeping turns, and that lets something happen while it sleeps."""

    def __init__(self, during: Callable[[int], None] = lambda _: None) -> None:
        self.time_ns = 1_700_000_000 * SECOND_NS
        self.slept = 0
        self._during = during

    def now_ns(self) -> int:
        return self.time_ns

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.time_ns = (self.time_ns // SECOND_NS + 1) * SECOND_NS
        self.slept += 1
        self._during(self.slept)


@pytest.fixture
def house() -> House:
    house = House()
    house.connect("ann", "bob")
    house.market.place(Side.SELL, 10_100, 5)
    house.market.place(Side.BUY, 10_100, 2)
    house.run()
    return house


def pulse(house: House, clock: Turning) -> Pulse:
    return Pulse(
        listeners=house.connections,
        pusher=house.inboxes,
        catalogue=house.catalogue,
        tickers=house.markets,
        clock=clock,
        sleep=clock.sleep,
    )


def test_a_pulse_nobody_listens_to_ends_at_once(house: House) -> None:
    assert pulse(house, Turning()).run("one") == 0
    assert house.connections.pulse() == ("", 0)


def test_a_run_beats_every_second_and_leaves_the_rest_to_the_next(house: House) -> None:
    house.subscribe("heartbeat")
    assert pulse(house, Turning()).run("one") == RUN_SECONDS_MAX
    beats = house.inboxes.take("ann")
    assert kinds(beats) == ["heartbeat"] * RUN_SECONDS_MAX
    assert len({beat["time"] for beat in beats}) == RUN_SECONDS_MAX
    assert (beats[0]["sequence"], beats[0]["last_trade_id"]) == (5, 1)


def test_two_subscriptions_that_two_frames_at_once_have_made_beat_once(house: House) -> None:
    house.subscribe("heartbeat")
    house.inboxes.take("ann")
    (first,) = house.connections.rows["ann"]
    house.connections.subscribe([replace(first, generation=f"{int(first.generation) + 1:019d}")])
    assert pulse(house, Turning()).run("one") == RUN_SECONDS_MAX
    assert len(house.inboxes.take("ann")) == RUN_SECONDS_MAX


def test_the_run_that_begins_last_goes_on_alone(house: House) -> None:
    house.subscribe("heartbeat")
    clock = Turning(lambda slept: house.connections.start_pulse("two", 0) if slept == 3 else None)
    assert pulse(house, clock).run("one") == 3
    assert house.connections.pulse()[0] == "two"


def test_tickers_come_in_batches_when_they_moved_and_status_once_a_run(house: House) -> None:
    house.subscribe("ticker_batch", "heartbeat")
    house.ask({"type": "subscribe", "channels": ["status"]}, "bob")

    def trade(slept: int) -> None:
        if slept == 7:
            house.market.place(Side.BUY, 10_100, 1)
            house.run()
        if slept == 20:
            house.connections.close("ann")
            house.connections.close("bob")

    assert pulse(house, Turning(trade)).run("one") == 20
    told = house.inboxes.take("ann")
    assert [one["trade_id"] for one in told if one["type"] == "ticker"] == [1, 2]
    assert kinds(house.inboxes.take("bob")) == ["status"]


def test_a_connection_that_is_gone_is_forgotten(house: House) -> None:
    house.subscribe("heartbeat")
    house.inboxes.gone.add("ann")
    assert pulse(house, Turning()).run("one") == 1
    assert house.connections.find("ann") is None


class Invocations:
    """Lambda, counting."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    def invoke(self, *, FunctionName: str, InvocationType: str) -> None:  # noqa: N803 - boto3's names
        self.made.append((FunctionName, InvocationType))


def test_the_pulse_is_woken_only_where_it_sleeps(house: House) -> None:
    clock, invocations = Turning(), Invocations()
    waker = LambdaPulse(invocations, "pulse", house.connections, clock)
    waker.wake()
    house.connections.start_pulse("one", clock.now_ns() + SECOND_NS)
    waker.wake()
    clock.sleep(1)
    waker.wake()
    assert invocations.made == [("pulse", "Event")] * 2


class Known:
    """Keys and customers by id."""

    def __init__(self, *found: ApiKey | Customer) -> None:
        self.found = {one.key_id if isinstance(one, ApiKey) else one.user_id: one for one in found}

    def key(self) -> "Known.Keys":
        return Known.Keys(self)

    class Keys:
        def __init__(self, known: "Known") -> None:
            self._known = known

        def find(self, key_id: str) -> ApiKey | None:
            found = self._known.found.get(key_id)
            return found if isinstance(found, ApiKey) else None

    def find(self, user_id: str) -> Customer | None:
        found = self.found.get(user_id)
        return found if isinstance(found, Customer) else None


def key(status: KeyStatus = KeyStatus.ACTIVE, expires_at_ns: int | None = None) -> ApiKey:
    return ApiKey(
        "ann", "user-ann", "k", frozenset({Scope.VIEW}), Credential(), 1, status=status, expires_at_ns=expires_at_ns
    )


def customer(status: CustomerStatus = CustomerStatus.ACTIVE) -> Customer:
    return Customer("user-ann", 1, "a@example.com", "Ann", 1, status=status)


@pytest.mark.parametrize(
    ("known", "owner", "is_ended"),
    [
        (Known(key(), customer()), Owner(1, "user-ann", "ann"), False),
        (Known(key(KeyStatus.REVOKED), customer()), Owner(1, "user-ann", "ann"), True),
        (Known(key(expires_at_ns=5), customer()), Owner(1, "user-ann", "ann"), True),
        (Known(customer()), Owner(1, "user-ann", "ann"), True),
        (Known(key(), customer(CustomerStatus.FROZEN)), Owner(1, "user-ann", "ann"), True),
        (Known(customer()), Owner(1, "user-ann", "", 1_800_000_000 * SECOND_NS), False),
        (Known(customer()), Owner(1, "user-ann", "", 1_600_000_000 * SECOND_NS), True),
    ],
)
def test_what_outlived_its_credential_is_ended(house: House, known: Known, owner: Owner, is_ended: bool) -> None:
    house.connections.subscribe([Subscription("ann", "", "watch", "1", owner)])
    house.subscribe("ticker", connection_id="bob")
    house.inboxes.take("bob")
    sweep = Sweep(listeners=house.connections, pusher=house.inboxes, keys=known.key(), customers=known, clock=Turning())
    assert sweep.run() == int(is_ended)
    assert kinds(house.inboxes.take("ann")) == ["error"] * is_ended
    assert (house.connections.find("ann") is None) == is_ended
    assert house.connections.find("bob") is not None


def test_unsubscribing_from_all_that_is_private_ends_the_watch(house: House) -> None:
    house.subscribe("user", "ticker", **SIGNED)
    house.ask({"type": "subscribe", "channels": ["balance"], **SIGNED})
    assert len(house.connections.listeners("@watch")) == 1
    house.ask({"type": "unsubscribe", "channels": ["user"]})
    assert len(house.connections.listeners("@watch")) == 1
    house.ask({"type": "unsubscribe", "channels": ["balance"]})
    assert house.connections.listeners("@watch") == []
