"""L11 holds for what the desk undoes, and is broken by every way of undoing otherwise."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from exchange.audit.bust_checks import busts_are_opposites
from exchange.audit.model import World
from exchange.ledger.model import Batch, Entry, EntryKind, Head, receivable_account
from exchange.settlement.busting import Bust, busts_partition, plan_bust

from bench.settlement_flow import traded

PRODUCT, BUSTS = "A0-USD", busts_partition("A0-USD")


class Books:
    """The journal of a world."""

    def __init__(self, world: World) -> None:
        self._batches = world.batches

    def head(self, partition: str) -> Head:
        chain = self._batches.get(partition, ())
        return Head(chain[-1][0].number, chain[-1][1]) if chain else Head()

    def batch(self, partition: str, number: int) -> Batch | None:
        chain = self._batches.get(partition, ())
        return chain[number - 1][0] if 0 < number <= len(chain) else None


def busted(world: World, trade_id: int, *, available: int) -> World:
    """The world after a trade was undone whose customers have this much of everything."""
    bust = plan_bust(PRODUCT, trade_id, journal=Books(world), available=lambda *_: available, posted_at_ns=1)
    assert isinstance(bust, Bust)
    chain = [*world.batches.get(BUSTS, ()), (bust.batch, bust.batch.hash())]
    fills = [replace(fill, busted_at_ns=1) if fill.trade_id == trade_id else fill for fill in world.fills]
    return replace(world, batches={**world.batches, BUSTS: chain}, fills=fills)


@pytest.fixture(scope="module")
def settled() -> World:
    venue = traded(0, 6, one_maker=True)
    venue.settle()
    return venue.world()


@pytest.fixture(params=[0, 1_500, 10**12], ids=["owing all", "owing some", "owing nothing"])
def world(settled: World, request: pytest.FixtureRequest) -> World:
    return busted(busted(settled, 2, available=request.param), 5, available=request.param)


def test_what_the_desk_undoes_is_the_exact_opposite(settled: World, world: World) -> None:
    assert busts_are_opposites(settled).holds
    found = busts_are_opposites(world)
    assert (found.breaches, found.figure) == ((), "2 busts")


def changed(world: World, change: Callable[[list[Entry]], list[Entry]]) -> World:
    """The world whose first bust has other entries."""
    (batch, _), *rest = world.batches[BUSTS]
    other = replace(batch, entries=tuple(change(list(batch.entries))))
    return replace(world, batches={**world.batches, BUSTS: [(other, other.hash()), *rest]})


def _moved(entries: list[Entry], place: int, units: int) -> list[Entry]:
    return [replace(e, units=e.units + units) if n == place else e for n, e in enumerate(entries)]


def _free_money(entries: list[Entry]) -> list[Entry]:
    reference = entries[0].reference
    return [
        *entries,
        Entry("1", "USD", 7, EntryKind.REVERSAL, reference),
        Entry("house:fees:A0-USD", "USD", -7, EntryKind.REVERSAL, reference),
    ]


def _debt_too_large(entries: list[Entry]) -> list[Entry]:
    debt = Entry("1", "USD", 7, EntryKind.REVERSAL, entries[0].reference)
    return [*entries, debt, replace(debt, account=receivable_account(1), units=-8)]


def _lent(entries: list[Entry], account: int, asset: str, units: int) -> list[Entry]:
    lent = Entry(str(account), asset, units, EntryKind.REVERSAL, entries[0].reference)
    return [*entries, lent, replace(lent, account=receivable_account(account), units=-units)]


def _debt_of_a_stranger(entries: list[Entry]) -> list[Entry]:
    return _lent(entries, 99, "BTC", 10**12)


def _debt_of_more_than_was_traded(entries: list[Entry]) -> list[Entry]:
    gives = next(entry for entry in entries if entry.units < 0 and entry.account.isdigit())
    return _lent(entries, int(gives.account), gives.asset, 10**12)


@pytest.mark.parametrize(
    "breach",
    [
        lambda world: changed(world, lambda entries: entries[1:]),
        lambda world: changed(world, lambda entries: [*entries, entries[0]]),
        lambda world: changed(world, lambda entries: _moved(_moved(entries, 0, 1), 1, -1)),
        lambda world: changed(world, lambda entries: [replace(e, units=-e.units) for e in entries]),
        lambda world: changed(world, lambda entries: [replace(e, account="99") for e in entries]),
        lambda world: changed(world, lambda entries: [replace(e, kind=EntryKind.MATCH) for e in entries]),
        lambda world: changed(world, _free_money),
        lambda world: changed(world, _debt_too_large),
        lambda world: changed(world, _debt_of_a_stranger),
        lambda world: changed(world, _debt_of_more_than_was_traded),
        lambda world: busted(world, 2, available=10**12),
        lambda world: replace(world, fills=[replace(fill, busted_at_ns=0) for fill in world.fills]),
        lambda world: replace(world, fills=[replace(fill, busted_at_ns=1) for fill in world.fills]),
        lambda world: replace(world, batches={BUSTS: world.batches[BUSTS]}),
    ],
    ids=[
        "an entry less",
        "an entry twice",
        "other amounts that sum to zero",
        "the trade again",
        "other accounts",
        "no reversals",
        "money besides",
        "a debt that is larger than what was missing",
        "a debt of somebody who did not trade",
        "a debt of more than must be given back",
        "busted twice",
        "no fill says so",
        "every fill says so",
        "a trade that never was",
    ],
)
def test_every_other_way_is_found(world: World, breach: Callable[[World], World]) -> None:
    assert not busts_are_opposites(breach(world)).holds
