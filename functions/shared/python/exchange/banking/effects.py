"""What approved proposals about money at banks and at Stripe do, in the write of their approval."""

from collections.abc import Callable, Mapping

from pynamodb.expressions.operand import Path
from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import Effect
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.case_effects import case_effects
from exchange.banking.model import RAIL as BANK_FILES
from exchange.banking.paying_out import change_to, new_payout
from exchange.banking.store import OPEN_REFUND, BankFileItem, BankFileStore, put_payout
from exchange.instruments.model import Asset
from exchange.instruments.store import InstrumentItem
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.ledger.model import Movements, custody_account, customer_account
from exchange.ledger.store import BalanceItem, BalanceStore, JournalStore, append_batch, move_balances
from exchange.payments.model import STRIPE
from exchange.payments.payouts import Payout
from exchange.payments.refunding import new_refund
from exchange.payments.reversing import movements_of
from exchange.transfers.store import TransferItem, TransferStore, mark_undone, transfer_item
from exchange.wallets.effects import debt_effects
from exchange.wallets.leaving import guard_leaving

CUSTODY = custody_account(STRIPE)
# What can be paid out where: by asset and rail.
Places = Callable[[], Mapping[tuple[str, str], Asset]]


class PaymentSettings(EnvironmentSettings):
    """The tables that these effects read and write."""

    bank_files_table: str
    instruments_table: str
    transfers_table: str

    def bind_payments(self) -> None:
        """Tell their items which tables they are here."""
        bind(BankFileItem, self.bank_files_table)
        bind(InstrumentItem, self.instruments_table)
        bind(TransferItem, self.transfers_table)


class PayoutEffect:
    """What an approved stripe.payout does."""

    def __init__(self, places: Places, *, files: BankFileStore, clock: Clock) -> None:
        self._places = places
        self._files = files
        self._clock = clock
        self._journal = JournalStore()

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Bring an amount from Stripe to the bank, at most what Stripe holds for us.

        Raises:   UnfitError where there is no such bank of ours, or no such amount; UnavailableError.
        """
        payout = self._payout(proposal)
        change = change_to(payout, None, journal=self._journal, at_ns=self._clock.now_ns())
        if change.transfer is None or change.batch is None:
            raise UnfitError("a payout moves money")
        put_payout(transaction, None, payout)
        transaction.save(transfer_item(change.transfer), condition=TransferItem.transfer_id.does_not_exist())
        append_batch(transaction, change.batch)
        movements = movements_of(change.batch)
        # What others hold for us may be below zero everywhere else; what is not at Stripe is not sent from there.
        movements.of(CUSTODY, payout.asset).available = 0
        move_balances(transaction, movements)
        available = Path(["available"])
        transaction.update(
            BalanceItem(CUSTODY, payout.asset),
            actions=[available.add(payout.units)],
            condition=available <= -payout.units,
        )

    def _payout(self, proposal: Proposal) -> Payout:
        asset_id, rail = proposal.payload["asset"], proposal.payload["rail"]
        asset = self._places().get((asset_id, rail))
        if asset is None or (rail == BANK_FILES and self._files.account(asset_id) is None):
            raise UnfitError(f"{asset_id} has no account of ours on {rail}")
        payout = new_payout(
            proposal.proposal_id, asset=asset, amount=proposal.payload["amount"], rail=rail, at_ns=self._clock.now_ns()
        )
        if isinstance(payout, Refused):
            raise UnfitError(payout.message)
        return payout


class RefundEffect:
    """What an approved stripe.refund does."""

    def __init__(self, transfers: TransferStore, clock: Clock) -> None:
        self._transfers = transfers
        self._clock = clock

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Hold what a customer has of a deposit by Stripe, and have it sent back; never more than is available, nor,
        with what went back before, than was deposited.

        It is money that leaves: what stops a customer's withdrawal stops it too, and as a condition of the same write.

        Raises:   UnfitError where there is no such deposit, it was not so much, its customer owes us or is frozen, or
                  the asset is stopped; UnavailableError.
        """
        deposit = self._transfers.transfer(proposal.payload["transfer_id"])
        at_ns, amount = self._clock.now_ns(), proposal.payload["amount"]
        refund = new_refund(proposal.proposal_id, deposit, amount, transfers=self._transfers, at_ns=at_ns)
        if deposit is None or isinstance(refund, Refused):
            raise UnfitError(refund.message if isinstance(refund, Refused) else "transfer_id: no such deposit")
        if owed := BalanceStore().owed(refund.account_id):
            raise UnfitError(f"the customer owes {', '.join(row.asset for row in owed)}: settle that first")
        guard_leaving(transaction, refund)
        mark_undone(transaction, deposit, refund.transfer_id)
        transaction.save(transfer_item(refund), condition=TransferItem.transfer_id.does_not_exist())
        transaction.save(BankFileItem(OPEN_REFUND, refund.transfer_id))
        movements = Movements()
        movement = movements.of(customer_account(refund.account_id), refund.asset)
        movement.available, movement.held = -refund.units, refund.units
        move_balances(transaction, movements)


def payment_effects(places: Places, clock: Clock) -> Mapping[str, Effect]:
    """What each of these kinds does in the write of its approval."""
    files = BankFileStore(connection())
    return {
        "stripe.payout": PayoutEffect(places, files=files, clock=clock).apply,
        "stripe.refund": RefundEffect(TransferStore(connection()), clock).apply,
        **case_effects(files, clock),
        **debt_effects(clock),
    }
