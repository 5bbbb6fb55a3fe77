"""`exchange reconcile`: have everything compared now, and show each break with what is behind it."""

import json
import os
from typing import Any

import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.clients import client_at
from exchange.aws.dynamodb import bind, connection
from exchange.breaks.model import EXPLAIN, Break, BreakState
from exchange.breaks.store import BreakItem, BreakStore
from exchange.kernel.errors import OutageError
from rich.console import Console

from infra.local.clients import environment
from infra.local.laptop import read_stack
from infra.local.settings import LaptopSettings

FUNCTION_SECONDS_MAX = 900
console = Console(highlight=False)


def reconcile() -> None:
    """Hold the ledger against the engine's log, itself, the chain and the banks. Exits 1 while a break is open."""
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        _stop("Nothing runs here. Start it with: make up")
    os.environ.update({**environment(settings), "AWS_ENDPOINT_URL": stack["aws_endpoint_url"]})
    bind(BreakItem, stack["tables"]["breaks"])
    try:
        told = compare(stack["outputs"]["ReconciliationScheduleFunction"])
        kept = sorted(BreakStore(connection()).all(), key=lambda each: each.found_at_ns)
    except (BotoCoreError, ClientError, OutageError, CompareError) as error:
        _stop(f"{type(error).__name__}: {error}")
        return
    for each in kept:
        show(each)
    still = [each for each in kept if each.state is BreakState.OPEN]
    if still:
        _stop(f"{len(still)} breaks are open; withdrawals of {', '.join(sorted({each.asset for each in still}))} stop.")
    console.print(f"Log, ledger, chain and banks agree: {told['found']} differences, none unexplained.", style="green")


class CompareError(RuntimeError):
    """It could not be compared; the message is the function's."""


def compare(function: str) -> dict[str, Any]:
    """Run the comparison. Raises CompareError with the function's own words."""
    # It may take as long as the function may, and a second run beside the first would say nothing more.
    patient = Config(read_timeout=FUNCTION_SECONDS_MAX, retries={"total_max_attempts": 1})
    at_lambda = client_at("lambda", os.environ["AWS_ENDPOINT_URL"], patient)
    answer = at_lambda.invoke(FunctionName=function, Payload=b"{}")
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise CompareError(str(told.get("errorMessage", told)))
    return told


def show(each: Break) -> None:
    """Print a break."""
    color = "red" if each.state is BreakState.OPEN else "dim"
    console.print(
        f"{each.state.value} {each.asset} {each.break_id} ({each.way.value}): not so: {each.claim}", style=color
    )
    for line in each.details:
        console.print(f"    {line}", markup=False)
    if each.state is BreakState.OPEN:
        told = f"exchange operator propose {EXPLAIN} asset={each.asset} break_id={each.break_id} --reason WHY"
        console.print(f"    explain it: {told}", markup=False)
    else:
        console.print(f"    {each.explanation} ({each.explained_by})", markup=False)


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False)
    raise typer.Exit(1)
