"""Every invariant is named by at least one planted breach, here or in a file of its own; a healthy world has none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from exchange.audit import World, check, log_checks
from exchange.audit.model import BankView, Payment, Replayed, Said, Saved, Told, TransferRow
from exchange.audit.service import CHECKS
from exchange.books.files import books_of
from exchange.books.service import close_books
from exchange.fees.model import Rates
from exchange.messages import CommandRecord, OrderType, Side
from exchange.orders.model import OrderStatus
from exchange.payments.payouts import Payout
from exchange.risk.model import OrderTerms
from exchange.settlement.model import Cursor

from tests.fakes.books import FakeClosings, FakeJournal, FakeVault, RsaSigner
from tests.fakes.markets import acme_usd
from tests.fakes.venue import RAIL, Venue

SIGNER = RsaSigner()
PAYOUT = Payout("p", "USD", 6, 5, "bank-files", "ref", approved_at_ns=1)
PRODUCT = "ACME-USD"
TRADES = f"product:{PRODUCT}"


@pytest.fixture
def world() -> World:
    """Three customers have traded; one order is left open."""
    venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2, 3):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**8)
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1"))
    venue.place(3, OrderTerms(Side.SELL, OrderType.LIMIT, "101", "2"))
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "101", "2"))
    venue.match()
    venue.settle()
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "90", "1"))
    venue.match()
    venue.settle()
    return _closed(venue.world())


def _closed(world: World) -> World:
    """The world after its books were closed."""
    journal = FakeJournal({name: [batch for batch, _ in batches] for name, batches in world.batches.items()})
    vault, scales = FakeVault(), {"USD": 2, "ACME": 8}
    made = close_books(
        10**30,
        salt=bytes(32),
        scales=scales,
        journal=journal,
        closings=FakeClosings(),
        vault=vault,
        signer=SIGNER,
    )
    return replace(world, closings=[(made, books_of(made, vault=vault))])


def test_a_healthy_world_keeps_every_invariant(world: World) -> None:
    assert [breach for finding in check(world) for breach in finding.breaches] == []
    assert len({finding.name for finding in check(world)}) == len(CHECKS)


def _richer(world: World) -> World:
    first, *rest = world.balances
    return replace(world, balances=[replace(first, available=first.available + 1), *rest])


def _overdrawn(world: World) -> World:
    customer = next(balance for balance in world.balances if balance.account == "1")
    others = [balance for balance in world.balances if balance is not customer]
    return replace(world, balances=[replace(customer, available=-1), *others])


def _one_sided(world: World) -> World:
    (batch, stored), *rest = world.batches[TRADES]
    broken = replace(batch, entries=batch.entries[1:])
    return replace(world, batches={**world.batches, TRADES: [(broken, stored), *rest]})


def _rewritten(world: World) -> World:
    (batch, stored), *rest = world.batches[RAIL]
    return replace(world, batches={**world.batches, RAIL: [(replace(batch, reference="other"), stored), *rest]})


def _posted_twice(world: World) -> World:
    return replace(world, batches={**world.batches, RAIL: [*world.batches[RAIL], world.batches[RAIL][0]]})


def _forgotten_hold(world: World) -> World:
    orders = [replace(order, hold_units=order.hold_units - 1) if order.live else order for order in world.orders]
    return replace(world, orders=orders)


def _hold_after_the_end(world: World) -> World:
    done = next(order for order in world.orders if not order.live)
    return replace(world, orders=[*(o for o in world.orders if o is not done), replace(done, hold_units=1)])


def _dearer_fee(world: World) -> World:
    first, *rest = world.fills
    return replace(world, fills=[replace(first, fee_units=first.fee_units + 1), *rest])


def _lost_fill(world: World) -> World:
    return replace(world, fills=world.fills[1:])


def _beyond_the_limit(world: World) -> World:
    orders = [replace(o, price_ticks=1) if o.side is Side.BUY else o for o in world.orders]
    return replace(world, orders=orders)


def _missing_event_record(world: World) -> World:
    return replace(world, executions={PRODUCT: world.executions[PRODUCT][1:]}, cursors={}, replayed={})


def _two_truths(world: World) -> World:
    first, *rest = world.executions[PRODUCT]
    results = (replace(first.results[0], hash_after=bytes(32)), *first.results[1:])
    return replace(world, executions={PRODUCT: [first, replace(first, results=results), *rest]})


def _old_epoch(world: World) -> World:
    first, last = world.executions[PRODUCT]
    return replace(world, executions={PRODUCT: [replace(first, epoch=2), replace(last, epoch=1)]})


def _other_replay(world: World) -> World:
    sequence = world.replayed[PRODUCT].sequence
    return replace(world, replayed={PRODUCT: Replayed(sequence, bytes(32))})


def _lost_command(world: World) -> World:
    return replace(world, commands={PRODUCT: [CommandRecord(PRODUCT, ())]})


def _still_pending(world: World) -> World:
    return replace(world, orders=[replace(o, status=OrderStatus.PENDING) if o.live else o for o in world.orders])


def _behind(world: World) -> World:
    return replace(world, cursors={PRODUCT: Cursor.start(PRODUCT)})


def _after_its_end(world: World) -> World:
    first, last = world.executions[PRODUCT]
    done = next(e.order_id for r in first.results for e in r.events if e.type == 8)
    moved = tuple(replace(r, events=tuple(replace(e, order_id=done) for e in r.events)) for r in last.results)
    return replace(world, executions={PRODUCT: [first, replace(last, results=moved)]})


def _other_end_of_a_chain(world: World) -> World:
    *rest, (last, _) = world.batches[TRADES]
    return replace(world, batches={**world.batches, TRADES: [*rest, (last, bytes(32))]})


def _signed_for_less(world: World) -> World:
    ((closing, books),) = world.closings
    told = json.loads(closing.statement)
    told["liabilities"]["USD"]["units"] = "1"
    return replace(world, closings=[(replace(closing, statement=json.dumps(told)), books)])


def _lost_closing(world: World) -> World:
    ((closing, books),) = world.closings
    told = {**json.loads(closing.statement), "previous": "00" * 32}
    return replace(world, closings=[(replace(closing, statement=json.dumps(told)), books)])


def _marked_as_undone(world: World) -> World:
    first, *rest = world.fills
    return replace(world, fills=[replace(first, busted_at_ns=1), *rest])


def _lost_line(world: World) -> World:
    first, *rest = world.statements
    return replace(world, statements=[replace(first, lines=first.lines[1:]), *rest])


def _doubled_page(world: World) -> World:
    page = world.statements[0]
    again = replace(page, first=page.next_number, opening=page.closing)
    return replace(world, statements=[*world.statements, again])


def _wrong_opening(world: World) -> World:
    first, *rest = world.statements
    return replace(world, statements=[replace(first, opening=1), *rest])


def _overfilled(world: World) -> World:
    first, *rest = world.orders
    return replace(world, orders=[replace(first, filled_lots=first.size_lots + 1), *rest])


def _withdrawn(world: World, *, times: int) -> World:
    row = TransferRow("w", 1, "USD", 5, True, is_withdrawal=True, rail="profiles")
    return replace(
        world, transfers=[*world.transfers, row], payments=[Payment("w", "profiles", "USD", -5) for _ in range(times)]
    )


def _told(world: World, *answers: tuple[Said, str]) -> World:
    """The world with what a client heard, one answer after the other, of an order that is there."""
    named = replace(world.orders[0], client_oid="mine")
    history = [
        Told(named.account_id, "mine", said, asked_at=2 * n, told_at=2 * n + 1, order_id=named.order_id, status=status)
        for n, (said, status) in enumerate(answers)
    ]
    return replace(world, orders=[named, *world.orders[1:]], history=history)


def _denied(world: World) -> World:
    heard = _told(world, (Said.REFUSED, ""))
    return replace(heard, history=[replace(told, order_id=0) for told in heard.history])


def _vanished(world: World) -> World:
    return replace(world, history=[Told(99, "lost", Said.ACCEPTED, 1, 2)])


def _two_of_one_intent(world: World) -> World:
    return replace(world, orders=[replace(o, account_id=1, client_oid="mine") for o in world.orders])


def _canceled_and_live(world: World) -> World:
    live = next(order for order in world.orders if order.live)
    told = Told(live.account_id, "", Said.CANCELING, 1, 2, order_id=live.order_id)
    return replace(world, history=[told])


def _alive_again(world: World) -> World:
    return replace(world, orders=[replace(o, status=OrderStatus.OPEN, done_reason="") for o in world.orders])


def _answered_twice(world: World) -> World:
    first, last = world.executions[PRODUCT]
    named = next(r.command_id for r in first.results if r.events and any(r.command_id))
    again = tuple(replace(r, command_id=named) for r in last.results)
    return replace(world, executions={PRODUCT: [first, replace(last, results=again)]})


def _said_by_no_snapshot(world: World) -> World:
    return replace(world, saved=[Saved("shard/1/7", PRODUCT, 10**6, bytes(32))])


PLANTS = pytest.mark.parametrize(
    ("plant", "name"),
    [
        (_overfilled, "M4"),
        (lambda world: _withdrawn(world, times=2), "D3"),
        (lambda world: _withdrawn(world, times=0), "D3"),
        (lambda world: _withdrawn(world, times=1), "L7"),
        (_denied, "C1"),
        (_vanished, "C2"),
        (_two_of_one_intent, "C3"),
        (lambda world: _told(world, (Said.SEEN, "done"), (Said.SEEN, "open")), "C4"),
        (lambda world: _told(world, (Said.ACCEPTED, ""), (Said.ABSENT, "")), "C4"),
        (_canceled_and_live, "C6"),
        (_alive_again, "H4"),
        (_answered_twice, "R5"),
        (_said_by_no_snapshot, "R2"),
        (_lost_fill, "S3"),
        (lambda world: replace(world, banks=[BankView("test-bank", "USD", 1)]), "B1"),
        (lambda world: replace(world, transfers=world.transfers[1:]), "B2"),
        (lambda world: replace(world, providers=[BankView("stripe", "USD", 1)]), "B3"),
        (lambda world: replace(world, payouts=[PAYOUT]), "B4"),
        (_richer, "L1"),
        (_richer, "L4"),
        (_overdrawn, "L3"),
        (_one_sided, "L2"),
        (_rewritten, "L5"),
        (_marked_as_undone, "L11"),
        (_lost_line, "L8"),
        (_doubled_page, "L8"),
        (_wrong_opening, "L8"),
        (_other_end_of_a_chain, "L9"),
        (_signed_for_less, "L9"),
        (_lost_closing, "L9"),
        (_posted_twice, "D5"),
        (_forgotten_hold, "H1"),
        (_hold_after_the_end, "H5"),
        (_dearer_fee, "L6"),
        (_beyond_the_limit, "M3"),
        (_after_its_end, "M5"),
        (_lost_fill, "S1"),
        (_two_truths, "R3"),
        (_old_epoch, "R7"),
        (_other_replay, "R1"),
        (_lost_command, "R6"),
        (_still_pending, "R6"),
        (_behind, "S4"),
        (_missing_event_record, "S1"),
    ],
)
# Planted in files of their own.
ELSEWHERE = {
    "A1": "test_act_checks.py",
    "D8": "test_chain_checks.py",
    "D9": "test_chain_checks.py",
    "D10": "test_chain_checks.py",
    "L10": "test_award_checks.py",
}


def test_no_invariant_is_without_a_plant(world: World) -> None:
    planted = {str(name) for _, name in PLANTS.args[1]}
    assert planted | ELSEWHERE.keys() == {finding.name for finding in check(world)}
    assert not planted & ELSEWHERE.keys()
    assert all(Path(__file__).with_name(file).exists() for file in ELSEWHERE.values())


@PLANTS
def test_a_planted_breach_is_named(world: World, plant: Callable[[World], World], name: str) -> None:
    broken = {finding.name for finding in check(plant(world)) if not finding.holds}
    assert name in broken


def test_a_snapshot_older_than_the_stream_is_believed_where_settlement_has_come_past_it(world: World) -> None:
    first, *rest = world.executions[PRODUCT]
    old = Saved("shard/1/7", PRODUCT, first.last_sequence, bytes(32))
    trimmed = replace(world, executions={PRODUCT: rest}, saved=[old])
    assert log_checks.snapshots_are_published(trimmed).holds
    assert not log_checks.snapshots_are_published(replace(trimmed, cursors={})).holds
    assert not log_checks.snapshots_are_published(replace(world, saved=[old])).holds
