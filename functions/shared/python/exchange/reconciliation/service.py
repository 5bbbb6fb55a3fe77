"""The audit's checks, an asset at a time, so that a difference says whose withdrawals it stops.

What moves while it is read differs for a moment, and is no break. So looks are made one after the other, and a break is
what three in a row say in the same words, totals included: then nothing moved that it is about. An account that never
rests is a break where it stands at no sum that the journal had come to (motion.py). Whatever else differs is told as
unsettled: it is neither a break nor agreement.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from exchange.audit import bank_checks, chain_checks, ledger_checks, trade_checks
from exchange.audit.model import Finding, World
from exchange.banking.model import Taking
from exchange.breaks.model import Break, Way
from exchange.breaks.wording import subject
from exchange.ledger.model import Batch, EntryKind
from exchange.messages import EventType
from exchange.reconciliation.motion import Look, at_the_marks, strayed
from exchange.settlement.model import journal_partition

Check = Callable[[World], Finding]
IN_A_ROW, LOOKS_MAX = 3, 8
# A trade that is older than this is due, whether or not a later one of its product was settled.
LATE_NS = 10 * 60 * 10**9
# A bank's file that is being taken for longer does not excuse what differs any more.
TAKING_MAX_NS = 60 * 60 * 10**9
# Those whose other side is told by somebody who may be a minute behind us, or we behind him.
OUTSIDE = {"S1", "B1", "B3", "D9"}
WAYS: dict[Way, tuple[Check, ...]] = {
    # That balances sum to zero follows: what explains them does.
    Way.LEDGER: (ledger_checks.batches_sum_to_zero, ledger_checks.journal_explains_balances),
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
Subject = tuple[str, str, str]  # asset, check, and what of it


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison came to.

    `unsettled` is what differed and was never the same; `uncompared`, in words, what could not be compared at all.
    Where both are empty, all else than `breaks` agrees.
    """

    breaks: list[Break] = field(default_factory=list)
    unsettled: set[Subject] = field(default_factory=set)
    uncompared: list[str] = field(default_factory=list)


def reconcile(look: Callable[[], Look], *, later: Callable[[], None], at_ns: int) -> Outcome:
    """Look until everything agrees or is known to differ. What others tell is looked at again `later`.

    Raises:   OutageError where a side can't be read: then nothing was compared.
    """
    first = _settled(look, at_ns=at_ns)
    if not any(each.check in OUTSIDE for each in first.breaks):
        return first
    later()
    again = _settled(look, at_ns=at_ns)
    known = {(each.asset, each.name) for each in first.breaks}
    lasting = [each for each in again.breaks if each.check not in OUTSIDE or (each.asset, each.name) in known]
    passing = {_of(each) for each in again.breaks} - {_of(each) for each in lasting}
    return replace(again, breaks=lasting, unsettled=again.unsettled | passing)


def _settled(look: Callable[[], Look], *, at_ns: int) -> Outcome:
    same: Counter[Break] = Counter()
    proved: Counter[Subject] = Counter()
    breaks: dict[Subject, Break] = {}
    outcome = Outcome()
    for _ in range(LOOKS_MAX):
        seen = look()
        found = list(differences(seen.world, at_ns=at_ns))
        same = Counter({each: same[each] + 1 for each in found})
        proved = Counter({each: proved[each] + 1 for each in _never_so(seen)})
        excused = set(_half_taken(seen.world, at_ns=at_ns))
        differ = {_of(each) for each in found} | excused
        same = Counter({each: count for each, count in same.items() if _of(each) not in excused})
        breaks = {key: each for key, each in breaks.items() if key in differ - excused}
        for each in found:
            if same[each] >= IN_A_ROW:
                breaks[_of(each)] = each
            elif proved[_of(each)] >= IN_A_ROW:
                breaks.setdefault(_of(each), _restless(each))
        reasons = [f"{view.listing.chain}: {view.reason}" for view in seen.world.chains if view.reason]
        reasons += [
            f"{view.rail} {view.asset}: {each}"
            for view in seen.world.banks
            for each in view.takings
            if _overdue(each, at_ns)
        ]
        outcome = Outcome(list(breaks.values()), differ - breaks.keys(), reasons)
        if not outcome.unsettled and not reasons:
            break
    return outcome


def _half_taken(world: World, *, at_ns: int) -> Iterator[Subject]:
    """The banks of which nobody can tell: some of a file is booked, and some is not."""
    for view in world.banks:
        if view.takings and not any(_overdue(each, at_ns) for each in view.takings):
            yield view.asset, "B1", f"{view.rail} {view.asset}"


def _overdue(taking: Taking, at_ns: int) -> bool:
    return taking.since_ns <= at_ns - TAKING_MAX_NS


def _of(each: Break) -> Subject:
    return each.asset, each.check, subject(each.breach)


def _restless(each: Break) -> Break:
    told = "it moves in every look, and never stood at a sum that the journal had come to"
    return replace(each, breach=f"{subject(each.breach)}: off by an amount that can't be told\n    {told}")


def _never_so(look: Look) -> Iterator[Subject]:
    """What moves, and is wrong whatever has moved."""
    for account, asset in strayed(look):
        yield asset, "L4", f"{account} {asset}"
    marked = at_the_marks(look)
    for asset in assets_of(marked):
        for breach in bank_checks.custody_is_what_was_confirmed(of_asset(marked, asset)).breaches:
            yield asset, "B2", subject(breach)


def differences(world: World, *, at_ns: int) -> Iterator[Break]:
    """What differs in one look."""
    askable = replace(world, chains=[view for view in world.chains if not view.reason])
    for asset in sorted(assets_of(world)):
        part = of_asset(world, asset)
        traded = traded_with(world, asset)
        findings = [(Way.LOG, trade_checks.trades_settled_once(traded, _due(traded, at_ns - LATE_NS)))]
        for way, checks in WAYS.items():
            findings += [(way, check(askable if way is Way.CHAIN else part)) for check in checks]
        for way, finding in findings:
            for breach in finding.breaches:
                if way is not Way.CHAIN or _concerns(breach, asset, world):
                    yield Break(asset, way, finding.name, finding.claim, breach, found_at_ns=at_ns)


def _due(world: World, late_ns: int) -> dict[str, int]:
    """The last trade of each product that must be settled: the last that is, or the last that is late."""
    due: dict[str, int] = {}
    for name in world.products:
        posted = [
            int(entry.reference)
            for batch, _ in world.batches.get(journal_partition(name), ())
            for entry in batch.entries
            if entry.kind is EntryKind.MATCH
        ]
        made = trade_checks.events_of(world, name)
        late = [event.trade_id for event in made if event.type == EventType.MATCH and event.time_ns <= late_ns]
        due[name] = max((*posted, *late), default=0)
    return due


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
