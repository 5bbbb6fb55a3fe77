"""Schedules in their table, and GET /fees as API Gateway calls it."""

import importlib
import json
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import boto3
import pytest
from exchange.awards.model import Award, AwardKey, award_batch
from exchange.awards.model import Standing as AwardStanding
from exchange.awards.store import AwardItem, AwardStore
from exchange.aws import clients
from exchange.aws.dynamodb import bind, connection
from exchange.fees.document import agreements_document
from exchange.fees.model import Agreement, Commission, FeeScheduleError, Rates, Rebate, Standing, Tier, Traded, flat
from exchange.fees.model import FeeSchedule as Version
from exchange.fees.sharing import ShareKind
from exchange.fees.store import (
    ALL_VERSIONS,
    FeeScheduleItem,
    FeeSchedules,
    add_traded,
    counted_closing,
    note_counted,
    publish,
    read_standing,
    read_versions,
)
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Balance, Head
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.referrals.model import CodeOwner, code_of
from exchange.referrals.store import ReferralItem, ReferralStore
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
        bind(ReferralItem, "x-referrals")
        ReferralItem.create_table(billing_mode="PAY_PER_REQUEST")
        bind(AwardItem, "x-awards")
        AwardItem.create_table(billing_mode="PAY_PER_REQUEST")
        bind(JournalItem, "x-journal")
        JournalItem.create_table(billing_mode="PAY_PER_REQUEST")
        bind(BalanceItem, "x-balances")
        BalanceItem.create_table(billing_mode="PAY_PER_REQUEST")
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
        "REFERRALS_TABLE": "x-referrals",
        "AWARDS_TABLE": "x-awards",
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


def agree(account_id: int, rates: Rates) -> None:
    """Rates of an account's own, that have held since long."""
    text = json.dumps(agreements_document({account_id: (Agreement(1, rates),)}))
    FeeScheduleItem(ALL_VERSIONS).update(actions=[FeeScheduleItem.agreements.set(text)])


@pytest.mark.usefixtures("table")
def test_an_account_has_everybodys_rates_or_its_own() -> None:
    publish(flat(4000, 6000), now_ns=1)
    agree(7, Rates(0, 1000))
    schedules = FeeSchedules(StoppedClock())
    assert schedules.rates(7, "ACME-USD") == Rates(0, 1000)
    assert schedules.rates(8, "ACME-USD") == Rates(4000, 6000)
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
    assert read_standing(7).volume(clock.now_ns()) == 500
    assert counted_closing() == 0
    note_counted(2)
    assert counted_closing() == 2


@pytest.mark.usefixtures("table")
def test_nobody_trades_at_an_unknown_price() -> None:
    with pytest.raises(UnavailableError):
        FeeSchedules(StoppedClock()).rates(7, "ACME-USD")


def ask(api: ModuleType, path: str, query: str = "") -> Answer:
    """One signed GET."""
    signed = signed_headers("GET", f"{path}?{query}" if query else path, timestamp=str(time.time()))
    return call(api.handler, proxy_event("GET", path, query=query, headers=signed))


def award(closing: int, kind: ShareKind = ShareKind.REBATE, payee_id: int = ACCOUNT_ID, units: int = 150) -> Award:
    """So many units were earned, and paid."""
    return Award(closing, AwardKey("ACME-USD", kind, payee_id), "USD", units * 10**6 + 7, 0, units, units)


def post(store: AwardStore, *awards: Award) -> bool:
    batch = award_batch(awards, JournalStore().head("awards:ACME-USD"), posted_at_ns=5)
    return store.post(awards, batch)


@pytest.mark.usefixtures("table")
def test_an_award_is_kept_posted_and_carried_once() -> None:
    store = AwardStore(connection())
    first, other = award(3), award(3, ShareKind.COMMISSION, payee_id=8, units=0)
    assert post(store, first, other)
    assert not post(store, first)
    assert not store.post([award(2)], award_batch([award(2)], Head(), posted_at_ns=5))  # that end has moved on
    assert not post(store, award(2))  # a closing before one that is paid
    found = store.standings(4, [first.key, other.key])
    assert found == {first.key: AwardStanding(7), other.key: AwardStanding(7)}
    assert store.standings(3, [first.key]) == {first.key: AwardStanding(0, first)}
    assert BalanceStore().balance(ACCOUNT_ID, "USD") == Balance(str(ACCOUNT_ID), "USD", 150, 0)
    assert BalanceStore().split("house:costs:awards:ACME-USD", "USD") == {"USD": -150}
    assert JournalStore().head("awards:ACME-USD").number == 1
    assert post(store, award(4))
    assert [row.closing for row in store.awards(ACCOUNT_ID)] == [4, 3]
    assert [row.closing for row in store.awards(ACCOUNT_ID, before=4)] == [3]


@pytest.mark.usefixtures("table")
def test_a_code_is_made_once_and_another_s_is_not_taken() -> None:
    store = ReferralStore()
    assert store.owner(code_of("ann")) is None
    assert store.own_code("ann", 1) == store.own_code("ann", 1) == (code_of("ann"), CodeOwner("ann", 1))
    ReferralItem(f"code#{code_of('bob')}", user_id="eve", account_id=3).save()
    assert store.own_code("bob", 2) == (code_of("bob", 1), CodeOwner("bob", 2))
    assert store.owner(code_of("bob")) == CodeOwner("eve", 3)
    assert store.referral(1) is None


def test_a_customer_sees_their_awards_and_their_code_and_nobody_s_name(api: ModuleType) -> None:
    version = Version(0, (Tier(0, Rates(0, 6000)),), rebates=(Rebate("", 1000),), commission=Commission(200_000, 365))
    publish(version, now_ns=1)
    store = AwardStore(connection())
    assert post(store, award(1), award(1, ShareKind.COMMISSION, units=40))
    assert post(store, award(2, ShareKind.COMMISSION, units=2), award(2, payee_id=9))
    rows = ask(api, "/v1/awards").json
    assert [(row["closing"], row["type"]) for row in rows] == [(2, "commission"), (1, "rebate"), (1, "commission")]
    assert rows[1] == {
        "closing": 1, "type": "rebate", "product_id": "ACME-USD", "currency": "USD", "due": "0.00015",
        "amount": "0.00015",
    }  # fmt: skip
    page = ask(api, "/v1/awards", "limit=1")
    assert ([row["closing"] for row in page.json], page.headers["cb-after"]) == ([2], "2")
    page = ask(api, "/v1/awards", "limit=1&after=2")
    assert ([row["closing"] for row in page.json], "cb-after" in page.headers) == ([1, 1], False)
    for query in ("before=1", "after=x", "limit=0"):
        refused = ask(api, "/v1/awards", query)
        assert (refused.status, refused.json["code"]) == (400, "REQUEST_FIELD_INVALID"), query
    told = ask(api, "/v1/referrals").json
    assert told == ask(api, "/v1/referrals").json
    assert told == {
        "referral_code": code_of(USER_ID),
        "referred": 0,
        "commission_share": "0.2",
        "commission_days": 365,
        "commissions": [
            {"closing": 2, "currency": "USD", "amount": "0.000002"},
            {"closing": 1, "currency": "USD", "amount": "0.00004"},
        ],
    }


def test_a_customer_sees_the_own_rates(api: ModuleType) -> None:
    own = {"ACME-USD": (Tier(0, Rates(0, 100)),)}
    publish(Version(0, (Tier(0, Rates(4000, 6000)),), own, rebates=(Rebate("ACME-USD", 100),)), now_ns=1)
    agree(ACCOUNT_ID, Rates(1, 2500))
    add_traded(ACCOUNT_ID, Traded(1, time.time_ns(), 123_450))

    assert ask(api, "/fees").json == {
        "maker_fee_rate": "0.000001",
        "taker_fee_rate": "0.0025",
        "maker_rebate_rate": "0",
        "usd_volume": "1234.5",
    }
    told = ask(api, "/fees", "product_id=ACME-USD").json
    assert (told["taker_fee_rate"], told["maker_rebate_rate"]) == ("0.0001", "0.0001")
    refused = ask(api, "/fees", "product_id=NONE-USD")
    assert (refused.status, refused.json["code"]) == (400, "PRODUCT_NOT_FOUND")


def test_a_stranger_sees_none_and_without_a_schedule_it_is_an_outage(api: ModuleType) -> None:
    assert call(api.handler, proxy_event("GET", "/fees")).status == 401
    headers = signed_headers("GET", "/fees", timestamp=str(time.time()))
    answer = call(api.handler, proxy_event("GET", "/fees", headers=headers))
    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
