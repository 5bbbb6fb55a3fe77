"""What a version may promise, what a trade's fees are split into, and that no split makes or loses a millionth."""

import pytest
from exchange.fees.document import read_schedule
from exchange.fees.model import PPM, Commission, FeeSchedule, FeeScheduleError, Promotion, Rates, Rebate, Tier
from exchange.fees.sharing import ChargedTrade, Share, ShareKind, split_fees
from exchange.referrals.model import Referral, code_of, read_code
from hypothesis import given
from hypothesis import strategies as st

PROMOTION = {"from": "2026-12-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "maker": "0.001", "taker": "0.001"}

TIERS = [{"volume": "0", "maker": "0", "taker": "0.006"}, {"volume": "9", "maker": "0", "taker": "0.001"}]
FREE = {"from": "2026-01-01", "until": "2027-01-01", "maker": "0", "taker": "0"}
DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"rebates": 1}, "rebates: give a list of tables"),
        ({"rebates": [{}]}, "rebates.0.rate: give decimal text"),
        ({"rebates": [{"rate": 0.1}]}, "rebates.0.rate: give decimal text"),
        ({"rebates": [{"rate": "0"}]}, "rebates.0.rate: give above 0"),
        ({"rebates": [{"rate": "-0.1"}]}, "rebates.0.rate: give decimal text"),
        ({"rebates": [{"rate": "1"}]}, "rebates.0.rate: give above 0 and below 1"),
        ({"rebates": [{"rate": "0.0001", "maker": "0"}]}, "rebates.0.maker: no such field"),
        ({"rebates": [{"rate": "0.0001"}, {"rate": "0.0001"}]}, "rebates.1.product: all has a row already"),
        ({"rebates": [{"rate": "0.001001"}]}, "rebates.0.rate: 0.001001 is more than the takers of all other products"),
        ({"commission": []}, "commission: give a table"),
        ({"commission": {}}, "commission.days: give a whole number"),
        ({"commission": {"days": 1}}, "commission.share: give decimal text"),
        ({"commission": {"share": "0.2", "days": "365"}}, "commission.days: give a whole number"),
        ({"commission": {"share": "0.2", "days": True}}, "commission.days: give a whole number"),
        ({"commission": {"share": "0.2", "days": 0}}, "commission.days: give 1 to"),
        ({"commission": {"share": "0.2", "days": 10**9}}, "commission.days: give 1 to"),
        ({"commission": {"share": "0", "days": 1}}, "commission.share: give above 0"),
        ({"commission": {"share": "1.000001", "days": 1}}, "commission.share: give above 0"),
        ({"commission": {"share": "0.2", "days": 1, "cap": "5"}}, "commission.cap: no such field"),
        ({"promotions": [{**PROMOTION, "prodct": "ETH-BTC"}]}, "promotions.0.prodct: no such field"),
        ({"promotions": [{**PROMOTION, "product": 5}]}, "promotions.0.product: give a product"),
        ({"promotions": [{**PROMOTION, "product": ""}]}, "promotions.0.product: give a product"),
        ({"tiers": [{"volume": "0", "maker": "0", "taker": "0.1", "rebate": "1"}]}, "tiers.0.rebate: no such field"),
        ({"rebates": [{"rate": "0.0009"}], "commission": {"share": "0.2", "days": 1}}, "rebates.0.rate: 0.0009"),
        (
            {"rebates": [{"rate": "0.0001"}], "products": {"A-B": [{"volume": "0", "maker": "0", "taker": "0.00005"}]}},
            "rebates.0.rate: 0.0001 is more than the takers of A-B bring: they pay from 0.00005 on",
        ),
        (
            {
                "rebates": [{"product": "A-B", "rate": "0.0001"}],
                "promotions": [FREE],
            },
            "rebates.0.rate: 0.0001 is more than the takers of A-B bring: they pay from 0 on",
        ),
        (
            {
                "rebates": [{"product": "A-B", "rate": "0.001"}, {"rate": "0.0005"}],
                "promotions": [{**FREE, "product": "C-D"}],
            },
            "rebates.1.rate: 0.0005 is more than the takers of C-D bring",
        ),
    ],
)  # fmt: skip
def test_a_version_that_promises_too_much_or_nonsense_is_refused_by_its_field(
    fields: dict[str, object], refusal: str
) -> None:
    with pytest.raises(FeeScheduleError) as error:
        read_schedule({"tiers": TIERS, **fields})
    assert str(error.value).startswith(refusal)


def test_what_the_takers_bring_to_the_last_millionth_may_be_given() -> None:
    read_schedule({"tiers": TIERS, "rebates": [{"rate": "0.001"}]})
    read_schedule({"tiers": TIERS, "rebates": [{"rate": "0.0008"}], "commission": {"share": "0.2", "days": 1}})
    over = Promotion("", 0, 5, Rates(0, 0))
    FeeSchedule(5, (Tier(0, Rates(0, 6000)),), promotions=(over,), rebates=(Rebate("", 6000),))


def trade(maker_fee: int, taker_fee: int, *, value: int = 10**6, at: int = 0, product: str = "A-B") -> ChargedTrade:
    return ChargedTrade(product, 1, 2, value, maker_fee, taker_fee, at)


VERSION = FeeSchedule(
    0,
    (Tier(0, Rates(0, 6000)),),
    rebates=(Rebate("A-B", 1000), Rebate("", 1)),
    commission=Commission(500_000, 2),
)


def test_each_payer_s_referrer_has_a_share_and_the_maker_a_rebate() -> None:
    brought = {1: Referral(11, 0), 2: Referral(12, 0)}
    assert list(split_fees(trade(1000, 6000), VERSION, brought.get)) == [
        Share(ShareKind.COMMISSION, 11, 500 * PPM),
        Share(ShareKind.COMMISSION, 12, 3000 * PPM),
        Share(ShareKind.REBATE, 1, 1000 * PPM),
    ]
    assert list(split_fees(trade(0, 6000, product="C-D"), VERSION, lambda _: None)) == [
        Share(ShareKind.REBATE, 1, 10**6)
    ]


def test_a_trade_without_fees_gives_nothing_and_one_with_little_no_more_than_that() -> None:
    brought = {2: Referral(12, 0)}
    assert list(split_fees(trade(0, 0), VERSION, brought.get)) == []
    assert list(split_fees(trade(0, 10), VERSION, brought.get)) == [
        Share(ShareKind.COMMISSION, 12, 5 * PPM),
        Share(ShareKind.REBATE, 1, 5 * PPM),
    ]


@pytest.mark.parametrize(("at", "paid"), [(4, False), (5, True), (2 * DAY_NS + 4, True), (2 * DAY_NS + 5, False)])
def test_a_commission_ends_with_its_days(at: int, paid: bool) -> None:
    brought = {2: Referral(12, 5)}
    kinds = [share.kind for share in split_fees(trade(0, 6000, at=at), VERSION, brought.get)]
    assert (ShareKind.COMMISSION in kinds) is paid


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**12),
    st.integers(1, PPM),
    st.dictionaries(st.sampled_from([1, 2]), st.builds(Referral, st.sampled_from([1, 2, 3]), st.just(0))),
)
def test_no_trade_gives_more_than_its_fees(
    maker_fee: int, taker_fee: int, value: int, share_ppm: int, brought: dict[int, Referral]
) -> None:
    version = FeeSchedule(
        0,
        (Tier(0, Rates(0, 999_999)),),
        rebates=(Rebate("", 900_000),) if share_ppm < 99_000 else (),
        commission=Commission(share_ppm, 1),
    )
    shares = list(split_fees(trade(maker_fee, taker_fee, value=value), version, brought.get))
    assert all(share.micro_units > 0 for share in shares)
    assert sum(share.micro_units for share in shares) <= (maker_fee + taker_fee) * PPM


def test_a_code_is_read_as_it_is_typed_and_nothing_else_is_one() -> None:
    code = code_of("somebody")
    assert code_of("somebody") == code != code_of("somebody", 1)
    assert read_code(f" {code.lower()}\t") == code
    for text in ("", code[:-1], code + "B", code[:-1] + "A", code[:-1] + "0", "\u00c9" * 10, "\uff12" * 10):
        assert read_code(text) == "", text
