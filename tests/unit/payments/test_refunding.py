"""Refunds that operators want: held first, sent back once, given again where Stripe fails, and never below zero."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from exchange.approvals.model import Proposal, UnfitError
from exchange.aws.dynamodb import bind, connection
from exchange.banking.effects import RefundEffect
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.breaks.store import STOP, BreakItem
from exchange.kernel.errors import Refused
from exchange.ledger.model import receivable_account
from exchange.ledger.store import BalanceItem
from exchange.stripe.provider import KEY_AGE_MAX_NS
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.transfers.store import TransferItem, TransferStore, transfer_item
from exchange.users.model import CustomerStatus
from exchange.users.store import CustomerItem, CustomerStore, ProfileItem
from moto import mock_aws
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from tests.fakes.safeguards import UNBOUND
from tests.fakes.stripe_world import StripeWorld, stripe_deposit
from tests.fakes.tables import create_tables
from tests.fakes.wallets import CrashError, Cuts, FakeClock, a_withdrawal

CUSTOMER, OWES, CUSTODY = ("7", "USD"), ("house:receivable:7", "USD"), ("house:custody:stripe", "USD")


def paid_in(cuts: Cuts | None = None) -> tuple[StripeWorld, Transfer]:
    """25.50 came by Stripe."""
    world, made = StripeWorld(cuts), stripe_deposit()
    world.request(made)
    world.step(made.transfer_id)
    world.pay(made, 2550)
    world.through(made)
    return world, made


def refund(world: StripeWorld, made: Transfer, amount: str, proposal: str = "p") -> Transfer:
    wanted = world.send_back(made, amount, proposal=proposal)
    assert isinstance(wanted, Transfer), wanted
    return wanted


def hear_all(world: StripeWorld) -> None:
    world.ask_refunds()
    for body in list(world.events):
        world.hear(body)
    world.check()


def available(world: StripeWorld) -> tuple[int, int, int]:
    return world.books.balances[CUSTOMER], world.books.held[CUSTOMER], -world.books.balances[CUSTODY]


def test_what_is_sent_back_is_held_first_and_gone_when_stripe_has_taken_it() -> None:
    world, made = paid_in()
    wanted = refund(world, made, "20")
    assert available(world) == (5_500_000, 20_000_000, 25_500_000)
    assert world.ask_refunds() == 1
    assert available(world) == (5_500_000, 0, 5_500_000)
    row = world.transfers.rows[wanted.transfer_id]
    assert (row.status, row.reverses) == (TransferStatus.COMPLETED, made.transfer_id)
    hear_all(world)
    hear_all(world)
    assert available(world) == (5_500_000, 0, 5_500_000)
    assert world.files.refunds == set()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=lambda order: "".join(map(str, order)))
def test_a_refund_that_fails_after_all_is_the_customers_again_once(order: tuple[int, ...]) -> None:
    world, made = paid_in()
    refund(world, made, "10.21")
    world.events.clear()
    world.ask_refunds()
    assert available(world) == (15_290_000, 0, 15_290_000)
    world.outside(next(name for name in world.sandbox.objects if name.startswith("re_")), "fail")
    events = [*world.events, world.events[-1]]
    for which in order:
        world.hear(events[which])
        world.check()
    assert available(world) == (25_500_000, 0, 25_500_000)


def test_a_pending_refund_that_fails_settles_what_is_owed_by_then() -> None:
    world, made = paid_in()
    other = stripe_deposit("5", key="other")
    world.request(other)
    world.step(other.transfer_id)
    world.pay(other, 500)
    world.through(other)
    refund(world, made, "20.21")
    hear_all(world)
    world.request(a_withdrawal("10", key="spent", at_ns=world.clock.at_ns))
    world.outside(world.intent(other)["id"], "dispute")
    hear_all(world)
    owed = world.books.balances[OWES]
    assert owed < 0
    name = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "refund")
    world.outside(name, "fail")
    hear_all(world)
    assert (world.books.balances[OWES], world.books.balances[CUSTOMER]) == (0, 20_210_000 + owed)


def test_what_stripe_refuses_is_given_back() -> None:
    world, made = paid_in()
    world.refund(made, 2_000)  # by somebody at Stripe, and not heard of yet
    wanted = refund(world, made, "10")
    world.ask_refunds()
    row = world.transfers.rows[wanted.transfer_id]
    assert (row.status, row.payment) == (TransferStatus.CANCELED, PaymentState.DECLINED)
    assert available(world) == (25_500_000, 0, 25_500_000)
    hear_all(world)
    assert available(world) == (5_500_000, 0, 5_500_000)


def test_nobody_is_sent_back_more_than_they_have() -> None:
    world, made = paid_in()
    world.request(a_withdrawal("20", key="spent", at_ns=world.clock.at_ns))
    assert isinstance(world.send_back(made, "20"), Refused)
    assert isinstance(world.send_back(made, "25.51"), Refused)
    for amount in ("0", "-1", "1.001", "much"):
        assert isinstance(world.send_back(made, amount), Refused)
    assert world.ask_refunds() == 0
    world.check()


@pytest.mark.parametrize("changed", [{"rail": "sandbox-bank"}, {"reverses": "x"}, {"status": TransferStatus.PENDING}])
def test_only_a_credited_deposit_by_stripe_is_sent_back(changed: dict[str, str]) -> None:
    world, made = paid_in()
    row = world.transfers.rows[made.transfer_id]
    world.transfers.rows[made.transfer_id] = replace(row, **changed)  # type: ignore[arg-type]
    assert isinstance(world.send_back(made, "1"), Refused)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 16))
@pytest.mark.parametrize("amount", ["10", "10.21", "10.22"])
def test_a_crash_anywhere_sends_back_once(amount: str, at: int, after: bool) -> None:
    world, made = paid_in(Cuts())
    refund(world, made, amount)
    world.cuts.at, world.cuts.after, world.cuts.count = at, after, 0
    for _ in range(3):
        with suppress(CrashError):
            world.ask_refunds()
            for body in list(world.events):
                world.hear(body)
    world.check()
    refunds = [thing for thing in world.sandbox.objects.values() if thing["object"] == "refund"]
    assert len(refunds) == 1
    cents = 0 if amount == "10.22" else refunds[0]["amount"]
    assert available(world) == (25_500_000 - cents * 10_000, 0, 25_500_000 - cents * 10_000)


def test_a_lost_answer_is_found_when_stripe_has_forgotten_the_key() -> None:
    world, made = paid_in(Cuts())
    refund(world, made, "10")
    world.cuts.at, world.cuts.after, world.cuts.count = 4, True, 0
    with suppress(CrashError):
        world.ask_refunds()
    refunds = [thing for thing in world.sandbox.objects.values() if thing["object"] == "refund"]
    assert len(refunds) == 1
    world.sandbox.answered.clear()
    world.clock.at_ns += KEY_AGE_MAX_NS
    hear_all(world)
    assert len([thing for thing in world.sandbox.objects.values() if thing["object"] == "refund"]) == 1
    assert available(world) == (15_500_000, 0, 15_500_000)


OWNER = replace(UNBOUND, account_id=7)
TABLES: dict[str, Any] = {
    "bank_files": BankFileItem,
    "transfers": TransferItem,
    "balances": BalanceItem,
    "users": CustomerItem,
    "profiles": ProfileItem,
    "breaks": BreakItem,
}


@pytest.fixture
def tables() -> Iterator[TransferStore]:
    with mock_aws():
        create_tables(*TABLES)
        for name, model in TABLES.items():
            bind(model, name)
        CustomerStore().create_once(OWNER)
        world, made = paid_in()
        transfer_item(world.transfers.rows[made.transfer_id]).save()
        BalanceItem("7", "USD", available=25_500_000).save()
        yield TransferStore(connection())


def a_proposal(amount: str, *, number: int = 1, transfer_id: str = "") -> Proposal:
    payload = {"transfer_id": transfer_id or stripe_deposit().transfer_id, "amount": amount}
    return Proposal(f"proposal {number}", "stripe.refund", payload, "they asked for it", "olivia", 1, 2)


def judged(transfers: TransferStore, amount: str, *, number: int = 1, transfer_id: str = "") -> TransactWrite:
    """An approval before it is written."""
    transaction = TransactWrite(connection=connection())
    proposal = a_proposal(amount, number=number, transfer_id=transfer_id)
    RefundEffect(transfers, FakeClock()).apply(transaction, proposal)
    return transaction


def write(transaction: TransactWrite) -> None:
    with transaction:
        pass


def apply(transfers: TransferStore, amount: str, *, number: int = 1, transfer_id: str = "") -> None:
    write(judged(transfers, amount, number=number, transfer_id=transfer_id))


def test_an_approval_holds_at_most_what_is_available(tables: TransferStore) -> None:
    BalanceItem("7", "USD", available=22_000_000).save()  # The rest is spent.
    apply(tables, "20")
    with pytest.raises(TransactWriteError):
        apply(tables, "2.01", number=2)
    with pytest.raises(TransactWriteError):
        apply(tables, "1")  # the same proposal holds once
    item = BalanceItem.get("7", "USD")
    assert (item.available, item.held) == (2_000_000, 20_000_000)
    (transfer_id,) = BankFileStore(connection()).open_refunds()
    kept = tables.transfer(transfer_id)
    assert kept is not None
    assert (kept.units, kept.payment, kept.task_token) == (20_000_000, PaymentState.REQUESTED, transfer_id)
    assert tables.unstarted(before_ns=2 * 10**18, limit=10) == []
    BankFileStore(connection()).close_refund(transfer_id)
    assert BankFileStore(connection()).open_refunds() == []


def test_who_owes_is_sent_nothing_back(tables: TransferStore) -> None:
    BalanceItem(receivable_account(7), "EUR", available=-1).save()
    with pytest.raises(UnfitError, match="owes EUR"):
        apply(tables, "20")
    assert BalanceItem.get("7", "USD").held in (None, 0)


def test_what_is_no_deposit_of_stripes_is_unfit(tables: TransferStore) -> None:
    for amount, transfer_id in (("1", "nobody"), ("26", ""), ("0.001", "")):
        with pytest.raises(UnfitError):
            apply(tables, amount, transfer_id=transfer_id)


def test_refunds_of_a_deposit_are_never_more_than_it(tables: TransferStore) -> None:
    BalanceItem("7", "USD", available=100_000_000).save()  # They have more, from elsewhere.
    apply(tables, "20")
    with pytest.raises(UnfitError, match=r"25\.5 was deposited, and 20 of it went back or is about to"):
        apply(tables, "5.51", number=2)
    apply(tables, "5.50", number=3)
    with pytest.raises(UnfitError):
        apply(tables, "0.01", number=4)
    assert BalanceItem.get("7", "USD").held == 25_500_000


def test_what_came_back_of_a_refund_can_be_sent_again(tables: TransferStore) -> None:
    apply(tables, "20")
    (refund_id,) = BankFileStore(connection()).open_refunds()
    TransferItem(refund_id).update(actions=[TransferItem.status.set(TransferStatus.CANCELED.value)])
    BalanceItem("7", "USD", available=25_500_000).save()
    apply(tables, "25.50", number=2)


def test_of_two_refunds_judged_at_once_one_is_written(tables: TransferStore) -> None:
    BalanceItem("7", "USD", available=100_000_000).save()
    first, second = judged(tables, "20"), judged(tables, "20", number=2)
    write(first)
    with pytest.raises(TransactWriteError):
        write(second)
    assert BalanceItem.get("7", "USD").held == 20_000_000


def test_who_is_frozen_is_sent_nothing_back(tables: TransferStore) -> None:
    customer = CustomerItem(OWNER.user_id)
    customer.update(actions=[CustomerItem.status.set(CustomerStatus.FROZEN.value)])
    with pytest.raises(UnfitError, match="the customer is frozen"):
        apply(tables, "20")
    customer.update(actions=[CustomerItem.status.set(CustomerStatus.ACTIVE.value)])
    refund = judged(tables, "20")
    customer.update(actions=[CustomerItem.status.set(CustomerStatus.FROZEN.value)])  # Meanwhile.
    with pytest.raises(TransactWriteError):
        write(refund)
    assert BalanceItem.get("7", "USD").held in (None, 0)


def test_of_an_asset_that_is_stopped_nothing_is_sent_back(tables: TransferStore) -> None:
    stop = BreakItem("USD", STOP)
    stop.update(actions=[BreakItem.open_count.set(1)])
    with pytest.raises(UnfitError, match="USD is stopped"):
        apply(tables, "20")
    stop.update(actions=[BreakItem.open_count.set(0)])
    refund = judged(tables, "20")
    stop.update(actions=[BreakItem.open_count.set(1)])  # Meanwhile.
    with pytest.raises(TransactWriteError):
        write(refund)
    stop.update(actions=[BreakItem.open_count.set(0)])
    apply(tables, "20")
    assert BalanceItem.get("7", "USD").held == 20_000_000


def test_what_was_refunded_at_stripe_and_heard_of_counts() -> None:
    world, made = paid_in()
    world.refund(made, 2_000)
    hear_all(world)
    world.books.balances[CUSTOMER] += 100_000_000  # They have more, from elsewhere.
    assert isinstance(world.send_back(made, "5.51", proposal="more"), Refused)
    assert isinstance(world.send_back(made, "5.50", proposal="rest"), Transfer)


def test_a_dispute_that_was_won_leaves_the_whole_deposit_to_be_sent_back() -> None:
    world, made = paid_in()
    world.outside(world.intent(made)["id"], "dispute")
    hear_all(world)
    assert isinstance(world.send_back(made, "1"), Refused)
    dispute = next(name for name, thing in world.sandbox.objects.items() if thing["object"] == "dispute")
    world.outside(dispute, "win")
    hear_all(world)
    assert isinstance(world.send_back(made, "25.50", proposal="all"), Transfer)


def test_a_refund_that_failed_after_all_can_be_sent_again() -> None:
    world, made = paid_in()
    refund(world, made, "20.21")
    hear_all(world)
    assert isinstance(world.send_back(made, "20", proposal="second"), Refused)
    world.outside(next(name for name in world.sandbox.objects if name.startswith("re_")), "fail")
    hear_all(world)
    assert isinstance(world.send_back(made, "20", proposal="third"), Transfer)
