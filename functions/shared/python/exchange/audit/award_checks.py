"""L10: what fees gave back is what they had to, once, and never more than they brought."""

from collections import Counter
from collections.abc import Iterator

from exchange.audit.model import Finding, World, finding
from exchange.awards.model import AwardKey, awards_account, awards_partition, earnings, share_out
from exchange.books.model import Books
from exchange.fees.sharing import ShareKind
from exchange.ledger.model import HOUSE_PREFIX, Batch
from exchange.settlement.model import journal_partition

_Posted = dict[tuple[int, AwardKey], int]


def awards_are_earned(world: World) -> Finding:
    """L10: every rebate and commission is what its closed period's trades earned its payee, is posted once, and is
    covered by the fees of that period. A closing that is said to be paid lacks none."""
    posted, breaches = _posted(world)
    due = _due(world)
    for place in sorted(posted.keys() | due.keys()):
        closing, key = place
        paid = posted.get(place, 0)
        if paid != due.get(place, 0) and (paid or closing <= world.awarded):
            name = f"closing {closing}: {key.kind.value} of {key.payee_id} in {key.product_id}"
            breaches.append(f"{name} is {due.get(place, 0)}, posted {paid}")
    total = len(posted)
    return finding("L10", "fees give back what is due, once, out of what they brought", f"{total} awards", breaches)


def _posted(world: World) -> tuple[_Posted, list[str]]:
    found: Counter[tuple[int, AwardKey]] = Counter()
    breaches: list[str] = []
    for product_id in world.products:
        for batch, _ in world.batches.get(awards_partition(product_id), ()):
            for entry in batch.entries:
                if entry.account == awards_account(product_id):
                    continue
                if entry.account.startswith(HOUSE_PREFIX) or entry.units <= 0:
                    breaches.append(f"{batch.partition} {batch.number}: {entry.account} has {entry.units}")
                    continue
                key = AwardKey(product_id, ShareKind(entry.kind.value), int(entry.account))
                if (int(entry.reference), key) in found:
                    breaches.append(f"closing {entry.reference}: {key.kind.value} of {key.payee_id} is posted twice")
                found[int(entry.reference), key] += entry.units
    return dict(found), breaches


def _due(world: World) -> _Posted:
    """What each closing had to pay, worked out from the first closing on."""
    carried: dict[AwardKey, int] = {}
    due: _Posted = {}
    if not any(version.gives for version in world.fee_versions):
        return due
    before = Books({}, ())
    for closing, books in world.closings:
        found = earnings(
            _period(world, before, books),
            products=world.products,
            versions=world.fee_versions,
            referral_of=world.referrals.get,
            settled_in=lambda product_id, trade_id: _settled_in(world, product_id, str(trade_id)),
        )
        for product_id, shares in found.by_product().items():
            asset = world.products[product_id].quote.asset_id
            for award in share_out(closing.number, asset, found.income[product_id], shares, carried):
                carried[award.key] = award.carry_micro_units
                if award.units:
                    due[closing.number, award.key] = award.units
        before = books
    return due


def _period(world: World, before: Books, books: Books) -> Iterator[Batch]:
    for partition, head in books.cuts.items():
        start = before.cuts[partition].number if partition in before.cuts else 0
        for batch, _ in world.batches.get(partition, ()):
            if start < batch.number <= head.number:
                yield batch


def _settled_in(world: World, product_id: str, reference: str) -> Batch | None:
    batches = world.batches.get(journal_partition(product_id), ())
    return next((batch for batch, _ in batches if any(e.reference == reference for e in batch.entries)), None)
