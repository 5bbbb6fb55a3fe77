"""A1: what operators did is written down, in one chain that nobody can change, shuffle or thin out unseen."""

from exchange.approvals.model import NO_LINK, link_hash
from exchange.audit.model import Acts, Finding, World, finding


def acts_are_chained(world: World) -> Finding:
    """A1: links are numbered without gaps, each has the hash of the one before and of its row; every row has a link.

    Not seen: rows and links cut off together at the newest end, and rows of before the first link, which are unchained.
    """
    acts = world.acts or Acts((), {})
    breaches: list[str] = []
    previous = NO_LINK
    for number, link in enumerate(acts.links, start=1):
        row = acts.rows.get((link.day, link.cursor))
        if row is None:
            breaches.append(f"the row of act {link.number} is gone: {link.day} {link.cursor}")
        whole = row is None or link.hash == link_hash(link.number, link.previous_hash, row)
        if link.number != number or link.previous_hash != previous or not whole:
            breaches.append(f"the chain breaks at act {link.number}: {link.day} {link.cursor}")
            break
        previous = link.hash
    chained = {(link.day, link.cursor) for link in acts.links}
    if chained:
        # A row that was added after the links were read is later than all of them.
        breaches += [
            f"an act without a link: {day} {cursor}"
            for day, cursor in sorted(acts.rows.keys() - chained)
            if min(chained) < (day, cursor) < max(chained)
        ]
    return finding("A1", "operators' acts are one whole chain", f"{len(acts.links)} acts", breaches)
