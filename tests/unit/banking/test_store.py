"""The same day of files over the real table as over the fake one: every write's condition, twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from exchange.approvals.store import committed
from exchange.aws.dynamodb import bind, connection
from exchange.banking.model import CaseState, Taking
from exchange.banking.store import BankFileItem, BankFileStore, put_decision
from exchange.banking.suspense import Decision
from exchange.kernel.errors import Refused
from exchange.ledger.model import Balance, Batch, Head, Movements
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.payments.reversing import Posted
from exchange.payments.store import ReversalStore
from exchange.safeguards.store import SafeguardItem
from exchange.transfers.model import Transfer, TransferStatus
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from exchange.users.store import CustomerItem, CustomerStore
from exchange.wallets.store import PostingStore
from moto import mock_aws

from tests.fakes.bank_files import THEIRS, FileWorld
from tests.fakes.safeguards import UNBOUND
from tests.fakes.tables import create_tables

MODELS: dict[str, list[Any]] = {
    "bank_files": [BankFileItem],
    "transfers": [TransferItem, BankMarkItem],
    "balances": [BalanceItem],
    "journal": [JournalItem],
    "users": [CustomerItem],
    "safeguards": [SafeguardItem],
}


class Books(PostingStore):
    """All that the world asks of journal, balances and postings, from the real stores."""

    def __init__(self) -> None:
        super().__init__(connection())
        self._journal, self._balances, self._reversals = JournalStore(), BalanceStore(), ReversalStore(connection())

    def head(self, partition: str) -> Head:
        return self._journal.head(partition)

    def balance(self, account_id: int, asset: str) -> Balance:
        return self._balances.balance(account_id, asset)

    def owed(self, account_id: int) -> list[Balance]:
        return self._balances.owed(account_id)

    def post_reversal(
        self, transfer: Transfer, batch: Batch, movements: Movements, *, undoes: Transfer | None = None
    ) -> Posted:
        return self._reversals.post_reversal(transfer, batch, movements, undoes=undoes)


class Files(BankFileStore):
    """The real store, with what an approval writes."""

    def decide(self, decision: Decision) -> bool:
        return committed(connection(), lambda transaction: put_decision(transaction, decision))


def available(account: str) -> int:
    """What a balance has. Units: micro dollars."""
    return sum(item.available or 0 for item in BalanceItem.query(account, BalanceItem.asset == "USD"))


@pytest.fixture
def world() -> Iterator[FileWorld]:
    """The world over empty tables."""
    with mock_aws():
        create_tables(*MODELS)
        for table, models in MODELS.items():
            for model in models:
                bind(model, table)
        CustomerStore().create_once(UNBOUND)
        made = FileWorld()
        made.transfers = TransferStore(connection())  # type: ignore[assignment]
        made.books = Books()  # type: ignore[assignment]
        made.files = Files(connection())
        made.connect()
        yield made


def agrees(world: FileWorld) -> None:
    """Custody is what the statement and what was heard since come to; all balances sum to zero."""
    account = world.files.account("USD")
    assert -available("house:custody:bank-files") == world.files.standing(account).expected_units
    assert sum((item.available or 0) + (item.held or 0) for item in BalanceItem.scan()) == 0


def take(world: FileWorld) -> list[bytes]:
    """Every file that waits, twice."""
    files = [content for _, content in world.inbox]
    world.inbox.clear()
    for content in [*files, *files]:
        world.reader.take(content)
        agrees(world)
    return files


def test_a_day_of_files_leaves_what_the_bank_has(world: FileWorld) -> None:
    made = world.asked("30")
    world.pay_in(7, "30")
    world.pay_in(7, "70", "twice")
    unknown = world.bank.transfer("USD", "10", "who knows", name="Eve", iban=THEIRS)
    take(world)
    assert (world.row(made).status, available("7")) == (TransferStatus.COMPLETED, 100_000_000)
    assert [case.key for case in world.files.cases("USD")] == [unknown]
    for _ in range(2):
        world.suspense.assign("USD", unknown, 8)
    assert (available("8"), available("house:suspense:bank-files")) == (10_000_000, 0)

    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    assert (world.file(), world.file()) == (1, 0)
    take(world)
    assert (world.row(gone).status, available("7")) == (TransferStatus.COMPLETED, 59_750_000)
    recalled = next(booking for booking in world.bank.accounts["USD"].bookings if booking.units == 70_00000)
    world.bank.recall("USD", recalled.reference)
    world.bank.close_day("USD")
    take(world)
    assert (available("7"), available("house:receivable:7")) == (0, -10_250_000)
    assert -available("house:custody:bank-files") == world.bank.accounts["USD"].balance * 10
    world.pay_in(7, "20")
    world.bank.close_day("USD")
    take(world)
    assert (available("7"), available("house:receivable:7")) == (9_750_000, 0)
    assert world.files.account("USD").number == 2


def test_what_comes_back_and_what_can_not_be_sent(world: FileWorld) -> None:
    world.asked("1")
    world.pay_in(7, "100", name="Dora returned")
    back = world.bank.transfer("USD", "5", "who knows", name="Eve rejected", iban=THEIRS)
    world.bank.charge("USD", "2")
    world.bank.close_day("USD")
    take(world)
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    world.suspense.send_back("USD", back)
    assert isinstance(world.suspense.assign("USD", back, 7), Refused)
    assert world.file() == 2
    take(world)
    assert (world.row(gone).reversed_by != "", available("7")) == (True, 99_750_000)
    states = {case.units: case.state for case in world.files.cases("USD")}
    assert states == {5_000_000: CaseState.OPEN, -2_000_000: CaseState.OPEN}
    charge = next(case.key for case in world.files.cases("USD") if case.units < 0)
    for _ in range(2):
        world.suspense.charge("USD", charge)
    world.bank.close_day("USD")
    take(world)
    assert available("house:losses:bank-files") == -2_000_000
    assert -available("house:custody:bank-files") == world.bank.accounts["USD"].balance * 10


def test_a_file_is_being_taken_since_the_first_time_and_until_it_ends(world: FileWorld) -> None:
    for at_ns in (5, 6):
        world.files.begin("USD", "d" * 64, name="inbox/x.xml", at_ns=at_ns)
    assert world.files.takings() == [Taking("USD", "inbox/x.xml", 5)]
    for _ in range(2):
        world.files.end("USD", "d" * 64)
    assert world.files.takings() == []


def test_an_account_is_listed_once_and_a_refused_file_is_remembered(world: FileWorld) -> None:
    account = world.files.account("USD")
    assert not world.files.list_account(account)
    world.files.note_file("d" * 64, name="inbox/x.xml", outcome="refused: Bal: is wrong")
    assert world.files.received() == [("inbox/x.xml", "refused: Bal: is wrong")]
    assert not world.files.advance(account, "digest")
