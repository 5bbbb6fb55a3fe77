"""`exchange release`: settle what was kept of a paused product, and let it go on."""

from typing import Annotated

import typer
from exchange.aws.state_machines import ExpressMachine
from exchange.settlement.delivery import release as release_product
from exchange.settlement.quarantine import Quarantine
from rich.console import Console

from infra.local.clients import clients
from infra.local.laptop import read_stack
from infra.local.settings import LaptopSettings

console = Console(highlight=False)


def release(product: Annotated[str, typer.Argument(help="The paused product, such as ACME-USD.")]) -> None:
    """Settle what was kept of a paused product once the cause is mended, and let it go on. Exits 1 if it can't be."""
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        console.print("Nothing runs here. Start it with: make up", style="red")
        raise typer.Exit(1)
    client = clients(settings)
    quarantine = Quarantine(client("s3"), stack["buckets"]["quarantine"])
    paused = quarantine.paused()
    if product not in paused:
        shown = ", ".join(sorted(paused)) or "none"
        console.print(f"{product} is not paused. Paused products: {shown}.", style="red")
        raise typer.Exit(1)
    machine = ExpressMachine(client("stepfunctions"), stack["outputs"]["SettlementMachineArn"])
    count, reason = release_product(product, machine=machine, quarantine=quarantine)
    if reason:
        console.print(f"{product} stays paused after {count} records: {reason}", style="red", markup=False)
        raise typer.Exit(1)
    console.print(f"{product} goes on: {count} kept records were settled.")
