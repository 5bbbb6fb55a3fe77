"""A bust in DynamoDB: its batch, both fills' marks and every balance, in the transaction that approves it."""

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import Clock
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore, append_batch, move_balances
from exchange.orders.store import FillItem, mark_busted
from exchange.settlement.busting import plan_bust


class BustSettings(EnvironmentSettings):
    """The tables that a bust reads and writes."""

    balances_table: str
    fills_table: str
    journal_table: str

    def bind_busts(self) -> None:
        """Tell its items which tables they are here."""
        bind(BalanceItem, self.balances_table)
        bind(FillItem, self.fills_table)
        bind(JournalItem, self.journal_table)


class Busts:
    """What an approved trade.bust does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._journal = JournalStore()
        self._balances = BalanceStore()

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Undo the trade that the proposal names.

        Raises:   UnfitError where there is no such trade to undo; UnavailableError.
        """
        product_id, trade_id = proposal.payload["product_id"], proposal.payload["trade_id"]
        if not (trade_id.isascii() and trade_id.isdigit()):
            raise UnfitError("trade_id: give the trade's number")
        now_ns = self._clock.now_ns()
        bust = plan_bust(
            product_id, int(trade_id), journal=self._journal, available=self._available, posted_at_ns=now_ns
        )
        if bust is None:
            raise UnfitError(f"{product_id} has settled no trade {trade_id}")
        append_batch(transaction, bust.batch)
        for side, account_id in bust.sides.items():
            mark_busted(transaction, account_id, product_id, bust.trade_id, side, at_ns=now_ns)
        move_balances(transaction, bust.movements)

    def _available(self, account: str, asset: str) -> int:
        return self._balances.balance(int(account), asset).available
