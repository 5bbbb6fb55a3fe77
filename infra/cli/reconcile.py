"""`exchange reconcile`: have everything compared now, and show each break with what is behind it."""

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.dynamodb import bind, connection
from exchange.breaks.model import EXPLAIN, Break, BreakState
from exchange.breaks.store import BreakItem, BreakStore
from exchange.kernel.errors import OutageError
from rich.console import Console

from infra.cli.invoke import InvokeError, invoke
from infra.cli.stack import StackError, StackOption, open_stack

console = Console(highlight=False)


def reconcile(stack: StackOption = "") -> None:
    """Hold the ledger against the engine's log, itself, the chain and the banks.

    Exits 1 while a break is open, and where something could not be told or compared.
    """
    try:
        found = open_stack(stack)
        bind(BreakItem, found.tables["breaks"])
        told = invoke(found.outputs["ReconciliationScheduleFunction"], {})
        kept = sorted(BreakStore(connection()).all(), key=lambda each: each.found_at_ns)
    except (BotoCoreError, ClientError, OutageError, InvokeError, StackError) as error:
        _stop(f"{type(error).__name__}: {error}")
        return
    for each in kept:
        show(each, found.option)
    still = [each for each in kept if each.state is BreakState.OPEN]
    if still:
        _stop(f"{len(still)} breaks are open; withdrawals of {', '.join(sorted({each.asset for each in still}))} stop.")
    if told["uncompared"]:
        _stop(f"Not compared: {'; '.join(told['uncompared'])}. Run this again in some minutes.")
    if told["unsettled"]:
        _stop(f"Too much moved to tell of {', '.join(told['unsettled'])}: run this again when less is going on.")
    console.print(f"Log, ledger, chain and banks agree: {told['found']} differences, none unexplained.", style="green")


def show(each: Break, option: str) -> None:
    """Print a break, and the command that explains it; `option` names the stack in it."""
    color = "red" if each.state is BreakState.OPEN else "dim"
    console.print(
        f"{each.state.value} {each.asset} {each.break_id} ({each.way.value}): not so: {each.claim}", style=color
    )
    console.print(f"    {each.breach}", markup=False, soft_wrap=True)
    if each.state is BreakState.OPEN:
        told = f"exchange operator propose {EXPLAIN} asset={each.asset} break_id={each.break_id}{option} --reason WHY"
        console.print(f"    explain it: {told}", markup=False, soft_wrap=True)
    else:
        console.print(f"    {each.explanation} ({each.explained_by})", markup=False)


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)
