"""The tables of customers and keys and a KMS key, in a moto account; a user pool over HTTP; the function on them."""

import importlib
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import boto3
import pytest
from exchange.aws import clients
from exchange.aws.dynamodb import bind
from exchange.referrals.store import ReferralItem
from exchange.usage.store import UsageItem
from exchange.users.store import ApiKeyItem, CustomerItem, ProfileItem
from moto import mock_aws

from tests.fakes.user_pool import FakeUserPool, served
from tests.fakes.users import CLIENT_ID, ISSUER

REGION = "eu-west-1"
USERS_TABLE, API_KEYS_TABLE, USAGE_TABLE, PROFILES_TABLE = "x-users", "x-api_keys", "x-usage", "x-profiles"
REFERRALS_TABLE = "x-referrals"


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """A moto account; its value is the id of the key that seals secrets."""
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, REGION)
        clients.client.cache_clear()
        yield str(boto3.client("kms").create_key()["KeyMetadata"]["Arn"])
    clients.client.cache_clear()


@pytest.fixture
def cloud(account: str) -> Iterator[str]:
    """The account with its tables, empty."""
    bind(CustomerItem, USERS_TABLE)
    bind(ApiKeyItem, API_KEYS_TABLE)
    bind(UsageItem, USAGE_TABLE)
    bind(ProfileItem, PROFILES_TABLE)
    bind(ReferralItem, REFERRALS_TABLE)
    for model in (CustomerItem, ApiKeyItem, UsageItem, ProfileItem, ReferralItem):
        model.create_table(billing_mode="PAY_PER_REQUEST")
    yield account
    for table in (USERS_TABLE, API_KEYS_TABLE, USAGE_TABLE, PROFILES_TABLE, REFERRALS_TABLE):
        boto3.client("dynamodb").delete_table(TableName=table)


@pytest.fixture(scope="module")
def pool_server(account: str) -> Iterator[FakeUserPool]:
    """A user pool where boto3 looks for Cognito."""
    pool = FakeUserPool(now_seconds=int(time.time()))
    with served(pool) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", address)
        clients.client.cache_clear()
        yield pool
    clients.client.cache_clear()


@pytest.fixture(scope="module")
def api_module(account: str, pool_server: FakeUserPool) -> Iterator[ModuleType]:
    """functions/users/api.py, composed as in a fresh Lambda process."""
    variables = {
        "USERS_TABLE": USERS_TABLE,
        "API_KEYS_TABLE": API_KEYS_TABLE,
        "USAGE_TABLE": USAGE_TABLE,
        "PUBLIC_REQUESTS_PER_SECOND": "0",
        "ORIGIN_SECRET": "told-by-the-edge",
        "PROFILES_TABLE": PROFILES_TABLE,
        "REFERRALS_TABLE": REFERRALS_TABLE,
        "SECRETS_KEY_ID": account,
        "USER_POOL_ID": ISSUER.rpartition("/")[2],
        "USER_POOL_CLIENT_ID": CLIENT_ID,
        "POWERTOOLS_SERVICE_NAME": "exchange",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.delitem(sys.modules, "functions.users.api", raising=False)
        yield importlib.import_module("functions.users.api")


@pytest.fixture
def pool(pool_server: FakeUserPool) -> FakeUserPool:
    """The pool, empty and well."""
    pool_server.forget()
    return pool_server


@pytest.fixture
def api(cloud: str, pool: FakeUserPool, api_module: ModuleType) -> ModuleType:
    """The function on empty tables and an empty pool."""
    return api_module
