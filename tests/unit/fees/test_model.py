"""Tiers, promotions and versions: what an order costs, and what can't be published."""

import datetime as dt
import json

import pytest
from exchange.fees.document import read_schedule, schedule_document
from exchange.fees.model import (
    VOLUME_DAYS,
    FeeSchedule,
    FeeScheduleError,
    Promotion,
    Rates,
    Standing,
    Tier,
    Traded,
    flat,
    format_rate,
    published,
    rates_for,
    version_at,
)
from hypothesis import assume, given
from hypothesis import strategies as st

DAY_NS = 86_400 * 10**9
TIERS = (Tier(0, Rates(4000, 6000)), Tier(1_000_000, Rates(2500, 4000)), Tier(10_000_000, Rates(0, 1000)))
EUR_TIERS = (Tier(0, Rates(0, 500)),)
SUMMER = Promotion("ETH-BTC", 100, 200, Rates(0, 5000))
SCHEDULE = FeeSchedule(0, TIERS, {"EUR-USD": EUR_TIERS}, (SUMMER,))


@pytest.mark.parametrize(("maker", "taker"), [(0, 0), (0, 1), (4000, 6000), (6000, 6000), (0, 999_999)])
def test_a_maker_pays_at_most_what_a_taker_pays(maker: int, taker: int) -> None:
    assert (Rates(maker, taker).maker_ppm, Rates(maker, taker).taker_ppm) == (maker, taker)


@pytest.mark.parametrize(("maker", "taker"), [(-1, 0), (1, 0), (6001, 6000), (0, 1_000_000), (0, -1)])
def test_other_rates_are_refused(maker: int, taker: int) -> None:
    with pytest.raises(FeeScheduleError, match="0 <= maker <= taker < 1"):
        Rates(maker, taker)


@pytest.mark.parametrize(
    ("rate_ppm", "text"), [(0, "0"), (1, "0.000001"), (6000, "0.006"), (4500, "0.0045"), (100_000, "0.1")]
)
def test_a_rate_is_written_exactly(rate_ppm: int, text: str) -> None:
    assert format_rate(rate_ppm) == text


@pytest.mark.parametrize(
    ("product_id", "volume", "at", "expected"),
    [
        ("ACME-USD", 0, 0, (4000, 6000)),
        ("ACME-USD", 999_999, 0, (4000, 6000)),
        ("ACME-USD", 1_000_000, 0, (2500, 4000)),
        ("ACME-USD", 10**15, 0, (0, 1000)),
        ("EUR-USD", 10**15, 0, (0, 500)),
        ("ETH-BTC", 0, 99, (4000, 6000)),
        ("ETH-BTC", 0, 100, (0, 5000)),
        ("ETH-BTC", 10**15, 199, (0, 1000)),  # a promotion makes nothing dearer
        ("ETH-BTC", 0, 200, (4000, 6000)),
    ],
)
def test_what_an_order_costs(product_id: str, volume: int, at: int, expected: tuple[int, int]) -> None:
    found = SCHEDULE.rates(product_id, volume, at)
    assert (found.maker_ppm, found.taker_ppm) == expected


def test_rates_of_ones_own_are_never_dearer_than_everybodys() -> None:
    own = Rates(1000, 5000)
    assert rates_for(SCHEDULE, Standing(own), "ACME-USD", 0) == own
    rich = Standing(own, (Traded(1, 5, 10**15),))
    assert rates_for(SCHEDULE, rich, "ACME-USD", 5) == Rates(0, 1000)


def test_a_period_counts_for_thirty_days_and_once() -> None:
    standing = Standing().with_traded(Traded(1, DAY_NS, 700)).with_traded(Traded(2, 2 * DAY_NS, 50))
    assert standing.with_traded(Traded(2, 2 * DAY_NS, 50)).volume(2 * DAY_NS) == 750
    assert standing.volume((VOLUME_DAYS + 1) * DAY_NS) == 50
    assert standing.volume((VOLUME_DAYS + 2) * DAY_NS) == 0
    assert len(standing.with_traded(Traded(40, 40 * DAY_NS, 1)).traded) == 1


def test_the_version_of_a_time() -> None:
    first, second = flat(1, 1), flat(2, 2, effective_ns=100)
    assert version_at((), 5) is None
    assert version_at((first, second), 99) is first
    assert version_at((first, second), 100) is second
    assert version_at((second,), 99) is None


def test_a_version_begins_in_the_future_and_after_all_others() -> None:
    first = published((), flat(1, 1), 50)
    both = published(first, flat(2, 2, effective_ns=100), 50)
    assert [version.effective_ns for version in both] == [0, 100]
    for late in (50, 100, 99):
        with pytest.raises(FeeScheduleError, match="effective"):
            published(both, flat(3, 3, effective_ns=late), 50)


FREE = {"volume": "0", "maker": "0", "taker": "0"}
SEASON = {"from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "maker": "0", "taker": "0"}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "tiers: "),
        ({"tiers": []}, "tiers: "),
        ({"tiers": ["x"]}, "tiers.0: "),
        ({"tiers": [{"volume": "1", "maker": "0", "taker": "0"}]}, "tiers.0.volume: "),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": 0.1}]}, "tiers.0.taker"),
        ({"tiers": [{"volume": "0", "maker": "0.1", "taker": "0.01"}]}, "tiers.0"),
        ({"tiers": [{"volume": "0", "maker": "0.0000001", "taker": "0.01"}]}, "tiers.0.maker"),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0"}] * 2}, "tiers.1.volume: "),
        ({"tiers": "x"}, "tiers: "),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0"}], "products": {"A": 1}}, "products.A: "),
        ({"tiers": [FREE], "products": {"A": []}}, "products.A: "),
        ({"tiers": [FREE], "products": {"A": [FREE, FREE]}}, "products.A.1.volume: "),
        ({"tiers": [FREE], "products": {"A": [{**FREE, "volume": "1"}]}}, "products.A.0.volume: "),
        ({"tiers": [FREE], "effective": "9999-12-31T23:59:59-23:59"}, "effective: "),
        ({"tiers": [FREE], "effective": "0001-01-01T00:00:00+23:00"}, "effective: "),
        ({"tiers": [FREE], "promotions": [3]}, "promotions.0: "),
        ({"tiers": [FREE], "promotions": [SEASON, {**SEASON, "until": SEASON["from"]}]}, "promotions.1.until: "),
        ({"tiers": [FREE], "rebates": [{"rate": "0.1"}]}, "rebates.0.rate: "),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0"}], "products": []}, "products"),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0"}], "effective": "soon"}, "effective"),
        (
            {"tiers": [{"volume": "0", "maker": "0", "taker": "0"}], "promotions": [{"from": "2026-01-01"}]},
            "promotions.0",
        ),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0"}], "fee": 1}, "fee"),
    ],
)
def test_a_document_is_refused_with_its_field(document: dict[str, object], field: str) -> None:
    with pytest.raises(FeeScheduleError, match=f"^{field}"):
        read_schedule(document)


def _tiers(rates: st.SearchStrategy[Rates]) -> st.SearchStrategy[tuple[Tier, ...]]:
    rows = st.lists(st.tuples(st.integers(1, 10**15), rates), max_size=4, unique_by=lambda row: row[0])
    return st.tuples(rates, rows).map(
        lambda drawn: (Tier(0, drawn[0]), *(Tier(volume, own) for volume, own in sorted(drawn[1], key=lambda r: r[0])))
    )


RATES = st.integers(0, 999_999).flatmap(lambda taker: st.builds(Rates, st.integers(0, taker), st.just(taker)))
MOMENTS = st.integers(0, 4 * 10**15).map(lambda micros: micros * 1_000)
PROMOTIONS = st.builds(
    lambda product, begin, length, rates: Promotion(product, begin, begin + length, rates),
    st.sampled_from(["", "A-B"]), MOMENTS, MOMENTS.map(lambda ns: ns + 1_000), RATES,
)  # fmt: skip


@given(
    st.builds(
        FeeSchedule,
        MOMENTS,
        _tiers(RATES),
        st.dictionaries(st.sampled_from(["A-B", "C-D"]), _tiers(RATES)),
        st.lists(PROMOTIONS, max_size=3).map(tuple),
    )
)
def test_every_schedule_survives_being_written(schedule: FeeSchedule) -> None:
    assert read_schedule(json.loads(json.dumps(schedule_document(schedule)))) == schedule


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"products": {"A-B": [FREE], "NO-NE": [FREE]}}, "products.NO-NE"),
        ({"products": {"": [FREE]}}, "products."),
        ({"promotions": [SEASON, {**SEASON, "product": "NO-NE"}]}, "promotions.1.product"),
    ],
)
def test_a_product_that_is_not_listed_is_named_by_its_place(more: dict[str, object], place: str) -> None:
    schedule = read_schedule({"tiers": [FREE], **more})
    with pytest.raises(FeeScheduleError, match=f"^{place}: .* there are A-B, C-D$"):
        schedule.require_listed({"C-D", "A-B"})
    schedule.require_listed({"A-B", "NO-NE", ""})


@given(st.datetimes(), st.integers(-1439, 1439))
def test_a_moment_that_is_read_can_be_written_again(moment: dt.datetime, offset_minutes: int) -> None:
    text = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=offset_minutes))).isoformat()
    document = {"tiers": [FREE], "effective": text}
    try:
        schedule = read_schedule(document)
    except FeeScheduleError:
        assume(moment.year not in {1, 9999})
        raise
    assert read_schedule(schedule_document(schedule)) == schedule
