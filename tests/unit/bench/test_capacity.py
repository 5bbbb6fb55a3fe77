"""What a rate takes: formulae by hand-made figures, and a page that says what they say."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import quotas
from bench.capacity import (
    REMEDIES,
    Asked,
    Mix,
    an_order,
    handler_seconds,
    in_a_crowd,
    items_an_order,
    limits,
    needs,
    read_counts,
    trades_a_part,
)
from bench.costs import Phase
from bench.page import PAGE, read_parts, replace_part
from bench.scaling import SCALING, asked, capacity_part

PLACED = {"request ApiGateway.REST": 1.0, "cpu trading-api": 0.005, "invocation trading-api": 1.0}
ASKED = Asked(
    rests=Phase("rests", PLACED | {"write orders": 4.0, "write balances": 2.0}),
    cancel=Phase("cancel", PLACED | {"write orders": 2.0}),
    takes=Phase("takes", PLACED | {"write orders": 4.0, "write balances": 6.0, "write fills": 4.0, "read users": 1.0}),
    deposit=Phase("deposit", {"request ApiGateway.REST": 3.0}),
    message=Phase("message", {"request ApiGateway.REST": 1.0}),
)
MIX = Mix(products=10, busiest_product=0.5, busiest_customer=0.1, takes=0.5, cancels=0.25, deposits=0.01, messages=2)


def test_an_order_is_the_sum_of_what_comes_with_it() -> None:
    each = an_order(ASKED, MIX)
    assert each.counts["request ApiGateway.REST"] == pytest.approx(0.5 + 0.5 + 0.25 + 0.03)
    assert each.counts["write orders"] == pytest.approx(0.5 * 4 + 0.5 * 4 + 0.25 * 2)
    assert each.counts["write fills"] == pytest.approx(0.5 * 4)


def test_in_a_crowd_each_counter_falls_as_it_did_for_who_takes_and_never_rises() -> None:
    alone = Phase("x", {"invocation s": 2.0, "write orders": 4.0, "read other": 3.0})
    crowd = in_a_crowd(
        alone,
        Phase("a", {"invocation s": 1.0, "write orders": 2.0}),
        Phase("c", {"invocation s": 0.1, "write orders": 5}),
    )
    assert crowd.counts == {"invocation s": pytest.approx(0.2), "write orders": 4.0, "read other": 3.0}


def test_what_a_rate_takes_grows_with_the_rate() -> None:
    small, large = needs(100, ASKED, MIX), needs(1_000, ASKED, MIX)
    assert large.requests == pytest.approx(10 * small.requests) == pytest.approx(1_280)
    assert large.posts == pytest.approx(2_000)
    assert large.table_writes["orders"] == pytest.approx(4_500)
    assert large.writes == pytest.approx(10 * small.writes)
    assert large.reads == pytest.approx(500)
    assert (small.orders_shards, large.orders_shards) == (1, 2)
    assert large.dollars_provisioned < large.dollars
    # What stands still is paid once, so ten times the orders cost less than ten times as much.
    assert small.dollars < large.dollars < 10 * small.dollars


def test_batches_take_fewer_shards_and_fewer_tasks() -> None:
    single, batched = needs(100_000, ASKED, MIX), needs(100_000, ASKED, replace(MIX, orders_a_record=40))
    assert batched.orders_shards < single.orders_shards == 125
    assert batched.tasks <= single.tasks
    assert batched.requests == pytest.approx(single.requests / 40)


def test_batches_send_no_fewer_messages() -> None:
    batched = {limit.quota: limit.reached_at for limit in limits(ASKED, replace(MIX, orders_a_record=40))}
    assert batched[quotas.API_GATEWAY] == pytest.approx(10_000 / (1.28 / 40 + 2))


def test_a_function_is_busy_for_its_processor_and_its_waits() -> None:
    phase = Phase("x", {"cpu trading-api": 0.005, "invocation trading-api": 1.0})
    assert handler_seconds(phase, "trading-api") == pytest.approx(0.005 + 3 * 0.005 + 0.0125)
    assert handler_seconds(phase, "other") == 0


def test_a_transaction_of_settlement_holds_what_fits_into_a_hundred_items() -> None:
    # A take wrote 14 units; four were its acceptance, so five items a trade, and 96 are free.
    assert trades_a_part(ASKED) == 19


def test_a_canceled_order_takes_room_in_settlement_too() -> None:
    # Half of the orders take, with five items each; a quarter is canceled, with one.
    assert items_an_order(ASKED, MIX) == pytest.approx(0.5 * 5 + 0.25 * 1)
    reached = {limit.quota.name: limit.reached_at for limit in limits(ASKED, MIX)}
    assert reached["Settlement of one product, a part after the other"] == pytest.approx(80 * 96 / (2.75 * 0.5))


def test_limits_come_in_the_order_in_which_they_are_reached() -> None:
    found = limits(ASKED, MIX)
    by_name = {limit.quota: limit.reached_at for limit in found}
    assert [limit.reached_at for limit in found] == sorted(by_name.values())
    assert by_name[quotas.ITEM_TRANSACTIONS] == pytest.approx(800)
    assert by_name[quotas.SHARD_RECORDS] == pytest.approx(1_000 / (0.5 * 1.25))
    assert by_name[quotas.API_GATEWAY] == pytest.approx(10_000 / (1.28 + 2))
    assert by_name[quotas.TABLE_WRITES] == pytest.approx(40_000 / 4.5)
    assert by_name[quotas.STATE_MACHINE_STARTS] == pytest.approx(30_000)
    assert quotas.KMS not in by_name  # nothing of it was asked
    assert {limit.quota.name for limit in found} <= set(REMEDIES)


def test_a_busier_customer_or_product_is_stopped_earlier() -> None:
    calm, busy = limits(ASKED, MIX), limits(ASKED, replace(MIX, busiest_customer=0.5, busiest_product=0.9))
    for quota in (quotas.ITEM_TRANSACTIONS, quotas.SHARD_RECORDS, quotas.SHARD_BYTES):
        before, after = (next(limit.reached_at for limit in found if limit.quota is quota) for found in (calm, busy))
        assert after < before


def test_every_quota_names_its_page_and_day_and_has_a_remedy_where_it_is_a_limit() -> None:
    assert len({quota.name for quota in quotas.QUOTAS}) == len(quotas.QUOTAS) > 10
    for quota in quotas.QUOTAS:
        assert quota.figure > 0
        assert (
            quota.source.startswith("https://docs.aws.amazon.com/") or quota.assumed or quota.source == "template.yaml"
        )


def test_the_pages_tables_are_read_as_they_were_written() -> None:
    rests, cancel, takes, crowd = read_counts(read_parts(PAGE)["trading"])
    for phase in (rests, cancel, takes, crowd):
        assert phase.counts["request ApiGateway.REST"] == pytest.approx(1, abs=0.2)
        assert phase.counts["request DynamoDB.TransactWriteItems"] >= 1
        assert phase.counts["cpu trading-api"] < 1
        assert phase.counts["put units all"] > 0
    assert takes.sum("write ") > rests.sum("write ") > cancel.sum("write ")


def test_the_scaling_page_is_what_the_formulae_say_of_the_counts() -> None:
    written = read_parts(SCALING)["capacity"]
    assert written == capacity_part(asked(PAGE, SCALING)).strip(), "make scaling"


def test_a_part_is_put_between_its_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n\n<!-- part: a -->\nold\n<!-- end: a -->\n\ntail\n")
    replace_part(page, "a", "new\n")
    assert page.read_text() == "# Head\n\n<!-- part: a -->\nnew\n<!-- end: a -->\n\ntail\n"
    with pytest.raises(ValueError, match="no part b"):
        replace_part(page, "b", "x")
