"""Genuine words of both providers, replayed, contradicting and in every order: what is posted is posted once.

The forged and the stale ones, two hundred and more for each provider, are in `test_stripe.py` and `test_api.py`.
"""

import itertools
from collections.abc import Sequence
from contextlib import suppress

import pytest
from exchange.kernel.errors import Refused, UnavailableError
from exchange.transfers.model import TransferStatus

from tests.fakes.payments import TransferWorld
from tests.fakes.stripe_world import StripeWorld, stripe_deposit
from tests.fakes.wallets import a_deposit

CUSTOMER = ("7", "USD")
BANKS_WORDS = {
    "booked": {"status": "booked"},
    "declined": {"status": "declined", "reason": "no funds", "event_id": "declined-1"},
    "booked-as-another": {"status": "booked", "bank_reference": "SB-other", "event_id": "other-1"},
    "returned": {"status": "returned", "event_id": "returned-1"},
}
BANKS_ORDERS = list(itertools.permutations(BANKS_WORDS))
STRIPES_ORDERS = list(itertools.permutations(range(5)))
REPLAYS = (1, 2, 3)
# How late the clock of a replayed notification is. Within five minutes it is believed, and told twice it is one.
STALE_SECONDS = (*range(301, 321), 600, 3_600, 86_400, 10**7)


def test_there_are_more_than_200_of_them() -> None:
    banks = len(BANKS_ORDERS) * len(REPLAYS)
    assert banks + len(STRIPES_ORDERS) + len(STALE_SECONDS) >= 200


@pytest.mark.parametrize("times", REPLAYS)
@pytest.mark.parametrize("order", BANKS_ORDERS, ids="-then-".join)
def test_the_banks_words_in_any_order_and_replayed_come_to_one_end(order: Sequence[str], times: int) -> None:
    world, made = TransferWorld(), a_deposit("25.50")
    world.request(made)
    world.step(made.transfer_id)
    sent = {name: world.answered(made, **BANKS_WORDS[name]) for name in order}
    ends = []
    for _ in range(3):
        for name in order:
            for _ in range(times):
                with suppress(UnavailableError):  # What is taken back before it is credited is told again.
                    world.receive(*sent[name])
                world.check()
            world.step(made.transfer_id)
            world.check()
        ends.append((dict(world.books.balances), dict(world.transfers.rows)))
    assert ends[1] == ends[2]
    row = world.transfers.rows[made.transfer_id]
    assert row.status in {TransferStatus.COMPLETED, TransferStatus.CANCELED}
    assert world.books.balances[CUSTOMER] == 0  # It was declined, or credited and then returned.


@pytest.mark.parametrize("order", STRIPES_ORDERS, ids=lambda order: "".join(map(str, order)))
def test_stripes_events_in_any_order_each_twice_come_to_one_end(order: Sequence[int]) -> None:
    """Asked for, part, whole, disputed, won."""
    world, made = StripeWorld(), stripe_deposit()
    world.request(made)
    world.step(made.transfer_id)
    world.pay(made, 1_000)
    world.pay(made, 1_550)
    world.outside(world.intent(made)["id"], "dispute")
    dispute = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "dispute")
    world.outside(dispute, "win")
    events = list(world.events)
    assert len(events) == 5
    for _ in range(2):
        for which in order:
            with suppress(UnavailableError):
                world.hear(events[which])
                world.hear(events[which])
            world.step(made.transfer_id)
            world.check()
    assert world.transfers.rows[made.transfer_id].status is TransferStatus.COMPLETED
    assert world.books.balances[CUSTOMER] == 25_500_000


@pytest.mark.parametrize("seconds", STALE_SECONDS)
def test_a_genuine_notification_that_is_replayed_too_late_is_refused(seconds: int) -> None:
    world, made = TransferWorld(), a_deposit("25.50")
    world.request(made)
    world.step(made.transfer_id)
    headers, body = world.answered(made)
    world.clock.at_ns += seconds * 1_000_000_000
    assert isinstance(world.receive(headers, body), Refused)
    world.step(made.transfer_id)
    assert world.books.balances[CUSTOMER] == 0
    world.check()
