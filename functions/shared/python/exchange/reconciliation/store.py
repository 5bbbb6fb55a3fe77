"""Reading the sides: whole tables, the log as far back as its stream goes, a chain's node, and banks' statements."""

from collections.abc import Sequence
from typing import Any

from exchange.audit.model import ChainView, World
from exchange.audit.store import read_banks, read_executions, scan_stream, transfer_row
from exchange.instruments.store import InstrumentStore
from exchange.ledger.store import BalanceItem, JournalStore, balances_from
from exchange.orders.store import FillItem, fill_from
from exchange.statements.store import reached_partitions
from exchange.transfers.model import TransferKind
from exchange.transfers.store import TransferItem, transfer_from


def read_sides(*, kinesis: Any, executions_stream: str, chains: Sequence[ChainView]) -> World:
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
    )
