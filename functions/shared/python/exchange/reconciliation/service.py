"""The audit's checks, an asset at a time, so that a difference says whose withdrawals it stops.

What moves while it is read differs for a moment. So everything is looked at more than once, and a break is what differs
by the same amount in the last look and in one before it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

from exchange.audit import bank_checks, chain_checks, ledger_checks, trade_checks
from exchange.audit.model import Finding, World
from exchange.breaks.model import DETAILS_MAX, Break, Way
from exchange.breaks.wording import headline
from exchange.ledger.model import Batch, EntryKind
from exchange.messages import EventType
from exchange.settlement.model import journal_partition

Check = Callable[[World], Finding]
# On an exchange that moves without a pause each look may differ by something else; the last word is the audit's then.
LOOKS_MAX = 4
WAYS: dict[Way, tuple[Check, ...]] = {
    Way.LOG: (trade_checks.trades_settled_once,),
    Way.LEDGER: (
        ledger_checks.zero_sum,
        ledger_checks.batches_sum_to_zero,
        ledger_checks.journal_explains_balances,
    ),
    Way.CHAIN: (
        chain_checks.custody_is_what_was_moved,
        chain_checks.chains_have_what_came_and_stayed,
        chain_checks.nonces_are_used_once,
    ),
    Way.BANK: (
        bank_checks.custody_is_what_the_bank_has,
        bank_checks.custody_is_what_was_confirmed,
        bank_checks.custody_is_what_the_provider_has,
        bank_checks.under_way_is_what_was_paid_out,
    ),
}


def reconcile(look: Callable[[], World], *, at_ns: int) -> list[Break]:
    """What differs in the last look and did before, by the same amounts. Looks again while something differs anew.

    Raises:   OutageError where a side can't be read: then nothing was compared.
    """
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    confirmed: list[Break] = []
    for _ in range(LOOKS_MAX):
        confirmed, moved = [], False
        for found in differences(look(), at_ns=at_ns):
            before = seen[found.asset, found.check]
            details = tuple(breach for breach in found.details if headline(breach) in before)
            moved |= len(details) < len(found.details)
            before.update(map(headline, found.details))
            if details:
                confirmed.append(replace(found, details=details[:DETAILS_MAX]))
        if not moved:
            break
    return confirmed


def differences(world: World, *, at_ns: int) -> Iterator[Break]:
    """What differs in one look."""
    for asset in sorted(assets_of(world)):
        part, traded = of_asset(world, asset), traded_with(world, asset)
        for way, checks in WAYS.items():
            for check in checks:
                finding = check({Way.LOG: traded, Way.CHAIN: world}.get(way, part))
                details = finding.breaches
                if way is Way.CHAIN:
                    details = tuple(line for line in details if _concerns(line, asset, world))
                if details:
                    yield Break(asset, way, finding.name, finding.claim, details, found_at_ns=at_ns)


def _concerns(line: str, asset: str, world: World) -> bool:
    """Whether a chain's difference is about an asset: it names it, or names none and so is about all of that chain."""
    named = {
        token.asset for view in world.chains for token in view.listing.tokens if re.search(rf"\b{token.asset}\b", line)
    }
    own = {token.asset for view in world.chains if view.listing.chain in line for token in view.listing.tokens}
    return asset in (named or own)


def assets_of(world: World) -> set[str]:
    """Every asset that anything is known of."""
    traded = {each.asset_id for product in world.products.values() for each in (product.base, product.quote)}
    chained = {token.asset for view in world.chains for token in view.listing.tokens}
    return traded | chained | {balance.asset for balance in world.balances} | {view.asset for view in world.banks}


def traded_with(world: World, asset: str) -> World:
    """A world in which there are only the products that trade an asset, from the first trade that the log still has."""
    first: dict[str, int] = {}
    for name, product in world.products.items():
        if asset in {product.base.asset_id, product.quote.asset_id}:
            trades = (event.trade_id for event in trade_checks.events_of(world, name) if event.type == EventType.MATCH)
            first[name] = next(trades, 0)
    kept = {name: number for name, number in first.items() if number}
    return replace(
        world,
        products={name: world.products[name] for name in kept},
        batches={
            journal_partition(name): [
                (_since(batch, number), digest) for batch, digest in world.batches.get(journal_partition(name), ())
            ]
            for name, number in kept.items()
        },
        fills=[fill for fill in world.fills if fill.trade_id >= kept.get(fill.product_id, 0)],
    )


def _since(batch: Batch, first: int) -> Batch:
    entries = batch.entries
    kept = tuple(each for each in entries if each.kind is not EntryKind.MATCH or int(each.reference) >= first)
    return replace(batch, entries=kept)


def of_asset(world: World, asset: str) -> World:
    """A world in which there is one asset only."""
    batches = {
        partition: [
            (replace(batch, entries=tuple(entry for entry in batch.entries if entry.asset == asset)), digest)
            for batch, digest in rows
        ]
        for partition, rows in world.batches.items()
    }
    return replace(
        world,
        balances=[balance for balance in world.balances if balance.asset == asset],
        batches=batches,
        transfers=[transfer for transfer in world.transfers if transfer.asset == asset],
        banks=[view for view in world.banks if view.asset == asset],
        providers=[view for view in world.providers if view.asset == asset],
        payouts=[payout for payout in world.payouts if payout.asset == asset],
    )
