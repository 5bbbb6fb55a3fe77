"""What moves while it is read: which chains of the journal grew during a look, and by what.

A look reads one table after the other, and money moves meanwhile. But whatever moves money writes a batch into a chain
of the journal, in the same transaction. Where the chains stood is noted before anything else is read, and the journal
is read last: so every movement that one table may show and another not is in a batch behind that mark.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from exchange.audit.model import World
from exchange.ledger.model import Balance, Batch, together

Key = tuple[str, str]  # account and asset
# Chains that grew by much in one look combine to more sums than are worth trying.
SUMS_MAX = 10_000
# An account whose orders come and go without a pause is seen between two of them after some reads.
READS_MAX = 16


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


def at_rest(rows: Iterable[Balance], again: Callable[[str], list[Balance]]) -> list[Balance]:
    """Rows as they were read, and those `again` of accounts whose money was just then shifted from place to place."""
    by_account: defaultdict[str, list[Balance]] = defaultdict(list)
    for row in rows:
        by_account[row.account].append(row)
    for account, own in by_account.items():
        for _ in range(READS_MAX):
            if not any(whole.shifted for whole in together(own)):
                break
            own = again(account)  # noqa: PLW2901 - kept below.
            by_account[account] = own
    return [row for own in by_account.values() for row in own]


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


def strayed(look: Look) -> set[Key]:
    """Balances that were not what the journal says at any moment of the look. What moved too much is left out."""
    sums, grown, stored = _sums(look.old()), _grown(look), Counter[Key]()
    for row in look.world.balances:
        stored[row.account, row.asset] += row.available + row.held
    found: set[Key] = set()
    for key in stored.keys() | sums.keys() | grown.keys():
        off = stored[key] - sums[key]
        if off or key in grown:
            reached = _reached(grown.get(key, {}).values())
            if reached and off not in reached:
                found.add(key)
    return found


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


__all__ = ["Look", "at_rest", "at_the_marks", "strayed"]
