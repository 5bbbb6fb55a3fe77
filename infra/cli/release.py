"""`exchange release`: let a paused product go on, its matching and its settlement."""

import os
from typing import Annotated

import typer
from exchange.aws.dynamodb import bind
from exchange.aws.state_machines import ExpressMachine
from exchange.settlement.delivery import release as release_product
from exchange.settlement.quarantine import Quarantine
from rich.console import Console

from infra.local.clients import clients, environment
from infra.local.laptop import read_stack
from infra.local.settings import LaptopSettings
from matcher.quarantine import QuarantineBucket
from matcher.releases import ReleaseItem, ReleaseStore

console = Console(highlight=False)


def release_matching(product: str, quarantine: QuarantineBucket, releases: ReleaseStore) -> list[str]:
    """Give the word for every record that stopped the product's matching; return those not released before."""
    records = [record for record, _ in quarantine.kept(product) if not releases.is_released(product, record)]
    for record in records:
        releases.release(product, record)
    return records


def release(product: Annotated[str, typer.Argument(help="The paused product, such as ACME-USD.")]) -> None:
    """Let a paused product go on once the cause is mended: matched behind the records that stopped it, settled with all
    that was kept of it. Exits 1 if it can't be, or isn't paused.
    """
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        console.print("Nothing runs here. Start it with: make up", style="red")
        raise typer.Exit(1)
    client = clients(settings)
    os.environ.update({**environment(settings), "AWS_ENDPOINT_URL": stack["aws_endpoint_url"]})
    bind(ReleaseItem, stack["tables"]["leases"])
    records = release_matching(product, QuarantineBucket(client("s3"), stack["buckets"]["quarantine"]), ReleaseStore())
    for record in records:
        console.print(f"{product} is matched again behind record {record}, within seconds.")
    quarantine = Quarantine(client("s3"), stack["buckets"]["quarantine"])
    paused = quarantine.paused()
    if product not in paused and records:
        return
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
