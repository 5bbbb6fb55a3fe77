"""`exchange audit`: read the tables and the streams, replay the log, and say of each invariant whether it holds."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit import Finding, World, check
from exchange.audit.model import Replayed, Told
from exchange.audit.store import (
    Places,
    bind_tables,
    read_chains,
    read_cursors,
    read_executions,
    read_world,
    scan_stream,
    stated_journal,
)
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.chains.evm import EvmNode
from exchange.chains.nodes import ChainNodes
from exchange.instruments.store import InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.messages import MalformedRecordError, UnknownVersionError
from exchange.orders.store import OrderStore
from exchange.settlement.model import Cursor
from pynamodb.exceptions import PynamoDBException
from rich.console import Console
from rich.table import Table

from infra.cli.saved import saved_markets
from infra.local.clients import environment
from infra.local.laptop import read_stack
from infra.local.settings import LaptopSettings
from matcher.engine import UnknownRulesError
from matcher.engines import ProductEngines
from matcher.listings import ListingItem, ListingStore
from matcher.markets import Markets
from matcher.stream_reader import stream_record

QUIET_SECONDS_MAX = 60
BREACHES_SHOWN_MAX = 5
# The last event of each product, the last batch of each part of the journal.
Position = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]
console = Console(highlight=False)


class LogOfAnotherReleaseError(Exception):
    """The log goes on by rules, or in a version of its records, that this release does not know."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found, and whether the exchange was quiet when it looked."""

    findings: tuple[Finding, ...]
    quiet: bool

    @property
    def holds(self) -> bool:
        """Whether every invariant holds."""
        return self.quiet and all(finding.holds for finding in self.findings)


def audit(
    wait: Annotated[int, typer.Option(help="Seconds to wait until everything is settled.")] = QUIET_SECONDS_MAX,
) -> None:
    """Check the ledger, hold, settlement and log invariants of what runs here. Exits 1 on any breach."""
    settings = LaptopSettings.load()
    stack = read_stack(settings)
    if not stack:
        console.print("Nothing runs here. Start it with: make up", style="red")
        raise typer.Exit(1)
    try:
        verdict = audit_stack(stack, environment(settings), wait_seconds=wait)
    except (BotoCoreError, ClientError, PynamoDBException, OutageError) as error:
        console.print(
            f"The cloud at {stack['aws_endpoint_url']} does not answer: {error}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        console.print("See what runs with: exchange status", style="red")
        raise typer.Exit(1) from error
    except LogOfAnotherReleaseError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    show(verdict)
    raise typer.Exit(0 if verdict.holds else 1)


def audit_stack(
    stack: Mapping[str, Any], variables: Mapping[str, str], *, wait_seconds: int, history: Sequence[Told] = ()
) -> Verdict:
    """Audit the stack that `stack.json` describes. `variables` are the credentials that boto3 reaches it with.

    `history` is what clients were told, where somebody wrote it down.

    Raises:   LogOfAnotherReleaseError, and what the cloud can't be reached by.
    """
    os.environ.update({**variables, "AWS_ENDPOINT_URL": stack["aws_endpoint_url"]})
    places = Places(
        tables=stack["tables"],
        orders_stream=stack["streams"]["orders"],
        executions_stream=stack["streams"]["executions"],
        quarantine_bucket=stack["buckets"]["quarantine"],
        archive_bucket=stack["buckets"]["archive"],
    )
    bind_tables(places.tables)
    bind(ListingItem, places.tables["leases"])
    deadline = time.monotonic() + wait_seconds
    with _releases_told_apart():
        while True:
            quiet = wait_until_quiet(places, until=deadline)
            world = _read(stack, places)
            # Nobody trades, but chains and banks go on: what moved while it was read is read again.
            still = quiet is not None and _position(places) == quiet
            if still or time.monotonic() > deadline:
                return Verdict(tuple(check(replace(world, history=history))), still)


@contextmanager
def _releases_told_apart() -> Iterator[None]:
    try:
        yield
    except (UnknownRulesError, UnknownVersionError) as error:
        raise LogOfAnotherReleaseError(
            f"Nothing was checked, for this release can't read the log to its end: {error}. "
            "Audit with a release that knows this version, as the matcher must be of one."
        ) from error


def _read(stack: Mapping[str, Any], places: Places) -> World:
    kinesis = client("kinesis")
    # Before the log is read: what is saved meanwhile may hold what is published meanwhile.
    saved = list(saved_markets(client("s3"), stack["buckets"]["snapshots"]))
    replayed = replay(kinesis, places.orders_stream)
    nodes = ChainNodes(client("secretsmanager"), stack["outputs"]["ChainNodesArn"])
    chains = read_chains(lambda chain: EvmNode(nodes.url(chain)))
    world = read_world(places, kinesis=kinesis, s3=client("s3"), replayed=replayed, chains=chains)
    return replace(world, saved=saved)


def wait_until_quiet(places: Places, *, until: float) -> Position | None:
    """Wait until no order is pending and every reader stands at the last event. None where that takes too long.

    Units:    `until` in seconds of the monotonic clock.
    """
    last: Position | None = None
    while True:
        seen = _position(places)
        if seen is not None and seen == last:
            return seen
        last = seen
        if time.monotonic() > until:
            return None
        time.sleep(1.0)


def _position(places: Places) -> Position | None:
    """Where everybody stands, or None where somebody is behind."""
    if OrderStore().pending_since(time.time_ns(), limit=1):
        return None
    settled, folded = read_cursors()
    ends = {
        product_id: max(record.last_sequence for record in records)
        for product_id, records in read_executions(scan_stream(client("kinesis"), places.executions_stream)).items()
    }
    posted = stated_journal()
    if posted is None:
        return None
    for product_id, end in ends.items():
        if settled.get(product_id, Cursor()).sequence < end or folded.get(product_id, 0) < end:
            return None
    return tuple(sorted(ends.items())), tuple(sorted(posted.items()))


def replay(kinesis: Any, orders_stream: str) -> dict[str, Replayed]:
    """Run the engine again over the command log of every product whose log reaches back to its first record."""
    markets = Markets(ProductEngines(), ListingStore(InstrumentStore()))
    whole: set[str] = set()
    seen: set[str] = set()
    for raw in scan_stream(kinesis, orders_stream):
        record = stream_record(dict(raw.answer))
        market = markets.find(record)
        if market is None:
            continue
        if record.partition_key not in seen:
            seen.add(record.partition_key)
            listing = ListingItem.get(f"listing/{record.partition_key}", consistent_read=True)
            if listing.first_record == record.sequence_number:
                whole.add(record.partition_key)
        with suppress(MalformedRecordError):  # The matcher keeps such a record elsewhere and carries nothing of it out.
            market.accept(record)
        market.forget()
    return {
        market.product_id: Replayed(market.sequence, market.chain_hash)
        for market in markets
        if market.product_id in whole
    }


def show(verdict: Verdict) -> None:
    """Print each invariant with its figure."""
    table = Table("", "invariant", "claim", "looked at", box=None, header_style="bold", pad_edge=False)
    for finding in verdict.findings:
        mark = "[red]✗[/]" if not finding.holds else "[dim]-[/]" if _idle(finding) else "[green]✓[/]"
        table.add_row(mark, finding.name, finding.claim, finding.figure)
    console.print(table)
    for line in _breaches(verdict):
        console.print(line, style="red", markup=False, soft_wrap=True)
    if verdict.holds:
        idle = sum(map(_idle, verdict.findings))
        counted = f"{len(verdict.findings)} invariants, no breach; {idle} had nothing to look at (-)"
        console.print(f"The audit holds: {counted}.", style="green")


def _idle(finding: Finding) -> bool:
    """Nothing of the kind is here, or nobody wrote it down: what clients were told, for one."""
    return finding.figure.startswith("0 ")


def _breaches(verdict: Verdict) -> Iterator[str]:
    if not verdict.quiet:
        yield "The exchange did not become quiet: orders are pending, or a reader is behind the log."
    for finding in verdict.findings:
        for breach in finding.breaches[:BREACHES_SHOWN_MAX]:
            yield f"{finding.name} {finding.claim}: {breach}"
        if len(finding.breaches) > BREACHES_SHOWN_MAX:
            yield f"{finding.name}: ... and {len(finding.breaches) - BREACHES_SHOWN_MAX} more"


__all__ = ["LogOfAnotherReleaseError", "Verdict", "World", "audit", "audit_stack", "replay", "show", "wait_until_quiet"]
