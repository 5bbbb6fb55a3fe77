"""Every write of a deposit, against the fakes and against DynamoDB alike."""

from dataclasses import replace

import pytest
from exchange.approvals.store import committed
from exchange.aws.dynamodb import connection
from exchange.ledger.model import Batch, Entry, EntryKind, Head, next_batch
from exchange.ledger.store import JournalStore
from exchange.transfers.model import (
    BankAnswer,
    Page,
    PaymentState,
    Recorded,
    Transfer,
    TransferStatus,
    created_key,
)
from exchange.wallets.model import Credit, deposit_batch, journal_partition
from exchange.wallets.owing import Way, settlement_batch
from exchange.wallets.store import put_settlement

from tests.fakes.wallets import NOON_NS, FakeBooks, a_deposit
from tests.unit.wallets.conftest import Stores


def booked(stores: Stores, transfer: Transfer, reference: str = "") -> Transfer:
    """Take a new transfer as far as the bank's booking."""
    stores.transfers.create(transfer)
    stores.transfers.await_bank(transfer.transfer_id, "token")
    answer = BankAnswer(
        f"evt-{transfer.transfer_id}", PaymentState.BOOKED, reference or f"SB-{transfer.transfer_id}", transfer.units
    )
    assert stores.transfers.record_answer(now(stores, transfer), answer) is Recorded.DONE
    return now(stores, transfer)


def now(stores: Stores, transfer: Transfer) -> Transfer:
    """The transfer as it is stored."""
    found = stores.transfers.transfer(transfer.transfer_id)
    assert isinstance(found, Transfer)
    return found


def post(stores: Stores, transfer: Transfer, head: Head | None = None) -> Credit:
    """Post a transfer's deposit on a head."""
    at = head if head is not None else stores.journal.head(journal_partition(transfer.rail))
    credit = stores.postings.post_deposit(transfer, deposit_batch(transfer, at, posted_at_ns=NOON_NS + 1))
    assert isinstance(credit, Credit)
    return credit


def test_a_transfer_is_put_once_and_read_back_whole(stores: Stores) -> None:
    made = a_deposit("3", "GOOG", key="rent")
    assert stores.transfers.create(made)
    assert not stores.transfers.create(replace(made, units=9))
    assert now(stores, made) == made
    assert stores.transfers.transfer("00000000-0000-0001-8000-000000000001") is None


def test_a_waiter_is_noted_and_replaced_until_the_transfer_is_closed(stores: Stores) -> None:
    made = a_deposit()
    stores.transfers.create(made)
    assert stores.transfers.await_bank(made.transfer_id, "first")
    assert stores.transfers.await_bank(made.transfer_id, "second")
    assert (now(stores, made).payment, now(stores, made).task_token) == (PaymentState.REQUESTED, "second")
    decline = BankAnswer("evt-1", PaymentState.DECLINED, "SB-1", reason="no")
    assert stores.transfers.record_answer(now(stores, made), decline) is Recorded.DONE
    assert stores.transfers.await_bank(made.transfer_id, "third")
    assert (now(stores, made).payment, now(stores, made).task_token) == (PaymentState.DECLINED, "third")
    assert stores.transfers.cancel(made.transfer_id, reason="no", canceled_at_ns=NOON_NS)
    assert not stores.transfers.await_bank(made.transfer_id, "fourth")


def test_an_answer_is_recorded_once_with_its_event_and_reference(stores: Stores) -> None:
    made = booked(stores, a_deposit("5"), "SB-1")
    assert (made.payment, made.received_units, made.bank_reference) == (PaymentState.BOOKED, 5_000_000, "SB-1")
    other = BankAnswer("evt-other", PaymentState.DECLINED, "SB-2", reason="late")
    assert stores.transfers.record_answer(made, other) is Recorded.LOST
    assert now(stores, made) == made


@pytest.mark.parametrize(("event_id", "reference"), [("evt-1", "SB-other"), ("evt-other", "SB-1")])
def test_an_event_or_a_reference_pays_for_one_transfer_only(stores: Stores, event_id: str, reference: str) -> None:
    first, second = a_deposit(key="first"), a_deposit(key="second")
    for made in (first, second):
        stores.transfers.create(made)
        stores.transfers.await_bank(made.transfer_id, "token")
    paid = BankAnswer("evt-1", PaymentState.BOOKED, "SB-1", first.units)
    assert stores.transfers.record_answer(now(stores, first), paid) is Recorded.DONE
    again = BankAnswer(event_id, PaymentState.BOOKED, reference, second.units)
    assert stores.transfers.record_answer(now(stores, second), again) is Recorded.LOST
    assert now(stores, second).payment is PaymentState.REQUESTED
    fresh = BankAnswer("evt-2", PaymentState.BOOKED, "SB-2", second.units)
    assert stores.transfers.record_answer(now(stores, second), fresh) is Recorded.DONE


def test_what_was_not_asked_for_is_not_recorded(stores: Stores) -> None:
    made = a_deposit()
    stores.transfers.create(made)
    answer = BankAnswer("evt-1", PaymentState.BOOKED, "SB-1", made.units)
    assert stores.transfers.record_answer(made, answer) is Recorded.LOST
    assert now(stores, made) == made


def test_a_deposit_is_posted_once(stores: Stores) -> None:
    made = booked(stores, a_deposit("5"))
    assert post(stores, made) is Credit.DONE
    assert post(stores, made) is Credit.LOST
    done = now(stores, made)
    assert (done.status, done.completed_at_ns) == (TransferStatus.COMPLETED, NOON_NS + 1)
    assert stores.owned(7, "USD") == 5_000_000
    assert stores.journal.head("rail:sandbox-bank").number == 1


def test_two_deposits_never_share_a_number(stores: Stores) -> None:
    first, second = booked(stores, a_deposit("5", key="first")), booked(stores, a_deposit("6", key="second"))
    genesis = Head()
    assert post(stores, first, genesis) is Credit.DONE
    assert post(stores, second, genesis) is Credit.LOST
    assert now(stores, second).status is TransferStatus.PENDING
    assert stores.owned(7, "USD") == 5_000_000
    assert post(stores, second) is Credit.DONE
    assert stores.owned(7, "USD") == 11_000_000


@pytest.mark.parametrize("units", [1, 10_000_000])
def test_a_deposit_booked_for_another_amount_is_not_posted(stores: Stores, units: int) -> None:
    made = a_deposit("5")
    stores.transfers.create(made)
    stores.transfers.await_bank(made.transfer_id, "token")
    stores.transfers.record_answer(now(stores, made), BankAnswer("evt-1", PaymentState.BOOKED, "SB-1", units))
    claimed = replace(now(stores, made), received_units=made.units)
    assert post(stores, claimed) is Credit.LOST
    assert stores.owned(7, "USD") == 0


def test_what_the_bank_has_not_booked_is_not_posted(stores: Stores) -> None:
    made = a_deposit("5")
    stores.transfers.create(made)
    claimed = replace(made, payment=PaymentState.BOOKED, received_units=made.units)
    assert post(stores, claimed) is Credit.LOST
    assert (now(stores, made), stores.owned(7, "USD")) == (made, 0)


def test_a_transfer_is_canceled_once_and_never_while_its_money_may_come(stores: Stores) -> None:
    made, asked, paid = a_deposit(key="new"), a_deposit(key="asked"), booked(stores, a_deposit(key="paid"))
    stores.transfers.create(made)
    stores.transfers.create(asked)
    stores.transfers.await_bank(asked.transfer_id, "token")
    assert not stores.transfers.cancel(asked.transfer_id, reason="no", canceled_at_ns=NOON_NS)
    assert not stores.transfers.cancel(paid.transfer_id, reason="no", canceled_at_ns=NOON_NS)
    assert stores.transfers.cancel(made.transfer_id, reason="no", canceled_at_ns=NOON_NS)
    assert not stores.transfers.cancel(made.transfer_id, reason="again", canceled_at_ns=NOON_NS + 1)
    assert (now(stores, made).cancel_reason, now(stores, made).canceled_at_ns) == ("no", NOON_NS)


def test_a_canceled_transfer_is_not_posted(stores: Stores) -> None:
    made = a_deposit("5")
    stores.transfers.create(made)
    stores.transfers.cancel(made.transfer_id, reason="no", canceled_at_ns=NOON_NS)
    assert post(stores, replace(made, payment=PaymentState.BOOKED, received_units=made.units)) is Credit.LOST
    assert stores.owned(7, "USD") == 0


def test_pages_are_newest_first_and_meet_without_gap_or_overlap(stores: Stores) -> None:
    made = [a_deposit(key=f"{number}", at_ns=NOON_NS + number) for number in range(5)]
    for transfer in [*made, a_deposit(account_id=8)]:
        stores.transfers.create(transfer)
    newest = stores.transfers.list_transfers(7, Page(2))
    assert newest == [made[4], made[3]]
    older = stores.transfers.list_transfers(7, Page(2, after=created_key(newest[-1])))
    assert older == [made[2], made[1]]
    assert stores.transfers.list_transfers(7, Page(2, after=created_key(older[-1]))) == [made[0]]
    assert stores.transfers.list_transfers(7, Page(2, before=created_key(older[0]))) == newest
    assert stores.transfers.list_transfers(7, Page(2, before=created_key(newest[0]))) == []


def test_marks_of_the_bank_are_no_transfers(dynamodb: Stores) -> None:
    booked(dynamodb, a_deposit(), "SB-1")
    assert dynamodb.transfers.transfer("receipt#sandbox-bank#SB-1") is None


def test_the_chain_reads_back_with_every_hash_in_place(dynamodb: Stores) -> None:
    for number in range(3):
        assert post(dynamodb, booked(dynamodb, a_deposit(key=f"{number}"))) is Credit.DONE
    previous = Head()
    for batch, stored in JournalStore().batches("rail:sandbox-bank"):
        assert (batch.number, batch.previous_hash, batch.hash()) == (previous.number + 1, previous.hash, stored)
        previous = Head(batch.number, stored)
    assert previous.number == 3


def test_a_debt_is_settled_once_and_never_beyond(stores: Stores) -> None:
    owed = a_deposit("5")
    head = Head()
    debt = [("house:receivable:7", -5_000_000), ("house:custody:sandbox-bank", 5_000_000)]
    entries = [Entry(account, "USD", units, EntryKind.REVERSAL, owed.transfer_id) for account, units in debt]
    first = next_batch(head, partition="rail:debts", posted_at_ns=1, reference=owed.transfer_id, entries=entries)
    assert settled(stores, replace(owed, status=TransferStatus.COMPLETED), first)
    for units, expected in ((5_000_001, False), (5_000_000, True), (1, False)):
        paid = replace(a_deposit("5"), units=units, settled_units=units, completed_at_ns=2)
        batch = settlement_batch(paid, stores.journal.head("rail:debts"), way=Way.WRITE_OFF)
        assert settled(stores, paid, batch) is expected


def settled(stores: Stores, transfer: Transfer, batch: Batch) -> bool:
    """The write of an approval, at either."""
    if isinstance(stores.postings, FakeBooks):
        return stores.postings.post_settlement(transfer, batch) is Credit.DONE
    return committed(connection(), lambda transaction: put_settlement(transaction, transfer, batch))
