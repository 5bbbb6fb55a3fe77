"""Customers and keys in their tables, and the sealing of secrets."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.errors import Code, InvariantError, Refused, UnavailableError
from exchange.usage.model import RateLimitTier
from exchange.users.model import Credential, KeyStatus, Scope
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore

from tests.fakes.users import KEY_ID, NOW_NS, SECRET, USER_ID, a_customer, a_key

pytestmark = pytest.mark.usefixtures("cloud")
OTHER = "f" * 32


def with_customer() -> ApiKeyStore:
    CustomerStore().create_once(a_customer())
    return ApiKeyStore(connection())


def count() -> int:
    return CustomerItem.get(USER_ID).api_keys or 0


def test_a_customer_reads_back_whole() -> None:
    customer = a_customer(rate_limit_tier=RateLimitTier.MAKER)
    assert CustomerStore().create_once(customer) == customer
    assert CustomerStore().find(USER_ID) == customer
    assert CustomerStore().find("nobody") is None


def test_the_first_login_decides_the_account_id() -> None:
    first = CustomerStore().create_once(a_customer(account_id=1))
    assert CustomerStore().create_once(a_customer(account_id=2, name="Bob")) == first
    assert CustomerStore().find(USER_ID) == first


def test_many_first_logins_at_once_make_one_account() -> None:
    store = CustomerStore()
    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(lambda number: store.create_once(a_customer(account_id=number)), range(1, 25)))
    assert len(seen) == 1


def test_an_operator_s_freeze_and_tier_are_read_from_the_table() -> None:
    CustomerStore().create_once(a_customer())
    CustomerItem(USER_ID).update(actions=[CustomerItem.status.set("frozen"), CustomerItem.rate_limit_tier.set("maker")])
    found = CustomerStore().find(USER_ID)
    assert found is not None
    assert (found.status, found.rate_limit_tier) == ("frozen", "maker")


def test_only_the_name_changes_and_only_of_who_is_there() -> None:
    CustomerStore().create_once(a_customer())
    assert CustomerStore().rename(USER_ID, "Anna") == a_customer(name="Anna")
    missing = CustomerStore().rename("nobody", "Bob")
    assert isinstance(missing, Refused)
    assert missing.code is Code.USER_NOT_FOUND
    assert CustomerStore().find("nobody") is None


def test_a_key_reads_back_whole() -> None:
    keys = with_customer()
    key = a_key(scopes=frozenset({Scope.VIEW}), expires_at_ns=NOW_NS + 1, allowed_addresses=("10.0.0.0/8", "::1/128"))
    assert keys.create(key, keys_max=25)
    assert keys.find(KEY_ID) == key
    assert keys.find(OTHER) is None


def test_keys_are_listed_newest_first_and_revoked_ones_are_not() -> None:
    keys = with_customer()
    for number in range(4):
        assert keys.create(a_key(key_id=f"{number:032x}", created_at_ns=NOW_NS + number * 10**9), keys_max=25)
    assert keys.revoke(USER_ID, f"{2:032x}", revoked_at_ns=NOW_NS)
    assert [int(key.key_id, 16) for key in keys.list_active(USER_ID)] == [3, 1, 0]
    assert keys.list_active("nobody") == []


def test_no_customer_has_more_keys_than_the_limit() -> None:
    keys = with_customer()
    assert keys.create(a_key(), keys_max=1)
    assert not keys.create(a_key(key_id=OTHER), keys_max=1)
    assert keys.find(OTHER) is None
    assert count() == 1
    keys.revoke(USER_ID, KEY_ID, revoked_at_ns=NOW_NS)
    assert keys.create(a_key(key_id=OTHER), keys_max=1)


def test_a_frozen_customer_gets_no_key() -> None:
    keys = with_customer()
    CustomerItem(USER_ID).update(actions=[CustomerItem.status.set("frozen")])
    assert not keys.create(a_key(), keys_max=25)
    assert keys.find(KEY_ID) is None


def test_nobody_s_key_is_not_made() -> None:
    assert not ApiKeyStore(connection()).create(a_key(), keys_max=25)


def test_a_key_is_never_overwritten() -> None:
    keys = with_customer()
    keys.create(a_key(), keys_max=25)
    assert not keys.create(a_key(credential=Credential(b"other")), keys_max=25)
    assert keys.find(KEY_ID) == a_key()
    assert count() == 1


def test_a_key_is_revoked_once_and_only_by_its_owner() -> None:
    keys = with_customer()
    keys.create(a_key(), keys_max=25)
    assert not keys.revoke("somebody-else", KEY_ID, revoked_at_ns=NOW_NS)
    assert not keys.revoke(USER_ID, OTHER, revoked_at_ns=NOW_NS)
    assert keys.find(KEY_ID) == a_key()
    assert keys.revoke(USER_ID, KEY_ID, revoked_at_ns=NOW_NS)
    assert not keys.revoke(USER_ID, KEY_ID, revoked_at_ns=NOW_NS)
    assert keys.find(KEY_ID) == replace(a_key(), status=KeyStatus.REVOKED)
    assert ApiKeyItem.get(KEY_ID).revoked_at_ns == NOW_NS
    assert count() == 0


def test_an_absent_table_is_an_outage() -> None:
    bind(CustomerItem, "not-there")
    with pytest.raises(UnavailableError):
        CustomerStore().find(USER_ID)
    with pytest.raises(UnavailableError):
        CustomerStore().create_once(a_customer())


def test_a_secret_opens_for_its_own_key_and_customer_only(cloud: str) -> None:
    secrets = KmsSecrets(boto3.client("kms"), cloud)
    sealed = secrets.seal(SECRET, key_id=KEY_ID, user_id=USER_ID)
    assert SECRET not in sealed
    assert secrets.open(sealed, key_id=KEY_ID, user_id=USER_ID) == SECRET
    for key_id, user_id in ((OTHER, USER_ID), (KEY_ID, "somebody-else")):
        with pytest.raises(InvariantError):
            secrets.open(sealed, key_id=key_id, user_id=user_id)


def test_a_missing_kms_key_is_an_outage() -> None:
    with pytest.raises(UnavailableError):
        KmsSecrets(boto3.client("kms"), "11111111-1111-4111-8111-111111111111").seal(b"x", key_id="k", user_id="u")


def test_a_rotation_reads_back_whole_and_happens_once() -> None:
    store = with_customer()
    store.create(a_key(), keys_max=5)
    first = replace(
        a_key(), credential=Credential(public_key=b"p" * 32), previous=a_key().credential, previous_until_ns=NOW_NS
    )
    assert store.rotate(a_key(), first, rotated_at_ns=NOW_NS)
    assert store.find(KEY_ID) == first
    assert not store.rotate(a_key(), first, rotated_at_ns=NOW_NS)
    second = replace(first, credential=a_key().credential, previous=first.credential, previous_until_ns=NOW_NS + 1)
    assert store.rotate(first, second, rotated_at_ns=NOW_NS)
    assert store.find(KEY_ID) == second


def test_a_revoked_key_is_not_rotated() -> None:
    store = with_customer()
    store.create(a_key(), keys_max=5)
    store.revoke(USER_ID, KEY_ID, revoked_at_ns=NOW_NS)
    assert not store.rotate(
        a_key(), replace(a_key(), credential=Credential(public_key=b"p" * 32)), rotated_at_ns=NOW_NS
    )
