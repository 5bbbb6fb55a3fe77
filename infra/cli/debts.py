"""`exchange debts`: who owes the venue, and how an operator settles it."""

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.aws.dynamodb import connection
from exchange.instruments.store import InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import OutageError, Refused
from exchange.ledger.model import receivable_account
from exchange.ledger.store import BalanceItem, BalanceStore, JournalStore
from exchange.transfers.store import TransferStore
from exchange.wallets.owing import Way, settle_debt
from exchange.wallets.store import PostingStore
from rich.console import Console
from rich.table import Table

from infra.cli.stack import StackError, StackOption, open_stack

_RECEIVABLES = receivable_account(0).removesuffix("0")
console = Console(highlight=False)


def debts(
    account: Annotated[int, typer.Argument(help="The account that owes; without one, all are shown.")] = 0,
    asset: Annotated[str, typer.Argument(help="What it owes.")] = "",
    amount: Annotated[str, typer.Argument(help="How much of it is settled.")] = "",
    *,
    way: Annotated[Way, typer.Option(help="Out of the customer's balance, or at the venue's loss.")] = Way.FROM_BALANCE,
    name: Annotated[str, typer.Option(help="Names this settlement: the same name settles once.")] = "",
    stack: StackOption = "",
) -> None:
    """Show what customers owe after a payment of theirs was taken back, or settle some of it."""
    try:
        bind_tables(open_stack(stack).tables)
        if account:
            _settle(account, asset, amount, way, name)
        _show()
    except (BotoCoreError, ClientError, OutageError, StackError) as error:
        _stop(f"{type(error).__name__}: {error}")


def _settle(account: int, asset_id: str, amount: str, way: Way, name: str) -> None:
    asset = InstrumentStore().assets().get(asset_id)
    if asset is None or not name:
        _stop("Say which asset, how much, and a --name for it: exchange debts 7 USD 10.50 --name case-4711")
        return
    settled = settle_debt(
        account,
        amount,
        asset=asset,
        way=way,
        name=name,
        transfers=TransferStore(connection()),
        balances=BalanceStore(),
        journal=JournalStore(),
        postings=PostingStore(connection()),
        clock=SystemClock(),
        pause=jittered_pause,
    )
    if isinstance(settled, Refused):
        _stop(f"{settled.code}: {settled.message}")
        return
    console.print(f"Settled {settled.amount} {settled.asset} of account {account} as transfer {settled.transfer_id}.")


def _show() -> None:
    assets = InstrumentStore().assets()
    table = Table("account", "asset", "owes", box=None)
    owing = BalanceItem.account.startswith(_RECEIVABLES) & (BalanceItem.available < 0)
    for item in BalanceItem.scan(owing, consistent_read=True):
        table.add_row(item.account.removeprefix(_RECEIVABLES), item.asset, assets[item.asset].format(-item.available))
    console.print(table if table.row_count else "Nobody owes anything.")


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False)
    raise typer.Exit(1)
