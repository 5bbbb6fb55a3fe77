"""What an operator says of money that nobody was matched with: whose it is, that it goes back, or was a charge."""

from collections.abc import Callable
from dataclasses import replace
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
    Posted,
    transfer_id_for,
)
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.ledger.debts import Debts, money_in, owed_units, settled_of
from exchange.ledger.model import Batch, EntryKind, Head, losses_account
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

ATTEMPTS_MAX = 32


class Files(Protocol):
    """Where cases are kept."""

    def account(self, currency: str) -> Account | None:
        """Our account in a currency."""
        ...

    def case(self, currency: str, key: str) -> Case | None:
        """A case of suspense."""
        ...

    def decide(self, case: Case, transfer: Transfer, batch: Batch | None, order: Order | None) -> Posted:
        """Close or move a case with its transfer, and a batch or an order, all or nothing."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Suspense:
    """Decides cases, each once."""

    def __init__(
        self, files: Files, journal: Journal, debts: Debts, clock: Clock, pause: Callable[[int], None]
    ) -> None:
        self._files = files
        self._journal = journal
        self._debts = debts
        self._clock = clock
        self._pause = pause

    def assign(self, currency: str, key: str, account_id: int) -> Case | Refused:
        """Credit a case to a customer. Refuses and raises as `_decide`."""
        return self._decide(currency, key, lambda case, account: self._assignment(case, account, account_id))

    def send_back(self, currency: str, key: str) -> Case | Refused:
        """Order a case's money back to its sender; its line at the bank ends it. Refuses and raises as `_decide`."""
        return self._decide(currency, key, self._return)

    def charge(self, currency: str, key: str) -> Case | Refused:
        """Book money that left us as the bank's charge, at the venue's loss. Refuses and raises as `_decide`."""
        return self._decide(currency, key, self._charge)

    def _decide(
        self,
        currency: str,
        key: str,
        decision: Callable[[Case, Account], "tuple[Case, Transfer, Batch | None, Order | None] | Refused"],
    ) -> Case | Refused:
        """Refuses:  TRANSFER_NOT_FOUND, TRANSFER_AMOUNT_INVALID.

        Raises:   UnavailableError where others were faster at every attempt; OutcomeUnknownError: look again.
        """
        for attempt in range(ATTEMPTS_MAX):
            case, account = self._files.case(currency, key), self._files.account(currency)
            if case is None or account is None or case.state is not CaseState.OPEN:
                state = case.state.value if case else "not there"
                return Refused(Code.TRANSFER_NOT_FOUND, f"{key}: no open case of {currency}; it is {state}")
            decided = decision(case, account)
            if isinstance(decided, Refused):
                return decided
            if self._files.decide(*decided) is Posted.DONE:
                return decided[0]
            self._pause(attempt)
        raise UnavailableError(f"case {key}: the chain of {RAIL} was busy {ATTEMPTS_MAX} times")

    def _assignment(
        self, case: Case, account: Account, account_id: int
    ) -> tuple[Case, Transfer, Batch | None, Order | None] | Refused:
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
        return replace(case, state=CaseState.ASSIGNED, transfer_id=transfer.transfer_id), transfer, batch, None

    def _return(self, case: Case, account: Account) -> tuple[Case, Transfer, Batch | None, Order | None] | Refused:
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
        return replace(case, state=CaseState.RETURNING), transfer, None, order

    def _charge(self, case: Case, account: Account) -> tuple[Case, Transfer, Batch | None, Order | None] | Refused:
        if case.units >= 0:
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"{case.key}: this money came; a charge is money that left us")
        now_ns, units = self._clock.now_ns(), -case.units
        transfer = done_transfer(
            transfer_id_for("charge", case.currency, case.key), account, units, TransferKind.WITHDRAW, at_ns=now_ns
        )
        lines = [(losses_account(RAIL), -units), (SUSPENSE, units)]
        batch = batch_of(self._journal.head(PARTITION), transfer, lines, EntryKind.FEE, at_ns=now_ns)
        return replace(case, state=CaseState.CHARGED, transfer_id=transfer.transfer_id), transfer, batch, None
