"""What accounts traded, and what it would have cost otherwise."""

from dataclasses import replace

from exchange.books.volumes import traded_volumes
from exchange.fees.model import Commission, FeeSchedule, Rates, Rebate, Tier, flat
from exchange.fees.what_if import PastFill, what_if
from exchange.instruments.model import Asset, list_product
from exchange.kernel.money import divide_up
from exchange.ledger.model import Batch, Entry, EntryKind, Head, next_batch
from exchange.referrals.model import Referral
from hypothesis import given
from hypothesis import strategies as st

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
DAY_NS = 86_400 * 10**9
FEES = "house:fees:BTC-USD"


def trade(product_id: str, buyer: int, seller: int, base: int, quote: int, fee: int = 0) -> Batch:
    base_asset, quote_asset = product_id.split("-")
    legs = [
        (buyer, base_asset, base, EntryKind.MATCH),
        (buyer, quote_asset, -quote, EntryKind.MATCH),
        (seller, base_asset, -base, EntryKind.MATCH),
        (seller, quote_asset, quote, EntryKind.MATCH),
        (buyer, quote_asset, -fee, EntryKind.FEE),
        (FEES, quote_asset, fee, EntryKind.FEE),
    ]
    entries = [Entry(str(account), asset, units, kind, "1") for account, asset, units, kind in legs]
    return next_batch(Head(), partition=f"product:{product_id}", posted_at_ns=1, reference="1", entries=entries)


def test_both_sides_of_a_trade_count_its_value_without_the_fee() -> None:
    batch = trade("BTC-USD", 1, 2, 10**8, 40_000 * 10**6 + 9_999, fee=77)
    assert traded_volumes([batch], PRODUCTS) == {1: 4_000_000, 2: 4_000_000}


def bust(undone: Batch, *, owed: int = 0) -> Batch:
    """What undoes the one trade of a batch, of whose customers the buyer owes some base."""
    opposite = [Entry(e.account, e.asset, -e.units, EntryKind.REVERSAL, "1") for e in undone.entries]
    if owed:
        buyer = undone.entries[0]
        opposite.append(Entry(buyer.account, buyer.asset, owed, EntryKind.REVERSAL, "1"))
        opposite.append(Entry(f"house:receivable:{buyer.account}", buyer.asset, -owed, EntryKind.REVERSAL, "1"))
    partition = undone.partition.replace("product:", "busts:")
    return next_batch(Head(), partition=partition, posted_at_ns=2, reference="1", entries=opposite)


def test_what_was_undone_counts_off_for_both_sides_whatever_they_owe() -> None:
    kept, undone = trade("BTC-USD", 1, 2, 10**8, 40_000 * 10**6), trade("BTC-USD", 2, 3, 10**7, 5_000 * 10**6, fee=77)
    for owed in (0, 10**7):
        found = traded_volumes([kept, undone, bust(undone, owed=owed)], PRODUCTS)
        assert found == {1: 4_000_000, 2: 4_000_000, 3: 0}
        assert traded_volumes([bust(undone, owed=owed)], PRODUCTS) == {2: -500_000, 3: -500_000}


def test_another_quote_asset_is_worth_what_it_traded_for_meanwhile() -> None:
    dollars = trade("BTC-USD", 1, 2, 2 * 10**8, 80_000 * 10**6)
    coins = trade("ETH-BTC", 3, 1, 10**9, 10**8 // 2)
    assert traded_volumes([dollars, coins], PRODUCTS) == {1: 8_000_000 + 2_000_000, 2: 8_000_000, 3: 2_000_000}


def test_without_a_trade_it_is_worth_the_reference_price_and_else_nothing() -> None:
    coins = trade("ETH-BTC", 3, 1, 10**9, 10**8 // 2)
    assert traded_volumes([coins], PRODUCTS) == {1: 2_500_000, 3: 2_500_000}
    alone = {"ETH-BTC": ETH_BTC}
    assert traded_volumes([coins], alone) == {1: 0, 3: 0}
    unpriced = {**PRODUCTS, "BTC-USD": replace(BTC_USD, reference_price_ticks=0)}
    assert traded_volumes([coins], unpriced) == {1: 0, 3: 0}


def test_deposits_and_unlisted_products_count_nothing() -> None:
    entries = [
        Entry("1", "USD", 5, EntryKind.DEPOSIT, "1"),
        Entry("house:custody:b", "USD", -5, EntryKind.DEPOSIT, "1"),
    ]
    deposit = next_batch(Head(), partition="rail:b", posted_at_ns=1, reference="1", entries=entries)
    assert traded_volumes([deposit, trade("X-USD", 1, 2, 1, 1)], PRODUCTS) == {}


def fill(order: int, value: int, *, at: int = 0, maker: bool = False, fee: int = 0, account: int = 1) -> PastFill:
    return PastFill(order, account, "BTC-USD", maker, value, fee, at)


def test_the_schedule_that_was_gives_the_fees_that_were() -> None:
    rows = what_if([fill(1, 1_000_001, fee=6001), fill(2, 500, maker=True, fee=2)], flat(4000, 6000), {}, PRODUCTS)
    assert [(row.paid_units, row.what_if_units, row.value_units) for row in rows] == [(6003, 6003, 1_000_501)]


def test_yesterdays_volume_makes_today_cheaper_and_todays_does_not() -> None:
    schedule = FeeSchedule(0, (Tier(0, Rates(0, 10_000)), Tier(100, Rates(0, 1_000))))
    dollar = 10**6
    fills = [fill(1, dollar, at=1), fill(2, dollar, at=2), fill(3, dollar, at=DAY_NS), fill(1, dollar, at=DAY_NS + 1)]
    (row,) = what_if(fills, schedule, {}, PRODUCTS)
    assert row.what_if_units == 10_000 + 10_000 + 1_000 + 10_000  # order 1 keeps the rates of its first fill
    (own,) = what_if(fills, schedule, {1: Rates(0, 0)}, PRODUCTS)
    assert own.what_if_units == 0


def trade_fills(trade_id: int, value: int, *, maker: int, taker: int, fee: int, at: int = 0) -> list[PastFill]:
    """Both sides; the taker paid the fee. The maker's comes second, as a table may tell them."""
    return [
        PastFill(2 * trade_id, taker, "BTC-USD", False, value, fee, at, trade_id),
        PastFill(2 * trade_id + 1, maker, "BTC-USD", True, value, 0, at, trade_id),
    ]


def test_rebates_and_commissions_count_on_both_sides_of_the_question() -> None:
    fills = [*trade_fills(1, 10**6, maker=1, taker=2, fee=6000), *trade_fills(2, 10**6, maker=1, taker=3, fee=6000)]
    brought = {2: Referral(9, 0)}
    now = FeeSchedule(0, (Tier(0, Rates(0, 6000)),), commission=Commission(100_000, 1))
    then = FeeSchedule(0, (Tier(0, Rates(0, 4000)),), rebates=(Rebate("", 500),), commission=Commission(500_000, 1))
    rows = what_if(fills, then, {}, PRODUCTS, versions=(now,), referral_of=brought.get)
    told = {
        row.account_id: (row.paid_units, row.given_units, row.what_if_units, row.what_if_given_units) for row in rows
    }
    assert told == {
        1: (0, 0, 0, 1000),
        2: (6000, 0, 4000, 0),
        3: (6000, 0, 4000, 0),
        9: (0, 600, 0, 2000),
    }
    assert sum(row.change_units for row in rows) == (8000 - 3000) - (12_000 - 600)
    # What is half in the past has no split, and the version that held then counts.
    assert what_if(fills[:1], then, {}, PRODUCTS, versions=(now,), referral_of=brought.get)[0].given_units == 0
    late = replace(now, effective_ns=1)
    rows = what_if(fills, then, {}, PRODUCTS, versions=(late,), referral_of=brought.get)
    assert sum(row.given_units for row in rows) == 0


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10**12), st.booleans()), max_size=30), st.integers(0, 9999))
def test_an_order_in_pieces_costs_what_it_costs_whole(pieces: list[tuple[int, int, bool]], taker: int) -> None:
    maker = taker // 2
    fills = [fill(order, value, maker=side, at=n) for n, (order, value, side) in enumerate(pieces)]
    exact = {order: 0 for order, _, _ in pieces}
    for order, value, side in pieces:
        exact[order] += value * (maker if side else taker)
    found = what_if(fills, flat(maker, taker), {}, PRODUCTS)
    assert sum(row.what_if_units for row in found) == sum(divide_up(sum_, 10**6) for sum_ in exact.values())
