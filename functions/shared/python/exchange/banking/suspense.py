"""What operators say of money that nobody was matched with: whose it is, that it goes back, or was a charge."""

from dataclasses import dataclass, replace
from typing import Protocol

from exchange.banking.entries import batch_of, done_transfer
from exchange.banking.model import (
    PARTITION,
    RAIL,
    SUSPENSE,
    Account,
    Case,
    CaseState,
    Order,
    Payee,
    transfer_id_for,
)
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.ledger.debts import Debts, money_in, owed_units, settled_of
from exchange.ledger.model import Batch, EntryKind, Head, losses_account
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus


class Files(Protocol):
    """Where cases are kept."""

    def account(self, currency: str) -> Account | None:
        """Our account in a currency."""
        ...

    def case(self, currency: str, key: str) -> Case | None:
        """A case of suspense."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an open case: its next state with a transfer, and a batch at once or an order to pay it back."""

    case: Case
    transfer: Transfer
    batch: Batch | None = None
    order: Order | None = None


class Suspense:
    """Says what a decision about a case writes; it is written whole, while the case is still open, or not at all."""

    def __init__(self, files: Files, journal: Journal, debts: Debts, clock: Clock) -> None:
        self._files = files
        self._journal = journal
        self._debts = debts
        self._clock = clock

    def assign(self, currency: str, key: str, account_id: int) -> Decision | Refused:
        """Credit a case to a customer. Refuses TRANSFER_NOT_FOUND, TRANSFER_AMOUNT_INVALID. Raises UnavailableError."""
        found = self._open(currency, key)
        return found if isinstance(found, Refused) else self._assignment(*found, account_id)

    def send_back(self, currency: str, key: str) -> Decision | Refused:
        """Order a case's money back to its sender; its line at the bank ends it. Refuses and raises as `assign`."""
        found = self._open(currency, key)
        return found if isinstance(found, Refused) else self._return(*found)

    def charge(self, currency: str, key: str) -> Decision | Refused:
        """Book money that left us as the bank's charge, at the venue's loss. Refuses and raises as `assign`."""
        found = self._open(currency, key)
        return found if isinstance(found, Refused) else self._charge(*found)

    def _open(self, currency: str, key: str) -> tuple[Case, Account] | Refused:
        case, account = self._files.case(currency, key), self._files.account(currency)
        if case is None or account is None or case.state is not CaseState.OPEN:
            state = case.state.value if case else "not there"
            return Refused(Code.TRANSFER_NOT_FOUND, f"{key}: no open case of {currency}; it is {state}")
        return case, account

    def _assignment(self, case: Case, account: Account, account_id: int) -> Decision | Refused:
        if case.units <= 0:
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"{case.key}: this money left us; only what came is assigned")
        now_ns = self._clock.now_ns()
        settled = settled_of(case.units, owed_units(account_id, case.currency, debts=self._debts))
        made = done_transfer(
            transfer_id_for("assigned", case.currency, case.key), account, case.units, TransferKind.DEPOSIT,
            at_ns=now_ns, account_id=account_id,
        )  # fmt: skip
        transfer = replace(made, bank_reference=case.key, settled_units=settled)
        lines = [(SUSPENSE, -case.units), *money_in(account_id, case.units, settled=settled)]
        batch = batch_of(self._journal.head(PARTITION), transfer, lines, EntryKind.DEPOSIT, at_ns=now_ns)
        return Decision(replace(case, state=CaseState.ASSIGNED, transfer_id=transfer.transfer_id), transfer, batch)

    def _return(self, case: Case, account: Account) -> Decision | Refused:
        if case.units <= 0 or not case.iban:
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"{case.key}: there is nobody to send it back to")
        now_ns = self._clock.now_ns()
        # Each try has a transfer of its own: an order that was rejected is never sent again.
        made = done_transfer(
            transfer_id_for("back", case.currency, f"{case.key}/{now_ns}"), account, case.units, TransferKind.WITHDRAW,
            at_ns=now_ns,
        )  # fmt: skip
        transfer = replace(
            made,
            status=TransferStatus.PENDING,
            payment=PaymentState.REQUESTED,
            received_units=0,
            completed_at_ns=0,
            provider_reference=case.key,
        )
        order = Order(
            transfer.transfer_id, case.currency, case.units, case.scale, Payee(case.name or "unknown", case.iban)
        )
        return Decision(replace(case, state=CaseState.RETURNING), transfer, order=order)

    def _charge(self, case: Case, account: Account) -> Decision | Refused:
        if case.units >= 0:
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"{case.key}: this money came; a charge is money that left us")
        now_ns, units = self._clock.now_ns(), -case.units
        transfer = done_transfer(
            transfer_id_for("charge", case.currency, case.key), account, units, TransferKind.WITHDRAW, at_ns=now_ns
        )
        lines = [(losses_account(RAIL), -units), (SUSPENSE, units)]
        batch = batch_of(self._journal.head(PARTITION), transfer, lines, EntryKind.FEE, at_ns=now_ns)
        return Decision(replace(case, state=CaseState.CHARGED, transfer_id=transfer.transfer_id), transfer, batch)
