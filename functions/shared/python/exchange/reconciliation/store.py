"""Reading the sides: whole tables, the log as far back as its stream goes, a chain's node, and banks' statements."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from exchange.audit.model import BankView, ChainView, World
from exchange.audit.store import read_banks, read_executions, scan_stream, transfer_row
from exchange.aws.dynamodb import connection
from exchange.instruments.store import InstrumentStore
from exchange.ledger.store import BalanceItem, JournalStore, balances_from
from exchange.orders.store import FillItem, fill_from
from exchange.payments.file_store import BankFileStore
from exchange.payments.model import minor_digits
from exchange.statements.store import reached_partitions
from exchange.transfers.model import TransferKind
from exchange.transfers.store import TransferItem, transfer_from


class Provider(Protocol):
    """Whoever holds money for us and can be asked how much."""

    def balance(self) -> Mapping[str, int]:
        """What it holds by currency, in its minor units."""
        ...


def read_provider(rail: str, provider: Provider) -> list[BankView]:
    """What a provider says that it holds, and zero of what it does not name and we have with it.

    Raises:   UnavailableError, OutcomeUnknownError.
    """
    held, views = provider.balance(), []
    for asset in InstrumentStore().assets().values():
        digits = minor_digits(asset.asset_id)
        if asset.kind == "fiat" and asset.scale >= digits:
            units = held.get(asset.asset_id, 0) * int(10 ** (asset.scale - digits))
            told = f"it says {asset.format(units)}"
            views.append(BankView(rail, asset.asset_id, units, [told]))
    return views


def read_sides(
    *, kinesis: Any, executions_stream: str, chains: Sequence[ChainView], providers: Sequence[BankView]
) -> World:
    """Everything that is compared, and nothing else. Raises UnavailableError."""
    journal = JournalStore()
    return World(
        products=InstrumentStore().products(),
        balances=[row for item in BalanceItem.scan(consistent_read=True) for row in balances_from(item)],
        batches={partition: list(journal.batches(partition)) for partition in sorted(reached_partitions())},
        orders=(),
        fills=[fill_from(item) for item in FillItem.scan(consistent_read=True)],
        transfers=[
            transfer_row(transfer_from(item))
            for item in TransferItem.scan(TransferItem.account_id.exists(), consistent_read=True)
            if item.kind != TransferKind.INTERNAL_DEPOSIT.value  # the other side of one that was sent
        ],
        cursors={},
        executions=read_executions(scan_stream(kinesis, executions_stream)),
        commands={},
        replayed={},
        chains=chains,
        banks=read_banks(),
        providers=providers,
        payouts=BankFileStore(connection()).payouts(),
    )
