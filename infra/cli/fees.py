"""`exchange fees`: the versions of the fee schedule, a proposed one, and what it would have made of past trades."""

import json
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.approvals.store import ProposalItem, ProposalStore
from exchange.audit.store import bind_tables
from exchange.awards.model import awards_partition
from exchange.awards.store import AwardStore
from exchange.aws.dynamodb import bind, connection
from exchange.fees.document import read_agreement, read_schedule, schedule_document
from exchange.fees.model import (
    AGREE,
    PUBLISH,
    SCHEDULE,
    FeeSchedule,
    FeeScheduleError,
    Rates,
    agreed_at,
    flat,
    version_at,
)
from exchange.fees.publishing import parse_schedule
from exchange.fees.store import awarded_closing, read_published, read_versions
from exchange.fees.what_if import Outcome, PastFill, what_if
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.kernel.ids import from_uuid
from exchange.ledger.store import JournalStore
from exchange.orders.model import Liquidity
from exchange.orders.store import FillItem, fill_from
from exchange.referrals.store import ReferralStore
from rich.console import Console
from rich.table import Table
from urllib3.exceptions import HTTPError

from infra.cli.agreed_rates import Terms, agree, show_agreed
from infra.cli.books import CloseError
from infra.cli.invoke import InvokeError, invoke
from infra.cli.operator_login import OperatorOption, open_session
from infra.cli.stack import StackError, StackOption, open_stack
from infra.local.operators import OperatorError, OperatorSession

ACCOUNTS_SHOWN_MAX = 10
# What ends the command in a sentence.
_TOLD = (
    BotoCoreError,
    ClientError,
    OutageError,
    CloseError,
    InvokeError,
    StackError,
    FeeScheduleError,
    OperatorError,
    HTTPError,
    OSError,
)
_NOTHING: Mapping[int, Rates | None] = {}
console = Console(highlight=False)


def fees(
    *,
    publish_file: Annotated[Path | None, typer.Option("--publish", help="A version to propose, TOML or JSON.")] = None,
    proposal: Annotated[str, typer.Option(help="Show what a proposal would publish, and try it on past trades.")] = "",
    what_if_file: Annotated[Path | None, typer.Option("--what-if", help="A version to try on past trades.")] = None,
    days: Annotated[int, typer.Option(help="How far back past trades are tried.", min=1)] = 30,
    awards: Annotated[int, typer.Option(help="Pay and show what the fees of this closing give back.", min=0)] = 0,
    agree_with: Annotated[str, typer.Option("--agree", help="Propose rates of one profile's own, by its id.")] = "",
    maker: Annotated[str, typer.Option(help="Its maker rate; without both rates its own ones end.")] = "",
    taker: Annotated[str, typer.Option(help="Its taker rate.")] = "",
    begins: Annotated[str, typer.Option("--from", help="When its rates begin, or end: an ISO time to come.")] = "",
    ends: Annotated[str, typer.Option("--until", help="When the schedule's hold again; never if left out.")] = "",
    agreed: Annotated[bool, typer.Option("--agreed", help="List the rates agreed with single profiles.")] = False,
    after: Annotated[str, typer.Option(help="The last profile of the page before.")] = "",
    who: OperatorOption = "",
    reason: Annotated[str, typer.Option(help="Why it is proposed; the audit row keeps it.")] = "at the terminal",
    stack: StackOption = "",
) -> None:
    """Show the fee schedule's versions. A published one stays for ever; a later one takes over at its own time.

    --publish proposes a version, --agree rates of one profile's own; another operator's approval makes them so.
    """
    try:
        found = open_stack(stack)
        bind_tables(found.tables)
        bind(ProposalItem, found.tables["proposals"])
        products = InstrumentStore().products()
        if agreed:
            show_agreed(after, found.option)
            return
        if agree_with:
            agree(Terms(agree_with, maker, taker, begins, ends), open_session(found, who), reason, option=found.option)
            return
        if awards:
            show_awards(awards, found.outputs, products)
            return
        if what_if_file:
            show_outcomes(try_on_past(read_file(what_if_file, products), products, days), products)
            return
        if proposal:
            show_proposal(proposal, products, days)
            return
        if publish_file:
            propose(read_file(publish_file, products), open_session(found, who), reason, option=found.option)
            return
        for version in read_versions():
            console.print_json(json.dumps(schedule_document(version)))
    except _TOLD as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def read_file(path: Path, products: Mapping[str, Product]) -> FeeSchedule:
    """A version from a file of TOML or JSON. Raises FeeScheduleError, also for a product that is not listed."""
    try:
        text = path.read_text(encoding="utf-8")
        schedule = parse_schedule(text) if path.suffix == ".json" else read_schedule(tomllib.loads(text))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FeeScheduleError(f"{path}: {error}") from error
    schedule.require_listed(products)
    return schedule


def propose(schedule: FeeSchedule, session: OperatorSession, reason: str, *, option: str) -> None:
    """Have a version published once another operator approves it. Raises OperatorError with the API's own words."""
    text = json.dumps(schedule_document(schedule), separators=(",", ":"))
    wanted = {"kind": PUBLISH, "payload": {SCHEDULE: text}, "reason": reason, "key": str(uuid4())}
    made = session.ask("POST", "/v1/proposals", wanted)
    console.print(
        f"Proposed as {made['id']}. Another operator looks at what it would have made of past trades, and approves:"
    )
    for what in ("fees --proposal", "operator approve"):
        console.print(f"  exchange {what} {made['id']}{option}", markup=False, soft_wrap=True)


def show_proposal(proposal_id: str, products: Mapping[str, Product], days: int) -> None:
    """What a proposal would publish, and what that would have made of past trades. Raises FeeScheduleError."""
    found = ProposalStore(connection()).find(proposal_id)
    if found is None or found.kind not in {PUBLISH, AGREE}:
        raise FeeScheduleError(f"{proposal_id}: there is no proposal of fees by this id")
    fresh: dict[int, Rates | None] = {}
    if found.kind == AGREE:
        terms = read_agreement(found.payload)
        fresh = {from_uuid(found.payload["profile_id"]) or 0: terms[0].rates}
        schedule = version_at(read_versions(), terms[0].from_ns) or flat(0, 0)
        console.print_json(json.dumps(dict(found.payload)))
    else:
        schedule = parse_schedule(found.payload[SCHEDULE])
        console.print_json(json.dumps(schedule_document(schedule)))
    console.print(
        f"{found.state.value}, payload hash {found.payload_hash}, proposed because: {found.reason}", markup=False
    )
    show_outcomes(try_on_past(schedule, products, days, fresh), products)


def try_on_past(
    schedule: FeeSchedule, products: Mapping[str, Product], days: int, fresh: Mapping[int, Rates | None] = _NOTHING
) -> list[Outcome]:
    """What the fills of the last days would have cost, and given back; `fresh` has rates that are to be agreed.

    Raises:   UnavailableError.
    """
    since = time.time_ns() - days * 86_400 * 10**9
    fills = [fill for fill in map(fill_from, FillItem.scan()) if fill.created_at_ns >= since and not fill.busted_at_ns]
    published, now_ns = read_published(), time.time_ns()
    agreed = {account_id: agreed_at(rows, now_ns) for account_id, rows in published.agreements.items()}
    own = {account_id: rates for account_id, rates in {**agreed, **fresh}.items() if rates}
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
    return what_if(past, schedule, own, products, versions=published.versions, referral_of=brought.get)


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
