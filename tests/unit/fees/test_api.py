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
from exchange.fees.model import FeeSchedule
from exchange.fees.store import FeeScheduleItem, FeeSchedules, save_schedule
from exchange.kernel.errors import UnavailableError
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore
from moto import mock_aws

from tests.fakes.rest import call, proxy_event
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
    variables = {
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
def test_an_account_without_a_schedule_has_the_default() -> None:
    save_schedule(FeeSchedule("default", 4000, 6000))
    save_schedule(FeeSchedule("7", 0, 1000))
    schedules = FeeSchedules(StoppedClock())
    assert schedules.schedule(7) == FeeSchedule("7", 0, 1000)
    assert schedules.schedule(8) == FeeSchedule("default", 4000, 6000)


@pytest.mark.usefixtures("table")
def test_a_new_schedule_serves_within_a_minute() -> None:
    clock = StoppedClock()
    schedules = FeeSchedules(clock)
    save_schedule(FeeSchedule("default", 4000, 6000))
    assert schedules.schedule(7).taker_ppm == 6000
    save_schedule(FeeSchedule("default", 4000, 5000))
    assert schedules.schedule(7).taker_ppm == 6000
    clock.advance(60)
    assert schedules.schedule(7).taker_ppm == 5000


@pytest.mark.usefixtures("table")
def test_nobody_trades_at_an_unknown_price() -> None:
    with pytest.raises(UnavailableError):
        FeeSchedules(StoppedClock()).schedule(7)


def test_a_customer_sees_the_own_rates(api: ModuleType) -> None:
    save_schedule(FeeSchedule("default", 4000, 6000))
    save_schedule(FeeSchedule(str(ACCOUNT_ID), 1, 2500))
    headers = signed_headers("GET", "/fees", timestamp=str(time.time()))
    answer = call(api.handler, proxy_event("GET", "/fees", headers=headers))
    assert answer.status == 200
    assert answer.json == {"maker_fee_rate": "0.000001", "taker_fee_rate": "0.0025", "usd_volume": None}


def test_a_stranger_sees_none_and_without_a_default_it_is_an_outage(api: ModuleType) -> None:
    assert call(api.handler, proxy_event("GET", "/fees")).status == 401
    headers = signed_headers("GET", "/fees", timestamp=str(time.time()))
    answer = call(api.handler, proxy_event("GET", "/fees", headers=headers))
    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
