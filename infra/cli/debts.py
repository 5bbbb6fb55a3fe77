"""`exchange debts`: who owes the venue."""

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.kernel.ids import to_uuid
from exchange.ledger.model import receivable_account
from exchange.ledger.store import BalanceItem
from rich.console import Console
from rich.table import Table

from infra.cli.stack import StackError, StackOption, open_stack

_RECEIVABLES = receivable_account(0).removesuffix("0")
console = Console(highlight=False)


def debts(stack: StackOption = "") -> None:
    """Show what customers owe after a payment of theirs was taken back. Two operators settle it."""
    try:
        bind_tables(open_stack(stack).tables)
        _show()
    except (BotoCoreError, ClientError, OutageError, StackError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _show() -> None:
    assets = InstrumentStore().assets()
    table = Table("account", "profile", "asset", "owes", box=None)
    owing = BalanceItem.account.startswith(_RECEIVABLES) & (BalanceItem.available < 0)
    for item in BalanceItem.scan(owing, consistent_read=True):
        account = item.account.removeprefix(_RECEIVABLES)
        table.add_row(account, to_uuid(int(account)), item.asset, assets[item.asset].format(-item.available))
    console.print(table if table.row_count else "Nobody owes anything.")
