"""Whatever was traded, undone, cut off or run twice: nothing is made or lost, each payee has what is due, once."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from exchange.awards.service import AWARDS_A_BATCH, Desk, pay_awards
from exchange.fees.model import PPM, Commission, FeeSchedule, Rates, Rebate, Tier, flat
from exchange.fees.sharing import ShareKind
from exchange.instruments.model import Asset, list_product
from exchange.kernel.errors import OutcomeUnknownError
from exchange.ledger.model import Batch, Entry, EntryKind
from exchange.referrals.model import Referral
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.awards import FakeLedger, trade_entries
from tests.fakes.venue import ManualClock

DAY_NS = 86_400 * 10**9
USD, BTC, ETH = Asset("USD", "Dollar", 6), Asset("BTC", "Bitcoin", 8, "crypto"), Asset("ETH", "Ether", 8, "crypto")
BTC_USD = list_product(
    "BTC-USD", base=BTC, quote=USD, base_increment="0.0001", quote_increment="0.01", base_min_size="0.0001",
    base_max_size="1000", min_market_funds="1", reference_price="50000",
)  # fmt: skip
ETH_BTC = list_product(
    "ETH-BTC", base=ETH, quote=BTC, base_increment="0.001", quote_increment="0.00001", base_min_size="0.001",
    base_max_size="1000", min_market_funds="0.001",
)  # fmt: skip
PRODUCTS = {"BTC-USD": BTC_USD, "ETH-BTC": ETH_BTC}
REFERRERS = (101, 102)


@dataclass(frozen=True)
class Deal:
    """A trade to be: who, for how much, with which fees; undone `undone_after` periods later, or never."""

    product_id: str
    maker: int
    taker: int
    value: int
    maker_fee: int
    taker_fee: int
    undone_after: int | None


DEALS = st.builds(
    Deal,
    st.sampled_from(sorted(PRODUCTS)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 10**9),
    st.integers(0, 10**4) | st.just(0),
    st.integers(0, 10**6),
    st.none() | st.integers(0, 2),
)
PERIODS = st.lists(st.lists(DEALS, max_size=6), min_size=1, max_size=4)
VERSIONS = st.builds(
    lambda share, days, rebate, begin: (
        flat(0, 0),
        FeeSchedule(
            begin * DAY_NS,
            (Tier(0, Rates(0, 999_999)),),
            rebates=(Rebate("", rebate), Rebate("ETH-BTC", 1)) if rebate * PPM <= (PPM - share) * 999_999 else (),
            commission=Commission(share, days),
        ),
    ),
    st.integers(1, 900_000),
    st.integers(1, 3),
    st.integers(1, 90_000),
    st.integers(0, 2),
)
BROUGHT = st.dictionaries(
    st.integers(1, 4), st.builds(Referral, st.sampled_from(REFERRERS), st.integers(0, 2).map(lambda day: day * DAY_NS))
)


def posted_periods(ledger: FakeLedger, periods: list[list[Deal]]) -> list[list[Batch]]:
    """Every period's batches: its trades, then what is undone in it."""
    for account in range(1, 5):
        ledger.balances[str(account), "USD"] = ledger.balances[str(account), "BTC"] = 10**15
        ledger.balances[str(account), "ETH"] = 10**15
    batches: list[list[Batch]] = []
    undone: dict[int, list[tuple[Deal, int]]] = {}
    number = 0
    for day, deals in enumerate(periods):
        own: list[Batch] = []
        for deal in deals:
            number += 1
            entries = entries_of(deal, number)
            own.append(ledger.append(f"product:{deal.product_id}", day * DAY_NS + number, str(number), entries))
            if deal.undone_after is not None:
                undone.setdefault(day + deal.undone_after, []).append((deal, number))
        for deal, trade in undone.get(day, []):
            back = [
                Entry(e.account, e.asset, -e.units, EntryKind.REVERSAL, e.reference) for e in entries_of(deal, trade)
            ]
            own.append(ledger.append(f"busts:{deal.product_id}", (day + 1) * DAY_NS - 1, str(trade), back))
        batches.append(own)
    return batches


def entries_of(deal: Deal, number: int) -> list[Entry]:
    return trade_entries(
        deal.product_id,
        number,
        maker=deal.maker,
        taker=deal.taker,
        size=1000,
        value=deal.value,
        fees=(deal.maker_fee, deal.taker_fee),
    )


def desk(ledger: FakeLedger, versions: tuple[FeeSchedule, ...]) -> Desk:
    return Desk(PRODUCTS, versions, ledger, ledger, ledger, ManualClock(), lambda _: None)


Payee = tuple[str, ShareKind, int]
Exact = defaultdict[Payee, Fraction]


def earned(periods: list[list[Deal]], version: FeeSchedule, brought: dict[int, Referral]) -> list[Exact]:
    """By period, what each payee earned exactly, worked out a trade at a time without any of the code under test."""
    found: list[Exact] = [defaultdict(Fraction) for _ in range(len(periods) + 3)]
    number = 0
    for day, deals in enumerate(periods):
        for deal in deals:
            number += 1
            at_ns = day * DAY_NS + number
            if at_ns < version.effective_ns or version.commission is None:
                continue
            signs = [(day, 1)] + ([] if deal.undone_after is None else [(day + deal.undone_after, -1)])
            left = Fraction(deal.maker_fee + deal.taker_fee)
            for payer, fee in ((deal.maker, deal.maker_fee), (deal.taker, deal.taker_fee)):
                of = brought.get(payer)
                if of and of.since_ns <= at_ns < of.since_ns + version.commission.days * DAY_NS:
                    share = Fraction(fee * version.commission.share_ppm, PPM)
                    left -= share
                    for when, sign in signs:
                        found[when][deal.product_id, ShareKind.COMMISSION, of.referrer_id] += sign * share
            rates = {row.product_id: row.rate_ppm for row in version.rebates}
            rate = rates.get(deal.product_id, rates.get("", 0))
            for when, sign in signs:
                rebate = min(Fraction(deal.value * rate, PPM), left)
                found[when][deal.product_id, ShareKind.REBATE, deal.maker] += sign * rebate
    return found


@given(PERIODS, VERSIONS, BROUGHT)
def test_each_has_what_is_due_rounded_down_and_the_house_keeps_the_rest(
    periods: list[list[Deal]], versions: tuple[FeeSchedule, ...], brought: dict[int, Referral]
) -> None:
    ledger = FakeLedger(referrals=brought)
    batches = posted_periods(ledger, periods)
    exact = earned(periods, versions[1], brought)
    totals: Exact = defaultdict(Fraction)
    paid: Counter[Payee] = Counter()
    for number, own in enumerate(batches, 1):
        before = ledger.balances.copy()
        awards = pay_awards(number, own, desk(ledger, versions))
        income = Counter[str]()
        for batch in own:
            for entry in batch.entries:
                if entry.account.startswith("house:fees:"):
                    income[entry.account.removeprefix("house:fees:")] += entry.units
        given_back = Counter[str]()
        for payee, share in exact[number - 1].items():
            totals[payee] += share
        for award in awards:
            key = award.key.product_id, award.key.kind, award.key.payee_id
            given_back[award.key.product_id] += award.units
            assert 0 <= award.units <= award.due_units == max(int((totals[key] - paid[key]) // 1), 0)
            assert award.units == award.due_units or income[award.key.product_id] < sum(
                row.due_units for row in awards if row.key.product_id == award.key.product_id
            )
            paid[key] += award.units
            assert totals[key] - paid[key] == Fraction(award.carry_micro_units, PPM)
        for product_id in PRODUCTS:
            quote = product_id.split("-")[1]
            spent = f"house:costs:awards:{product_id}", quote
            assert before[spent] - ledger.balances[spent] == given_back[product_id]
            assert ledger.balances[f"house:fees:{product_id}", quote] == before[f"house:fees:{product_id}", quote]
            assert given_back[product_id] <= max(income[product_id], 0)
        for asset in ("USD", "BTC", "ETH"):
            assert sum(u for (_, a), u in ledger.balances.items() if a == asset) == 4 * 10**15
    assert sum(entry.units for entry in ledger.posted()) == sum(paid.values())


@settings(max_examples=60)
@given(PERIODS, VERSIONS, BROUGHT, st.integers(0, 3), st.booleans())
def test_lost_answers_second_runs_and_two_at_once_change_nothing(
    periods: list[list[Deal]],
    versions: tuple[FeeSchedule, ...],
    brought: dict[int, Referral],
    lost: int,
    rival: bool,
) -> None:
    calm, rough = FakeLedger(referrals=brought), FakeLedger(referrals=brought)
    batches = posted_periods(calm, periods)
    assert posted_periods(rough, periods) == batches
    for number, own in enumerate(batches, 1):
        expected = pay_awards(number, own, desk(calm, versions))
        rough.lost_answers = lost
        if rival:
            rough.before_post = partial(unheard, number, own, rough, versions)
        while not unheard(number, own, rough, versions):
            pass
        assert pay_awards(number, own, desk(rough, versions)) == expected
        assert pay_awards(number, own, desk(rough, versions)) == expected
    assert rough.balances == calm.balances
    assert rough.rows == calm.rows
    assert sorted(map(repr, rough.posted())) == sorted(map(repr, calm.posted()))


def unheard(number: int, own: list[Batch], ledger: FakeLedger, versions: tuple[FeeSchedule, ...]) -> bool:
    try:
        pay_awards(number, own, desk(ledger, versions))
    except OutcomeUnknownError:
        return False
    return True


def test_many_payees_are_paid_in_several_writes_and_a_broken_run_goes_on() -> None:
    version = FeeSchedule(0, (Tier(0, Rates(0, 6000)),), rebates=(Rebate("", 1000),))
    ledger = FakeLedger()
    makers = range(1, 3 * AWARDS_A_BATCH)
    own = [
        ledger.append(
            "product:BTC-USD",
            number,
            str(number),
            trade_entries(
                "BTC-USD", number, maker=number, taker=1000, size=1, value=1_000_000 + number, fees=(0, 6001)
            ),
        )
        for number in makers
    ]
    ledger.lost_answers = 1
    assert not unheard(1, own, ledger, (version,))
    assert len(ledger.rows) == AWARDS_A_BATCH
    awards = pay_awards(1, own, desk(ledger, (version,)))
    assert [award.units for award in awards] == [1000 for _ in makers]
    assert len(ledger.chains["awards:BTC-USD"]) == 3
    assert Counter(entry.account for entry in ledger.posted()) == Counter(str(maker) for maker in makers)
