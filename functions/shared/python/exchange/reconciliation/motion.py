"""What moves while it is read: which chains of the journal grew during a look, and by what.

A look reads one table after the other, and money moves meanwhile. But whatever moves money writes a batch into a chain
of the journal, in the same transaction. Where the chains stood is noted before anything else is read, and the journal
is read last: so every movement that one table may show and another not is in a batch behind that mark.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from exchange.audit.model import World
from exchange.ledger.model import Balance, Batch

Key = tuple[str, str]  # account and asset
# Chains that grew by much in one look combine to more sums than are worth trying: look again.
SUMS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that is compared, and the last batch of each chain before any of it was read."""

    world: World
    marks: Mapping[str, int]

    def new(self) -> Iterator[Batch]:
        """The batches behind the marks, each chain's in its order."""
        for partition, batches in self.world.batches.items():
            mark = self.marks.get(partition, 0)
            yield from (batch for batch, _ in batches if batch.number > mark)

    def old(self) -> Iterator[Batch]:
        """The batches up to the marks."""
        for partition, batches in self.world.batches.items():
            mark = self.marks.get(partition, 0)
            yield from (batch for batch, _ in batches if batch.number <= mark)

    def moved(self) -> set[Key]:
        """The accounts that something was posted to behind the marks."""
        return {(entry.account, entry.asset) for batch in self.new() for entry in batch.entries}


def at_the_marks(look: Look) -> World:
    """The world as it was at the marks: balances are what the journal had come to, later transfers are left out.

    That balances are what the journal comes to is a check of its own: `strayed`.
    """
    later = {batch.reference for batch in look.new()}
    return replace(
        look.world,
        balances=[Balance(account, asset, units, 0) for (account, asset), units in _sums(look.old()).items()],
        transfers=[row for row in look.world.transfers if row.transfer_id not in later],
    )


def strayed(look: Look) -> tuple[dict[Key, int], set[Key]]:
    """Balances that were not what the journal says at any moment of the look.

    Returns:  how far each is from the nearest sum that it may have stood at; and the accounts that moved too much to
              say, which must be read again.
    """
    sums, grown, stored = _sums(look.old()), _grown(look), Counter[Key]()
    for row in look.world.balances:
        # What was shifted between the places of a balance while they were read is seen twice or not at all.
        stored[row.account, row.asset] += row.available + row.held - row.shifted
    far: dict[Key, int] = {}
    restless: set[Key] = set()
    for key in stored.keys() | sums.keys() | grown.keys():
        reached = _reached(grown.get(key, {}).values())
        off = stored[key] - sums[key]
        if not reached:
            restless.add(key)
        elif off not in reached:
            far[key] = min((off - units for units in reached), key=lambda units: (abs(units), units))
    return far, restless


def _sums(batches: Iterable[Batch]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for batch in batches:
        for entry in batch.entries:
            found[entry.account, entry.asset] += entry.units
    return found


def _grown(look: Look) -> Mapping[Key, Mapping[str, set[int]]]:
    """What each account may have grown by in each chain, batch after batch, nothing among it."""
    ends: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    grown: defaultdict[Key, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(lambda: {0}))
    for batch in look.new():
        for key, units in _sums([batch]).items():
            ends[key][batch.partition] += units
            grown[key][batch.partition].add(ends[key][batch.partition])
    return grown


def _reached(chains: Iterable[set[int]]) -> set[int]:
    """Every sum that the chains may have come to together; none where there are too many."""
    reached = {0}
    for sums in chains:
        if len(reached) * len(sums) > SUMS_MAX:
            return set()
        reached = {one + other for one in reached for other in sums}
    return reached


__all__ = ["Look", "at_the_marks", "strayed"]
