"""`exchange rebuild`: the market data anew from the executions stream, or compared with it."""

import time
from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables, scan_stream
from exchange.aws.clients import client
from exchange.aws.dynamodb import connection
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.market_data.model import FeedError
from exchange.market_data.rebuild import MarketMovesError, Outcome, compare
from exchange.market_data.rebuild import rebuild as rebuild_market
from exchange.market_data.rewriting import MarketDataRewriter
from exchange.messages import EventRecord, RecordError, decode_events
from rich.console import Console
from rich.table import Table

from infra.cli.acts import AT_THE_TERMINAL, ReasonOption, record_act
from infra.cli.stack import Stack, StackError, StackOption, open_stack

DIFFERENCES_SHOWN_MAX = 20
console = Console(highlight=False)


def rebuild(
    product: Annotated[str, typer.Argument(help="One product, such as ACME-USD; else all.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where anything differs.")] = False,
    stack: StackOption = "",
    reason: ReasonOption = AT_THE_TERMINAL,
) -> None:
    """Write books, tickers, trades, candles and events anew from the executions stream. Trading may go on."""
    try:
        outcomes = rebuild_stack(open_stack(stack), product_id=product, only_compare=check, reason=reason)
    except StackError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except (BotoCoreError, ClientError, OutageError, FeedError, RecordError, MarketMovesError, KeyError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        console.print(
            "The stream keeps seven days: a log that does not begin with event 1 can't be folded.", style="red"
        )
        raise typer.Exit(1) from error
    show(outcomes, only_compare=check)
    raise typer.Exit(1 if any(outcome.differences for outcome, _ in outcomes) else 0)


def rebuild_stack(
    stack: Stack, *, product_id: str = "", only_compare: bool = False, reason: str = ""
) -> list[tuple[Outcome, float]]:
    """Rebuild or compare the markets of a stack; each with the seconds it took."""
    bind_tables(stack.tables)
    stream, kept = stack.streams["executions"], MarketDataRewriter(connection())
    listed = InstrumentStore().products()
    if product_id and product_id not in listed:
        raise KeyError(f"{product_id} is not listed; there are {', '.join(sorted(listed))}")
    work = compare if only_compare else rebuild_market
    outcomes, names = [], [product_id] if product_id else sorted(listed)
    if not only_compare:
        record_act(stack, "market_data.rebuild", product_id or "every product", {"products": names}, reason)
    for name in names:
        begun = time.monotonic()
        outcome = work(name, log_of(name, stream), kept)
        outcomes.append((outcome, time.monotonic() - begun))
    return outcomes


def log_of(product_id: str, stream: str) -> Callable[[], Iterable[EventRecord]]:
    """Reads a product's records of a stream, whenever it is called."""
    kinesis = client("kinesis")

    def read() -> Iterable[EventRecord]:
        records = scan_stream(kinesis, stream)
        return (decode_events(record.data) for record in records if record.product_id == product_id)

    return read


def show(outcomes: list[tuple[Outcome, float]], *, only_compare: bool) -> None:
    """Print what was folded, and every difference up to a limit."""
    table = Table("product", "events", "trades", "candles", "seconds", "differences", box=None, pad_edge=False)
    for outcome, seconds in outcomes:
        counts = [str(outcome.counts[name]) for name in ("events", "trades", "candles")]
        table.add_row(outcome.product_id, *counts, f"{seconds:.1f}", str(len(outcome.differences)))
    console.print(table)
    for outcome, _ in outcomes:
        for line in outcome.differences[:DIFFERENCES_SHOWN_MAX]:
            console.print(line, style="red", markup=False, soft_wrap=True)
    if only_compare and not any(outcome.differences for outcome, _ in outcomes):
        console.print("The market data are what the log says.", style="green")
