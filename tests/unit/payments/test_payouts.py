"""Payouts: each of Stripe's endings, lost answers, events in any order, files, and the write of the approval."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from exchange.approvals.model import Proposal, UnfitError
from exchange.aws.dynamodb import bind, connection
from exchange.banking.effects import PayoutEffect
from exchange.banking.model import RAIL, Posted
from exchange.banking.paying_out import change_to, hear, new_payout
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.instruments.model import Asset
from exchange.instruments.store import InstrumentItem
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from exchange.payments.model import STRIPE
from exchange.payments.payouts import UNDER_WAY, Stage, Told, moved
from exchange.stripe.provider import KEY_AGE_MAX_NS
from exchange.transfers.store import TransferItem
from moto import mock_aws
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from tests.fakes.payout_world import BANK, PayoutWorld, no_pause
from tests.fakes.tables import create_tables
from tests.fakes.wallets import ASSETS, CrashError, Cuts, FakeClock

# The amount in cents, what the payout is then, and what Stripe, the way between and the bank have of 100.00.
ENDINGS = [
    (1_000, Stage.PAID, 9_000, 0, 1_000),
    (1_011, Stage.FAILED, 10_000, 0, 0),
    (1_012, Stage.FAILED, 10_000, 0, 0),
    (1_013, Stage.CANCELED, 10_000, 0, 0),
    (1_014, Stage.SENT, 8_986, 1_014, 0),
    (1_015, Stage.PAID, 8_985, 0, 1_015),
]


def a_world(cuts: Cuts | None = None, *, fee_ppm: int = 0) -> PayoutWorld:
    world = PayoutWorld(cuts, fee_ppm=fee_ppm)
    world.hold(10_000)
    return world


def after_all(world: PayoutWorld) -> None:
    world.run()
    for body in list(world.events):
        world.hear(body)
    world.run()


@pytest.mark.parametrize(("cents", "stage", "stripe", "way", "bank"), ENDINGS)
def test_money_is_where_stripe_says_that_it_is(cents: int, stage: Stage, stripe: int, way: int, bank: int) -> None:
    world = a_world()
    payout = world.approve(cents)
    assert payout is not None
    assert (world.cents(STRIPE), world.cents(UNDER_WAY)) == (10_000 - cents, cents)
    after_all(world)
    assert world.files.paid_out[payout.payout_id].stage is stage
    assert (world.cents(STRIPE), world.cents(UNDER_WAY), world.cents(BANK)) == (stripe, way, bank)
    world.sound()


@pytest.mark.parametrize("act", ["pay", "fail", "cancel"])
def test_a_late_payout_ends_when_stripe_says_so(act: str) -> None:
    world = a_world()
    payout = world.approve(1_014)
    assert payout is not None
    after_all(world)
    world.end(payout, act)
    assert world.hear(world.events[-1]) == "recorded"
    assert world.hear(world.events[-1]) == "repeated"
    world.at_rest()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=lambda order: "".join(map(str, order)))
def test_events_in_any_order_each_twice_come_to_the_same(order: tuple[int, ...]) -> None:
    world = a_world()
    payout = world.approve(1_012)  # paid, and failed after that
    assert payout is not None
    world.run()
    assert len(world.events) == 3
    for which in order:
        world.hear(world.events[which])
        world.hear(world.events[which])
    world.at_rest()
    assert world.files.paid_out[payout.payout_id].reason == "The bank account has been closed."


@pytest.mark.parametrize("told", list(itertools.permutations([Stage.SENT, Stage.PAID, Stage.FAILED])))
def test_what_was_asked_for_earlier_and_written_later_moves_nothing_back(told: tuple[Stage, ...]) -> None:
    world = a_world()
    payout = world.approve(1_000)
    assert payout is not None
    for stage in told:
        said = Told(payout.payout_id, stage, "po_1")
        hear(said, payouts=world.files, journal=world.books, clock=world.clock, pause=no_pause)
        world.sound()
    assert world.files.paid_out[payout.payout_id].stage is Stage.FAILED
    assert world.cents(STRIPE) == 10_000


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("cents", [1_000, 1_011, 1_012])
def test_a_crash_at_any_reach_outside_pays_once(cents: int, at: int, after: bool) -> None:
    world = a_world()
    world.approve(cents)
    world.cuts.at, world.cuts.after, world.cuts.count = at, after, 0
    for _ in range(3):
        try:
            after_all(world)
        except CrashError:
            continue
    assert len(world.made()) == 1
    world.at_rest()


def test_a_lost_answer_is_found_when_stripe_has_forgotten_the_key() -> None:
    world = a_world()
    world.approve(1_014)
    world.cuts.at, world.cuts.after, world.cuts.count = 1, True, 0
    with pytest.raises(CrashError):
        world.run()
    assert len(world.made()) == 1
    world.sandbox.answered.clear()
    world.clock.at_ns += KEY_AGE_MAX_NS
    world.run()
    assert len(world.made()) == 1
    assert [payout.stage for payout in world.files.payouts()] == [Stage.SENT]


def test_what_stripe_refuses_to_make_is_its_to_keep_for_us() -> None:
    world = a_world()
    payout = world.approve(9_000)
    assert payout is not None
    world.sandbox.funds.move("adjustment", {"id": "du", "currency": "usd"}, -5_000)
    world.run()
    kept = world.files.paid_out[payout.payout_id]
    assert (kept.stage, kept.reason) == (Stage.FAILED, "refused by Stripe: balance_insufficient")
    assert (world.cents(STRIPE), world.cents(UNDER_WAY)) == (10_000, 0)
    assert world.files.open_payouts() == []


def test_a_payout_that_is_none_of_ours_changes_nothing() -> None:
    world = a_world()
    world.sandbox.funds.pay_out({"amount": "500", "currency": "usd"}, {})
    assert [world.hear(body) for body in [*world.events, *world.sandbox._outbox]] == ["ignored", "ignored"]
    assert world.cents(STRIPE) == 10_000


def test_the_banks_line_says_that_it_arrived_and_stripes_word_does_not() -> None:
    world = a_world()
    payout = world.approve(1_000, rail=RAIL)
    assert payout is not None
    after_all(world)
    assert world.files.paid_out[payout.payout_id].stage is Stage.PAID
    assert (world.cents(UNDER_WAY), world.cents(RAIL)) == (1_000, 0)
    world.take_all()
    assert (world.cents(UNDER_WAY), world.cents(RAIL)) == (0, 1_000)
    world.bank.close_day("USD")
    world.take_all()
    world.at_rest()
    assert world.alarms == []


def test_what_the_bank_takes_back_is_under_way_until_stripe_has_it() -> None:
    world = a_world()
    payout = world.approve(1_014, rail=RAIL)
    assert payout is not None
    after_all(world)
    world.end(payout, "pay")
    world.take_all()
    booking = world.bank.accounts["USD"].bookings[-1]
    world.bank.recall("USD", booking.reference)
    world.take_all()
    assert (world.cents(STRIPE), world.cents(UNDER_WAY), world.cents(RAIL)) == (8_986, 1_014, 0)
    world.end(payout, "fail")
    after_all(world)
    world.at_rest()
    assert world.cents(STRIPE) == 10_000


@pytest.mark.parametrize("cents", [999, 1_001])
def test_a_line_of_another_amount_is_nobodys_yet(cents: int) -> None:
    world = a_world()
    payout = world.approve(1_014, rail=RAIL)
    assert payout is not None
    after_all(world)
    amount = f"{cents // 100}.{cents % 100:02d}"
    world.bank.transfer("USD", amount, payout.reference, name="Stripe", iban="IE29AIBK93115212345678")
    world.take_all()
    assert world.cents(UNDER_WAY) == 1_014
    assert [case.units for case in world.files.found.values()] == [cents * 10_000]


def test_what_stripe_takes_is_a_cost_of_the_venue_each_charge_once() -> None:
    world = a_world(fee_ppm=5_000)
    world.sandbox.funds.move("stripe_fee", {"id": "", "currency": "usd"}, -30)
    assert (world.post_costs(), world.post_costs()) == (2, 0)
    assert world.books.balances["house:costs:stripe", "USD"] == -800_000
    assert world.cents(STRIPE) == 9_920
    world.clock.at_ns += 3_600_000_000_000
    world.sandbox.funds.move("payment", {"id": "pi", "currency": "usd"}, 1)
    assert world.post_costs() == 1
    assert world.books.balances["house:costs:stripe", "USD"] == -810_000  # a cent at least


def test_a_fee_that_stripe_gives_back_is_no_cost_any_more() -> None:
    world = a_world(fee_ppm=5_000)
    values = {"amount": 0, "fee": -50, "net": 50, "currency": "usd"}
    world.sandbox.funds.keep("balance_transaction", "txn", type="adjustment", source="du", **values)
    assert world.post_costs() == 2
    assert world.books.balances["house:costs:stripe", "USD"] == 0
    world.at_rest()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 14))
def test_a_crash_anywhere_posts_each_cost_once(at: int, after: bool) -> None:
    world = a_world(fee_ppm=5_000)
    world.hold(500)
    world.cuts.at, world.cuts.after, world.cuts.count = at, after, 0
    for _ in range(2):
        with suppress(CrashError):
            world.post_costs()
    assert world.books.balances["house:costs:stripe", "USD"] == -530_000
    world.at_rest()


@pytest.mark.parametrize("amount", ["0", "0.001", "-1", "1e3", "ten", "1.005"])
def test_an_amount_that_stripe_does_not_move_is_refused(amount: str) -> None:
    made = new_payout("p", asset=ASSETS["USD"], amount=amount, rail=BANK, at_ns=1)
    assert isinstance(made, Refused)


Apply = Callable[[Proposal], None]


@pytest.fixture
def tables() -> Iterator[BankFileStore]:
    with mock_aws():
        create_tables("bank_files", "transfers", "balances", "journal", "instruments")
        for model, name in (
            (BankFileItem, "bank_files"),
            (TransferItem, "transfers"),
            (BalanceItem, "balances"),
            (JournalItem, "journal"),
            (InstrumentItem, "instruments"),
        ):
            bind(model, name)
        BalanceItem("house:custody:stripe", "USD", available=-100_000_000).save()
        BalanceItem("7", "USD", available=100_000_000).save()
        yield BankFileStore(connection())


def wanted(amount: str, rail: str = BANK, *, number: int = 1) -> Proposal:
    payload = {"asset": "USD", "amount": amount, "rail": rail}
    return Proposal(f"proposal {number}", "stripe.payout", payload, "the bank runs low", "olivia", 1, 2)


def apply(files: BankFileStore, proposal: Proposal) -> None:
    places: dict[tuple[str, str], Asset] = {("USD", BANK): ASSETS["USD"], ("USD", RAIL): ASSETS["USD"]}
    effect = PayoutEffect(lambda: places, files=files, clock=FakeClock())
    with TransactWrite(connection=connection()) as transaction:
        effect.apply(transaction, proposal)


def test_an_approval_takes_at_most_what_stripe_holds(tables: BankFileStore) -> None:
    with pytest.raises(TransactWriteError):
        apply(tables, wanted("100.01"))
    assert tables.payouts() == []
    apply(tables, wanted("60"))
    with pytest.raises(TransactWriteError):
        apply(tables, wanted("60", number=2))
    with pytest.raises(TransactWriteError):
        apply(tables, wanted("1"))  # the same proposal pays once
    apply(tables, wanted("40", number=3))
    assert BalanceItem.get("house:custody:stripe", "USD").available == 0
    assert BalanceItem.get("house:custody:stripe-payouts", "USD").available == -100_000_000
    assert [payout.amount for payout in tables.open_payouts()] == ["60", "40"]


def test_a_place_that_we_have_no_account_at_is_unfit(tables: BankFileStore) -> None:
    for proposal in (wanted("1", "nowhere"), wanted("1", RAIL), wanted("0.001")):
        with pytest.raises(UnfitError):
            apply(tables, proposal)


def test_the_tables_keep_a_payout_as_it_moves(tables: BankFileStore) -> None:
    apply(tables, wanted("60"))
    (payout,) = tables.open_payouts()
    journal, clock = JournalStore(), FakeClock()
    told = Told(payout.payout_id, Stage.PAID, "po_1")
    assert hear(told, payouts=tables, journal=journal, clock=clock, pause=no_pause) == "recorded"
    assert hear(told, payouts=tables, journal=journal, clock=clock, pause=no_pause) == "repeated"
    assert tables.open_payouts() == []
    assert BalanceItem.get(f"house:custody:{BANK}", "USD").available == -60_000_000
    failed = Told(payout.payout_id, Stage.FAILED, "po_1", "closed")
    assert hear(failed, payouts=tables, journal=journal, clock=clock, pause=no_pause) == "recorded"
    kept = tables.payout(payout.payout_id)
    assert kept is not None
    assert (kept.stage, kept.arrived, kept.stripe_id, kept.reason) == (Stage.FAILED, False, "po_1", "closed")
    assert BalanceItem.get("house:custody:stripe", "USD").available == -100_000_000
    assert [batch.number for batch, _ in journal.batches("rail:stripe")] == [1, 2, 3, 4]
    unknown = hear(Told("nobody", Stage.PAID), payouts=tables, journal=journal, clock=clock, pause=no_pause)
    assert isinstance(unknown, Refused)


def test_a_payout_that_moved_meanwhile_is_not_written_over(tables: BankFileStore) -> None:
    apply(tables, wanted("60"))
    (payout,) = tables.open_payouts()
    journal, clock = JournalStore(), FakeClock()
    hear(Told(payout.payout_id, Stage.SENT, "po_1"), payouts=tables, journal=journal, clock=clock, pause=no_pause)
    stale = Told(payout.payout_id, Stage.PAID)

    assert tables.change(change_to(moved(payout, stale), payout, journal=journal, at_ns=1)) is Posted.LOST
