"""Profiles over REST, through the real function: one's own, and money only between them."""

import json
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.ids import to_uuid
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem
from exchange.referrals.store import ReferralItem
from exchange.transfers.store import BankMarkItem, TransferItem
from exchange.usage.store import UsageItem
from exchange.users.model import Profile, Scope
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore, ProfileItem, ProfileStore
from moto import mock_aws

from tests.fakes.markets import ACME, USD
from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.tables import REGION, create_tables
from tests.fakes.users import (
    ACCOUNT_ID,
    KEY_ID,
    SECRET,
    USER_ID,
    a_credential,
    a_customer,
    a_key,
    signed_headers,
)

BOT, OTHER = 11, 12
SECOND_KEY, VIEW_KEY = "1" * 32, "2" * 32
MODELS: dict[str, list[Any]] = {
    "instruments": [InstrumentItem],
    "balances": [BalanceItem],
    "transfers": [TransferItem, BankMarkItem],
    "journal": [JournalItem],
    "profiles": [ProfileItem],
    "api_keys": [ApiKeyItem],
    "users": [CustomerItem],
    "usage": [UsageItem],
    "referrals": [ReferralItem],
}


@pytest.fixture(scope="module")
def handler() -> Iterator[Any]:
    """Ann with a second profile and three keys, and the function, made once."""
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        key = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
        create_tables(*MODELS)
        environment = {f"{table.upper()}_TABLE": table for table in MODELS} | {
            "AWS_DEFAULT_REGION": REGION,
            "SECRETS_KEY_ID": key,
            "USER_POOL_ID": "us-east-1_example",
            "USER_POOL_CLIENT_ID": "web",
            "PUBLIC_REQUESTS_PER_SECOND": "0",
            "ORIGIN_SECRET": "told-by-the-edge",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for table, models in MODELS.items():
            for model in models:
                bind(model, table)
        _ann(KmsSecrets(boto3.client("kms", region_name=REGION), key))
        yield import_module("functions.profiles.api").handler


def _ann(secrets: KmsSecrets) -> None:
    CustomerStore().create_once(a_customer())
    ProfileStore(connection()).create(Profile(USER_ID, BOT, "bot", 5), profiles_max=5)
    keys = ApiKeyStore(connection())
    for key_id, changes in (
        (KEY_ID, {}),
        (SECOND_KEY, {"account_id": BOT}),
        (VIEW_KEY, {"scopes": frozenset({Scope.VIEW})}),
    ):
        sealed = secrets.seal(SECRET, key_id=key_id, user_id=USER_ID)
        assert keys.create(a_key(key_id=key_id, credential=a_credential(sealed, key_id=key_id), **changes), keys_max=5)
    InstrumentStore().save_asset(USD)
    InstrumentStore().save_asset(ACME)


@pytest.fixture(autouse=True)
def empty(handler: Any) -> None:
    """No money and no transfers."""
    for model in (TransferItem, BalanceItem, JournalItem, UsageItem):
        for item in model.scan():
            item.delete()


def ask(handler: Any, method: str, path: str, body: Any = None, *, key_id: str = KEY_ID) -> Answer:
    """One signed request."""
    text = "" if body is None else json.dumps(body)
    headers = signed_headers(method, path, text.encode(), timestamp=str(int(time.time())), key_id=key_id)
    by_id = path.startswith("/profiles/") and path != "/profiles/transfer"
    event = proxy_event(
        method,
        path,
        body=text or None,
        headers=headers,
        resource="/profiles/{id}" if by_id else path,
        variables={"id": path.split("/")[2]} if by_id else None,
    )
    return call(handler, event)


def a_move(**changed: Any) -> dict[str, Any]:
    """Ten dollars from the default profile to the bot's."""
    return {"from": to_uuid(ACCOUNT_ID), "to": to_uuid(BOT), "currency": "USD", "amount": "10", **changed}


def owned(account_id: int) -> int:
    """A profile's dollars."""
    return BalanceStore().balance(account_id, "USD").available


def test_profiles_are_listed_the_default_one_first(handler: Any) -> None:
    said = ask(handler, "GET", "/profiles")
    assert [(row["name"], row["is_default"], row["id"]) for row in said.json] == [
        ("default", True, to_uuid(ACCOUNT_ID)),
        ("bot", False, to_uuid(BOT)),
    ]
    assert ask(handler, "GET", f"/profiles/{to_uuid(BOT)}").json == said.json[1]


@pytest.mark.parametrize("wire_id", [to_uuid(OTHER), "x", "%00", "0"])
def test_another_customers_profile_is_not_found(handler: Any, wire_id: str) -> None:
    said = ask(handler, "GET", f"/profiles/{wire_id}")
    assert (said.status, said.json["code"]) == (404, "PROFILE_NOT_FOUND")


def test_a_key_that_may_move_money_makes_and_renames_profiles_and_no_other(handler: Any) -> None:
    for method, path in (("POST", "/profiles"), ("PUT", f"/profiles/{to_uuid(BOT)}")):
        said = ask(handler, method, path, {"name": "mine"}, key_id=VIEW_KEY)
        assert (said.status, said.json["code"]) == (401, "AUTH_SCOPE")
    made = ask(handler, "POST", "/profiles", {"name": "second"})
    assert (made.status, made.json["name"], made.json["is_default"]) == (200, "second", False)
    renamed = ask(handler, "PUT", f"/profiles/{made.json['id']}", {"name": "spare"})
    assert (renamed.status, renamed.json["id"], renamed.json["name"]) == (200, made.json["id"], "spare")
    assert ask(handler, "GET", f"/profiles/{made.json['id']}").json == renamed.json


def test_money_moves_between_own_profiles(handler: Any) -> None:
    BalanceItem(str(ACCOUNT_ID), "USD", available=15_000_000).save()
    said = ask(handler, "POST", "/profiles/transfer", a_move(client_transfer_id="rent"))
    assert said.status == 200
    assert (said.json["type"], said.json["amount"], said.json["status"]) == ("internal_withdraw", "10", "completed")
    ends = (said.json["details"]["from"], said.json["details"]["to"])
    assert ends == (to_uuid(ACCOUNT_ID), to_uuid(BOT))
    assert (owned(ACCOUNT_ID), owned(BOT)) == (5_000_000, 10_000_000)
    assert ask(handler, "POST", "/profiles/transfer", a_move(client_transfer_id="rent")).json == said.json
    assert owned(BOT) == 10_000_000


def test_whoever_owes_us_moves_nothing_away_but_hears_of_what_was_moved(handler: Any) -> None:
    BalanceItem(str(ACCOUNT_ID), "USD", available=15_000_000).save()
    before = ask(handler, "POST", "/profiles/transfer", a_move(amount="1", client_transfer_id="early"))
    debt = BalanceItem(f"house:receivable:{ACCOUNT_ID}", "BTC", available=-1)
    debt.save()
    said = ask(handler, "POST", "/profiles/transfer", a_move())
    assert (said.status, said.json["code"], owned(ACCOUNT_ID)) == (400, "TRANSFER_ACCOUNT_OWES", 14_000_000)
    again = ask(handler, "POST", "/profiles/transfer", a_move(amount="1", client_transfer_id="early"))
    assert again.json == before.json
    debt.delete()
    assert ask(handler, "POST", "/profiles/transfer", a_move()).status == 200


def test_a_key_moves_only_out_of_its_own_profile(handler: Any) -> None:
    BalanceItem(str(ACCOUNT_ID), "USD", available=15_000_000).save()
    said = ask(handler, "POST", "/profiles/transfer", a_move(), key_id=SECOND_KEY)
    assert (said.status, said.json["code"]) == (401, "AUTH_SCOPE")
    said = ask(handler, "POST", "/profiles/transfer", a_move(), key_id=VIEW_KEY)
    assert (said.status, said.json["code"]) == (401, "AUTH_SCOPE")
    assert owned(ACCOUNT_ID) == 15_000_000
    BalanceItem(str(BOT), "USD", available=1_000_000).save()
    back = a_move(**{"from": to_uuid(BOT), "to": to_uuid(ACCOUNT_ID), "amount": "1"})
    assert ask(handler, "POST", "/profiles/transfer", back, key_id=SECOND_KEY).status == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "16"}, 400, "RISK_INSUFFICIENT_FUNDS"),
        ({"amount": 10}, 400, "REQUEST_FIELD_INVALID"),
        ({"amount": "0"}, 400, "TRANSFER_AMOUNT_INVALID"),
        ({"to": to_uuid(OTHER)}, 404, "PROFILE_NOT_FOUND"),
        ({"from": to_uuid(OTHER)}, 404, "PROFILE_NOT_FOUND"),
        ({"to": to_uuid(ACCOUNT_ID)}, 400, "REQUEST_FIELD_INVALID"),
        ({"currency": "DOGE"}, 404, "CURRENCY_NOT_FOUND"),
        ({"client_transfer_id": "a b"}, 400, "REQUEST_FIELD_INVALID"),
        ({"more": 1}, 400, "REQUEST_FIELD_UNKNOWN"),
    ],
)
def test_what_can_not_be_moved_changes_nothing(handler: Any, change: dict[str, Any], status: int, code: str) -> None:
    BalanceItem(str(ACCOUNT_ID), "USD", available=15_000_000).save()
    said = ask(handler, "POST", "/profiles/transfer", a_move(**change))
    assert (said.status, said.json["code"]) == (status, code)
    assert (owned(ACCOUNT_ID), owned(BOT)) == (15_000_000, 0)
    assert not list(TransferItem.scan())
