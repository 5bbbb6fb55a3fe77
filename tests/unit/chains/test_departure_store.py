"""Every write of a departure, against the fake and against DynamoDB alike."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.chains.departure_store import DepartureStore
from exchange.chains.departures import (
    Departure,
    Mined,
    Progress,
    Purpose,
    Version,
    asked_unswept,
    ended,
    ended_unswept,
    ending_batch,
    ending_movements,
    house_departure,
)
from exchange.chains.model import Block, Place
from exchange.chains.store import ChainItem
from exchange.ledger.model import Head
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from moto import mock_aws

from tests.fakes.paying import COIN, HOT, LISTING, FakeDepartures, FakePayees
from tests.fakes.tables import create_tables
from tests.fakes.wallets import NOON_NS, FakeBooks

CHAIN, ADDRESS = LISTING.chain, "0xa1"


@dataclass
class Stores:
    """Departures, the journal's end, what an account has, and how to say what may be swept."""

    departures: Any
    head: Any
    has: Any
    lay: Any


@pytest.fixture
def dynamodb() -> Iterator[Stores]:
    with mock_aws():
        create_tables("chains", "balances", "journal")
        for model, table in ((ChainItem, "chains"), (BalanceItem, "balances"), (JournalItem, "journal")):
            bind(model, table)

        def has(account: str, asset: str) -> int:
            return next((item.available for item in BalanceItem.query(account, BalanceItem.asset == asset)), 0)

        def lay(address: str, contract: str, units: int) -> None:
            ChainItem(CHAIN, f"unswept#{address}#{contract}", units=units).save()

        yield Stores(DepartureStore(connection()), JournalStore().head, has, lay)


@pytest.fixture
def memory() -> Stores:
    books = FakeBooks(FakePayees())
    departures = FakeDepartures(books)

    def lay(address: str, contract: str, units: int) -> None:
        departures.may_be_swept[address, contract] = units

    return Stores(departures, books.head, lambda account, asset: books.balances[account, asset], lay)


@pytest.fixture(params=["memory", "dynamodb"])
def stores(request: pytest.FixtureRequest) -> Stores:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stores)
    return found


def a_sweep(name: str = "0xa1:0", *, at_ns: int = NOON_NS) -> Departure:
    ends = {"sender": ADDRESS, "recipient": HOT}
    return house_departure(LISTING, Purpose.SWEEP, COIN, name=name, units=900, at_ns=at_ns, reserve_units=50, **ends)


def signed(due: Departure, nonce: int, *, raw: str = "0x02") -> Departure:
    version = Version(f"0xh{nonce}{raw}", raw, 7, 1, NOON_NS)
    return replace(due, progress=Progress.SIGNED, nonce=nonce, gas=21_000, versions=(version,))


def test_a_sweep_is_asked_for_once_and_never_for_more_than_lies_there(stores: Stores) -> None:
    stores.lay(ADDRESS, "", 1_000)
    sweep = a_sweep()
    assert stores.departures.ask(sweep, asked_unswept(sweep))
    assert not stores.departures.ask(sweep, asked_unswept(sweep))
    assert stores.departures.unswept(CHAIN)[ADDRESS][""] == 50
    other = a_sweep("0xa1:1")
    assert not stores.departures.ask(other, asked_unswept(other))
    assert stores.departures.open(CHAIN, Place.ADDRESSES, limit=9) == [sweep]
    assert list(stores.departures.open(CHAIN, Place.HOT, limit=9)) == []
    assert stores.departures.departure(CHAIN, other.departure_id) is None


def test_a_nonce_is_taken_once_and_only_with_what_it_pays(stores: Stores) -> None:
    stores.lay(ADDRESS, "", 10_000)
    first, second = a_sweep(), a_sweep("0xa1:1", at_ns=NOON_NS + 1)
    for sweep in (first, second):
        stores.departures.ask(sweep, asked_unswept(sweep))
    assert stores.departures.next_nonce(CHAIN, ADDRESS) == 0
    assert stores.departures.bind(first, signed(first, 0))
    assert not stores.departures.bind(first, signed(first, 1)), "it is no longer due"
    assert not stores.departures.bind(second, signed(second, 0)), "the nonce is taken"
    assert not stores.departures.bind(second, signed(second, 2)), "there would be a gap"
    assert stores.departures.next_nonce(CHAIN, ADDRESS) == 1
    assert stores.departures.bind(second, signed(second, 1))
    assert [row.nonce for row in stores.departures.open(CHAIN, Place.ADDRESSES, limit=9)] == [0, 1]
    assert len(stores.departures.open(CHAIN, Place.ADDRESSES, limit=1)) == 1


def test_what_has_moved_on_is_not_replaced(stores: Stores) -> None:
    stores.lay(ADDRESS, "", 1_000)
    due = a_sweep()
    stores.departures.ask(due, asked_unswept(due))
    sent = signed(due, 0)
    stores.departures.bind(due, sent)
    raised = replace(sent, versions=(*sent.versions, Version("0xh2", "0x03", 8, 2, NOON_NS)))
    assert not stores.departures.replace(due, raised)
    assert stores.departures.replace(sent, raised)
    assert not stores.departures.replace(sent, raised)
    assert stores.departures.departure(CHAIN, due.departure_id) == raised


def test_an_end_is_posted_once_and_gives_back_what_the_fee_did_not_take(stores: Stores) -> None:
    stores.lay(ADDRESS, "", 1_000)
    due = a_sweep()
    stores.departures.ask(due, asked_unswept(due))
    sent = signed(due, 0)
    stores.departures.bind(due, sent)
    mined = Mined("0xh0", Block(5, "0xb5"), paid=True, cost_base_units=20 * 10**10 + 1)
    decided = ended(sent, Progress.PAID, mined, LISTING, reason="")
    assert stores.departures.replace(sent, decided)
    stale = ending_batch(decided, LISTING, Head(number=7), at_ns=NOON_NS)
    batch = ending_batch(decided, LISTING, stores.head(f"rail:{LISTING.rail}"), at_ns=NOON_NS)
    given = ended_unswept(decided)
    if isinstance(stores.departures, FakeDepartures):  # DynamoDB lets any number start a chain that is empty.
        assert not stores.departures.post(decided, stale, ending_movements(stale), given)
    assert stores.departures.post(decided, batch, ending_movements(batch), given)
    assert not stores.departures.post(decided, batch, ending_movements(batch), given)
    assert list(stores.departures.open(CHAIN, Place.ADDRESSES, limit=9)) == []
    assert stores.departures.departure(CHAIN, due.departure_id) == decided.closed()
    assert stores.departures.unswept(CHAIN)[ADDRESS][""] == 50 + 50 - 21
    has = stores.has
    assert has(LISTING.custody(Place.ADDRESSES), "ETH") == 921
    assert has(LISTING.custody(Place.HOT), "ETH") == -900
    assert has("house:costs:chain-testchain", "ETH") == -21
