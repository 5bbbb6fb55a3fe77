"""`exchange fees`: the versions of the fee schedule, a new one, and what it would have made of past trades."""

import json
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.awards.model import awards_partition
from exchange.awards.store import AwardStore
from exchange.aws.dynamodb import connection
from exchange.fees.document import read_schedule, schedule_document
from exchange.fees.model import FeeSchedule, FeeScheduleError, Rates, Standing
from exchange.fees.store import awarded_closing, publish, read_standing, read_versions
from exchange.fees.what_if import Outcome, PastFill, what_if
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.ledger.store import JournalStore
from exchange.orders.model import Liquidity
from exchange.orders.store import FillItem, fill_from
from exchange.referrals.store import ReferralStore
from rich.console import Console
from rich.table import Table

from infra.cli.books import CloseError
from infra.cli.invoke import InvokeError, invoke
from infra.cli.stack import StackError, StackOption, open_stack

ACCOUNTS_SHOWN_MAX = 10
console = Console(highlight=False)


def fees(
    publish_file: Annotated[Path | None, typer.Option("--publish", help="A version to publish, TOML or JSON.")] = None,
    what_if_file: Annotated[Path | None, typer.Option("--what-if", help="A version to try on past trades.")] = None,
    days: Annotated[int, typer.Option(help="How far back --what-if looks.", min=1)] = 30,
    awards: Annotated[int, typer.Option(help="Pay and show what the fees of this closing give back.", min=0)] = 0,
    stack: StackOption = "",
) -> None:
    """Show the fee schedule's versions. A published one stays for ever; a later one takes over at its own time."""
    try:
        found = open_stack(stack)
        bind_tables(found.tables)
        products = InstrumentStore().products()
        if awards:
            show_awards(awards, found.outputs, products)
            return
        if what_if_file:
            show_outcomes(try_on_past(read_file(what_if_file, products), products, days), products)
            return
        if publish_file:
            publish(read_file(publish_file, products), now_ns=time.time_ns())
        for version in read_versions():
            console.print_json(json.dumps(schedule_document(version)))
    except (
        BotoCoreError,
        ClientError,
        OutageError,
        CloseError,
        InvokeError,
        StackError,
        FeeScheduleError,
        OSError,
    ) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


def read_file(path: Path, products: Mapping[str, Product]) -> FeeSchedule:
    """A version from a file of TOML or JSON. Raises FeeScheduleError, also for a product that is not listed."""
    text = path.read_text(encoding="utf-8")
    try:
        document: dict[str, Any] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise FeeScheduleError(f"{path}: {error}") from error
    schedule = read_schedule(document)
    some = [*(row.product_id for row in schedule.promotions), *(row.product_id for row in schedule.rebates)]
    named = {*schedule.products, *some} - {""}
    if unknown := sorted(named - products.keys()):
        raise FeeScheduleError(f"{unknown[0]} is not listed; there are {', '.join(sorted(products))}")
    return schedule


def try_on_past(schedule: FeeSchedule, products: Mapping[str, Product], days: int) -> list[Outcome]:
    """What the fills of the last days would have cost, and given back. Raises UnavailableError."""
    since = time.time_ns() - days * 86_400 * 10**9
    fills = [fill for fill in map(fill_from, FillItem.scan()) if fill.created_at_ns >= since and not fill.busted_at_ns]
    own: dict[int, Rates] = {}
    for account_id in {fill.account_id for fill in fills}:
        standing: Standing = read_standing(account_id)
        if standing.own:
            own[account_id] = standing.own
    past = (
        PastFill(
            fill.order_id,
            fill.account_id,
            fill.product_id,
            fill.liquidity is Liquidity.MAKER,
            fill.value_units,
            fill.fee_units,
            fill.created_at_ns,
            fill.trade_id,
        )
        for fill in fills
    )
    brought = dict(ReferralStore().all())
    return what_if(past, schedule, own, products, versions=read_versions(), referral_of=brought.get)


def show_awards(closing: int, outputs: Mapping[str, str], products: Mapping[str, Product]) -> None:
    """Have a closing paid, as it is every night, and show what its fees gave back."""
    told = invoke(outputs["FeesScheduleFunction"], {"closing": closing})
    if closing > awarded_closing():
        raise CloseError(f"there is no closing {closing} yet: exchange books --close")
    console.print(f"Closing {closing} is paid; {told['awards']} awards were worked out")
    table = Table("product", "kind", "account", "due", "paid", "asset", title="Awards", title_justify="left")
    journal = JournalStore()
    payees = {
        int(entry.account)
        for product_id in products
        for batch, _ in journal.batches(awards_partition(product_id))
        if batch.reference == str(closing)
        for entry in batch.entries
        if entry.units > 0
    }
    store = AwardStore(connection())
    for payee_id in sorted(payees):
        for award in store.awards(payee_id, before=closing + 1):
            if award.closing < closing:
                break
            show = products[award.key.product_id].quote.format
            table.add_row(
                award.key.product_id,
                award.key.kind.value,
                str(payee_id),
                show(award.due_units),
                show(award.units),
                award.asset,
            )
    console.print(table)


def show_outcomes(outcomes: Iterable[Outcome], products: Mapping[str, Product]) -> None:
    """A row a product, and the accounts that would feel it most."""
    rows = list(outcomes)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        sums[row.product_id] += Counter(
            {
                "paid": row.paid_units,
                "given back": row.given_units,
                "what if": row.what_if_units,
                "it gives back": row.what_if_given_units,
            }
        )
    table = Table(title="Fees as they were, and as they would have been", title_justify="left")
    amounts = ("paid", "given back", "what if", "it gives back")
    for name in ("product", "asset", *amounts, "difference"):
        table.add_column(name, justify="left" if name in {"product", "asset"} else "right")
    for name, by_column in sorted(sums.items()):
        quote = products[name].quote
        change = sum(row.change_units for row in rows if row.product_id == name)
        shown = (quote.format(units) for units in (*(by_column[column] for column in amounts), change))
        table.add_row(name, quote.asset_id, *shown)
    console.print(table)
    for row in sorted(rows, key=lambda row: -abs(row.change_units))[:ACCOUNTS_SHOWN_MAX]:
        quote = products[row.product_id].quote
        console.print(
            f"account {row.account_id} in {row.product_id}: {quote.format(row.change_units)} {quote.asset_id}"
        )
