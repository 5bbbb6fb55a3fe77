"""What approved proposals about a customer's debt do, in the write of their approval."""

from collections.abc import Callable, Mapping

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import Effect
from exchange.instruments.model import Asset
from exchange.instruments.store import InstrumentStore
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.kernel.ids import from_uuid
from exchange.ledger.store import BalanceStore, JournalStore
from exchange.wallets.owing import Way, new_settlement
from exchange.wallets.store import put_settlement


class DebtEffects:
    """What two operators say of a debt: that it is taken from what its customer has, or that the venue bears it.

    Raises:   UnfitError where that much is not owed, or not there to be taken; UnavailableError.
    """

    def __init__(self, assets: Callable[[], Mapping[str, Asset]], clock: Clock) -> None:
        self._assets = assets
        self._clock = clock
        self._journal = JournalStore()
        self._balances = BalanceStore()

    def settle(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Take it from the customer's balance."""
        self._put(transaction, proposal, Way.FROM_BALANCE)

    def write_off(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Let the venue bear it."""
        self._put(transaction, proposal, Way.WRITE_OFF)

    def _put(self, transaction: TransactWrite, proposal: Proposal, way: Way) -> None:
        told = proposal.payload
        account_id, asset = from_uuid(told["profile_id"]), self._assets().get(told["asset"])
        if account_id is None:
            raise UnfitError("profile_id: nobody has this profile")
        if asset is None:
            raise UnfitError(f"asset: there is no {told['asset']}")
        made = new_settlement(
            proposal.proposal_id, account_id, told["amount"], asset=asset, way=way,
            balances=self._balances, journal=self._journal, clock=self._clock,
        )  # fmt: skip
        if isinstance(made, Refused):
            raise UnfitError(made.message)
        put_settlement(transaction, *made)


def debt_effects(clock: Clock) -> Mapping[str, Effect]:
    """What each of these kinds does in the write of its approval."""
    debts = DebtEffects(InstrumentStore().assets, clock)
    return {"debt.settle": debts.settle, "debt.write_off": debts.write_off}
