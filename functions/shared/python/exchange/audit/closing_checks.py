"""L9: what was closed is still what it was, and what was signed is what the journal says."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator

from exchange.audit.model import Finding, World, finding
from exchange.books.model import Books, Closing
from exchange.ledger.chart import CUSTOMERS, heading_of


def closed_is_closed(world: World) -> Finding:
    """L9: each chain still has the batches that its closings were made of, and customers are owed what was signed."""
    breaches: list[str] = []
    previous = ""
    for closing, books in world.closings:
        if json.loads(closing.statement)["previous"] != previous:
            breaches.append(f"closing {closing.number} does not name the one before it")
        previous = hashlib.sha256(closing.statement.encode()).hexdigest()
        breaches += _changed_chains(world, closing, books)
        breaches += _wrong_totals(world, closing, books)
    return finding("L9", "closed periods are as they were signed", f"{len(world.closings)} closings", breaches)


def _changed_chains(world: World, closing: Closing, books: Books) -> Iterator[str]:
    for partition, head in books.cuts.items():
        hashes = {batch.number: stored for batch, stored in world.batches.get(partition, ())}
        if hashes.get(head.number) != head.hash:
            yield f"closing {closing.number}: {partition} no longer has the batch {head.number} that it ended with"


def _wrong_totals(world: World, closing: Closing, books: Books) -> Iterator[str]:
    owed: Counter[str] = Counter()
    for partition, head in books.cuts.items():
        for batch, _ in world.batches.get(partition, ()):
            if batch.number <= head.number:
                for entry in batch.entries:
                    if heading_of(entry.account) == CUSTOMERS:
                        owed[entry.asset] += entry.units
    signed = {asset: row.units for asset, row in closing.liabilities().items()}
    for asset in sorted(owed.keys() | signed.keys()):
        if owed[asset] != signed.get(asset, 0):
            yield f"closing {closing.number}: signed {signed.get(asset, 0)} {asset}, the journal says {owed[asset]}"
