"""What makes a good deposit, and what it posts."""

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import Head, sum_by_asset
from exchange.transfers.model import Transfer, transfer_id_for
from exchange.wallets.model import (
    BankProvider,
    DepositRequest,
    deposit_batch,
    movements_of,
    new_deposit,
    payment_methods,
)

from tests.fakes.wallets import ASSETS, NOON_NS, a_deposit, sandbox_methods


def test_the_sandbox_has_a_way_in_for_every_asset_and_says_what_it_is() -> None:
    ways = {method.asset.asset_id: (method.method_id, method.rail, method.name) for method in sandbox_methods()}
    assert ways["USD"] == ("sandbox-bank-USD", "sandbox-bank", "Sandbox Bank USD")
    assert ways["BTC"] == ("sandbox-custodian-BTC", "sandbox-custodian", "Sandbox Custodian BTC")
    assert set(ways) == set(ASSETS)


def test_a_real_bank_brings_money_only_and_nothing_of_the_sandbox() -> None:
    ways = payment_methods(ASSETS, BankProvider.EXTERNAL)
    assert [(way.method_id, way.rail) for way in ways] == [("bank-USD", "bank")]


@pytest.mark.parametrize(
    ("amount", "currency", "method", "key", "code"),
    [
        ("1", "ZZZ", "sandbox-bank-USD", "", Code.PAYMENT_METHOD_NOT_FOUND),
        ("1", "USD", "sandbox-bank-EUR", "", Code.PAYMENT_METHOD_NOT_FOUND),
        ("1", "BTC", "sandbox-bank-USD", "", Code.PAYMENT_METHOD_NOT_FOUND),
        ("0", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("0.000000", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("-1", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("1e3", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("1,000", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("\u0661\u0662", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("0.0000001", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("0.5", "GOOG", "sandbox-custodian-GOOG", "", Code.TRANSFER_AMOUNT_INVALID),
        ("1000000000001", "USD", "sandbox-bank-USD", "", Code.TRANSFER_AMOUNT_INVALID),
        ("1", "USD", "sandbox-bank-USD", "a b", Code.REQUEST_FIELD_INVALID),
    ],
)
def test_a_bad_deposit_is_refused_by_name(amount: str, currency: str, method: str, key: str, code: Code) -> None:
    refused = new_deposit(
        DepositRequest(amount, currency, method, key), account_id=7, methods=sandbox_methods(), created_at_ns=NOON_NS
    )
    assert isinstance(refused, Refused)
    assert refused.code is code


def test_a_deposit_counts_units_of_its_asset() -> None:
    made = a_deposit("100.25", "USD")
    assert (made.units, made.scale, made.amount, made.rail) == (100_250_000, 6, "100.25", "sandbox-bank")
    assert a_deposit("3", "GOOG").units == 3


def test_the_same_client_id_is_the_same_transfer_and_another_account_has_another() -> None:
    assert transfer_id_for(7, "rent") == transfer_id_for(7, "rent")
    assert len({transfer_id_for(7, "rent"), transfer_id_for(8, "rent"), transfer_id_for(7, "food")}) == 3
    assert transfer_id_for(7, "") != transfer_id_for(7, "")


def test_a_deposit_posts_custody_against_customer_and_sums_to_zero() -> None:
    made = a_deposit("100.25", "USD")
    booked = Transfer(**{name: getattr(made, name) for name in made.__slots__} | {"received_units": made.units})
    batch = deposit_batch(booked, Head(), posted_at_ns=NOON_NS)
    assert (batch.partition, batch.number, batch.reference) == ("rail:sandbox-bank", 1, made.transfer_id)
    assert [(e.account, e.units) for e in batch.entries] == [
        ("house:custody:sandbox-bank", -100_250_000),
        ("7", 100_250_000),
    ]
    assert not any(sum_by_asset(batch.entries).values())
    assert [(account, move.available, move.held) for account, _, move in movements_of(batch).moving()] == [
        ("7", 100_250_000, 0),
        ("house:custody:sandbox-bank", -100_250_000, 0),
    ]
