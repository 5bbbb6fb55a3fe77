"""Schedules in their table, and GET /fees as API Gateway calls it."""

import importlib
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import boto3
import pytest
from exchange.aws import clients
from exchange.aws.dynamodb import bind, connection
from exchange.fees.model import FeeSchedule as Version
from exchange.fees.model import FeeScheduleError, Rates, Standing, Tier, Traded, flat
from exchange.fees.store import (
    FeeScheduleItem,
    FeeSchedules,
    add_traded,
    agree_rates,
    counted_closing,
    note_counted,
    publish,
    read_standing,
    read_versions,
)
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.errors import UnavailableError
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore
from moto import mock_aws

from tests.fakes.markets import acme_usd
from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.users import (
    ACCOUNT_ID,
    KEY_ID,
    SECRET,
    USER_ID,
    StoppedClock,
    a_credential,
    a_customer,
    a_key,
    signed_headers,
)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty table of schedules."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-west-1")
    with mock_aws():
        clients.client.cache_clear()
        bind(FeeScheduleItem, "x-fee_schedules")
        FeeScheduleItem.create_table(billing_mode="PAY_PER_REQUEST")
        yield
    clients.client.cache_clear()


@pytest.fixture
def api(table: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """functions/fees/api.py for a customer with a key."""
    kms_key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    bind(CustomerItem, "x-users")
    bind(ApiKeyItem, "x-api_keys")
    CustomerItem.create_table(billing_mode="PAY_PER_REQUEST")
    ApiKeyItem.create_table(billing_mode="PAY_PER_REQUEST")
    CustomerStore().create_once(a_customer())
    sealed = KmsSecrets(boto3.client("kms"), kms_key).seal(SECRET, key_id=KEY_ID, user_id=USER_ID)
    ApiKeyStore(connection()).create(a_key(credential=a_credential(sealed)), keys_max=1)
    bind(InstrumentItem, "x-instruments")
    InstrumentItem.create_table(billing_mode="PAY_PER_REQUEST")
    product = acme_usd()
    for asset in (product.base, product.quote):
        InstrumentStore().save_asset(asset)
    InstrumentStore().save_product(product)
    variables = {
        "INSTRUMENTS_TABLE": "x-instruments",
        "FEE_SCHEDULES_TABLE": "x-fee_schedules",
        "USERS_TABLE": "x-users",
        "API_KEYS_TABLE": "x-api_keys",
        "USAGE_TABLE": "x-usage",
        "PUBLIC_REQUESTS_PER_SECOND": "0",
        "ORIGIN_SECRET": "told-by-the-edge",
        "SECRETS_KEY_ID": kms_key,
        "USER_POOL_ID": "eu-west-1_Pool12345",
        "USER_POOL_CLIENT_ID": "webclient0123456789",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "functions.fees.api", raising=False)
    return importlib.import_module("functions.fees.api")


@pytest.mark.usefixtures("table")
def test_an_account_has_everybodys_rates_or_its_own() -> None:
    publish(flat(4000, 6000), now_ns=1)
    agree_rates(7, Rates(0, 1000))
    schedules = FeeSchedules(StoppedClock())
    assert schedules.rates(7, "ACME-USD") == Rates(0, 1000)
    assert schedules.rates(8, "ACME-USD") == Rates(4000, 6000)
    agree_rates(7, None)
    assert read_standing(7) == Standing()


@pytest.mark.usefixtures("table")
def test_a_version_serves_from_its_own_moment() -> None:
    clock = StoppedClock()
    schedules = FeeSchedules(clock)
    publish(flat(4000, 6000), now_ns=clock.now_ns())
    publish(flat(4000, 5000, effective_ns=clock.now_ns() + 61 * 10**9), now_ns=clock.now_ns())
    assert schedules.rates(7, "ACME-USD").taker_ppm == 6000
    clock.advance(60)
    assert schedules.rates(7, "ACME-USD").taker_ppm == 6000
    clock.advance(1)
    assert schedules.rates(7, "ACME-USD").taker_ppm == 5000
    with pytest.raises(FeeScheduleError, match="past"):
        publish(flat(1, 1, effective_ns=clock.now_ns()), now_ns=clock.now_ns())
    assert len(read_versions()) == 2


@pytest.mark.usefixtures("table")
def test_volume_makes_trading_cheaper_and_is_counted_once() -> None:
    clock = StoppedClock()
    publish(Version(0, (Tier(0, Rates(4000, 6000)), Tier(500, Rates(1000, 2000)))), now_ns=1)
    for _ in range(2):
        add_traded(7, Traded(1, clock.now_ns() - 1, 300))
    assert FeeSchedules(clock).rates(7, "ACME-USD").taker_ppm == 6000
    add_traded(7, Traded(2, clock.now_ns(), 200))
    assert FeeSchedules(clock).rates(7, "ACME-USD").taker_ppm == 2000
    agree_rates(7, Rates(0, 500))
    assert read_standing(7).volume(clock.now_ns()) == 500
    assert counted_closing() == 0
    note_counted(2)
    assert counted_closing() == 2


@pytest.mark.usefixtures("table")
def test_nobody_trades_at_an_unknown_price() -> None:
    with pytest.raises(UnavailableError):
        FeeSchedules(StoppedClock()).rates(7, "ACME-USD")


def test_a_customer_sees_the_own_rates(api: ModuleType) -> None:
    publish(Version(0, (Tier(0, Rates(4000, 6000)),), {"ACME-USD": (Tier(0, Rates(0, 0)),)}), now_ns=1)
    agree_rates(ACCOUNT_ID, Rates(1, 2500))
    add_traded(ACCOUNT_ID, Traded(1, time.time_ns(), 123_450))

    def ask(query: str) -> Answer:
        path = f"/fees?{query}" if query else "/fees"
        headers = signed_headers("GET", path, timestamp=str(time.time()))
        return call(api.handler, proxy_event("GET", "/fees", query=query, headers=headers))

    assert ask("").json == {"maker_fee_rate": "0.000001", "taker_fee_rate": "0.0025", "usd_volume": "1234.5"}
    assert ask("product_id=ACME-USD").json["taker_fee_rate"] == "0"
    refused = ask("product_id=NONE-USD")
    assert (refused.status, refused.json["code"]) == (400, "PRODUCT_NOT_FOUND")


def test_a_stranger_sees_none_and_without_a_schedule_it_is_an_outage(api: ModuleType) -> None:
    assert call(api.handler, proxy_event("GET", "/fees")).status == 401
    headers = signed_headers("GET", "/fees", timestamp=str(time.time()))
    answer = call(api.handler, proxy_event("GET", "/fees", headers=headers))
    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
