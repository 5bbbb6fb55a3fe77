"""`exchange release`: let a product go on whose matching was paused."""

import os
from typing import Annotated

import typer
from exchange.aws.dynamodb import bind
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
    """Let a product whose matching was paused go on behind the records that stopped it, once the cause is mended. Exits
    1 if it isn't paused, or if it is its settlement that waits: that is for `exchange settlement`.
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
    settlement = Quarantine(client("s3"), stack["buckets"]["quarantine"]).paused()
    if product in settlement:
        told = f"{product} is matched, and its settlement waits: {settlement[product]}. See: exchange settlement failed"
        console.print(told, style="red", markup=False)
        raise typer.Exit(1)
    if not records:
        shown = ", ".join(sorted(settlement)) or "none"
        console.print(f"{product} is not paused. Products whose settlement waits: {shown}.", style="red")
        raise typer.Exit(1)
