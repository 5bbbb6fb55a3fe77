"""`exchange books`: close them, and show or write what a closing says: trial balance, balance sheet, profit."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.aws.clients import client
from exchange.books.files import books_of
from exchange.books.model import Books, Closing, profit
from exchange.books.service import balances_at
from exchange.books.store import Chains, ClosingStore, S3Vault
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.kernel.money import format_units
from exchange.ledger.chart import Side
from rich.console import Console
from rich.table import Table

from infra.cli.book_files import Row, write_csv, write_parquet
from infra.cli.invoke import InvokeError, invoke
from infra.cli.stack import StackError, StackOption, open_stack

Amount = Callable[[str, int], str]  # asset and units to decimal text
console = Console(highlight=False)


def books(
    number: Annotated[int, typer.Argument(help="A closing; without one the last.")] = 0,
    *,
    close: Annotated[bool, typer.Option("--close", help="First close all that is posted by now.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write tables and journal of the period to this folder.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="As Parquet, not CSV.")] = False,
    at: Annotated[datetime | None, typer.Option(help="Not a closing: every balance at this moment, in UTC.")] = None,
    account: Annotated[str, typer.Option(help="With --at: of this account alone.")] = "",
    stack: StackOption = "",
) -> None:
    """The venue's books at a closing. The period's journal and every table can be had as CSV or Parquet."""
    try:
        found = open_stack(stack)
        bind_tables(found.tables)
        if close:
            close_now(found.outputs)
        vault = S3Vault(client("s3"), found.buckets["archive"])
        if at is not None:
            _show_moment(at, account, vault)
        else:
            _tell(number, vault, export, parquet=parquet)
    except (BotoCoreError, ClientError, OutageError, CloseError, InvokeError, StackError, OSError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


class CloseError(RuntimeError):
    """There is no such closing; the message says what to do."""


def close_now(outputs: Mapping[str, str]) -> int:
    """Have the books closed up to some seconds ago, volumes counted and awards paid; return the closing's number.

    Raises:   InvokeError with the function's own words.
    """
    closed = invoke(outputs["LedgerScheduleFunction"], {"now": True})
    invoke(outputs["FeesScheduleFunction"], {})
    return int(closed["closing"])


def _show_moment(at: datetime, account: str, vault: S3Vault) -> None:
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    at_ns = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) * 1_000
    found = balances_at(at_ns, journal=Chains(), closings=ClosingStore(), vault=vault)
    scales = {asset.asset_id: asset.scale for asset in InstrumentStore().assets().values()}
    shown = Table("account", "asset", "balance", title=f"Balances at {moment.isoformat()}")
    for (name, asset), units in sorted(found.items()):
        if account in {"", name}:
            shown.add_row(name, asset, format_units(units, scales[asset]))
    console.print(shown)


def _tell(number: int, vault: S3Vault, export: Path | None, *, parquet: bool) -> None:
    closings = ClosingStore()
    closing = closings.closing(number) if number else closings.last()
    if closing is None:
        raise CloseError(
            f"there is no closing {number}" if number else "nothing was closed yet: exchange books --close"
        )
    before = closings.closing(closing.number - 1)
    found = books_of(closing, vault=vault)
    scales = {asset.asset_id: asset.scale for asset in InstrumentStore().assets().values()}

    def amount(asset: str, units: int) -> str:
        return format_units(units, scales[asset])

    tables = {name: list(rows) for name, rows in statements(found, amount).items()}
    if export is None:
        _show(closing, tables)
        return
    earlier = books_of(before, vault=vault) if before else Books({}, ())
    write = write_parquet if parquet else write_csv
    export.mkdir(parents=True, exist_ok=True)
    for name, rows in {**tables, "journal": journal_rows(earlier, found, amount)}.items():
        console.print(f"{write(export / name, rows)} rows to {export / name}.{'parquet' if parquet else 'csv'}")


def statements(found: Books, amount: Amount) -> dict[str, Iterable[Row]]:
    """The three tables of a closing, a row a heading and asset; amounts in decimals, debits and credits unsigned."""
    sheet = {Side.ASSET, Side.LIABILITY, Side.EQUITY}
    earned = profit(found.rows)
    return {
        "trial_balance": (
            {
                "side": row.heading.side.value,
                "heading": row.heading.name,
                "asset": row.asset,
                "opening": amount(row.asset, row.opening),
                "debits": amount(row.asset, row.debits),
                "credits": amount(row.asset, row.credits),
                "closing": amount(row.asset, row.closing),
            }
            for row in found.rows
        ),
        "balance_sheet": (
            {
                "side": row.heading.side.value,
                "heading": row.heading.name,
                "asset": row.asset,
                "amount": amount(row.asset, -row.closing if row.heading.side is Side.ASSET else row.closing),
            }
            for row in found.rows
            if row.heading.side in sheet
        ),
        "profit_and_loss": (
            *(
                {
                    "side": row.heading.side.value,
                    "heading": row.heading.name,
                    "asset": row.asset,
                    "amount": amount(row.asset, row.credits - row.debits),
                }
                for row in found.rows
                if row.heading.side not in sheet
            ),
            *(
                {"side": "profit", "heading": "all", "asset": asset, "amount": amount(asset, units)}
                for asset, units in earned.items()
            ),
        ),
    }


def journal_rows(earlier: Books, found: Books, amount: Amount) -> Iterator[Row]:
    """Every entry of a period, chain by chain."""
    chains = Chains()
    for partition, head in sorted(found.cuts.items()):
        start = earlier.cuts[partition].number if partition in earlier.cuts else 0
        for batch, digest in chains.batches(partition, after=start):
            if batch.number > head.number:
                break
            for entry in batch.entries:
                yield {
                    "chain": partition,
                    "batch": str(batch.number),
                    "posted_at_ns": str(batch.posted_at_ns),
                    "account": entry.account,
                    "asset": entry.asset,
                    "amount": amount(entry.asset, entry.units),
                    "kind": entry.kind.value,
                    "reference": entry.reference,
                    "batch_hash": digest.hex(),
                }


def _show(closing: Closing, tables: Mapping[str, list[Row]]) -> None:
    console.print(f"Closing {closing.number}, signed; statement {closing.statement_hash}")
    for name, rows in tables.items():
        shown = Table(title=name.replace("_", " "), title_justify="left")
        for column in rows[0] if rows else ():
            shown.add_column(column, justify="right" if column in _AMOUNTS else "left", overflow="fold")
        for row in rows:
            shown.add_row(*row.values())
        console.print(shown)


_AMOUNTS = frozenset({"opening", "debits", "credits", "closing", "amount"})
