"""Withdrawals: held at once, posted or given back once, cut short anywhere and done again; fakes and real stores."""

from dataclasses import replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, InvariantError, Refused, UnavailableError
from exchange.ledger.model import EntryKind, Head
from exchange.ledger.store import BalanceItem
from exchange.transfers.model import BankAnswer, PaymentState, Recorded, Transfer, TransferKind, TransferStatus
from exchange.wallets.withdrawing import (
    ATTEMPTS_MAX,
    UNSTARTED_AGE_NS,
    WithdrawalRequest,
    new_withdrawal,
    post_withdrawal,
    request_withdrawal,
    return_withdrawal,
    start_forgotten,
    withdrawal_batch,
)

from tests.fakes.payments import TransferWorld
from tests.fakes.safeguards import permit_all
from tests.fakes.wallets import (
    NOON_NS,
    CrashError,
    Cuts,
    FakeBooks,
    FakeClock,
    a_deposit,
    a_withdrawal,
    sandbox_methods,
)
from tests.unit.wallets.conftest import Stores

FEE = 250_000  # what the fake dollar costs to withdraw


class Machine:
    """Counts its starts, or is out of reach."""

    def __init__(self, *, out: bool = False) -> None:
        self.started: list[str] = []
        self.out = out

    def start(self, transfer_id: str, rail: str) -> None:
        """Start, or fail."""
        if self.out:
            raise UnavailableError("no machine")
        self.started.append(transfer_id)


def fund(stores: Stores, units: int) -> None:
    """Give account 7 dollars; custody owes them."""
    if isinstance(stores.postings, FakeBooks):
        stores.postings.balances["7", "USD"] = units
    else:
        BalanceItem("7", "USD", available=units).save()


def held(stores: Stores) -> int:
    """What account 7 holds in dollars."""
    if isinstance(stores.postings, FakeBooks):
        return stores.postings.held["7", "USD"]
    return int(BalanceItem.get("7", "USD").held or 0)


def ask(stores: Stores, wanted: Transfer, machine: Machine | None = None) -> Transfer | Refused:
    """One request."""
    return request_withdrawal(
        wanted,
        permit=permit_all,
        transfers=stores.transfers,
        postings=stores.postings,
        machine=machine or Machine(),
        pause=lambda _attempt: None,
        note=lambda _text: None,
    )


def answer(stores: Stores, transfer: Transfer, payment: PaymentState) -> None:
    """The bank's word, written down as the webhook does it."""
    assert stores.transfers.await_bank(transfer.transfer_id, "token")
    units = transfer.units if payment is PaymentState.BOOKED else 0
    word = BankAnswer("e1", payment, "r1", units, "closed account" if not units else "")
    asked = stores.transfers.transfer(transfer.transfer_id)
    assert stores.transfers.record_answer(asked, word) is Recorded.DONE


def post(stores: Stores, transfer_id: str) -> Transfer:
    """The machine's step after the bank paid."""
    return post_withdrawal(
        transfer_id,
        transfers=stores.transfers,
        journal=stores.journal,
        postings=stores.postings,
        clock=FakeClock(),
        pause=lambda _attempt: None,
    )


def give_back(stores: Stores, transfer_id: str) -> Transfer:
    """The machine's step after the bank declined."""
    return return_withdrawal(
        transfer_id,
        transfers=stores.transfers,
        postings=stores.postings,
        clock=FakeClock(),
        pause=lambda _attempt: None,
    )


def test_money_is_held_with_its_fee_and_posted_once(stores: Stores) -> None:
    fund(stores, 20_000_000)
    made = ask(stores, a_withdrawal("10.5"))
    assert isinstance(made, Transfer)
    assert (stores.owned(7, "USD"), held(stores)) == (20_000_000 - 10_500_000 - FEE, 10_500_000 + FEE)
    answer(stores, made, PaymentState.BOOKED)
    for _ in range(2):
        assert post(stores, made.transfer_id).status is TransferStatus.COMPLETED
    assert (stores.owned(7, "USD"), held(stores)) == (20_000_000 - 10_500_000 - FEE, 0)
    assert stores.journal.head("rail:sandbox-bank").number == 1
    with pytest.raises(InvariantError):
        give_back(stores, made.transfer_id)


@pytest.mark.parametrize(
    ("flat", "network", "fees"),
    [
        (0, 0, {}),
        (FEE, 0, {"house:fees:withdrawals": FEE}),
        (0, 7, {"house:fees:network": 7}),
        (FEE, 7, {"house:fees:withdrawals": FEE, "house:fees:network": 7}),
    ],
)
def test_each_fee_is_a_posting_of_its_own(flat: int, network: int, fees: dict[str, int]) -> None:
    made = Transfer(
        "w1", 7, TransferKind.WITHDRAW, "USD", 6, 10_500_000, "sandbox-bank", "m", 1,
        fee_units=flat + network, network_fee_units=network,
    )  # fmt: skip
    posted = withdrawal_batch(made, Head(), posted_at_ns=2)
    entries = [(entry.account, entry.units) for entry in posted.entries if entry.kind is EntryKind.FEE]
    assert entries == [pair for name, units in fees.items() for pair in (("7", -units), (name, units))]
    others = [(entry.account, entry.units) for entry in posted.entries if entry.kind is EntryKind.WITHDRAWAL]
    assert others == [("7", -10_500_000), ("house:custody:sandbox-bank", 10_500_000)]


def test_a_declined_withdrawal_is_given_back_once(stores: Stores) -> None:
    fund(stores, 20_000_000)
    made = ask(stores, a_withdrawal("10.5"))
    assert isinstance(made, Transfer)
    answer(stores, made, PaymentState.DECLINED)
    for _ in range(2):
        ended = give_back(stores, made.transfer_id)
        assert (ended.status, ended.cancel_reason) == (TransferStatus.CANCELED, "declined by the bank: closed account")
    assert (stores.owned(7, "USD"), held(stores)) == (20_000_000, 0)
    with pytest.raises(InvariantError):
        post(stores, made.transfer_id)


def test_nothing_ends_without_the_banks_word(stores: Stores) -> None:
    fund(stores, 20_000_000)
    made = ask(stores, a_withdrawal("10.5"))
    assert isinstance(made, Transfer)
    for step in (post, give_back):
        with pytest.raises(InvariantError):
            step(stores, made.transfer_id)
    assert held(stores) == 10_500_000 + FEE


def test_the_fee_must_be_there_too(stores: Stores) -> None:
    fund(stores, 10_500_000 + FEE - 1)
    refused = ask(stores, a_withdrawal("10.5"))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == (Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    assert (stores.owned(7, "USD"), held(stores)) == (10_500_000 + FEE - 1, 0)


def test_a_repeat_holds_nothing_again_and_starts_again(stores: Stores) -> None:
    fund(stores, 30_000_000)
    machine = Machine()
    first = ask(stores, a_withdrawal(key="rent"), machine)
    assert ask(stores, a_withdrawal(key="rent"), machine) == first
    assert isinstance(first, Transfer)
    assert machine.started == [first.transfer_id] * 2
    assert held(stores) == 10_500_000 + FEE
    other = ask(stores, a_withdrawal("1", key="rent"), machine)
    assert isinstance(other, Refused)
    assert other.code is Code.TRANSFER_KEY_REUSED


def test_a_withdrawal_and_a_deposit_never_share_a_name(stores: Stores) -> None:
    fund(stores, 30_000_000)
    assert stores.transfers.create(a_deposit(key="rent"))
    refused = ask(stores, a_withdrawal(key="rent"))
    assert isinstance(refused, Refused)
    assert refused.code is Code.TRANSFER_KEY_REUSED
    assert held(stores) == 0


def test_held_money_waits_for_the_sweeper_where_no_machine_starts(stores: Stores) -> None:
    fund(stores, 30_000_000)
    made = ask(stores, a_withdrawal(), Machine(out=True))
    assert isinstance(made, Transfer)
    machine, clock = Machine(), FakeClock()

    def sweep() -> int:
        return start_forgotten(
            transfers=stores.transfers,
            start=lambda transfer: machine.start(transfer.transfer_id, transfer.rail),
            clock=clock,
            note=lambda _text: None,
        )

    assert sweep() == 0  # it is not a minute old
    clock.at_ns = NOON_NS + UNSTARTED_AGE_NS + 1
    assert sweep() == 1
    assert machine.started == [made.transfer_id]
    assert stores.transfers.await_bank(made.transfer_id, "token")
    assert sweep() == 0  # the bank was asked


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"payment_method_id": "x"}, Code.PAYMENT_METHOD_NOT_FOUND, "payment_method_id"),
        ({"currency": "BTC"}, Code.PAYMENT_METHOD_NOT_FOUND, "payment_method_id"),
        ({"amount": "0"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "0.0000001"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "-5"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "9" * 18}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
    ],
)
def test_what_can_not_be_withdrawn_is_refused_with_its_field(change: dict[str, Any], code: Code, field: str) -> None:
    request = replace(WithdrawalRequest("1", "USD", "sandbox-bank-USD"), **change)
    refused = new_withdrawal(request, account_id=7, methods=sandbox_methods(), created_at_ns=1)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message.split(":")[0]) == (code, field)


def test_postings_take_turns_at_the_chain(memory: Stores) -> None:
    fund(memory, 20_000_000)
    made = ask(memory, a_withdrawal())
    assert isinstance(made, Transfer)
    answer(memory, made, PaymentState.BOOKED)
    memory.postings.overtaken = ATTEMPTS_MAX
    with pytest.raises(UnavailableError):
        post(memory, made.transfer_id)
    memory.postings.overtaken = ATTEMPTS_MAX - 1
    assert post(memory, made.transfer_id).status is TransferStatus.COMPLETED


@pytest.mark.parametrize("amount", ["10.5", "10.666"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut", range(1, 26))
def test_cut_short_anywhere_it_comes_to_its_end(cut: int, after: bool, amount: str) -> None:
    world = TransferWorld()
    rich = a_deposit("100")
    world.finish(rich)
    wanted = a_withdrawal(amount, key="rent")
    world.cuts.count, world.cuts.at, world.cuts.after = 0, cut, after
    try:
        world.finish(wanted)
    except CrashError:
        world.cuts.at = 0
        world.finish(wanted)
    world.cuts.at = 0
    ended = world.transfers.rows[wanted.transfer_id].status
    assert ended is (TransferStatus.CANCELED if amount.endswith("666") else TransferStatus.COMPLETED)
    world.check()


def test_the_cuts_reach_every_step() -> None:
    world = TransferWorld(Cuts())
    world.finish(a_deposit("100"))
    world.cuts.count = 0
    world.finish(a_withdrawal(key="rent"))
    assert 10 < world.cuts.count < 26
