"""`exchange release`: let a product go on whose matching was paused."""

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.kernel.errors import OutageError
from exchange.settlement.quarantine import Quarantine
from rich.console import Console

from infra.cli.acts import AT_THE_TERMINAL, ReasonOption, record_act
from infra.cli.stack import Stack, StackError, StackOption, open_stack
from matcher.quarantine import QuarantineBucket
from matcher.releases import ReleaseItem, ReleaseStore

console = Console(highlight=False)


def unreleased(product: str, quarantine: QuarantineBucket, releases: ReleaseStore) -> list[str]:
    """The records that stopped the product's matching and that nobody has given the word for, oldest first."""
    return [record for record, _ in quarantine.kept(product) if not releases.is_released(product, record)]


def release(
    product: Annotated[str, typer.Argument(help="The paused product, such as ACME-USD.")],
    stack: StackOption = "",
    reason: ReasonOption = AT_THE_TERMINAL,
) -> None:
    """Let a product whose matching was paused go on behind the records that stopped it, once the cause is mended. Exits
    1 if it isn't paused, or if it is its settlement that waits: that is for `exchange settlement`.
    """
    try:
        found = open_stack(stack)
        records = _release(found, product, reason)
        settlement = Quarantine(client("s3"), found.buckets["quarantine"]).paused()
    except (BotoCoreError, ClientError, OutageError, StackError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    for record in records:
        console.print(f"{product} is matched again behind record {record}, within seconds.")
    if product in settlement:
        told = f"{product} is matched, and its settlement waits: {settlement[product]}. See: exchange settlement failed"
        console.print(told, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)
    if not records:
        shown = ", ".join(sorted(settlement)) or "none"
        console.print(f"{product} is not paused. Products whose settlement waits: {shown}.", style="red")
        raise typer.Exit(1)


def _release(found: Stack, product: str, reason: str) -> list[str]:
    """Give the word for every record that stopped the product's matching; return those not released before."""
    bind(ReleaseItem, found.tables["leases"])
    releases = ReleaseStore()
    records = unreleased(product, QuarantineBucket(client("s3"), found.buckets["quarantine"]), releases)
    if records:
        record_act(found, "product.release", product, {"records": records}, reason)
    for record in records:
        releases.release(product, record)
    return records
