"""Payments by file from end to end in memory: the sandbox's bank, its files in any order, and what must hold."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from exchange.banking.booking import Effects, Inbox
from exchange.banking.filing import FilesProvider, file_orders
from exchange.banking.model import (
    RAIL,
    Account,
    Booked,
    Case,
    CaseState,
    Expected,
    Order,
    OrderStage,
    OutgoingBatch,
    Payee,
    Posted,
    Posting,
    Settled,
    Standing,
    Taking,
    asset_units,
)
from exchange.banking.suspense import Decision, Suspense
from exchange.iso20022.statements import SCALE
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import format_units
from exchange.ledger.model import Batch, may_be_negative, sum_by_asset
from exchange.payments.model import TakenBack
from exchange.payments.payouts import Change, Payout
from exchange.payments.references import reference_of
from exchange.payments.reversing import movements_of, take_back
from exchange.payments.service import ByRail, take_notification
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.wallets.model import BankProvider, DepositRequest, new_deposit, payment_methods
from exchange.wallets.withdrawing import WithdrawalRequest, new_withdrawal, post_withdrawal

from infra.local.sandbox_files import SandboxFiles
from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import ASSETS, NOON_NS, Cuts, FakeBooks, FakeTransfers

OURS, THEIRS = "DE89370400440532013000", "GB29NWBK60161331926819"
ACCOUNT = Account("USD", OURS, "SANDDEFF", "The Exchange", ASSETS["USD"].scale)
Result = TypeVar("Result")


@dataclass
class FakeFiles:
    """The bank_files table, with the conditions of the real writes."""

    transfers: FakeTransfers
    books: FakeBooks
    cuts: Cuts = field(default_factory=Cuts)
    accounts: dict[str, Account] = field(default_factory=dict)
    digests: dict[tuple[str, int], str] = field(default_factory=dict)
    lines: dict[tuple[str, str], Booked] = field(default_factory=dict)
    transactions: dict[str, str] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    waited: dict[str, Expected] = field(default_factory=dict)
    payees: dict[tuple[int, str], Payee] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    line_of: dict[str, str] = field(default_factory=dict)
    unlined: dict[str, int] = field(default_factory=dict)
    batches: dict[str, list[OutgoingBatch]] = field(default_factory=lambda: defaultdict(list))
    found: dict[tuple[str, str], Case] = field(default_factory=dict)
    paid_out: dict[str, Payout] = field(default_factory=dict)
    costs_at: int = 0
    refunds: set[str] = field(default_factory=set)
    taking: dict[tuple[str, str], Taking] = field(default_factory=dict)

    def _reach(self, effect: Callable[[], Result]) -> Result:
        return self.cuts.reach(effect)

    def list_account(self, account: Account) -> bool:
        """Put an account."""
        return self.accounts.setdefault(account.currency, account) is account

    def account(self, currency: str) -> Account | None:
        """Our account."""
        return self.accounts.get(currency)

    def statement_digest(self, currency: str, number: int) -> str:
        """A statement's digest."""
        return self.digests.get((currency, number), "")

    def advance(self, account: Account, digest: str) -> bool:
        """Note a statement."""

        def write() -> bool:
            if self.accounts[account.currency].number != account.number - 1:
                return False
            self.digests[account.currency, account.number] = digest
            self.accounts[account.currency] = account
            return True

        return self._reach(write)

    def begin(self, currency: str, digest: str, *, name: str, at_ns: int) -> None:
        """A file is being taken."""
        self._reach(lambda: self.taking.setdefault((currency, digest), Taking(currency, name, at_ns)))

    def end(self, currency: str, digest: str) -> None:
        """It is not any more."""
        self._reach(lambda: self.taking.pop((currency, digest), None))

    def takings(self) -> list[Taking]:
        """Files that are being taken."""
        return list(self.taking.values())

    def standing(self, account: Account) -> Standing:
        """What stands behind the balance."""
        lines = [line for line in self.lines.values() if not line.statement and line.currency == account.currency]
        return Standing(
            account, tuple(lines), tuple(Settled(self.orders[name], at) for name, at in self.unlined.items())
        )

    def booked(self, currency: str, key: str) -> Booked | None:
        """A line."""
        return self._reach(lambda: self.lines.get((currency, key)))

    def credit_of(self, currency: str, transaction_id: str) -> Booked | None:
        """A transaction's credit."""
        return self.lines.get((currency, self.transactions.get(transaction_id, "")))

    def note(self, booked: Booked) -> bool:
        """Note a line."""
        return self._reach(lambda: self.lines.setdefault((booked.currency, booked.key), booked) is booked)

    def state(self, booked: Booked, statement: int) -> None:
        """Note a line's statement."""
        stated = replace(booked, statement=statement)
        self._reach(lambda: self.lines.update({(booked.currency, booked.key): stated}))

    def post(self, posting: Posting, *, transaction_id: str) -> Posted:
        """All or nothing."""
        return self._reach(lambda: self._post(posting, transaction_id))

    def _post(self, posting: Posting, transaction_id: str) -> Posted:
        booked, transfer, case = posting.booked, posting.transfer, posting.case
        row = self.transfers.rows.get(transfer.transfer_id)
        undone = self.transfers.rows.get(posting.undoes)
        if (booked.currency, booked.key) in self.lines or not self._may_append(posting.batch):
            return Posted.LOST
        if (row is not None) != posting.completes or (row is not None and row.status is not TransferStatus.PENDING):
            return Posted.LOST
        if (undone is not None and undone.reversed_by) or not self._may_case(case):
            return Posted.LOST
        if not self._may_pay_out(posting.payout) or not self.books._move(movements_of(posting.batch)):
            return Posted.LOST
        self._pay_out(posting.payout)
        self.books.chains[posting.batch.partition].append(posting.batch)
        self.lines[booked.currency, booked.key] = booked
        self.transfers.rows[transfer.transfer_id] = transfer
        if undone is not None:
            self.transfers.rows[posting.undoes] = replace(undone, reversed_by=transfer.transfer_id)
        if transaction_id:
            self.transactions[transaction_id] = booked.key
        if posting.expected is not None:
            self.waited.pop(posting.expected.transfer_id, None)
        if case is not None:
            self.found[case.currency, case.key] = case
        if posting.payee is not None:
            self.payees[posting.payee[0], booked.currency] = posting.payee[1]
        return Posted.DONE

    def _may_pay_out(self, change: Change | None) -> bool:
        return change is None or self.paid_out.get(change.after.payout_id) == change.before

    def _pay_out(self, change: Change | None) -> None:
        if change is not None:
            self.paid_out[change.after.payout_id] = change.after

    def _may_append(self, batch: Batch) -> bool:
        return batch.number == self.books._head(batch.partition).number + 1

    def _may_case(self, case: Case | None) -> bool:
        if case is None:
            return True
        known = self.found.get((case.currency, case.key))
        if case.state is CaseState.OPEN:
            return known is None
        return known is not None and known.state in {CaseState.OPEN, CaseState.RETURNING}

    def payout(self, payout_id: str) -> Payout | None:
        """One payout."""
        return self._reach(lambda: self.paid_out.get(payout_id))

    def payouts(self) -> list[Payout]:
        """Every payout."""
        return list(self.paid_out.values())

    def open_payouts(self) -> list[Payout]:
        """Those to be asked about."""
        return [payout for payout in self.paid_out.values() if payout.open]

    def open_refunds(self) -> list[str]:
        """Refunds to be asked for."""
        return self._reach(lambda: sorted(self.refunds))

    def close_refund(self, transfer_id: str) -> None:
        """Not any more."""
        self._reach(lambda: self.refunds.discard(transfer_id))

    def costs_seen(self) -> int:
        """How far costs were posted."""
        return self._reach(lambda: self.costs_at)

    def note_costs_seen(self, at_seconds: int) -> None:
        """Note it."""

        def write() -> None:
            self.costs_at = at_seconds

        self._reach(write)

    def change(self, change: Change) -> Posted:
        """A payout and what it posts."""
        return self._reach(lambda: self._change(change))

    def _change(self, change: Change) -> Posted:
        if self.paid_out.get(change.after.payout_id) != change.before:
            return Posted.LOST
        if not self._post_change(change):
            return Posted.LOST
        self.paid_out[change.after.payout_id] = change.after
        return Posted.DONE

    def _post_change(self, change: Change) -> bool:
        if change.transfer is None or change.batch is None:
            return True
        movements = movements_of(change.batch)
        return self.books._post_reversal(change.transfer, change.batch, movements).value == Posted.DONE.value

    def expect(self, expected: Expected, reference: str) -> None:
        """Note a deposit that will come."""

        def write() -> None:
            self.references[reference] = expected.account_id
            self.waited[expected.transfer_id] = expected

        self._reach(write)

    def account_of_reference(self, reference: str) -> int | None:
        """Whose it is."""
        return self.references.get(reference)

    def expected(self, account_id: int, currency: str, units: int) -> Expected | None:
        """A deposit of just that amount."""
        wanted = (account_id, currency, units)
        fits = [each for each in self.waited.values() if (each.account_id, each.currency, each.units) == wanted]
        return min(fits, key=lambda each: each.transfer_id, default=None)

    def payee(self, account_id: int, currency: str) -> Payee | None:
        """Where a customer is paid to."""
        return self.payees.get((account_id, currency))

    def order(self, transfer_id: str) -> Order | None:
        """One order."""
        return self._reach(lambda: self.orders.get(transfer_id))

    def put_order(self, order: Order) -> bool:
        """Put an order once."""
        return self._reach(lambda: self.orders.setdefault(order.transfer_id, order) is order)

    def waiting_orders(self, currency: str, *, limit: int) -> list[Order]:
        """Orders in no file."""
        return [
            order
            for _, order in sorted(self.orders.items())
            if order.stage is OrderStage.WAITING and order.currency == currency
        ][:limit]

    def last_batch(self, currency: str) -> OutgoingBatch | None:
        """The newest file."""
        return self.batches[currency][-1] if self.batches[currency] else None

    def claim(self, batch: OutgoingBatch) -> bool:
        """Put orders into a file."""

        def write() -> bool:
            if len(self.batches[batch.currency]) != batch.number - 1:
                return False
            self.batches[batch.currency].append(batch)
            for order in batch.orders:
                self.orders[order.transfer_id] = replace(order, stage=OrderStage.FILED, batch=batch.number)
            return True

        return self._reach(write)

    def note_written(self, batch: OutgoingBatch) -> None:
        """It is in the outbox."""

        def write() -> None:
            self.batches[batch.currency][batch.number - 1] = replace(batch, written=True)

        self._reach(write)

    def claim_line(self, order: Order, key: str) -> bool:
        """Which line pays an order."""

        def write() -> bool:
            self.unlined.pop(order.transfer_id, None)
            return self.line_of.setdefault(order.transfer_id, key) == key

        return self._reach(write)

    def note_paid(self, order: Order, *, after: int) -> None:
        """Said to be settled."""
        if order.transfer_id not in self.line_of:
            self._reach(lambda: self.unlined.setdefault(order.transfer_id, after))

    def case(self, currency: str, key: str) -> Case | None:
        """A case."""
        return self.found.get((currency, key))

    def reopen(self, case: Case, transfer: Transfer, *, reason: str, at_ns: int) -> None:
        """Open it again."""

        def write() -> None:
            row = self.transfers.rows[transfer.transfer_id]
            if row.status is TransferStatus.PENDING and case.state is CaseState.RETURNING:
                self.found[case.currency, case.key] = replace(case, state=CaseState.OPEN)
                self.transfers.rows[row.transfer_id] = replace(
                    row,
                    status=TransferStatus.CANCELED,
                    payment=PaymentState.DECLINED,
                    cancel_reason=reason,
                    canceled_at_ns=at_ns,
                )

        self._reach(write)

    def decide(self, decision: Decision) -> bool:
        """What operators want, in one write."""
        return self._reach(lambda: self._decide(decision.case, decision.transfer, decision.batch, decision.order))

    def _decide(self, case: Case, transfer: Transfer, batch: Batch | None, order: Order | None) -> bool:
        known = self.found[case.currency, case.key]
        if known.state is not CaseState.OPEN or transfer.transfer_id in self.transfers.rows:
            return False
        if batch is not None:
            if not self._may_append(batch) or not self.books._move(movements_of(batch)):
                return False
            self.books.chains[batch.partition].append(batch)
        if order is not None:
            self.orders[order.transfer_id] = order
        self.found[case.currency, case.key] = case
        self.transfers.rows[transfer.transfer_id] = transfer
        return True


class Cases:
    """What two operators say of cases, each in the one write of their approval."""

    def __init__(self, suspense: Suspense, write: Callable[[Decision], bool]) -> None:
        self._suspense = suspense
        self._write = write

    def assign(self, currency: str, key: str, account_id: int) -> Decision | Refused:
        """It is a customer's."""
        return self._written(self._suspense.assign(currency, key, account_id))

    def send_back(self, currency: str, key: str) -> Decision | Refused:
        """It goes back."""
        return self._written(self._suspense.send_back(currency, key))

    def charge(self, currency: str, key: str) -> Decision | Refused:
        """It was the bank's charge."""
        return self._written(self._suspense.charge(currency, key))

    def _written(self, decision: Decision | Refused) -> Decision | Refused:
        if isinstance(decision, Refused) or self._write(decision):
            return decision
        return Refused(Code.PROPOSAL_OUTDATED, "look again")


class FileWorld(TransferWorld):
    """A world whose bank is reached by files; they wait until they are delivered, in whatever order."""

    def __init__(self, cuts: Cuts | None = None) -> None:
        super().__init__(cuts)
        self.alarms: list[str] = []
        self.inbox: list[tuple[str, bytes]] = []
        self.outbox: dict[str, bytes] = {}
        self.bank = SandboxFiles(deliver=lambda name, content: self.inbox.append((name, content)), now=self.now_seconds)
        self.bank.open(OURS, "USD")
        self.files: Any = FakeFiles(self.transfers, self.books, self.cuts)
        self.connect()

    def connect(self) -> None:
        """Everything that stands on the stores, made anew when they are others."""
        self.files.list_account(ACCOUNT)
        self.provider = ByRail(self.queue, {RAIL: lambda: FilesProvider(self.files)})
        effects = Effects(
            notify=lambda said: take_notification(
                said, transfers=self.transfers, waiters=self.machine, note=self.notes.append
            ),
            post_withdrawal=lambda transfer_id: post_withdrawal(
                transfer_id,
                transfers=self.transfers,
                journal=self.books,
                postings=self.books,
                clock=self.clock,
                pause=lambda _attempt: None,
            ),
            take_back=self._take_back,
            wake=lambda transfer: self.machine.booked(transfer.task_token, transfer.transfer_id),
            alarm=self.alarms.append,
            pause=lambda _attempt: None,
        )
        self.reader = Inbox(
            self.files, self.transfers, books=self.books, debts=self.books, effects=effects, clock=self.clock
        )
        self.suspense = Cases(Suspense(self.files, self.books, self.books, self.clock), self.files.decide)

    def _take_back(self, said: TakenBack) -> str | Refused:
        return take_back(
            said,
            transfers=self.transfers,
            journal=self.books,
            balances=self.books,
            reversals=self.books,
            clock=self.clock,
            pause=lambda _attempt: None,
        )

    def put(self, name: str, content: bytes) -> None:
        """The outbox."""
        self.cuts.reach(lambda: self.outbox.update({name: content}))

    def file(self) -> int:
        """Write what waits, and let the bank take every file that is there, again those of before."""
        count = file_orders("USD", files=self.files, outbox=self, clock=self.clock)
        for content in list(self.outbox.values()):
            self.bank.receive(content)
        return count

    def take_all(self) -> None:
        """Every file that waits, in its order."""
        while self.inbox:
            self.reader.take(self.inbox.pop(0)[1])

    def pay_in(self, account_id: int, amount: str, words: str = "", *, name: str = "Dora", iban: str = THEIRS) -> str:
        """A customer's bank sends money with the customer's reference."""
        return self.bank.transfer("USD", amount, f"{reference_of(account_id)} {words}", name=name, iban=iban)

    def asked(self, amount: str, *, account_id: int = 7, key: str = "rent") -> Transfer:
        """A deposit that a customer says will come, as far as the machine goes by itself."""
        made = file_deposit(amount, account_id=account_id, key=key)
        self.request(made)
        self.step(made.transfer_id)
        return made

    def withdraw(self, amount: str, *, account_id: int = 7, key: str = "out") -> Transfer | Refused:
        """A withdrawal, as far as the machine goes by itself."""
        made = file_withdrawal(amount, account_id=account_id, key=key)
        said = self.request(made)
        if isinstance(said, Transfer):
            self.step(made.transfer_id)
        return said

    def row(self, transfer: Transfer) -> Transfer:
        """A transfer as it is now."""
        found = self.transfers.transfer(transfer.transfer_id)
        assert found is not None
        return found

    def custody(self) -> int:
        """What the ledger says that the bank has. Units: micro dollars."""
        return -self.books.balances[f"house:custody:{RAIL}", "USD"]

    def agree(self) -> None:
        """The ledger is what the last statement closed at, and what was heard of since."""
        assert self.custody() == self.files.standing(self.files.account("USD")).expected_units
        self.sound()

    def at_rest(self) -> None:
        """Once every file was taken and the day is closed, custody is what the bank has, to the last unit."""
        self.agree()
        has = self.bank.accounts["USD"].balance
        assert self.custody() == asset_units(has, ACCOUNT.scale), format_units(has, SCALE)
        assert self.files.takings() == []

    def sound(self) -> None:
        """Nothing made, nothing lost, nothing below zero; chains whole; each transfer posted once."""
        batches = [batch for chain in self.books.chains.values() for batch in chain]
        done = sorted(row.transfer_id for row in self.transfers.rows.values() if row.completed_at_ns)
        assert sorted(batch.reference for batch in batches) == done
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for batch in batches:
            assert not any(sum_by_asset(batch.entries).values())
            for entry in batch.entries:
                sums[entry.account, entry.asset] += entry.units
        for key in {*sums, *self.books.balances}:
            assert sums[key] == self.books.balances[key] + self.books.held[key], key
        assert all(units >= 0 for (name, _), units in self.books.balances.items() if not may_be_negative(name))
        assert all(units <= 0 for (name, _), units in self.books.balances.items() if name.startswith("house:receiv"))
        for chain in self.books.chains.values():
            assert [batch.number for batch in chain] == list(range(1, len(chain) + 1))


def file_deposit(amount: str, *, account_id: int = 7, key: str = "rent") -> Transfer:
    """A deposit of dollars by bank files."""
    methods = payment_methods(ASSETS, BankProvider.SANDBOX, bank_files=True)
    wanted = DepositRequest(amount, "USD", f"{RAIL}-USD", key)
    made = new_deposit(wanted, account_id=account_id, methods=methods, created_at_ns=NOON_NS)
    assert isinstance(made, Transfer), made
    return made


def file_withdrawal(amount: str, *, account_id: int = 7, key: str = "out") -> Transfer:
    """A withdrawal of dollars by bank files."""
    methods = payment_methods(ASSETS, BankProvider.SANDBOX, bank_files=True)
    wanted = WithdrawalRequest(amount, "USD", f"{RAIL}-USD", key)
    made = new_withdrawal(wanted, account_id=account_id, methods=methods, created_at_ns=NOON_NS)
    assert isinstance(made, Transfer), made
    return made
