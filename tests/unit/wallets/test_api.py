"""Wallets over REST, through the real function: own things are shown, others' are not found, bad input does nothing."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.ids import account_uuid, to_uuid
from exchange.ledger.model import EntryKind
from exchange.ledger.store import BalanceItem
from exchange.messages import OrderType, Side
from exchange.orders.model import Fill, Liquidity, Order
from exchange.orders.store import FillItem, OrderItem, fill_attributes, order_item
from exchange.statements.model import Line, Page
from exchange.statements.store import StatementItem, StatementStore
from exchange.transfers.model import TransferStatus
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore, transfer_item
from exchange.usage.model import RateLimitTier
from exchange.usage.store import UsageItem
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore
from moto import mock_aws

from tests.fakes.markets import ACME, USD, acme_usd
from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.tables import REGION, create_tables
from tests.fakes.users import ACCOUNT_ID, KEY_ID, SECRET, USER_ID, a_credential, a_customer, a_key, signed_headers
from tests.fakes.wallets import a_deposit, a_withdrawal

MODELS: dict[str, list[Any]] = {
    "instruments": [InstrumentItem],
    "balances": [BalanceItem],
    "orders": [OrderItem],
    "fills": [FillItem],
    "statements": [StatementItem],
    "transfers": [TransferItem, BankMarkItem],
    "api_keys": [ApiKeyItem],
    "users": [CustomerItem],
    "usage": [UsageItem],
}
ROUTES = (
    "/accounts/{id}/ledger",
    "/accounts/{id}/holds",
    "/accounts/{id}/balance",
    "/accounts/{id}/transfers",
    "/accounts/{id}",
    "/transfers/{id}",
)


@dataclass
class Wallets:
    """The function, and what it stands on."""

    handler: Any
    machines: Any
    machine_arn: str
    earlier: frozenset[str] = frozenset()

    def ask(self, method: str, path: str, body: Any = None, *, query: str = "", sign: bool = True) -> Answer:
        """One request of Ann's."""
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        pattern = next((route for route in ROUTES if _fits(route, path)), path)
        variables = {"id": path.split("/")[2]} if pattern != path else None
        whole = f"{path}?{query}" if query else path
        headers = signed_headers(method, whole, text.encode(), timestamp=str(int(time.time()))) if sign else {}
        event = proxy_event(
            method, path, query=query, body=text or None, headers=headers, resource=pattern, variables=variables
        )
        return call(self.handler, event)

    def executions(self) -> list[str]:
        """The names of the executions that this test started."""
        rows = self.machines.list_executions(stateMachineArn=self.machine_arn)["executions"]
        return [row["name"] for row in rows if row["name"] not in self.earlier]


def _fits(route: str, path: str) -> bool:
    names, parts = route.split("/"), path.split("/")
    return len(names) == len(parts) and all(name in ("{id}", part) for name, part in zip(names, parts, strict=True))


@pytest.fixture(scope="module")
def cloud() -> Iterator[Wallets]:
    """Ann, her key, a market and the function, made once: they are slow to make and no test changes them."""
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        key = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
        machines = boto3.client("stepfunctions", region_name=REGION)
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        role = "arn:aws:iam::123456789012:role/deposit"
        arn = machines.create_state_machine(name="deposit", definition=definition, roleArn=role)["stateMachineArn"]
        create_tables(*MODELS)
        environment = {f"{table.upper()}_TABLE": table for table in MODELS} | {
            "AWS_DEFAULT_REGION": REGION,
            "SECRETS_KEY_ID": "alias/exchange-secrets",
            "USER_POOL_ID": "us-east-1_example",
            "USER_POOL_CLIENT_ID": "web",
            "DEPOSIT_MACHINE_ARN": arn,
            "BANK_PROVIDER": "sandbox",
            "STRIPE_RAIL": "off",
            "BANK_FILES_RAIL": "off",
            "PUBLIC_REQUESTS_PER_SECOND": "0",
            "ORIGIN_SECRET": "told-by-the-edge",
        }
        boto3.client("kms", region_name=REGION).create_alias(AliasName="alias/exchange-secrets", TargetKeyId=key)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for table, models in MODELS.items():
            for model in models:
                bind(model, table)
        _ann_and_the_market(KmsSecrets(boto3.client("kms", region_name=REGION), "alias/exchange-secrets"))
        yield Wallets(import_module("functions.wallets.api").handler, machines, arn)


@pytest.fixture
def wallets(cloud: Wallets) -> Wallets:
    """The function over empty wallets."""
    for model in (TransferItem, BalanceItem, OrderItem, FillItem, StatementItem):
        for item in model.scan():
            item.delete()
    return replace(cloud, earlier=frozenset(cloud.executions()))


def _ann_and_the_market(secrets: KmsSecrets) -> None:
    CustomerStore().create_once(a_customer())
    sealed = secrets.seal(SECRET, key_id=KEY_ID, user_id=USER_ID)
    key = a_key(credential=a_credential(sealed), rate_limit_tier=RateLimitTier.MAKER)
    assert ApiKeyStore(connection()).create(key, keys_max=5)
    store = InstrumentStore()
    store.save_asset(USD)
    store.save_asset(ACME)
    store.save_product(acme_usd())


def a_request(**changed: Any) -> dict[str, Any]:
    """A good deposit, with fields changed."""
    return {"amount": "100.25", "currency": "USD", "payment_method_id": "sandbox-bank-USD", **changed}


def test_accounts_show_every_asset_also_what_was_never_owned(wallets: Wallets) -> None:
    BalanceItem(str(ACCOUNT_ID), "USD", available=1_500_000, held=250_000).save()
    said = wallets.ask("GET", "/accounts")
    assert (said.status, [row["currency"] for row in said.json]) == (200, ["ACME", "USD"])
    assert said.json[1] == {
        "id": account_uuid(ACCOUNT_ID, "USD"),
        "currency": "USD",
        "balance": "1.75",
        "available": "1.5",
        "hold": "0.25",
        "profile_id": to_uuid(ACCOUNT_ID),
        "trading_enabled": True,
    }
    assert said.json[0]["balance"] == "0"
    assert wallets.ask("GET", f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}").json == said.json[1]


@pytest.mark.parametrize("name", [account_uuid(8, "USD"), "x", "USD", to_uuid(ACCOUNT_ID), "%00", "a" * 500])
def test_anything_but_an_own_account_is_not_found(wallets: Wallets, name: str) -> None:
    for path in (f"/accounts/{name}", f"/accounts/{name}/holds", f"/accounts/{name}/transfers"):
        said = wallets.ask("GET", path)
        assert (said.status, said.json["code"]) == (404, "ACCOUNT_NOT_FOUND")


def test_holds_are_what_live_orders_hold_of_that_asset(wallets: Wallets) -> None:
    for number, (side, hold) in enumerate([(Side.BUY, 1_006_000), (Side.SELL, 10), (Side.BUY, 2_012_000)], start=1):
        order = Order(number, ACCOUNT_ID, "ACME-USD", side, OrderType.LIMIT, number, 4_000, 6_000, hold_units=hold)
        order_item(order).save()
    path = f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}/holds"
    said = wallets.ask("GET", path)
    assert [(row["amount"], row["ref"], row["type"]) for row in said.json] == [
        ("2.012", to_uuid(3), "order"),
        ("1.006", to_uuid(1), "order"),
    ]
    first = wallets.ask("GET", path, query="limit=1")
    assert len(first.json) == 1
    rest = wallets.ask("GET", path, query=f"limit=1&after={first.headers['cb-after']}")
    assert [row["ref"] for row in rest.json] == [to_uuid(1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pending_withdrawals_hold_beside_orders_and_pages_lead_through_both(wallets: Wallets, limit: int) -> None:
    for number in (1, 2, 3, 4):
        order = Order(number, ACCOUNT_ID, "ACME-USD", Side.BUY, OrderType.LIMIT, number, 1, 1, hold_units=1_000_000)
        order_item(order).save()
    pending = [a_withdrawal(f"1{at}.5", at_ns=at, account_id=ACCOUNT_ID, key=f"w{at}") for at in (2, 3, 5)]
    ended = replace(a_withdrawal(at_ns=4, account_id=ACCOUNT_ID, key="over"), status=TransferStatus.COMPLETED)
    other = a_withdrawal("1", "ACME", at_ns=4, account_id=ACCOUNT_ID, key="shares")
    for transfer in (*pending, ended, other, a_deposit(account_id=ACCOUNT_ID, at_ns=6)):
        transfer_item(transfer).save()
    path, query, seen = f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}/holds", f"limit={limit}", []
    while True:
        page = wallets.ask("GET", path, query=query)
        assert len(page.json) <= limit
        seen += page.json
        if "cb-after" not in page.headers:
            break
        query = f"limit={limit}&after={page.headers['cb-after']}"
    # The fee of 0.25 is held beside the amount.
    assert [row["amount"] for row in seen] == ["15.75", "1", "13.75", "1", "12.75", "1", "1"]
    assert [row["type"] for row in seen] == ["order" if row["amount"] == "1" else "transfer" for row in seen]
    assert len({row["ref"] for row in seen}) == len(seen)


def test_wallets_are_of_money_and_coins_under_the_accounts_ids(wallets: Wallets) -> None:
    rows = wallets.ask("GET", "/coinbase-accounts").json
    accounts = {row["currency"]: row for row in wallets.ask("GET", "/accounts").json}
    assert [(row["currency"], row["type"], row["name"]) for row in rows] == [("USD", "fiat", "USD Wallet")]
    assert (rows[0]["id"], rows[0]["balance"]) == (accounts["USD"]["id"], accounts["USD"]["balance"])


def test_a_deposit_is_pending_and_its_machine_runs_under_its_id(wallets: Wallets) -> None:
    said = wallets.ask("POST", "/deposits/payment-method", a_request())
    assert (said.status, said.json["amount"], said.json["status"]) == (200, "100.25", "pending")
    assert wallets.executions() == [said.json["id"]]
    shown = wallets.ask("GET", f"/transfers/{said.json['id']}").json
    assert shown.keys() == {"id", "type", "amount", "currency", "account_id", "status", "created_at", "details"}
    assert (shown["type"], shown["account_id"]) == ("deposit", account_uuid(ACCOUNT_ID, "USD"))


def test_a_repeated_deposit_is_one_deposit(wallets: Wallets) -> None:
    body = a_request(client_transfer_id="rent-2026-11")
    first = wallets.ask("POST", "/deposits/payment-method", body)
    assert wallets.ask("POST", "/deposits/payment-method", body).json == first.json
    assert wallets.executions() == [first.json["id"]]
    other = wallets.ask("POST", "/deposits/payment-method", body | {"amount": "1"})
    assert (other.status, other.json["code"]) == (400, "TRANSFER_KEY_REUSED")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "REQUEST_MALFORMED"),
        ("{", "REQUEST_MALFORMED"),
        ("[]", "REQUEST_MALFORMED"),
        ('{"amount":"1","amount":"2"}', "REQUEST_MALFORMED"),
        ("{" + " " * 20_000 + "}", "REQUEST_TOO_LARGE"),
        ({}, "REQUEST_FIELD_INVALID"),
        (a_request(amount=100.25), "REQUEST_FIELD_INVALID"),
        (a_request(amount=100), "REQUEST_FIELD_INVALID"),
        (a_request(amount=None), "REQUEST_FIELD_INVALID"),
        (a_request(amount=""), "REQUEST_FIELD_INVALID"),
        (a_request(amount="9" * 41), "REQUEST_FIELD_INVALID"),
        (a_request(client_transfer_id=""), "REQUEST_FIELD_INVALID"),
        (a_request(client_transfer_id="a b"), "REQUEST_FIELD_INVALID"),
        (a_request(currency=["USD"]), "REQUEST_FIELD_INVALID"),
        (a_request(account_id=8), "REQUEST_FIELD_UNKNOWN"),
        (a_request(status="completed"), "REQUEST_FIELD_UNKNOWN"),
        (a_request(profile_id=to_uuid(8)), "REQUEST_FIELD_UNKNOWN"),
        (a_request(currency="ZZZ"), "PAYMENT_METHOD_NOT_FOUND"),
        (a_request(currency="ACME"), "PAYMENT_METHOD_NOT_FOUND"),
        (a_request(payment_method_id="bank-USD"), "PAYMENT_METHOD_NOT_FOUND"),
        (a_request(amount="0"), "TRANSFER_AMOUNT_INVALID"),
        (a_request(amount="-5"), "TRANSFER_AMOUNT_INVALID"),
        (a_request(amount="1e5"), "TRANSFER_AMOUNT_INVALID"),
        (a_request(amount="0.0000001"), "TRANSFER_AMOUNT_INVALID"),
        (a_request(amount="999999999999999999"), "TRANSFER_AMOUNT_INVALID"),
    ],
)
def test_a_bad_deposit_is_refused_by_code_and_nothing_is_written(wallets: Wallets, body: Any, code: str) -> None:
    said = wallets.ask("POST", "/deposits/payment-method", body)
    assert (said.status, said.json["code"]) == (400, code)
    assert not list(TransferItem.scan())
    assert not wallets.executions()


def test_transfers_are_listed_newest_first_by_pages_and_by_type(wallets: Wallets) -> None:
    store = TransferStore(connection())
    made = [a_deposit(account_id=ACCOUNT_ID, key=f"{n}", at_ns=10**18 + n) for n in range(3)]
    for transfer in [*made, a_deposit(account_id=8)]:
        store.create(transfer)
    newest = wallets.ask("GET", "/transfers", query="limit=2&type=deposit")
    assert [row["id"] for row in newest.json] == [made[2].transfer_id, made[1].transfer_id]
    older = wallets.ask("GET", "/transfers", query=f"limit=2&after={newest.headers['cb-after']}")
    assert [row["id"] for row in older.json] == [made[0].transfer_id]
    assert "cb-after" not in older.headers
    back = wallets.ask("GET", "/transfers", query=f"limit=2&before={older.headers['cb-before']}")
    assert back.json == newest.json
    assert wallets.ask("GET", "/transfers", query="type=withdraw").json == []


def test_an_account_lists_the_transfers_of_its_asset_alone(wallets: Wallets) -> None:
    store = TransferStore(connection())
    dollars, shares = a_deposit("1", "USD", account_id=ACCOUNT_ID), a_deposit("1", "ACME", account_id=ACCOUNT_ID)
    store.create(dollars)
    store.create(shares)
    said = wallets.ask("GET", f"/accounts/{account_uuid(ACCOUNT_ID, 'ACME')}/transfers", query="limit=1")
    assert [row["id"] for row in said.json] == [shares.transfer_id]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=1e3", "after=x", "before=1", "type=gift", "after=%00", "limit="]
)
def test_a_bad_list_parameter_is_named(wallets: Wallets, query: str) -> None:
    said = wallets.ask("GET", "/transfers", query=query)
    assert (said.status, said.json["code"]) == (400, "REQUEST_FIELD_INVALID")
    assert said.json["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("own", [True, False])
def test_another_customers_transfer_is_told_as_missing(wallets: Wallets, own: bool) -> None:
    other = a_deposit(account_id=ACCOUNT_ID if own else 8)
    TransferStore(connection()).create(other)
    said = wallets.ask("GET", f"/transfers/{other.transfer_id}")
    if own:
        assert said.status == 200
        return
    missing = wallets.ask("GET", f"/transfers/{a_deposit().transfer_id}")
    assert (said.status, said.json) == (missing.status, missing.json)
    assert (said.status, said.json["code"]) == (404, "TRANSFER_NOT_FOUND")


@pytest.mark.parametrize("name", ["x", "receipt#sandbox-bank#SB-1", "00000000-0000-0000-0000-000000000000", "a" * 500])
def test_what_is_no_transfer_is_not_found(wallets: Wallets, name: str) -> None:
    said = wallets.ask("GET", f"/transfers/{name}")
    assert (said.status, said.json["code"]) == (404, "TRANSFER_NOT_FOUND")


@pytest.mark.parametrize(
    ("model", "path"), [(BalanceItem, "/accounts"), (TransferItem, "/transfers"), (OrderItem, "/accounts/{}/holds")]
)
def test_a_table_that_does_not_answer_is_an_outage_and_never_an_empty_wallet(
    wallets: Wallets, model: Any, path: str
) -> None:
    known = model.Meta.table_name
    bind(model, "gone")
    try:
        said = wallets.ask("GET", path.format(account_uuid(ACCOUNT_ID, "USD")))
    finally:
        bind(model, known)
    assert (said.status, said.json["code"]) == (503, "SERVICE_UNAVAILABLE")


def test_nobody_sees_anything_unsigned(wallets: Wallets) -> None:
    for method, path in (
        ("GET", "/accounts"),
        ("GET", "/coinbase-accounts"),
        ("GET", "/transfers"),
        ("POST", "/deposits/payment-method"),
        ("GET", f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}"),
        ("GET", f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}/holds"),
        ("GET", f"/transfers/{a_deposit().transfer_id}"),
    ):
        said = wallets.ask(method, path, a_request() if method == "POST" else None, sign=False)
        assert (said.status, said.json["code"]) == (401, "AUTH_MISSING"), path


LEDGER = f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}/ledger"
SECOND = 1_000_000_000
SHOWN = 999  # Nanoseconds that are not shown: a moment is its whole microsecond.


def _five_lines() -> None:
    """A deposit, then two purchases with their fees, a second apart, on two pages."""
    rail, trades = "rail:sandbox-bank", "product:ACME-USD"
    lines = [Line(10_000_000, EntryKind.DEPOSIT, "d1", rail, SECOND + SHOWN)]
    for trade_id in (1, 2):
        posted_at_ns = (trade_id + 1) * SECOND + SHOWN
        lines.append(Line(-1_000_000, EntryKind.MATCH, str(trade_id), trades, posted_at_ns, bought=True))
        lines.append(Line(-2_000, EntryKind.FEE, str(trade_id), trades, posted_at_ns, bought=True))
    store, account = StatementStore(), str(ACCOUNT_ID)
    assert store.append(Page(account, "USD", 1, 0, tuple(lines[:2])))
    assert store.append(Page(account, "USD", 3, 9_000_000, tuple(lines[2:])))
    fill = Fill(ACCOUNT_ID, 99, "ACME-USD", 2, Side.BUY, Liquidity.TAKER, 100, 1, 1_000_000, 2_000, 3 * SECOND)
    FillItem.from_raw_data(fill_attributes(fill)).save()


def test_a_ledger_runs_from_the_newest_entry_down(wallets: Wallets) -> None:
    _five_lines()
    said = wallets.ask("GET", LEDGER)
    assert said.status == 200
    assert [(row["id"], row["amount"], row["balance"], row["type"]) for row in said.json] == [
        ("5", "-0.002", "7.996", "fee"),
        ("4", "-1", "7.998", "match"),
        ("3", "-0.002", "8.998", "fee"),
        ("2", "-1", "9", "match"),
        ("1", "10", "10", "transfer"),
    ]
    assert said.json[1]["details"] == {"trade_id": "2", "product_id": "ACME-USD", "order_id": to_uuid(99)}
    assert said.json[4]["details"] == {"transfer_id": "d1", "transfer_type": "deposit"}


def test_a_ledger_is_read_page_by_page_both_ways(wallets: Wallets) -> None:
    _five_lines()
    first = wallets.ask("GET", LEDGER, query="limit=2")
    assert ([row["id"] for row in first.json], first.headers["cb-after"]) == (["5", "4"], "4")
    second = wallets.ask("GET", LEDGER, query="limit=2&after=4")
    assert ([row["id"] for row in second.json], second.headers["cb-after"]) == (["3", "2"], "2")
    last = wallets.ask("GET", LEDGER, query="limit=2&after=2")
    assert ([row["id"] for row in last.json], "cb-after" in last.headers) == (["1"], False)
    newer = wallets.ask("GET", LEDGER, query="limit=2&before=1")
    assert ([row["id"] for row in newer.json], newer.headers["cb-before"]) == (["3", "2"], "3")
    assert wallets.ask("GET", LEDGER, query="before=5").json == []


def test_a_ledger_between_two_moments(wallets: Wallets) -> None:
    _five_lines()
    query = "start_date=1970-01-01T00:00:02Z&end_date=1970-01-01T00:00:02"
    assert [row["id"] for row in wallets.ask("GET", LEDGER, query=query).json] == ["3", "2"]


@pytest.mark.parametrize("query", ["limit=0", "after=x", "before=-1", "start_date=soon", "before=1&after=2"])
def test_a_ledger_refuses_what_it_cannot_read(wallets: Wallets, query: str) -> None:
    said = wallets.ask("GET", LEDGER, query=query)
    assert (said.status, said.json["code"]) == (400, "REQUEST_FIELD_INVALID")
    assert said.json["message"].split(":")[0] in query


def test_another_customers_ledger_is_not_found(wallets: Wallets) -> None:
    said = wallets.ask("GET", f"/accounts/{account_uuid(ACCOUNT_ID + 1, 'USD')}/ledger")
    assert (said.status, said.json["code"]) == (404, "ACCOUNT_NOT_FOUND")


BALANCE = f"/accounts/{account_uuid(ACCOUNT_ID, 'USD')}/balance"


@pytest.mark.parametrize(
    ("at", "balance"),
    [
        ("1970-01-01T00:00:00.999999Z", "0"),
        ("1970-01-01T00:00:01Z", "10"),
        ("1970-01-01T00:00:02.5", "8.998"),
        ("1970-01-01T02:00:03%2B02:00", "7.996"),
        ("2020-01-01", "7.996"),
    ],
)
def test_a_balance_at_a_past_moment_is_what_was_posted_by_then(wallets: Wallets, at: str, balance: str) -> None:
    _five_lines()
    said = wallets.ask("GET", BALANCE, query=f"at={at}")
    assert (said.status, said.json["balance"], said.json["currency"]) == (200, balance, "USD")
    assert said.json["id"] == account_uuid(ACCOUNT_ID, "USD")


def test_a_balance_that_is_not_known_is_not_told(wallets: Wallets) -> None:
    _five_lines()
    now = dt.datetime.now(dt.UTC)
    for at in (
        "",
        "soon",
        "2026-13-01",
        "9999-01-01",
        "1969-12-31",
        "0001-01-01T00:00:00%2B14:00",
        now.isoformat().replace("+", "%2B"),
    ):
        said = wallets.ask("GET", BALANCE, query=f"at={at}")
        assert (said.status, said.json["code"]) == (400, "REQUEST_FIELD_INVALID"), at
        assert said.json["message"].startswith("at:")
    assert wallets.ask("GET", BALANCE).json["code"] == "REQUEST_FIELD_INVALID"
    said = wallets.ask("GET", f"/accounts/{account_uuid(ACCOUNT_ID + 1, 'USD')}/balance", query="at=2020-01-01")
    assert (said.status, said.json["code"]) == (404, "ACCOUNT_NOT_FOUND")
