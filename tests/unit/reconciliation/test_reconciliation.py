"""Four ways to the same money: sound books have no break, and each thing put wrong is found under its own asset."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from exchange.approvals.model import Act, Proposal
from exchange.approvals.service import decide, propose
from exchange.approvals.store import ProposalItem, ProposalStore, bind_audit_rows
from exchange.audit.model import BankView, World
from exchange.aws.dynamodb import bind, connection
from exchange.breaks.model import EXPLAIN, Break, BreakState, Way
from exchange.breaks.store import BreakItem, BreakStore, explain
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import Balance
from exchange.messages import OrderType, Side
from exchange.reconciliation.service import LOOKS_MAX, reconcile
from exchange.risk.model import OrderTerms
from moto import mock_aws

from tests.fakes.markets import acme_usd
from tests.fakes.tables import create_tables
from tests.fakes.venue import Venue

Change = Callable[[World], World]


@pytest.fixture(scope="module")
def world() -> World:
    """Two customers who traded once."""
    venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**8)
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1"))
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1"))
    venue.match()
    venue.settle()
    return venue.world()


def found(*looks: World) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """What looks at these worlds, and again at the last, make of it."""
    waiting = list(looks)
    breaks = reconcile(lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0], at_ns=1)
    return {(each.asset, each.way.value, each.check): each.details for each in breaks}


def richer(world: World, account: str = "1") -> World:
    """One unit of dollars more than the journal knows."""
    rows = [
        replace(row, available=row.available + 1) if (row.account, row.place) == (account, "USD") else row
        for row in world.balances
    ]
    return replace(world, balances=rows)


def test_sound_books_have_no_break(world: World) -> None:
    assert found(world) == {}


def test_a_balance_that_the_journal_does_not_explain_is_a_break_of_its_asset_alone(world: World) -> None:
    breaks = found(richer(world))
    assert {(asset, way) for asset, way, _ in breaks} == {("USD", "ledger")}
    assert any(line.startswith("1 USD: off by +1 units\n    stored") for line in breaks["USD", "ledger", "L4"])


def test_a_trade_that_was_never_settled_is_a_break_of_both_its_assets(world: World) -> None:
    lost = replace(world, fills=[], batches={k: v for k, v in world.batches.items() if not k.startswith("product:")})
    breaks = found(lost)
    assert breaks["ACME", "log", "S1"] == breaks["USD", "log", "S1"]
    assert breaks["USD", "log", "S1"][0].endswith("1 matches, 0 entries, 0 fills")


def test_trades_that_the_log_no_longer_has_are_not_missed_in_it(world: World) -> None:
    assert found(replace(world, executions={})) == {}


@pytest.mark.parametrize(("units", "breaks"), [(50, False), (49, True), (51, True)])
def test_a_bank_that_has_another_amount_is_a_break_with_what_is_behind_its_balance(
    world: World, units: int, breaks: bool
) -> None:
    custody = [Balance("house:custody:bank-files", "USD", -50, 0), Balance("9", "USD", 50, 0)]
    view = BankView("bank-files", "USD", units, ["line X: 0.5, not stated yet"])
    told = found(replace(world, balances=[*world.balances, *custody], banks=[view]))
    details = told.get(("USD", "bank", "B1"), ())
    assert bool(details) == breaks
    if breaks:
        below = f"custody 50, the bank {units}\n    line X: 0.5, not stated yet"
        assert details == (f"bank-files USD: off by {50 - units:+} units\n    {below}",)


def test_custody_that_no_provider_confirmed_is_a_break(world: World) -> None:
    assert ("ACME", "bank", "B2") in found(replace(world, transfers=[]))


def test_what_differs_in_one_look_only_was_under_way(world: World) -> None:
    assert found(richer(world), world) == {}
    assert found(world, richer(world)) == {}
    left = found(richer(world), richer(richer(world), "2"), richer(world))
    assert [line for line in left["USD", "ledger", "L4"] if line.startswith("2 ")] == []


def test_what_differs_by_the_same_while_both_sides_move_is_one_break(world: World) -> None:
    """Between any two looks something is paid into the same custody, as on a busy exchange."""

    def after(paid: int) -> World:
        custody = [Balance("house:custody:bank-files", "USD", -paid, 0), Balance("9", "USD", paid, 0)]
        view = BankView("bank-files", "USD", paid - 7, [f"closed at {paid - 7}"])
        return replace(world, balances=[*world.balances, *custody], banks=[view])

    first, second = found(after(100), after(250)), found(after(900), after(1_000))
    assert first["USD", "bank", "B1"] == (
        "bank-files USD: off by +7 units\n    custody 250, the bank 243\n    closed at 243",
    )
    names = {Break("USD", Way.BANK, "B1", "", told["USD", "bank", "B1"]).break_id for told in (first, second)}
    assert len(names) == 1


def test_a_difference_that_is_never_the_same_is_no_break_and_ends(world: World) -> None:
    looks = [richer(world)]
    for _ in range(9):
        looks.append(richer(looks[-1]))
    waiting = iter(looks)
    assert reconcile(lambda: next(waiting), at_ns=1) == []
    assert len(list(waiting)) == len(looks) - LOOKS_MAX


A_BREAK = Break("USD", Way.BANK, "B1", "custody at a bank is what its statements say", ("custody 50, the bank 49",), 7)


@pytest.fixture
def breaks() -> Iterator[BreakStore]:
    with mock_aws():
        create_tables("breaks", "proposals", "audit_rows")
        for model, name in ((BreakItem, "breaks"), (ProposalItem, "proposals")):
            bind(model, name)
        bind_audit_rows("audit_rows")
        yield BreakStore(connection())


def act(who: str, number: int) -> Act:
    return Act(who, 10**18 + number, "request", f"row-{who}-{number}", "the bank's file was late")


def explained(checker: str, number: int, asset: str = "USD") -> Proposal | Refused:
    """One operator explains, another approves."""
    proposals = ProposalStore(connection(), {EXPLAIN: explain})
    payload = {"asset": asset, "break_id": A_BREAK.break_id}
    reason = "the bank's file was late"
    wanted = Proposal(f"p{number}", EXPLAIN, payload, reason, "olivia", 10**18, 2 * 10**18)
    propose(wanted, act("olivia", number), proposals=proposals)
    return decide(
        wanted.proposal_id, wanted.payload_hash, act(checker, number + 1),
        approved=True, immediate={EXPLAIN}, proposals=proposals,
    )  # fmt: skip


def test_a_break_stops_its_asset_until_two_operators_have_explained_it(breaks: BreakStore) -> None:
    assert not breaks.stopped("USD")
    assert [breaks.open(A_BREAK), breaks.open(A_BREAK)] == [True, False]
    other = replace(A_BREAK, details=("custody 50, the bank 48",))
    assert breaks.open(other)
    assert (breaks.stopped("USD"), breaks.stopped("EUR")) == (True, False)
    own = explained("olivia", 1)
    assert isinstance(own, Refused)
    assert own.code is Code.PROPOSAL_OWN
    assert breaks.stopped("USD")
    assert isinstance(explained("oscar", 3), Proposal)
    assert breaks.stopped("USD")  # The other one is open still.
    again = explained("oscar", 5)
    assert isinstance(again, Refused)
    kept = {each.break_id: each for each in breaks.all()}
    assert kept[A_BREAK.break_id].state is BreakState.EXPLAINED
    assert kept[A_BREAK.break_id].explained_by == "olivia, oscar"
    assert not breaks.open(A_BREAK)  # What was explained is found again, and stops nothing.
    assert BreakItem.get("USD", "stop").open_count == 1


def test_what_is_not_open_can_not_be_explained(breaks: BreakStore) -> None:
    assert isinstance(explained("oscar", 1), Refused)
    assert not breaks.stopped("USD")
