"""`exchange fees`: the versions of the fee schedule, a new one, and what it would have made of past trades."""

import json
import os
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.dynamodb import bind
from exchange.fees.document import read_schedule, schedule_document
from exchange.fees.model import FeeSchedule, FeeScheduleError, Rates, Standing
from exchange.fees.store import FeeScheduleItem, publish, read_standing, read_versions
from exchange.fees.what_if import Outcome, PastFill, what_if
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.orders.model import Liquidity
from exchange.orders.store import FillItem, fill_from
from rich.console import Console
from rich.table import Table

from infra.local.clients import environment
from infra.local.laptop import read_stack
from infra.local.settings import LaptopSettings

ACCOUNTS_SHOWN_MAX = 10
console = Console(highlight=False)


def fees(
    publish_file: Annotated[Path | None, typer.Option("--publish", help="A version to publish, TOML or JSON.")] = None,
    what_if_file: Annotated[Path | None, typer.Option("--what-if", help="A version to try on past trades.")] = None,
    days: Annotated[int, typer.Option(help="How far back --what-if looks.", min=1)] = 30,
) -> None:
    """Show the fee schedule's versions. A published one stays for ever; a later one takes over at its own time."""
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        console.print("Nothing runs here. Start it with: make up", style="red")
        raise typer.Exit(1)
    os.environ.update({**environment(settings), "AWS_ENDPOINT_URL": stack["aws_endpoint_url"]})
    for model, table in ((InstrumentItem, "instruments"), (FeeScheduleItem, "fee_schedules"), (FillItem, "fills")):
        bind(model, stack["tables"][table])
    try:
        products = InstrumentStore().products()
        if what_if_file:
            _show_outcomes(_try(read_file(what_if_file, products), products, days), products)
            return
        if publish_file:
            publish(read_file(publish_file, products), now_ns=time.time_ns())
        for version in read_versions():
            console.print_json(json.dumps(schedule_document(version)))
    except (BotoCoreError, ClientError, OutageError, FeeScheduleError, OSError) as error:
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
    named = {*schedule.products, *(row.product_id for row in schedule.promotions if row.product_id)}
    if unknown := sorted(named - products.keys()):
        raise FeeScheduleError(f"{unknown[0]} is not listed; there are {', '.join(sorted(products))}")
    return schedule


def _try(schedule: FeeSchedule, products: Mapping[str, Product], days: int) -> list[Outcome]:
    since = time.time_ns() - days * 86_400 * 10**9
    fills = [fill for fill in map(fill_from, FillItem.scan()) if fill.created_at_ns >= since]
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
        )
        for fill in fills
    )
    return what_if(past, schedule, own, products)


def _show_outcomes(outcomes: Iterable[Outcome], products: Mapping[str, Product]) -> None:
    rows = list(outcomes)
    paid: Counter[str] = Counter()
    would: Counter[str] = Counter()
    for row in rows:
        paid[row.product_id] += row.paid_units
        would[row.product_id] += row.what_if_units
    table = Table(title="Fees as they were, and as they would have been", title_justify="left")
    for name in ("product", "asset", "paid", "what if", "difference"):
        table.add_column(name, justify="left" if name in {"product", "asset"} else "right")
    for name in sorted(paid):
        quote = products[name].quote
        amounts = (paid[name], would[name], would[name] - paid[name])
        table.add_row(name, quote.asset_id, *(quote.format(units) for units in amounts))
    console.print(table)
    most = sorted(rows, key=lambda row: -abs(row.what_if_units - row.paid_units))[:ACCOUNTS_SHOWN_MAX]
    for row in most:
        quote = products[row.product_id].quote
        change = quote.format(row.what_if_units - row.paid_units)
        console.print(f"account {row.account_id} in {row.product_id}: {change} {quote.asset_id}")
