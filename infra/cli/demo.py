"""`exchange demo`: a real order flow through the real REST API, then every balance accounted for and the audit."""

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from exchange.audit.model import Told
from rich.console import Console

from infra.cli.chains import CONFIRMATIONS, UNLOCK_CONFIRMATIONS
from infra.cli.reconcile import reconcile
from infra.demo import accounting, replay, report
from infra.demo.client import ExchangeAwayError, RequestRefusedError, Trader
from infra.demo.desk import Desk, Ending, await_ending
from infra.demo.flow import Flow
from infra.demo.lobster import LobsterError
from infra.demo.market import Market
from infra.demo.money import Chain, MoneyError, Teller
from infra.demo.nasdaq import Role
from infra.demo.progress import progress_of
from infra.demo.session import Session
from infra.local.clients import clients, environment
from infra.local.laptop import read_stack
from infra.local.operators import OperatorError, log_in
from infra.local.settings import LaptopSettings

ORDERS = 2_400
RATE = 50.0
CONCURRENCY = 16
AUDIT_WAIT_SECONDS = 120
LOG_WIDTH = 120
# What ends a run in a sentence.
_TOLD = (
    ExchangeAwayError,
    RequestRefusedError,
    MoneyError,
    OperatorError,
    replay.ReplayError,
    LobsterError,
    FileNotFoundError,
)

# Where nobody looks, in a log, lines may be as long as the tables need.
console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)


def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, help="How many orders to send.")] = ORDERS,
    seed: Annotated[int, typer.Option(help="The same seed sends the same flow.")] = 1,
    product: Annotated[str, typer.Option(help="One market only, as BTC-USD; none: all of them.")] = "",
    rate: Annotated[float, typer.Option(min=0, help="Orders a second in the mean; 0: as fast as they go.")] = RATE,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at a time, at most.")] = CONCURRENCY,
    leave: Annotated[bool, typer.Option("--leave", help="Leave the open orders in the books.")] = False,
    lobster: Annotated[
        Path | None, typer.Option(help="Replay this NASDAQ day instead: a message file or a zip, LOBSTER's format.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0, help="Of a replay, in times real time; 0: as fast as it goes.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Of a replay, how many rows; 0: the whole day.")] = 0,
) -> None:
    """Send an order flow through the REST API, and say what became of every order and every cent."""
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        _stop("Nothing runs here. Start it with: make up")
    variables = environment(settings)
    session = Session(stack, variables, connections=concurrency + 4)
    try:
        if lobster is None:
            wanted = Wanted(orders, seed, product or None, rate, concurrency, leave)
            sound, history = asyncio.run(_generated(session, wanted))
        else:
            sound, history = asyncio.run(_replayed(session, lobster, speed, limit or None, leave=leave))
    except _TOLD as error:
        _stop(str(error))
    audited = _audited(stack, variables, history)
    raise typer.Exit(0 if _reconciled() and audited and sound else 1)


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The flow that was asked for."""

    orders: int
    seed: int
    product: str | None
    rate: float
    concurrency: int
    leave: bool


async def _generated(session: Session, wanted: Wanted) -> tuple[bool, list[Told]]:
    async with session:
        markets = await session.markets(wanted.product)
        await session.begin(markets)
        makers = session.makers()
        flow = Flow(
            wanted.seed,
            markets,
            orders=wanted.orders,
            traders=len(makers),
            rate=wanted.rate or RATE,
            balances=_poorest(session, makers),
        )
        desk = Desk(makers, run=f"demo-{secrets.token_hex(4)}", concurrency=wanted.concurrency)
        with progress_of(console, "Orders", wanted.orders) as advance:
            await desk.send(
                flow.actions(), paced=wanted.rate > 0, progress=lambda: advance(1, ""), clock=time.monotonic
            )
        if not wanted.leave:
            canceled = await desk.cancel_all()
            console.print(f"Cancelling the {canceled:,} orders that are open still, and waiting for settlement ...")
        ending = await await_ending(desk, leave=wanted.leave)
        report.show_orders(console, desk.tally, session.traffic, ending)
        accounted = await _accounted(session, markets, ending)
        return await _paid(session) and accounted, await session.history()


async def _paid(session: Session) -> bool:
    """Money in and out, over a bank and a chain; whether all of it is explained."""
    client = clients(LaptopSettings.load())
    log_in_as = partial(
        log_in, client("cognito-idp"), session.stack["outputs"]["OperatorPoolClientId"], session.stack["operators_url"]
    )
    operators = [await asyncio.to_thread(log_in_as, operator) for operator in session.stack["operators"]]
    depths = CONFIRMATIONS, UNLOCK_CONFIRMATIONS
    teller = Teller(session.customers[0], Chain(session.stack, client), operators, depths=depths)
    console.print("Money in and out: from a bank and a chain, taken back, approved by two operators ...")
    shown = await teller.show()
    report.show_money(console, shown)
    return not any(each.unexplained for each in shown)


def _poorest(session: Session, makers: Sequence[Trader]) -> Mapping[str, str]:
    """What the poorest of the traders has of each asset, as decimal text."""
    names = [maker.name for maker in makers]
    return {
        asset: accounting.decimal(min(session.before.by_customer[name].get(asset, 0) for name in names))
        for asset in session.before.assets
    }


async def _replayed(
    session: Session, path: Path, speed: float, limit: int | None, *, leave: bool
) -> tuple[bool, list[Told]]:
    outline = replay.outline(replay.read_rows(path, limit))
    console.print(f"{path.name}: {outline.rows:,} rows become {outline.steps:,} requests on {replay.PRODUCT_ID}.")
    async with session:
        markets = await session.markets(replay.PRODUCT_ID)
        makers = session.makers()
        if len(makers) < len(Role):
            raise replay.ReplayError(
                f"A replay needs {len(Role)} customers of the maker tier; there are {len(makers)}."
            )
        run = f"lobster-{secrets.token_hex(4)}"
        needs = {markets[0].base: outline.shares, markets[0].quote: outline.cash}
        funded = await asyncio.gather(*(replay.fund(maker, needs, run=run) for maker in makers[: len(Role)]))
        if any(funded):
            console.print(f"The sandbox bank sent each of the {len(funded)} customers what such a day needs.")
        await _empty_book(makers)
        await session.begin(markets)
        sent = replay.Replay(dict(zip(Role, makers, strict=False)), run, speed)
        with progress_of(console, "Rows", outline.rows) as advance:
            await sent.send(
                replay.read_rows(path, limit), lambda rows, now_ns: advance(rows, replay.time_of_day(now_ns))
            )
        desk = Desk(makers[: len(Role)], run=run, concurrency=1)
        desk.tally = sent.tally
        if not leave:
            await desk.cancel_all()
        ending = await await_ending(desk, leave=leave)
        report.show_orders(console, sent.tally, session.traffic, ending)
        _, _, fills = await session.after()
        comparison = replay.compare(sent.takes, fills[sent.traders[Role.TAKER].name])
        report.show_comparison(console, comparison, replay.kinds(sent.counts))
        sound = await _accounted(session, markets, ending) and not comparison.differing
        return sound, await session.history()


async def _empty_book(makers: Sequence[Trader]) -> None:
    """A day begins with its own book only: take away what an earlier run has left there."""
    for maker in makers:
        await maker.call("DELETE", f"/orders?product_id={replay.PRODUCT_ID}")


async def _accounted(session: Session, markets: Sequence[Market], ending: Ending) -> bool:
    """Print where all the money is; whether nothing is missing."""
    after, fees_after, fills = await session.after()
    accounts = accounting.account_lines(session.before, after, fills, {market.product_id: market for market in markets})
    assets = accounting.asset_lines(session.before, after, session.fees_before, fees_after)
    trade_ids = {(fill["product_id"], fill["trade_id"]) for rows in fills.values() for fill in rows}
    report.show_trades(console, len(trade_ids), sum(len(rows) for rows in fills.values()))
    report.show_accounts(console, accounts)
    report.show_assets(console, assets)
    report.show_faults(console, ending.faults)
    return not (ending.faults or any(line.unexplained for line in accounts) or any(line.missing for line in assets))


def _reconciled() -> bool:
    """Have log, ledger, chain and bank compared, and print what differs."""
    try:
        reconcile()
    except typer.Exit as ended:
        return not ended.exit_code
    return True


def _audited(stack: Mapping[str, Any], variables: Mapping[str, str], history: Sequence[Told]) -> bool:
    """Ask the auditor, with what the customers were told, and print the verdict."""
    from infra.cli.audit import LogOfAnotherReleaseError, audit_stack, show

    try:
        verdict = audit_stack(stack, variables, wait_seconds=AUDIT_WAIT_SECONDS, history=history)
    except LogOfAnotherReleaseError as error:
        _stop(str(error))
    show(verdict)
    return verdict.holds
