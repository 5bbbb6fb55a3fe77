"""The audit's checks, an asset at a time, so that a difference says whose withdrawals it stops.

What moves while it is read differs for a moment, and is no break (see motion.py). Where both sides are ours that can be
told in each look. Where the other side is a bank, a node or the engine's log, a break is what differs by the same
amount in several looks, one after the other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from exchange.audit import bank_checks, chain_checks, ledger_checks, trade_checks
from exchange.audit.model import ChainView, Finding, World, finding
from exchange.breaks.model import Break, Way
from exchange.breaks.wording import headline, off_by, subject
from exchange.chains.model import Place
from exchange.ledger.model import Batch, EntryKind, custody_account
from exchange.messages import EventType
from exchange.payments.payouts import UNDER_WAY
from exchange.reconciliation.motion import Look, at_the_marks, strayed
from exchange.settlement.model import journal_partition

# So many looks in a row must say the same, and so many are made at most.
IN_A_ROW, LOOKS_MAX = 3, 8
# Of these each look proves that something differs, and on a busy account not by how much.
PROVEN = {"L4", "B2"}
Unsettled = set[tuple[str, str]]  # asset and check


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison came to.

    `unsettled` are the asset and check of each thing that moved in every look or never differed by the same twice;
    `uncompared` is what could not be compared at all, in words. Where both are empty, all else than `breaks` agrees.
    """

    breaks: list[Break]
    unsettled: list[tuple[str, str]]
    uncompared: list[str]


def reconcile(look: Callable[[], Look], *, at_ns: int) -> Outcome:
    """Look until everything agrees or is known to differ.

    Raises:   OutageError where a side can't be read: then nothing was compared.
    """
    streak: dict[tuple[str, str, str], int] = {}
    confirmed: list[Break] = []
    open_questions: Unsettled = set()
    uncompared: list[str] = []
    for _ in range(LOOKS_MAX):
        found, open_questions, uncompared = differences(look(), at_ns=at_ns)
        # Of what moved too much to tell, this look says nothing new.
        kept = {key: count for key, count in streak.items() if key[:2] in open_questions}
        streak = kept | {_same(each): streak.get(_same(each), 0) + 1 for each in found}
        confirmed = [each for each in found if streak[_same(each)] >= IN_A_ROW]
        open_questions |= {(each.asset, each.check) for each in found if each not in confirmed}
        if not open_questions:
            break
    return Outcome(confirmed, sorted(open_questions), uncompared)


def differences(look: Look, *, at_ns: int) -> tuple[list[Break], Unsettled, list[str]]:
    """What differs in one look, what moved too much to tell, and what could not be compared."""
    world, moved = look.world, look.moved()
    steady = [view for view in world.chains if not _moves(view, moved)]
    reached = [view for view in world.chains if not view.reason]
    ledger, unsettled = _ledger(look)
    unsettled |= {(asset, "D8") for view in world.chains if view not in steady for asset in _assets(view)}
    unsettled |= {(asset, "D9") for view in world.chains if view not in reached for asset in _assets(view)}
    breaks = []
    for asset in sorted(assets_of(world)):
        part, marked = of_asset(world, asset), of_asset(at_the_marks(look), asset)
        still = _standing_still(part, moved, asset, unsettled)
        findings: list[tuple[Way, Finding]] = [
            (Way.LOG, trade_checks.trades_settled_once(traded_with(world, asset))),
            (Way.LEDGER, ledger_checks.batches_sum_to_zero(part)),
            (Way.LEDGER, finding("L4", ledger_checks.EXPLAINED, "", ledger.get(asset, ()))),
            (Way.BANK, bank_checks.custody_is_what_was_confirmed(marked)),
            (Way.BANK, bank_checks.custody_is_what_the_bank_has(still)),
            (Way.BANK, bank_checks.custody_is_what_the_provider_has(still)),
            (Way.CHAIN, chain_checks.custody_is_what_was_moved(replace(world, chains=steady))),
            (Way.CHAIN, chain_checks.chains_have_what_came_and_stayed(replace(world, chains=reached))),
            (Way.CHAIN, chain_checks.nonces_are_used_once(world)),
        ]
        if (custody_account(UNDER_WAY), asset) in moved:
            unsettled.add((asset, "B4"))
        else:
            findings.append((Way.BANK, bank_checks.under_way_is_what_was_paid_out(part)))
        breaks += [
            Break(asset, way, each.name, each.claim, breach, found_at_ns=at_ns)
            for way, each in findings
            for breach in each.breaches
            if way is not Way.CHAIN or _concerns(breach, asset, world)
        ]
    return breaks, unsettled, [f"{view.listing.chain}: {view.reason}" for view in world.chains if view.reason]


def _same(each: Break) -> tuple[str, str, str]:
    return each.asset, each.check, subject(each.breach) if each.check in PROVEN else headline(each.breach)


def _ledger(look: Look) -> tuple[dict[str, list[str]], Unsettled]:
    """L4 by asset: balances that the journal does not explain, at whatever moment of the look they were read."""
    far, restless = strayed(look)
    breaches: dict[str, list[str]] = {}
    for (account, asset), units in sorted(far.items()):
        told = "what is stored is not what the journal's entries come to"
        breaches.setdefault(asset, []).append(off_by(f"{account} {asset}", units, told))
    return breaches, {(asset, "L4") for _, asset in restless}


def _standing_still(part: World, moved: set[tuple[str, str]], asset: str, unsettled: Unsettled) -> World:
    """A world without the banks whose custody moved while it was read; those are noted."""
    banks = [view for view in part.banks if (custody_account(view.rail), asset) not in moved]
    providers = [view for view in part.providers if (custody_account(view.rail), asset) not in moved]
    if len(banks) < len(part.banks):
        unsettled.add((asset, "B1"))
    if len(providers) < len(part.providers):
        unsettled.add((asset, "B3"))
    return replace(part, banks=banks, providers=providers)


def _moves(view: ChainView, moved: set[tuple[str, str]]) -> bool:
    return any((view.listing.custody(place), asset) in moved for place in Place for asset in _assets(view))


def _assets(view: ChainView) -> set[str]:
    return {token.asset for token in view.listing.tokens}


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
