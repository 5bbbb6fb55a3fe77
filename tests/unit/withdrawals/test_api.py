"""Withdrawals over REST, through the real function."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.breaks.store import STOP, BreakItem
from exchange.chains.departure_store import DepartureStore
from exchange.chains.departures import Fees
from exchange.chains.model import Block, Listing, Token
from exchange.chains.store import LISTINGS, ChainItem, ChainStore
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.ledger.store import BalanceItem
from exchange.safeguards.store import SafeguardItem
from exchange.transfers.store import BankMarkItem, TransferItem
from exchange.usage.model import RateLimitTier
from exchange.usage.store import UsageItem
from exchange.users.model import KycLevel
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore
from moto import mock_aws

from tests.fakes.markets import USD
from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.tables import REGION, create_tables
from tests.fakes.users import ACCOUNT_ID, KEY_ID, SECRET, USER_ID, a_credential, a_customer, a_key, signed_headers

MODELS: dict[str, list[Any]] = {
    "instruments": [InstrumentItem],
    "balances": [BalanceItem],
    "transfers": [TransferItem, BankMarkItem],
    "api_keys": [ApiKeyItem],
    "users": [CustomerItem],
    "safeguards": [SafeguardItem],
    "usage": [UsageItem],
    "chains": [ChainItem],
    "breaks": [BreakItem],
}


@pytest.fixture(scope="module")
def handler() -> Iterator[Any]:
    """Ann, a dollar that costs a quarter to withdraw, and the function, made once."""
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        key = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
        machines = boto3.client("stepfunctions", region_name=REGION)
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        role = "arn:aws:iam::123456789012:role/withdrawal"
        arn = machines.create_state_machine(name="withdrawal", definition=definition, roleArn=role)["stateMachineArn"]
        create_tables(*MODELS)
        environment = {f"{table.upper()}_TABLE": table for table in MODELS} | {
            "AWS_DEFAULT_REGION": REGION,
            "SECRETS_KEY_ID": key,
            "USER_POOL_ID": "us-east-1_example",
            "USER_POOL_CLIENT_ID": "web",
            "PUBLIC_REQUESTS_PER_SECOND": "0",
            "ORIGIN_SECRET": "told-by-the-edge",
            "WITHDRAWAL_MACHINE_ARN": arn,
            "BANK_PROVIDER": "sandbox",
            "STRIPE_RAIL": "off",
            "BANK_FILES_RAIL": "off",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for table, models in MODELS.items():
            for model in models:
                bind(model, table)
        secrets = KmsSecrets(boto3.client("kms", region_name=REGION), key)
        CustomerStore().create_once(a_customer())
        CustomerItem(USER_ID).update(actions=[CustomerItem.kyc_level.set(int(KycLevel.INSTITUTIONAL))])
        sealed = secrets.seal(SECRET, key_id=KEY_ID, user_id=USER_ID)
        assert ApiKeyStore(connection()).create(
            a_key(credential=a_credential(sealed), rate_limit_tier=RateLimitTier.MAKER), keys_max=5
        )
        InstrumentStore().save_asset(replace(USD, withdrawal_fee_units=250_000, withdrawal_min_units=1_000_000))
        yield import_module("functions.withdrawals.api").handler


@pytest.fixture(autouse=True)
def funded(handler: Any) -> None:
    """Twenty dollars, and no transfer."""
    for model in (TransferItem, BalanceItem, UsageItem):
        for item in model.scan():
            item.delete()
    BalanceItem(str(ACCOUNT_ID), "USD", available=20_000_000).save()


def ask(handler: Any, method: str, path: str, text: str = "", query: str = "") -> Answer:
    """One signed request."""
    whole = f"{path}?{query}" if query else path
    headers = signed_headers(method, whole, text.encode(), timestamp=str(int(time.time())))
    event = proxy_event(method, path, query=query, body=text or None, headers=headers, resource=path)
    return call(handler, event)


def withdraw(handler: Any, amount: str, **changed: Any) -> Answer:
    """POST with `amount` as it stands in the JSON."""
    rest = json.dumps({"currency": "USD", "payment_method_id": "sandbox-bank-USD", **changed})
    return ask(handler, "POST", "/withdrawals/payment-method", f'{{"amount":{amount},{rest[1:]}')


@pytest.mark.parametrize(
    ("written", "read"),
    [('"10.5"', "10.5"), ("10.5", "10.5"), ("1e1", "10"), ("15.000001", "15.000001"), ("1", "1"), ("105E-1", "10.5")],
)
def test_an_amount_is_read_exactly_as_written(handler: Any, written: str, read: str) -> None:
    said = withdraw(handler, written)
    assert said.status == 200, said.text
    assert (said.json["amount"], said.json["fee"], said.json["status"]) == (read, "0.25", "pending")


def test_money_is_held_at_once_and_a_repeat_holds_nothing(handler: Any) -> None:
    first = withdraw(handler, '"10"', client_transfer_id="rent")
    assert withdraw(handler, '"10"', client_transfer_id="rent").json == first.json
    balance = BalanceItem.get(str(ACCOUNT_ID), "USD")
    assert (balance.available, balance.held) == (9_750_000, 10_250_000)


@pytest.mark.parametrize(
    ("written", "changed", "code"),
    [
        ('"19.75000001"', {}, "TRANSFER_AMOUNT_INVALID"),
        ('"19.750001"', {}, "RISK_INSUFFICIENT_FUNDS"),
        ('"0.99"', {}, "TRANSFER_AMOUNT_INVALID"),
        ("1e-7", {}, "TRANSFER_AMOUNT_INVALID"),
        ("1e99999", {}, "REQUEST_FIELD_INVALID"),
        ("1e-99999", {}, "REQUEST_FIELD_INVALID"),
        ("-1", {}, "TRANSFER_AMOUNT_INVALID"),
        ("true", {}, "REQUEST_FIELD_INVALID"),
        ("null", {}, "REQUEST_FIELD_INVALID"),
        ("NaN", {}, "REQUEST_MALFORMED"),
        ('"ten"', {}, "TRANSFER_AMOUNT_INVALID"),
        ('"1"', {"currency": "EUR"}, "PAYMENT_METHOD_NOT_FOUND"),
        ('"1"', {"payment_method_id": "sandbox-bank-EUR"}, "PAYMENT_METHOD_NOT_FOUND"),
        ('"1"', {"client_transfer_id": ""}, "REQUEST_FIELD_INVALID"),
        ('"1"', {"fee": "0"}, "REQUEST_FIELD_UNKNOWN"),
    ],
)
def test_what_can_not_be_withdrawn_changes_nothing(
    handler: Any, written: str, changed: dict[str, Any], code: str
) -> None:
    said = withdraw(handler, written, **changed)
    assert (said.status // 100, said.json["code"]) == (4, code), said.text
    balance = BalanceItem.get(str(ACCOUNT_ID), "USD")
    assert (balance.available, balance.held or 0) == (20_000_000, 0)
    assert not list(TransferItem.scan())


def test_a_fee_is_told_before(handler: Any) -> None:
    said = ask(handler, "GET", "/withdrawals/fee-estimate", query="currency=USD")
    assert said.json == {"currency": "USD", "fee": "0.25"}
    unknown = ask(handler, "GET", "/withdrawals/fee-estimate", query="currency=DOGE")
    assert (unknown.status, unknown.json["code"]) == (404, "CURRENCY_NOT_FOUND")
    missing = ask(handler, "GET", "/withdrawals/fee-estimate")
    assert (missing.status, missing.json["message"]) == (400, "currency: this parameter is required")


def test_a_chains_fee_is_told_while_it_is_known_what_the_chain_takes(handler: Any) -> None:
    way = "currency=USD&network=testchain"
    assert ask(handler, "GET", "/withdrawals/fee-estimate", query=way).json["code"] == "CHAIN_NOT_LISTED"
    listing = Listing("testchain", 1, 2, 4, (Token("USD", 6, 18),))
    ChainStore().open(listing, public_key="", sealed_seed=b"", start=Block(0, "0x00"))
    assert ask(handler, "GET", "/withdrawals/fee-estimate", query=way).status == 503
    fees = Fees(base=10**12, tip=1)
    DepartureStore(connection()).note_fees("testchain", fees, at_ns=time.time_ns())
    told = ask(handler, "GET", "/withdrawals/fee-estimate", query=way).json
    # 21,000 units of gas, each a quarter dearer than now, counted up to the next millionth.
    assert told == {"currency": "USD", "fee": "0.276251", "network_fee": "0.026251"}
    elsewhere = ask(handler, "GET", "/withdrawals/fee-estimate", query="currency=USD&network=bitcoin")
    assert elsewhere.json["code"] == "CHAIN_NOT_LISTED"
    ChainItem("testchain", "quote").delete()
    ChainItem(LISTINGS, "testchain").delete()


def test_ways_and_what_one_transfer_may_be(handler: Any) -> None:
    ways = ask(handler, "GET", "/payment-methods").json
    assert [(row["id"], row["currency"]) for row in ways] == [("sandbox-bank-USD", "USD")]
    limits = ask(handler, "GET", "/users/self/exchange-limits").json
    told = limits["transfer_limits"]["sandbox-bank"]["USD"]
    assert (limits["limit_currency"], told["withdraw_min"]) == ("USD", "1")
    assert withdraw(handler, f'"{told["withdraw_min"]}"').status == 200
    above = str(int(told["withdraw_max"]) + 1)
    assert withdraw(handler, f'"{above}"').json["code"] == "TRANSFER_AMOUNT_INVALID"
    assert withdraw(handler, f'"{told["withdraw_max"]}"').json["code"] == "RISK_INSUFFICIENT_FUNDS"


def test_whoever_owes_us_withdraws_nothing(handler: Any) -> None:
    before = withdraw(handler, '"1"', client_transfer_id="rent")
    BalanceItem(f"house:receivable:{ACCOUNT_ID}", "BTC", available=-1).save()
    assert (
        withdraw(handler, '"1"', client_transfer_id="rent").json == before.json
    )  # It was accepted, so it is not refused.
    said = withdraw(handler, '"10"')
    assert (said.status, said.json["code"]) == (400, "TRANSFER_ACCOUNT_OWES")
    assert BalanceItem.get(str(ACCOUNT_ID), "USD").available == 18_750_000
    BalanceItem(f"house:receivable:{ACCOUNT_ID}", "BTC", available=0).save()
    assert withdraw(handler, '"10"').status == 200


def test_while_a_break_of_an_asset_is_open_nothing_new_of_it_goes(handler: Any) -> None:
    before = withdraw(handler, '"1"', client_transfer_id="food")
    BreakItem("USD", STOP, open_count=1).save()
    assert withdraw(handler, '"1"', client_transfer_id="food").json == before.json
    said = withdraw(handler, '"1"', client_transfer_id="drink")
    assert (said.status, said.json["code"]) == (400, "TRANSFER_ASSET_STOPPED")
    assert BalanceItem.get(str(ACCOUNT_ID), "USD").held == 1_250_000
    BreakItem("USD", STOP, open_count=0).save()
    assert withdraw(handler, '"1"', client_transfer_id="drink").status == 200
