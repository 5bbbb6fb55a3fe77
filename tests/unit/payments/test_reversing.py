"""Payments taken back: a compensating entry each, once, with what was spent told as owed."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.payments.model import TakenBack
from exchange.payments.reversing import take_back
from exchange.transfers.model import Transfer, TransferStatus

from tests.fakes.stripe_world import StripeWorld, stripe_deposit
from tests.fakes.wallets import CrashError, Cuts, a_deposit, a_withdrawal

CUSTOMER, OWES, CUSTODY = ("7", "USD"), ("house:receivable:7", "USD"), ("house:custody:stripe", "USD")


def deposited(cuts: Cuts | None = None) -> tuple[StripeWorld, Transfer]:
    """25.50 came by Stripe."""
    world, made = StripeWorld(cuts), stripe_deposit()
    world.request(made)
    world.step(made.transfer_id)
    world.pay(made, 2550)
    world.through(made)
    world.events.clear()
    return world, made


def spend(world: StripeWorld, amount: str) -> None:
    """A withdrawal to the bank, held at least."""
    said = world.request(a_withdrawal(amount, key=amount, at_ns=world.clock.at_ns))
    assert isinstance(said, Transfer), said


def stands(world: StripeWorld) -> tuple[int, int, int]:
    """What the customer has, owes, and what custody holds; the books are sound."""
    world.check()
    return world.books.balances[CUSTOMER], world.books.balances[OWES], world.books.balances[CUSTODY]


def heard(world: StripeWorld) -> list[Any]:
    """Every event that waits, delivered."""
    said = [world.hear(body) for body in world.events]
    world.events.clear()
    return said


def test_a_dispute_takes_the_deposit_back_and_what_was_spent_is_owed() -> None:
    world, made = deposited()
    spend(world, "10")  # 10 and a fee of 0.25 are held: they stay what they are.
    world.outside(world.intent(made)["id"], "dispute")
    assert heard(world) == ["recorded"]
    assert stands(world) == (0, -10_250_000, 0)
    row = next(row for row in world.transfers.rows.values() if row.reverses)
    assert (row.reverses, row.units, row.received_units) == (made.transfer_id, 25_500_000, 15_250_000)


def test_a_dispute_won_before_we_hear_of_it_takes_nothing() -> None:
    world, made = deposited()
    spend(world, "10")
    world.outside(world.intent(made)["id"], "dispute")
    dispute = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "dispute")
    world.outside(dispute, "win")
    body = world.events[0]
    assert heard(world) == ["ignored", "ignored"]  # Both ask Stripe, where nothing is gone any more.
    assert stands(world) == (15_250_000, 0, -25_500_000)
    assert world.hear(body) == "ignored"


@pytest.mark.parametrize("end", ["win", "lose"])
def test_events_of_a_dispute_in_any_order_twice_end_alike(end: str) -> None:
    seen = set()
    for order in itertools.permutations((0, 1, 0, 1)):
        world, made = deposited()
        world.outside(world.intent(made)["id"], "dispute")
        first = world.events[0]
        assert world.hear(first) == "recorded"
        dispute = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "dispute")
        world.outside(dispute, end)
        events = list(world.events)
        for place in order:
            world.hear(events[place])
        seen.add(stands(world))
    assert seen == {(25_500_000, 0, -25_500_000) if end == "win" else (0, 0, 0)}


def test_refunds_of_parts_are_reversals_of_parts_and_a_failed_one_comes_back() -> None:
    world, made = deposited()
    world.refund(made, 1000)
    world.refund(made, 500)
    assert heard(world) == ["recorded", "recorded"]
    assert stands(world) == (10_500_000, 0, -10_500_000)
    refund = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "refund")
    world.outside(refund, "fail")
    body = world.events[0]
    assert (heard(world), world.hear(body)) == (["recorded"], "repeated")
    assert stands(world) == (20_500_000, 0, -20_500_000)


def test_what_is_taken_back_before_it_is_credited_waits_for_the_credit() -> None:
    world, made = StripeWorld(), stripe_deposit()
    world.request(made)
    world.step(made.transfer_id)
    world.pay(made, 2550, words="disputed")
    credit, dispute = world.events[-2:]
    with pytest.raises(UnavailableError):
        world.hear(dispute)
    assert world.hear(credit) == "recorded"
    world.step(made.transfer_id)
    assert world.hear(dispute) == "recorded"
    assert stands(world) == (0, 0, 0)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 13))
def test_a_crash_anywhere_reverses_once(at: int, after: bool) -> None:
    cuts = Cuts()
    world, made = deposited(cuts)
    world.outside(world.intent(made)["id"], "dispute")
    (body,) = world.events
    cuts.at, cuts.after, cuts.count = at, after, 0
    for _ in range(3):
        try:
            world.hear(body)
        except CrashError:
            continue
    assert stands(world) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"transfer_id": "nobody's"}, Code.TRANSFER_NOT_FOUND),
        ({"currency": "EUR"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "25.51"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "0"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "-1"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "NaN"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"provider": "bank"}, Code.PAYMENT_NOTIFICATION_INVALID),
    ],
)
def test_what_does_not_fit_its_deposit_takes_nothing(changed: dict[str, Any], code: Code) -> None:
    world, made = deposited()
    said = replace(TakenBack("du_1", made.transfer_id, "25.50", "USD", gone=True, reason="x"), **changed)
    answer = taken(world, said)
    assert isinstance(answer, Refused)
    assert answer.code is code
    assert stands(world) == (25_500_000, 0, -25_500_000)


def test_neither_a_withdrawal_nor_a_canceled_deposit_nor_a_reversal_can_be_taken_back() -> None:
    world, made = deposited()
    spend(world, "1")
    canceled = replace(a_deposit("3", key="no"), rail="stripe", status=TransferStatus.CANCELED)
    world.transfers.rows[canceled.transfer_id] = canceled
    world.outside(world.intent(made)["id"], "dispute")
    heard(world)
    before = dict(world.books.balances)
    for row in [row for row in world.transfers.rows.values() if row.transfer_id != made.transfer_id]:
        said = taken(world, TakenBack(f"du_{row.transfer_id}", row.transfer_id, "1", "USD", gone=True, reason="x"))
        assert isinstance(said, Refused), row
    assert world.books.balances == before


def taken(world: StripeWorld, said: TakenBack) -> str | Refused:
    """What the provider said, taken."""
    return take_back(
        said,
        transfers=world.transfers,
        journal=world.books,
        balances=world.books,
        reversals=world.books,
        clock=world.clock,
        pause=lambda _attempt: None,
    )


def test_the_sandbox_tells_its_refusals_as_stripe_does() -> None:
    world, made = deposited()
    name = world.intent(made)["id"]
    world.outside(name, "dispute")
    world.outside(name, "dispute")
    assert len(world.events) == 1
    assert json.loads(world.events[0])["data"]["object"]["payment_intent"] == name


def test_a_deposit_that_the_bank_took_back_is_owed_as_far_as_it_was_spent_and_told_twice_is_once() -> None:
    world, made = StripeWorld(), a_deposit("25.50")
    world.request(made)
    said = world.answered(made, status="returned", bank_reference="SB-back", event_id="evt-back", reason="no funds")
    with pytest.raises(UnavailableError):  # Not credited yet: the bank repeats.
        world.receive(*said)
    world.finish(made)
    spend(world, "10")
    assert [world.receive(*said) for _ in range(3)] == ["recorded", "repeated", "repeated"]
    world.check()
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, -10_250_000)
    assert world.books.balances["house:custody:sandbox-bank", "USD"] == 0
    row = next(row for row in world.transfers.rows.values() if row.reverses)
    assert (row.reverses, row.cancel_reason) == (made.transfer_id, "no funds")


def test_a_bank_takes_a_deposit_back_once_under_whatever_reference_and_each_deposit_by_itself() -> None:
    world, made, other = StripeWorld(), a_deposit("25.50"), a_deposit("25.50", key="other")
    for each in (made, other):
        world.request(each)
        world.finish(each)
    told = [
        world.receive(*world.answered(made, status="returned", bank_reference=reference))
        for reference in ("SB-1", "SB-2", "SB-3")
    ]
    assert told == ["recorded", "repeated", "repeated"]
    assert world.receive(*world.answered(other, status="returned", bank_reference="SB-1")) == "recorded"
    world.check()
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, 0)


def test_a_reversal_is_of_one_deposit_and_amount() -> None:
    world, made = deposited()
    said = TakenBack("du_1", made.transfer_id, "5", "USD", gone=True, reason="x")
    assert [taken(world, said), taken(world, said)] == ["recorded", "repeated"]
    other = taken(world, replace(said, amount="6"))
    assert isinstance(other, Refused)
    assert other.code is Code.PAYMENT_NOTIFICATION_INVALID


@pytest.mark.parametrize(
    "changed",
    [{"amount": "25.51"}, {"amount": "25.49"}, {"amount": "0"}, {"currency": "EUR"}, {"amount": "25.5000001"}],
)
def test_a_return_that_does_not_fit_its_deposit_moves_nothing(changed: dict[str, str]) -> None:
    world, made = StripeWorld(), a_deposit("25.50")
    world.request(made)
    world.finish(made)
    before = stands(world)
    said = world.receive(*world.answered(made, status="returned", bank_reference="SB-back", **changed))
    assert isinstance(said, Refused)
    assert said.code is Code.PAYMENT_NOTIFICATION_INVALID
    assert stands(world) == before
