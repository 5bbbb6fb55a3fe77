"""What the API of wallets has in its environment, and which of it are tables."""

from typing import Literal

from exchange.aws.dynamodb import bind
from exchange.aws.settings import AccessSettings
from exchange.instruments.store import InstrumentItem
from exchange.ledger.store import BalanceItem
from exchange.orders.store import FillItem, OrderItem
from exchange.statements.store import StatementItem
from exchange.transfers.store import TransferItem
from exchange.wallets.model import BankProvider


class WalletSettings(AccessSettings):
    """The tables of money, and the ways in which it comes."""

    instruments_table: str
    balances_table: str
    orders_table: str
    fills_table: str
    statements_table: str
    transfers_table: str
    deposit_machine_arn: str
    bank_provider: BankProvider
    stripe_rail: Literal["on", "off"]
    bank_files_rail: Literal["on", "off"]

    def bind_wallets(self) -> None:
        """Tell their items which tables they are here."""
        bind(InstrumentItem, self.instruments_table)
        bind(BalanceItem, self.balances_table)
        bind(OrderItem, self.orders_table)
        bind(FillItem, self.fills_table)
        bind(StatementItem, self.statements_table)
        bind(TransferItem, self.transfers_table)
