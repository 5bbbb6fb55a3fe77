"""L11: what was undone was undone whole, once, and nothing but what was traded."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from exchange.audit.model import Finding, World, finding
from exchange.ledger.model import HOUSE_PREFIX, Batch, Entry, EntryKind, receivable_account
from exchange.settlement.busting import busts_partition
from exchange.settlement.model import journal_partition

_Leg = tuple[str, str, int]  # account, asset, units


def busts_are_opposites(world: World) -> Finding:
    """L11: each bust posts the exact opposite of one settled trade, and beside it only what its customers owe after it;
    a trade is busted at most once, and both its fills say so if and only if it is."""
    breaches: list[str] = []
    busts = 0
    for product_id in world.products:
        trades = _trades(batch for batch, _ in world.batches.get(journal_partition(product_id), ()))
        undone: Counter[int] = Counter()
        for batch, _ in world.batches.get(busts_partition(product_id), ()):
            busts += 1
            undone[int(batch.reference)] += 1
            breaches += _unlike(product_id, batch, trades.get(batch.reference, []))
        twice = [trade_id for trade_id, count in undone.items() if count > 1]
        breaches += [f"{product_id} trade {trade_id} was busted more than once" for trade_id in twice]
        breaches += _mismarked(world, product_id, set(undone))
    return finding("L11", "a bust is the exact opposite of its trade", f"{busts} busts", breaches)


def _trades(batches: Iterable[Batch]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for batch in batches:
        for entry in batch.entries:
            found[entry.reference].append(entry)
    return found


def _unlike(product_id: str, batch: Batch, trade: list[Entry]) -> Iterator[str]:
    """Where a bust is not the opposite of its trade."""
    name = f"{product_id} bust of trade {batch.reference}"
    if not trade:
        yield f"{name}: no such trade was settled"
    if any(entry.kind is not EntryKind.REVERSAL or entry.reference != batch.reference for entry in batch.entries):
        yield f"{name}: has entries that are no reversals of it"
    legs = Counter((entry.account, entry.asset, entry.units) for entry in batch.entries)
    opposite = Counter((entry.account, entry.asset, -entry.units) for entry in trade)
    if missing := opposite - legs:
        yield f"{name}: lacks {_shown(missing)}"
    extra = legs - opposite
    owed = _owed(extra, opposite)
    if extra != owed:
        yield f"{name}: posts {_shown(extra - owed)}, which was never traded"


def _owed(legs: Counter[_Leg], opposite: Counter[_Leg]) -> Counter[_Leg]:
    """Of some legs, those by which a customer gets what is missing of what they must give back, and owes it: once an
    asset, and never more than that."""
    given: Counter[tuple[str, str]] = Counter()
    for (account, asset, units), count in opposite.items():
        given[account, asset] -= units * count
    found: Counter[_Leg] = Counter()
    for account, asset, units in legs:
        debt = (receivable_account(int(account)), asset, -units) if not account.startswith(HOUSE_PREFIX) else None
        if debt is not None and 0 < units <= given.pop((account, asset), 0) and legs[debt]:
            found[account, asset, units] += 1
            found[debt] += 1
    return found


def _mismarked(world: World, product_id: str, undone: set[int]) -> Iterator[str]:
    marked = Counter(fill.trade_id for fill in world.fills if fill.product_id == product_id and fill.busted_at_ns)
    for trade_id in sorted(undone | marked.keys()):
        if marked[trade_id] != (2 if trade_id in undone else 0):
            posted = "is" if trade_id in undone else "is not"
            yield f"{product_id} trade {trade_id} {posted} undone, and {marked[trade_id]} of its fills say that it is"


def _shown(legs: Counter[_Leg]) -> str:
    return ", ".join(f"{units} {asset} of {account}" for account, asset, units in sorted(legs))
