"""What fees gave back, held against the trades that earned it: a sound world, and every way to get it wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from exchange.audit import World, check
from exchange.audit.award_checks import awards_are_earned
from exchange.awards.model import Award, AwardKey, Standing, award_movements
from exchange.awards.service import Desk, pay_awards
from exchange.books.files import books_of
from exchange.books.model import Books, Closing
from exchange.books.service import batches_of, close_books
from exchange.fees.model import Commission, FeeSchedule, Rates, Rebate, Tier
from exchange.fees.sharing import ShareKind
from exchange.kernel.errors import require
from exchange.ledger.model import Batch, EntryKind, Head, next_batch
from exchange.messages import OrderType, Side
from exchange.referrals.model import Referral
from exchange.risk.model import OrderTerms

from tests.fakes.books import FakeClosings, FakeJournal, FakeVault, RsaSigner
from tests.fakes.markets import acme_usd
from tests.fakes.venue import Tables, Venue

SIGNER = RsaSigner()
PRODUCT = "ACME-USD"
AWARDS = f"awards:{PRODUCT}"
RATES = Rates(maker_ppm=1_000, taker_ppm=20_000)
VERSION = FeeSchedule(0, (Tier(0, RATES),), rebates=(Rebate(PRODUCT, 5_000),), commission=Commission(250_000, 36_500))
REFERRALS = {1: Referral(3, 1_600_000_000 * 10**9)}


@dataclass
class AwardsOfVenue:
    """Awards posted to a venue in memory."""

    tables: Tables

    def head(self, partition: str) -> Head:
        chain = self.tables.batches[partition]
        return Head(chain[-1][0].number, chain[-1][1]) if chain else Head()

    def batch(self, partition: str, number: int) -> Batch | None:
        return self.tables.batches[partition][number - 1][0]

    def referral(self, account_id: int) -> Referral | None:
        return REFERRALS.get(account_id)

    def standings(self, _closing: int, keys: Sequence[AwardKey]) -> Mapping[AwardKey, Standing]:
        return {key: Standing() for key in keys}

    def post(self, awards: Sequence[Award], batch: Batch | None) -> bool:
        assert awards
        if batch is not None:
            self.tables.batches[batch.partition].append((batch, batch.hash()))
            require(self.tables.move(award_movements(batch)), "an award can't fail")
        return True


def _books(closing: Closing, vault: FakeVault) -> tuple[Closing, Books]:
    return closing, books_of(closing, vault=vault)


@pytest.fixture
def world() -> World:
    """Two trades, closed and paid for: account 2 makes, account 1 takes and was brought by account 3."""
    venue = Venue(acme_usd(), RATES)
    for account in (1, 2, 3):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**8)
    for price in ("100", "101"):
        venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, price, "1"))
        venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, price, "1"))
        venue.match()
        venue.settle()
    journal = FakeJournal({name: [batch for batch, _ in rows] for name, rows in venue.tables.batches.items()})
    vault, scales = FakeVault(), {"USD": 2, "ACME": 8}
    closing = close_books(
        10**30, salt=bytes(32), scales=scales, journal=journal, closings=FakeClosings(), vault=vault, signer=SIGNER
    )
    awards = AwardsOfVenue(venue.tables)
    desk = Desk({PRODUCT: venue.product}, (VERSION,), awards, awards, awards, venue.clock, lambda _: None)
    paid = pay_awards(closing.number, batches_of(closing, None, journal=journal, vault=vault), desk)
    assert {(award.key.kind, award.key.payee_id): award.units for award in paid} == {
        (ShareKind.REBATE, 2): 1_005_000,  # half a per cent of 201 dollars
        (ShareKind.COMMISSION, 3): 1_005_000,  # a quarter of the two per cent
    }
    seen = replace(venue.world(), closings=[_books(closing, vault)], awarded=1)
    return replace(seen, fee_versions=(VERSION,), referrals=REFERRALS)


def test_awards_keep_every_invariant(world: World) -> None:
    assert [breach for finding in check(world) for breach in finding.breaches] == []
    assert awards_are_earned(world).figure == "2 awards"


def _rows(world: World, change: Callable[[Batch], Batch]) -> World:
    rows = [(change(batch), digest) for batch, digest in world.batches[AWARDS]]
    return replace(world, batches={**world.batches, AWARDS: rows})


def _dearer(world: World) -> World:
    return _rows(world, lambda b: replace(b, entries=tuple(replace(e, units=2 * e.units) for e in b.entries)))


def _to_another(world: World) -> World:
    return _rows(
        world,
        lambda b: replace(
            b, entries=tuple(replace(e, account="1" if e.account == "3" else e.account) for e in b.entries)
        ),
    )


def _as_another_kind(world: World) -> World:
    return _rows(world, lambda b: replace(b, entries=tuple(replace(e, kind=EntryKind.REBATE) for e in b.entries)))


def _of_no_closing(world: World) -> World:
    return _rows(world, lambda b: replace(b, entries=tuple(replace(e, reference="2") for e in b.entries)))


def _out_of_a_customer(world: World) -> World:
    return _rows(
        world,
        lambda b: replace(b, entries=tuple(replace(e, account="1" if e.units < 0 else e.account) for e in b.entries)),
    )


def _twice(world: World) -> World:
    (batch, digest) = world.batches[AWARDS][0]
    again = next_batch(
        Head(batch.number, digest), partition=AWARDS, posted_at_ns=1, reference="1", entries=batch.entries
    )
    return replace(world, batches={**world.batches, AWARDS: [(batch, digest), (again, again.hash())]})


def _forgotten(world: World) -> World:
    return replace(world, batches={**world.batches, AWARDS: []})


def _unpromised(world: World) -> World:
    return replace(world, fee_versions=())


def _brought_by_nobody(world: World) -> World:
    return replace(world, referrals={})


@pytest.mark.parametrize(
    "plant",
    [
        _dearer,
        _to_another,
        _as_another_kind,
        _of_no_closing,
        _out_of_a_customer,
        _twice,
        _forgotten,
        _unpromised,
        _brought_by_nobody,
    ],
)
def test_a_planted_breach_is_named(world: World, plant: Callable[[World], World]) -> None:
    assert not awards_are_earned(plant(world)).holds


def test_a_night_that_is_not_over_owes_nothing_yet_but_pays_nothing_else(world: World) -> None:
    before = replace(_forgotten(world), awarded=0)
    assert awards_are_earned(before).holds
    assert not awards_are_earned(replace(_dearer(world), awarded=0)).holds
