"""Operators and withdrawals: which wait for them, what they decide, and waking what waits for the decision."""

from collections.abc import Callable, Mapping
from typing import Any

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import Effect
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.clearance.service import Waiters
from exchange.instruments.model import Asset
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import Code, OutageError, Refused
from exchange.kernel.ids import to_uuid
from exchange.safeguards.store import SafeguardItem, set_limits
from exchange.transfers.model import Clearance
from exchange.transfers.store import TransferStore
from exchange.wallets.leaving import guard_leaving
from exchange.wallets.model import BankProvider, places
from exchange.wallets.store import decide_review
from exchange.wallets.views import transfer_view

LISTED_MAX = 100


class ReviewSettings(EnvironmentSettings):
    """What reviews have in the environment: limits, and who stands for the bank."""

    safeguards_table: str
    bank_provider: BankProvider

    def bind_reviews(self) -> None:
        """Tell their items which tables they are here."""
        bind(SafeguardItem, self.safeguards_table)

    def payout_places(self) -> Mapping[tuple[str, str], Asset]:
        """What can be paid out where, by asset and rail. Raises UnavailableError."""
        return places(InstrumentStore().assets(), self.bank_provider)


class Reviews:
    """Withdrawals as operators see them."""

    def __init__(self, transfers: TransferStore, waiters: Waiters, note: Callable[[str], None]) -> None:
        self._transfers = transfers
        self._waiters = waiters
        self._note = note

    def waiting(self) -> list[Any]:
        """Those that operators are to decide, oldest first. Raises UnavailableError."""
        found = self._transfers.in_review(limit=LISTED_MAX)
        return [self._shown(transfer.transfer_id) for transfer in found if transfer.clearance is Clearance.REVIEW]

    def show(self, transfer_id: str) -> Any:
        """One withdrawal. Refuses TRANSFER_NOT_FOUND. Raises UnavailableError."""
        return self._shown(transfer_id)

    def woken(self, decided: Any) -> Any:
        """The same decision; where it is about a withdrawal, its machine is woken to look at it.

        It looks by itself too, half an hour later at most, so what fails here is noted and no more.
        """
        if not isinstance(decided, Refused) and "transfer_id" in decided["payload"]:
            self._wake(decided["payload"]["transfer_id"])
        return decided

    def _wake(self, transfer_id: str) -> None:
        try:
            transfer = self._transfers.transfer(transfer_id)
            if transfer is not None and transfer.review_token:
                self._waiters.booked(transfer.review_token, transfer_id)
        except OutageError as error:
            self._note(f"withdrawal {transfer_id} looks by itself: {error}")

    def _shown(self, transfer_id: str) -> Any:
        transfer = self._transfers.transfer(transfer_id)
        if transfer is None:
            return Refused(Code.TRANSFER_NOT_FOUND, "transfer not found")
        reason = {"review_reason": transfer.review_reason} if transfer.review_reason else {}
        return {**transfer_view(transfer), "profile_id": to_uuid(transfer.account_id), **reason}


def release(transaction: TransactWrite, proposal: Proposal) -> None:
    """The effect of an approved withdrawal.release: it goes to whoever pays it.

    Raises:   UnfitError where its customer is frozen or its asset is stopped; UnavailableError.
    """
    transfer = TransferStore(connection()).transfer(proposal.payload["transfer_id"])
    if transfer is None:
        raise UnfitError("transfer_id: no such withdrawal")
    guard_leaving(transaction, transfer)
    decide_review(transaction, transfer.transfer_id, Clearance.CLEARED)


def refuse(transaction: TransactWrite, proposal: Proposal) -> None:
    """The effect of an approved withdrawal.refuse: its machine gives the money back."""
    decide_review(transaction, proposal.payload["transfer_id"], Clearance.REFUSED)


def apply_limits(transaction: TransactWrite, proposal: Proposal) -> None:
    """The effect of an approved limits.set."""
    told = proposal.payload
    row = (told["per_transfer"], told["per_day"], told["review_above"])
    set_limits(transaction, int(told["level"]), told["asset"], row)


# What each of these kinds does in the write of its approval.
REVIEW_EFFECTS: Mapping[str, Effect] = {
    "withdrawal.release": release,
    "withdrawal.refuse": refuse,
    "limits.set": apply_limits,
}
