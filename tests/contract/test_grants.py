"""Granted is used: each grant of each function was seen in use, is for the platform, or names the test that needs it.

What was seen is `tests/golden/permissions.txt`, kept by `make permissions` from the calls of every function while the
integration tests run. A call that is not granted fails those tests themselves.
"""

import pytest

from tests.contract.cloud_definition import ROOT, Function, functions
from tests.contract.grants import Grant, all_granted, for_the_platform, granted

SEEN = ROOT / "tests" / "golden" / "permissions.txt"
# What only a rare thing needs, which no integration test brings about: the test that does, on fakes.
RARELY: dict[Grant, str] = {
    # Money that is shifted from place to place in the very moment in which the balances are read.
    ("reconciliation-schedule", "dynamodb:Query", "BalancesTable"): (
        "tests/unit/reconciliation/test_reading.py::test_an_account_that_was_read_in_two_moments_is_read_again"
    ),
    # Budgets of addresses, which are off on a laptop, where everybody has one.
    ("market-data-api", "dynamodb:UpdateItem", "UsageTable"): (
        "tests/unit/usage/test_limiter.py::test_a_flood_gets_its_rate_and_no_less"
    ),
    ("charts-api", "dynamodb:UpdateItem", "UsageTable"): (
        "tests/unit/usage/test_limiter.py::test_a_flood_gets_its_rate_and_no_less"
    ),
    ("feeds-websocket", "dynamodb:Query", "ConnectionsTable"): (
        "tests/unit/feeds/test_sockets.py::test_an_address_has_only_so_many_connections"
    ),
    ("feeds-websocket", "dynamodb:BatchGetItem", "ConnectionsTable"): (
        "tests/unit/feeds/test_store.py::test_where_an_address_is_full_what_is_over_is_forgotten_with_its_subscriptions"
    ),
    # A book larger than an item.
    **dict.fromkeys(
        [
            ("market-data-stream", "dynamodb:BatchGetItem", "MarketDataTable"),
            ("market-data-stream", "dynamodb:Query", "MarketDataTable"),
        ],
        "tests/unit/market_data/test_store.py::test_a_book_too_large_for_an_item_is_kept_in_pieces_and_old_pieces_go",
    ),
    ("feeds-schedule", "dynamodb:GetItem", "MarketDataTable"): (
        "tests/unit/feeds/test_pulse.py::test_tickers_come_in_batches_when_they_moved_and_status_once_a_run"
    ),
    # The answer came before the question was noted, and it was no.
    **dict.fromkeys(
        [
            ("payments-tasks", "states:SendTaskFailure", "*"),
            ("chains-tasks", "states:SendTaskFailure", "*"),
        ],
        "tests/unit/payments/test_service.py::test_a_repeat_wakes_the_newest_waiter",
    ),
    # Where the event names the version of the file, as S3 does and the laptop's does not.
    ("bank-files-queued", "s3:GetObjectVersion", "BankFilesBucket"): (
        "tests/integration/test_bank_files.py::test_money_comes_and_goes_by_files"
    ),
    # The link that it signs is followed by a browser, so the request is not the function's.
    ("reports-api", "s3:GetObject", "ReportsBucket"): (
        "tests/integration/test_reports.py::test_a_report_is_its_customers_alone_and_its_link_is_signed"
    ),
    # What a block that left had brought, and was spent.
    ("chains-schedule", "dynamodb:Query", "BalancesTable"): (
        "tests/unit/chains/test_watching.py::test_what_was_spent_before_its_block_left_is_owed_to_us"
    ),
    # A refund that fails, of a customer who owes us by then.
    ("payments-schedule", "dynamodb:Query", "BalancesTable"): (
        "tests/unit/payments/test_refunding.py::test_a_pending_refund_that_fails_settles_what_is_owed_by_then"
    ),
    # What could not be settled turns out, when it is tried again, to contradict the records.
    ("settlement-schedule", "s3:PutObject", "QuarantineBucket"): (
        "tests/unit/settlement/test_retrying.py::test_an_outage_behind_which_there_is_a_contradiction_becomes_one"
    ),
}


def seen() -> set[Grant]:
    lines = (line.split() for line in SEEN.read_text().splitlines() if line and not line.startswith("#"))
    return {(function, action, resource) for function, action, resource in lines}


def test_nothing_is_granted_that_is_not_used() -> None:
    platform = {grant for function in functions() for grant in for_the_platform(function)}
    unused = all_granted() - seen() - platform - set(RARELY)
    assert not unused, (
        "granted and never used: take it away, keep what a test of yours uses by RECORD_PERMISSIONS=1 pytest "
        f"tests/integration/THAT_TEST.py, or name in RARELY the test that brings it about: {sorted(unused)}"
    )


def test_what_was_seen_is_still_granted() -> None:
    assert not seen() - all_granted(), "kept from before: run `make permissions`"


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_the_platform_may_do_what_it_does_for_a_function(function: Function) -> None:
    assert set(for_the_platform(function)) <= granted(function)


def test_a_rare_grant_is_still_granted_and_rare() -> None:
    assert set(RARELY) <= all_granted()
    assert not set(RARELY) & seen(), "no longer rare: take its line away"


@pytest.mark.parametrize(("grant", "shown_by"), RARELY.items(), ids=str)
def test_the_test_of_a_rare_grant_is_there(grant: Grant, shown_by: str) -> None:
    path, _, name = shown_by.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text(), grant
