"""Four ways to the same money: sound books have no break, and each thing put wrong is found under its own asset."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from exchange.approvals.model import Act, Proposal
from exchange.approvals.service import decide, propose
from exchange.approvals.store import ProposalItem, ProposalStore, bind_audit_rows
from exchange.audit.model import BankView, ChainView, World
from exchange.audit.trade_checks import events_of
from exchange.aws.dynamodb import bind, connection
from exchange.banking.model import Taking
from exchange.breaks.model import EXPLAIN, Break, BreakState, Way
from exchange.breaks.store import BreakItem, BreakStore, explain
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import Balance
from exchange.messages import OrderType, Side
from exchange.reconciliation.motion import Look
from exchange.reconciliation.service import LATE_NS, LOOKS_MAX, TAKING_MAX_NS, Outcome, reconcile
from exchange.risk.model import OrderTerms
from moto import mock_aws

from tests.fakes.chains import LISTING
from tests.fakes.markets import acme_usd
from tests.fakes.tables import create_tables
from tests.fakes.venue import Venue, a_deposit, a_trade

Change = Callable[[World], World]
NOW_NS = 3 * 10**18  # long after everything


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


def quiet(world: World) -> Look:
    """A look during which nothing moved."""
    return Look(world, {partition: len(batches) for partition, batches in world.batches.items()})


def outcome_of(*looks: Look) -> Outcome:
    """What looks one after the other, and again and again at the last, come to."""
    waiting = list(looks)
    return reconcile(lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0], later=lambda: None, at_ns=NOW_NS)


def found(*worlds: World) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """The breaches of worlds in which nothing moves."""
    outcome = outcome_of(*map(quiet, worlds))
    assert (outcome.unsettled, outcome.uncompared) == (set(), [])
    told: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for each in outcome.breaks:
        key = (each.asset, each.way.value, each.check)
        told[key] = (*told.get(key, ()), each.breach)
    return told


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
    assert [line.splitlines()[0] for line in breaks["USD", "ledger", "L4"]] == ["1 USD: off by +1 units"]


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
    assert found(richer(world), richer(world), world) == {}
    left = found(richer(world), richer(richer(world), "2"), richer(world))
    assert [line for line in left["USD", "ledger", "L4"] if line.startswith("2 ")] == []


class Busy:
    """A venue where the same comes in during each look: after some tables were read and before the others are."""

    def __init__(self, come: Callable[[Venue], object]) -> None:
        self.venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
        self.come = come
        for account in (1, 2):
            self.venue.deposit(account, "USD", 10**10)
            self.venue.deposit(account, "ACME", 10**8)

    def look(self, change: Change = lambda world: world) -> Look:
        """Balances as before, all else as after what comes in; `change` puts something wrong in both."""
        before = change(self.venue.world())
        marks = quiet(before).marks
        self.come(self.venue)
        return Look(replace(change(self.venue.world()), balances=before.balances), marks)

    def torn(self) -> Look:
        """Transfers as before, all else as after."""
        before = self.venue.world()
        marks = quiet(before).marks
        self.come(self.venue)
        return Look(replace(self.venue.world(), transfers=before.transfers), marks)


def compared(look: Callable[[], Look]) -> Outcome:
    return reconcile(look, later=lambda: None, at_ns=NOW_NS)


@pytest.mark.parametrize("come", [a_deposit, a_trade])
def test_the_same_amount_on_its_way_in_every_look_is_no_break(come: Callable[[Venue], object]) -> None:
    for name in ("look", "torn"):
        busy = Busy(come)
        assert compared(getattr(busy, name)).breaks == []
        assert found(busy.venue.world()) == {}


@pytest.mark.parametrize("come", [a_deposit, a_trade])
def test_what_is_missing_of_an_account_that_never_rests_is_a_break(come: Callable[[Venue], object]) -> None:
    busy = Busy(come)
    told = compared(lambda: busy.look(richer)).breaks
    (of_it,) = [each for each in told if each.check == "L4"]
    assert of_it.breach.startswith("1 USD: off by ")


def test_what_may_be_missing_or_on_its_way_is_not_said_to_agree() -> None:
    """As much is gone as comes in each time."""
    busy = Busy(a_deposit)

    def poorer(world: World) -> World:
        rows = [
            replace(row, available=row.available - 10_000_000) if (row.account, row.place) == ("1", "USD") else row
            for row in world.balances
        ]
        return replace(world, balances=rows)

    outcome = compared(lambda: busy.look(poorer))
    assert ("USD", "L4", "1 USD") in outcome.unsettled | {(each.asset, each.check, "1 USD") for each in outcome.breaks}


def test_what_others_tell_differs_when_it_does_by_the_same_three_times_and_still_does_later(world: World) -> None:
    def telling(units: int) -> Look:
        return quiet(replace(world, banks=[BankView("bank-files", "USD", units)]))

    moving = iter(range(1, 100))
    outcome = compared(lambda: telling(next(moving)))
    assert (outcome.breaks, outcome.unsettled) == ([], {("USD", "B1", "bank-files USD")})
    assert next(moving) == LOOKS_MAX + 1
    steady = outcome_of(telling(3), telling(5), telling(7))
    assert [(each.check, each.breach.splitlines()[0]) for each in steady.breaks] == [
        ("B1", "bank-files USD: off by -7 units")
    ]

    said = [7]
    outcome = reconcile(lambda: telling(said[0]), later=lambda: said.__setitem__(0, 0), at_ns=NOW_NS)
    assert outcome == Outcome()  # The statement had only come late.


@pytest.mark.parametrize("has", [0, 7])
def test_a_bank_of_which_a_file_is_being_taken_is_unsettled_whatever_it_comes_to(world: World, has: int) -> None:
    taking = Taking("USD", "inbox/day.xml", NOW_NS - TAKING_MAX_NS + 1)
    half = quiet(replace(world, banks=[BankView("bank-files", "USD", has, takings=[taking])]))
    assert outcome_of(half) == Outcome(unsettled={("USD", "B1", "bank-files USD")})
    whole = quiet(world)
    assert outcome_of(half, half, half, whole) == Outcome()


def test_a_file_that_is_begun_only_when_it_is_looked_again_excuses_what_differed(world: World) -> None:
    said: list[Taking] = []

    def look() -> Look:
        return quiet(replace(world, banks=[BankView("bank-files", "USD", 7, takings=list(said))]))

    def later() -> None:
        said.append(Taking("USD", "inbox/day.xml", NOW_NS))

    outcome = reconcile(look, later=later, at_ns=NOW_NS)
    assert outcome == Outcome(unsettled={("USD", "B1", "bank-files USD")})


@pytest.mark.parametrize("has", [0, 7])
def test_a_file_that_is_never_taken_to_its_end_is_told_by_name_and_excuses_nothing(world: World, has: int) -> None:
    taking = Taking("USD", "inbox/day.xml", NOW_NS - TAKING_MAX_NS)
    outcome = outcome_of(quiet(replace(world, banks=[BankView("bank-files", "USD", has, takings=[taking])])))
    assert [each.check for each in outcome.breaks] == ["B1"] * bool(has)
    (told,) = outcome.uncompared
    assert told.startswith("bank-files USD: file inbox/day.xml is being taken since 2065-01-24T04:")


def test_a_trade_that_is_not_due_yet_is_no_break() -> None:
    venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**8)
    a_trade(venue)
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1"))
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1"))
    venue.match()  # ... and settlement has not come to it.
    made = max(event.time_ns for event in events_of(venue.world(), "ACME-USD"))
    for age, late in ((LATE_NS - 1, set()), (LATE_NS, {"S1"})):
        outcome = reconcile(lambda: quiet(venue.world()), later=lambda: None, at_ns=made + age)
        assert {each.check for each in outcome.breaks} == late


def test_money_that_came_from_nowhere_between_places_of_a_balance_is_a_break(world: World) -> None:
    mine = next(row for row in world.balances if (row.account, row.place) == ("1", "USD"))
    rows = [row for row in world.balances if row is not mine]
    rows.append(replace(mine, available=mine.available + 5, shifted=mine.shifted + 5))
    assert {check for _, _, check in found(replace(world, balances=rows))} == {"L4"}


def test_each_difference_is_a_break_of_its_own_however_many_there_are(world: World) -> None:
    def wrong(accounts: int) -> list[Break]:
        rows = [Balance(str(100 + number), "EUR", 1, 0) for number in range(accounts)]
        told = outcome_of(quiet(replace(world, balances=[*world.balances, *rows]))).breaks
        return [each for each in told if each.check == "L4"]

    sixty, one_more = {each.name for each in wrong(60)}, {each.name for each in wrong(61)}
    assert len(sixty) == 60
    assert len(one_more - sixty) == 1


def test_a_chain_that_can_not_be_asked_is_not_compared_and_is_no_break(world: World) -> None:
    gone = ChainView(LISTING, (), {}, "its newest block has left the chain")
    outcome = outcome_of(quiet(replace(world, chains=[gone])))
    assert outcome.breaks == []
    assert outcome.uncompared == [f"{LISTING.chain}: its newest block has left the chain"]


A_BREAK = Break("USD", Way.BANK, "B1", "custody at a bank is what its statements say", "custody: off by +1 units", 7)


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
    other = replace(A_BREAK, breach="custody: off by +2 units")
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


def test_the_same_again_after_it_had_gone_is_another_break(breaks: BreakStore) -> None:
    assert breaks.take([A_BREAK], at_ns=8) == [A_BREAK]
    assert breaks.take([A_BREAK], at_ns=9) == []
    assert breaks.take([], at_ns=10) == []
    assert breaks.stopped("USD")  # What nobody has explained stays, found or not.
    assert isinstance(explained("oscar", 1), Proposal)
    # Nobody could tell: it is not gone yet.
    assert breaks.take([], at_ns=11, unknown={("USD", "B1", "custody")}) == []
    assert breaks.take([], at_ns=12, all_asked=False) == []
    assert breaks.take([], at_ns=12, unasked={"B1"}) == []
    assert breaks.take([A_BREAK], at_ns=13) == []
    assert not breaks.stopped("USD")
    assert breaks.take([], at_ns=14) == []
    assert breaks.take([A_BREAK], at_ns=15) == []  # It was looked for before it was gone.
    later = replace(A_BREAK, found_at_ns=16)
    (again,) = breaks.take([later], at_ns=17)
    assert again.break_id == f"{A_BREAK.break_id}-2"
    assert breaks.stopped("USD")
    assert sorted((each.occurrence, each.state) for each in breaks.all()) == [
        (1, BreakState.GONE), (2, BreakState.OPEN),
    ]  # fmt: skip
