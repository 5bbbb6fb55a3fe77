"""L8: statements are the journal, sorted by balance."""

from collections import Counter, defaultdict

from exchange.audit.model import Finding, World, finding
from exchange.ledger.model import EntryKind
from exchange.statements.model import Page

_Entry = tuple[int, EntryKind, str, str, int]


def statements_are_the_journal(world: World) -> Finding:
    """L8: each journal entry is on its balance's statement once, numbered without a gap, and the balances run."""
    pages: dict[tuple[str, str], list[Page]] = defaultdict(list)
    for page in sorted(world.statements, key=lambda page: page.first):
        pages[page.account, page.asset].append(page)
    posted = _posted(world)
    breaches = []
    for account, asset in sorted(posted.keys() | pages.keys()):
        own = pages[account, asset]
        if not _runs(own):
            breaches.append(f"{account} {asset}: pages don't follow each other")
        missing = posted[account, asset].copy()
        missing.subtract(
            (line.units, line.kind, line.reference, line.partition, line.posted_at_ns)
            for page in own
            for line in page.lines
        )
        off = sum(abs(count) for count in missing.values())
        if off:
            breaches.append(f"{account} {asset}: {off} entries of journal and statement differ")
    lines = sum(len(page.lines) for page in world.statements)
    return finding("L8", "statements are the journal, entry for entry", f"{lines} lines", breaches)


def _posted(world: World) -> dict[tuple[str, str], Counter[_Entry]]:
    posted: dict[tuple[str, str], Counter[_Entry]] = defaultdict(Counter)
    for partition, batches in world.batches.items():
        for batch, _ in batches:
            for entry in batch.entries:
                row = entry.units, entry.kind, entry.reference, partition, batch.posted_at_ns
                posted[entry.account, entry.asset][row] += 1
    return posted


def _runs(pages: list[Page]) -> bool:
    number, balance = 1, 0
    for page in pages:
        if (page.first, page.opening) != (number, balance):
            return False
        number, balance = page.next_number, page.closing
    return True
