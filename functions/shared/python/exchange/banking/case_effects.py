"""What approved proposals about money in suspense do, in the write of their approval."""

from collections.abc import Mapping

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import Effect
from exchange.banking.store import BankFileStore, put_decision
from exchange.banking.suspense import Decision, Suspense
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.kernel.ids import from_uuid
from exchange.ledger.store import BalanceStore, JournalStore
from exchange.users.store import CustomerStore


class CaseEffects:
    """What two operators say of a case: whose it is, that it goes back, or that it was the bank's charge.

    Raises:   UnfitError where there is no such open case, or it is none that this can be said of; UnavailableError.
    """

    def __init__(self, suspense: Suspense, customers: CustomerStore) -> None:
        self._suspense = suspense
        self._customers = customers

    def assign(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Credit a case to a customer, who must be there: a mistyped profile is nobody's."""
        told = proposal.payload
        account_id = from_uuid(told["profile_id"])
        if account_id is None or self._customers.owner_of(account_id) is None:
            raise UnfitError("profile_id: nobody has this profile")
        _put(transaction, self._suspense.assign(told["asset"], told["case"], account_id))

    def send_back(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Order a case's money back to where it came from."""
        _put(transaction, self._suspense.send_back(proposal.payload["asset"], proposal.payload["case"]))

    def charge(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Book a case as the bank's charge, at the venue's loss."""
        _put(transaction, self._suspense.charge(proposal.payload["asset"], proposal.payload["case"]))


def _put(transaction: TransactWrite, decision: Decision | Refused) -> None:
    if isinstance(decision, Refused):
        raise UnfitError(decision.message)
    put_decision(transaction, decision)


def case_effects(files: BankFileStore, clock: Clock) -> Mapping[str, Effect]:
    """What each of these kinds does in the write of its approval."""
    effects = CaseEffects(Suspense(files, JournalStore(), BalanceStore(), clock), CustomerStore())
    return {
        "suspense.assign": effects.assign,
        "suspense.send_back": effects.send_back,
        "suspense.charge": effects.charge,
    }
