"""Reading the sides: whole tables, the log as far back as its stream goes, a chain's node, and banks' statements."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from exchange.audit.model import BankView, ChainView, World
from exchange.audit.store import read_banks, read_executions, scan_stream, transfer_row
from exchange.aws.dynamodb import connection
from exchange.banking.store import BankFileStore
from exchange.instruments.store import InstrumentStore
from exchange.ledger.model import Batch
from exchange.ledger.store import every_balance, every_batch, rows_of
from exchange.orders.store import FillItem, fill_from
from exchange.payments.costs import AtStripe, unposted
from exchange.payments.model import STRIPE, minor_digits
from exchange.reconciliation.motion import Look, at_rest
from exchange.transfers.model import TransferKind
from exchange.transfers.store import TransferItem, TransferStore, transfer_from


class Funds(AtStripe, Protocol):
    """Stripe, as far as it tells what it holds for us and what it took."""

    def balance(self) -> Mapping[str, int]:
        """What it holds by currency, in its minor units."""
        ...


def read_stripe(funds: Funds) -> list[BankView]:
    """What Stripe says that it holds, with what it took and nobody has posted yet; zero of what it does not name.

    Raises:   UnavailableError, OutcomeUnknownError.
    """
    took = unposted(stripe=funds, seen=BankFileStore(connection()), transfers=TransferStore(connection()))
    held, views = funds.balance(), []
    for asset in InstrumentStore().assets().values():
        digits = minor_digits(asset.asset_id)
        if asset.kind == "fiat" and asset.scale >= digits:
            unit, costs = int(10 ** (asset.scale - digits)), [cost for cost in took if cost.asset == asset.asset_id]
            has, open_units = held.get(asset.asset_id, 0) * unit, sum(cost.minor for cost in costs) * unit
            lines = [f"it says {asset.format(has)}, and took {asset.format(open_units)} that is not posted yet"]
            views.append(BankView(STRIPE, asset.asset_id, has + open_units, lines))
    return views


def read_sides(
    *,
    marks: Mapping[str, int],
    kinesis: Any,
    executions_stream: str,
    chains: Sequence[ChainView],
    providers: Sequence[BankView],
) -> Look:
    """Everything that is compared, and nothing else. Raises UnavailableError.

    `marks` is where each chain stood at least: the statements follow each, and say how far they are. `chains` and
    `providers` were read after `marks` was; the journal is read behind all that moves with it.
    """
    world = World(
        products=InstrumentStore().products(),
        balances=at_rest(every_balance(), rows_of),
        batches={},
        orders=(),
        fills=(),
        transfers=[
            transfer_row(transfer_from(item))
            for item in TransferItem.scan(TransferItem.account_id.exists(), consistent_read=True)
            if item.kind != TransferKind.INTERNAL_DEPOSIT.value  # the other side of one that was sent
        ],
        cursors={},
        executions={},
        commands={},
        replayed={},
        chains=chains,
        banks=read_banks(),
        providers=providers,
        payouts=BankFileStore(connection()).payouts(),
    )
    batches: defaultdict[str, list[tuple[Batch, bytes]]] = defaultdict(list)
    for batch, digest in every_batch():
        batches[batch.partition].append((batch, digest))
    for rows in batches.values():
        rows.sort(key=lambda row: row[0].number)
    # Behind the journal: of each trade that it has, the fills are there by then, and the log has it.
    fills = [fill_from(item) for item in FillItem.scan(consistent_read=True)]
    executions = read_executions(scan_stream(kinesis, executions_stream))
    return Look(replace(world, batches=batches, fills=fills, executions=executions), marks)
