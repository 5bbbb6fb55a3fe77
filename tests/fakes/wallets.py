"""Transfers, journal and balances in memory, with the conditions of the real writes, and a crash wherever wanted."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from exchange.instruments.model import Asset
from exchange.kernel.errors import require
from exchange.ledger.model import (
    Balance,
    Batch,
    Head,
    Movements,
    customer_account,
    may_be_negative,
    may_be_positive,
    receivable_account,
)
from exchange.payments.reversing import Posted
from exchange.safeguards.model import Permit
from exchange.transfers.model import (
    BankAnswer,
    Page,
    PaymentState,
    Recorded,
    Transfer,
    TransferKind,
    TransferStatus,
    created_key,
)
from exchange.wallets.model import (
    BankProvider,
    Credit,
    DepositRequest,
    PaymentMethod,
    movements_of,
    new_deposit,
    payment_methods,
)
from exchange.wallets.moving import Moved
from exchange.wallets.withdrawing import Held, WithdrawalRequest, new_withdrawal

NOON_NS = 1_800_000_000_000_000_000
Result = TypeVar("Result")

ASSETS = {
    asset.asset_id: asset
    for asset in (
        Asset("USD", "US dollar", 6, "fiat", withdrawal_fee_units=250_000),
        Asset("BTC", "Bitcoin", 8, "crypto"),
        Asset("ACME", "Acme Corporation", 4, "stock"),
        Asset("GOOG", "Alphabet", 0, "stock"),
    )
}


class CrashError(Exception):
    """The process is gone at this very point."""


@dataclass
class Cuts:
    """Counts every reach outside, and at one of them crashes: before its effect or just after it."""

    at: int = 0
    after: bool = False
    count: int = 0

    def reach(self, effect: Callable[[], Result]) -> Result:
        """Do an effect, unless this is where the process ends."""
        self.count += 1
        if self.count == self.at:
            if self.after:
                effect()
            raise CrashError(f"cut {self.at}")
        return effect()


@dataclass
class FakeClock:
    """A clock that moves when told."""

    at_ns: int = NOON_NS

    def now_ns(self) -> int:
        """The time it was set to."""
        return self.at_ns


@dataclass
class FakeTransfers:
    """The transfers table."""

    cuts: Cuts = field(default_factory=Cuts)
    rows: dict[str, Transfer] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)

    def create(self, transfer: Transfer) -> bool:
        """Put unless the id is taken."""
        return self.cuts.reach(lambda: self.rows.setdefault(transfer.transfer_id, transfer) is transfer)

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One row."""
        return self.cuts.reach(lambda: self.rows.get(transfer_id))

    def list_transfers(self, account_id: int, page: Page) -> list[Transfer]:
        """A page, newest first."""
        own = sorted((row for row in self.rows.values() if row.account_id == account_id), key=created_key)
        if page.before:
            return [row for row in own if created_key(row) > page.before][: page.limit][::-1]
        return [row for row in own if not page.after or created_key(row) < page.after][::-1][: page.limit]

    def unstarted(self, *, before_ns: int, limit: int) -> list[Transfer]:
        """Transfers that the bank was never asked about."""
        waiting = [
            row
            for row in sorted(self.rows.values(), key=created_key)
            if row.status is TransferStatus.PENDING
            and row.payment is PaymentState.NONE
            and row.created_at_ns < before_ns
        ]
        return waiting[:limit]

    def await_bank(self, transfer_id: str, task_token: str) -> bool:
        """Note the waiter unless the transfer is closed."""
        return self.cuts.reach(lambda: self._await_bank(transfer_id, task_token))

    def _await_bank(self, transfer_id: str, task_token: str) -> bool:
        row = self.rows[transfer_id]
        if row.status is not TransferStatus.PENDING:
            return False
        asked = PaymentState.REQUESTED if row.payment is PaymentState.NONE else row.payment
        self.rows[transfer_id] = replace(row, task_token=task_token, payment=asked)
        return True

    def note_asked(self, transfer_id: str, *, provider_reference: str, funding: str) -> None:
        """Note the provider's name for a payment, once."""
        self.cuts.reach(lambda: self._note_asked(transfer_id, provider_reference, funding))

    def _note_asked(self, transfer_id: str, provider_reference: str, funding: str) -> None:
        row = self.rows[transfer_id]
        if row.provider_reference in {"", provider_reference}:
            self.rows[transfer_id] = replace(row, provider_reference=provider_reference, funding=funding or row.funding)

    def customer_reference(self, rail: str, account_id: int) -> str:
        """The provider's name for a customer."""
        return self.cuts.reach(lambda: self.marks.get(f"customer#{rail}#{account_id}", ""))

    def note_customer(self, rail: str, account_id: int, reference: str) -> None:
        """Note it, once."""
        self.cuts.reach(lambda: self.marks.setdefault(f"customer#{rail}#{account_id}", reference))

    def record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        """Write an answer and its marks, all or nothing."""
        return self.cuts.reach(lambda: self._record_answer(transfer, answer))

    def _record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        row = self.rows[transfer.transfer_id]
        marks = {f"event#{row.rail}#{answer.event_id}"}
        if answer.payment is PaymentState.BOOKED:
            marks.add(f"receipt#{row.rail}#{answer.bank_reference}")
        waiting = row.status is TransferStatus.PENDING and row.payment is PaymentState.REQUESTED
        if not waiting or marks & set(self.marks):
            return Recorded.LOST
        self.marks.update(dict.fromkeys(marks, row.transfer_id))
        self.rows[row.transfer_id] = replace(
            row,
            payment=answer.payment,
            bank_reference=answer.bank_reference,
            received_units=answer.received_units,
            decline_reason=answer.reason,
        )
        return Recorded.DONE

    def may_mark_undone(self, undone: Transfer) -> bool:
        """Whether a transfer is still undone by what it was when it was read."""
        row = self.rows[undone.transfer_id]
        return (row.undone_by, row.reversed_by) == (undone.undone_by, undone.reversed_by)

    def mark_undone(self, undone: Transfer, by: str) -> None:
        """Note what undoes a transfer."""
        row = self.rows[undone.transfer_id]
        taken_back = replace(row, undone_by=f"{row.undone_by} {by}".strip())
        is_deposit = row.kind is TransferKind.DEPOSIT
        self.rows[undone.transfer_id] = taken_back if is_deposit else replace(row, reversed_by=by)

    def cancel(self, transfer_id: str, *, reason: str, canceled_at_ns: int) -> bool:
        """Close a transfer without money."""
        return self.cuts.reach(lambda: self._cancel(transfer_id, reason, canceled_at_ns))

    def _cancel(self, transfer_id: str, reason: str, canceled_at_ns: int) -> bool:
        row = self.rows[transfer_id]
        moneyless = row.payment in {PaymentState.NONE, PaymentState.DECLINED}
        if row.status is not TransferStatus.PENDING or not moneyless:
            return False
        self.rows[transfer_id] = replace(
            row, status=TransferStatus.CANCELED, cancel_reason=reason, canceled_at_ns=canceled_at_ns
        )
        return True


@dataclass
class FakeBooks:
    """Journal and balances, posted to only together with the transfer."""

    transfers: FakeTransfers
    cuts: Cuts = field(default_factory=Cuts)
    chains: dict[str, list[Batch]] = field(default_factory=lambda: defaultdict(list))
    balances: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    held: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    holds: Callable[[Permit], bool] = lambda _permit: True  # whether what a permit was judged by is still so
    overtaken: int = 0  # how many postings find that another took their number

    def head(self, partition: str) -> Head:
        """The end of a chain."""
        return self.cuts.reach(lambda: self._head(partition))

    def _head(self, partition: str) -> Head:
        chain = self.chains[partition]
        return Head(chain[-1].number, chain[-1].hash()) if chain else Head()

    def post_deposit(self, transfer: Transfer, batch: Batch) -> Credit:
        """Complete, append and move, all or nothing."""
        return self.cuts.reach(lambda: self._post_deposit(transfer, batch))

    def _post_deposit(self, transfer: Transfer, batch: Batch) -> Credit:
        row = self.transfers.rows[transfer.transfer_id]
        if self.overtaken:
            self.overtaken -= 1
            return Credit.LOST
        if not row.creditable or batch.number != self._head(batch.partition).number + 1:
            return Credit.LOST
        if not self._move(movements_of(batch)):
            return Credit.LOST
        self.chains[batch.partition].append(batch)
        self.transfers.rows[row.transfer_id] = replace(
            row,
            status=TransferStatus.COMPLETED,
            completed_at_ns=batch.posted_at_ns,
            settled_units=transfer.settled_units,
        )
        return Credit.DONE

    def hold_withdrawal(self, permit: Permit, movements: Movements) -> Held:
        """Put the transfer and hold its money, or nothing."""
        return self.cuts.reach(lambda: self._hold_withdrawal(permit, movements))

    def _hold_withdrawal(self, permit: Permit, movements: Movements) -> Held:
        transfer = permit.transfer
        if transfer.transfer_id in self.transfers.rows:
            return Held.KNOWN
        if not self._move(movements):
            return Held.POOR
        if not self.holds(permit):
            require(self._move(opposite(movements)), "what was held can be given back")
            return Held.LOST
        self.transfers.rows[transfer.transfer_id] = transfer
        return Held.DONE

    def post_withdrawal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Credit:
        """Complete, append and take what was held, all or nothing."""
        return self.cuts.reach(lambda: self._post_withdrawal(transfer, batch, movements))

    def _post_withdrawal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Credit:
        row = self.transfers.rows[transfer.transfer_id]
        if self.overtaken:
            self.overtaken -= 1
            return Credit.LOST
        if not row.payable or batch.number != self._head(batch.partition).number + 1 or not self._move(movements):
            return Credit.LOST
        self.chains[batch.partition].append(batch)
        self.transfers.rows[row.transfer_id] = replace(
            row, status=TransferStatus.COMPLETED, completed_at_ns=batch.posted_at_ns
        )
        return Credit.DONE

    def return_withdrawal(self, transfer: Transfer, movements: Movements, *, reason: str, at_ns: int) -> Credit:
        """Cancel and give back, or nothing."""
        return self.cuts.reach(lambda: self._return_withdrawal(transfer, movements, reason, at_ns))

    def _return_withdrawal(self, transfer: Transfer, movements: Movements, reason: str, at_ns: int) -> Credit:
        row = self.transfers.rows[transfer.transfer_id]
        if not row.returnable or not self._move(movements):
            return Credit.LOST
        self.transfers.rows[row.transfer_id] = replace(
            row, status=TransferStatus.CANCELED, cancel_reason=reason, canceled_at_ns=at_ns
        )
        return Credit.DONE

    def balance(self, account_id: int, asset: str) -> Balance:
        """What a customer has."""
        account = customer_account(account_id)
        return self.cuts.reach(
            lambda: Balance(account, asset, self.balances[account, asset], self.held[account, asset])
        )

    def owed(self, account_id: int) -> list[Balance]:
        """What a customer owes."""
        account = receivable_account(account_id)
        return self.cuts.reach(
            lambda: [
                Balance(account, asset, units, 0)
                for (name, asset), units in self.balances.items()
                if name == account and units < 0
            ]
        )

    def post_settlement(self, transfer: Transfer, batch: Batch) -> Credit:
        """Put a settlement, append and move, all or nothing."""
        posted = self.cuts.reach(lambda: self._post_reversal(transfer, batch, movements_of(batch)))
        return Credit.DONE if posted is Posted.DONE else Credit.LOST

    def post_reversal(
        self, transfer: Transfer, batch: Batch, movements: Movements, *, undoes: Transfer | None = None
    ) -> Posted:
        """Put the transfer, append and move, and mark what is undone, all or nothing."""
        return self.cuts.reach(lambda: self._post_reversal(transfer, batch, movements, undoes))

    def _post_reversal(
        self, transfer: Transfer, batch: Batch, movements: Movements, undoes: Transfer | None = None
    ) -> Posted:
        number = self._head(batch.partition).number + 1
        if undoes is not None and not self.transfers.may_mark_undone(undoes):
            return Posted.LOST
        if transfer.transfer_id in self.transfers.rows or batch.number != number or not self._move(movements):
            return Posted.LOST
        if undoes is not None:
            self.transfers.mark_undone(undoes, transfer.transfer_id)
        self.chains[batch.partition].append(batch)
        self.transfers.rows[transfer.transfer_id] = transfer
        return Posted.DONE

    def _move(self, movements: Movements) -> bool:
        rows = movements.moving()
        for account, asset, move in rows:
            poor = self.balances[account, asset] + move.available < 0 or self.held[account, asset] + move.held < 0
            if poor and not may_be_negative(account):
                return False
            if move.available > 0 and self.balances[account, asset] > -move.available and not may_be_positive(account):
                return False
        for account, asset, move in rows:
            self.balances[account, asset] += move.available
            self.held[account, asset] += move.held
        return True

    def post_move(self, sent: Transfer, received: Transfer, batch: Batch, permit: Permit | None = None) -> Moved:
        """Both transfers, the batch and the balances, all or nothing."""
        return self.cuts.reach(lambda: self._post_move(sent, received, batch, permit))

    def _post_move(self, sent: Transfer, received: Transfer, batch: Batch, permit: Permit | None) -> Moved:
        if self.overtaken:
            self.overtaken -= 1
            return Moved.LOST
        if sent.transfer_id in self.transfers.rows or received.transfer_id in self.transfers.rows:
            return Moved.KNOWN
        if batch.number != self._head(batch.partition).number + 1:
            return Moved.LOST
        moves = movements_of(batch).moving()
        if any(self.balances[account, asset] + move.available < 0 for account, asset, move in moves):
            return Moved.POOR
        if permit is not None and not self.holds(permit):
            return Moved.LOST
        self.chains[batch.partition].append(batch)
        for account, asset, move in moves:
            self.balances[account, asset] += move.available
        self.transfers.rows[sent.transfer_id] = sent
        self.transfers.rows[received.transfer_id] = received
        return Moved.DONE


def opposite(movements: Movements) -> Movements:
    """The same movements, backwards."""
    back = Movements()
    for account, asset, move in movements.moving():
        other = back.of(account, asset)
        other.available, other.held = -move.available, -move.held
    return back


def sandbox_methods() -> list[PaymentMethod]:
    """The ways in of the sandbox for `ASSETS`."""
    return payment_methods(ASSETS, BankProvider.SANDBOX)


def a_deposit(
    amount: str = "100.25", currency: str = "USD", *, account_id: int = 7, key: str = "", at_ns: int = NOON_NS
) -> Transfer:
    """A fresh deposit."""
    method = next(method for method in sandbox_methods() if method.asset.asset_id == currency)
    made = new_deposit(
        DepositRequest(amount, currency, method.method_id, key),
        account_id=account_id,
        methods=sandbox_methods(),
        created_at_ns=at_ns,
    )
    assert isinstance(made, Transfer), made
    return made


def a_withdrawal(
    amount: str = "10.5", currency: str = "USD", *, account_id: int = 7, key: str = "", at_ns: int = NOON_NS
) -> Transfer:
    """A fresh withdrawal."""
    method = next(method for method in sandbox_methods() if method.asset.asset_id == currency)
    made = new_withdrawal(
        WithdrawalRequest(amount, currency, method.method_id, key),
        account_id=account_id,
        methods=sandbox_methods(),
        created_at_ns=at_ns,
    )
    assert isinstance(made, Transfer), made
    return made
