"""What a warm request of order entry asks of AWS, counted at the wire: it may not grow unseen."""

import importlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.handlers
import pytest
import time_machine
from exchange.aws import clients
from exchange.aws.dynamodb import bind, connection
from exchange.fees.model import flat
from exchange.fees.store import FeeScheduleItem, publish
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.ledger.store import BalanceItem
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore
from moto import mock_aws
from pynamodb.models import Model

from tests.fakes.markets import acme_usd
from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.tables import create_tables
from tests.fakes.users import ACCOUNT_ID, KEY_ID, SECRET, USER_ID, a_credential, a_customer, a_key, signed_headers

TABLES = ("orders", "fills", "balances", "users", "api_keys", "switches", "instruments", "fee_schedules", "usage")
PLACE = ("POST", "/orders")
Ask = Callable[..., Answer]


class Wire:
    """Every request that any client of botocore sends, by operation."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(self, request: Any, **_: Any) -> None:
        """Note one; botocore's own hook."""
        target = request.headers.get("X-Amz-Target", b"")
        self.sent.append((target.decode() if isinstance(target, bytes) else target).partition(".")[2] or request.url)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """Listens to clients that are made from now on."""
    heard = Wire()
    handler = ("before-send", heard)
    botocore.handlers.BUILTIN_HANDLERS.append(handler)
    _forget_connections()
    yield heard
    botocore.handlers.BUILTIN_HANDLERS.remove(handler)
    _forget_connections()


def _forget_connections() -> None:
    for model in Model.__subclasses__():
        model._connection = None
    clients._session.cache_clear()
    clients.client.cache_clear()


@pytest.fixture(scope="module")
def ask(wire: Wire) -> Iterator[Ask]:
    """functions/trading/api.py as a warm process has it: a signed request, answered; `wire` hears what it asked.

    The clock stands still: a lease of a budget ends after a second, which a busy machine spends between two requests.
    """
    standing = time_machine.travel(time.time(), tick=False)
    with standing, mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        create_tables(*TABLES, "market_data")
        boto3.client("kinesis").create_stream(StreamName="orders", ShardCount=1)
        kms_key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        variables = {f"{table}_table": table for table in (*TABLES, "market_data")} | {
            "orders_stream": "orders",
            "switches_queue_url": "https://queue.example/switches",
            "public_requests_per_second": "0",
            "origin_secret": "told-by-the-edge",
            "secrets_key_id": kms_key,
            "user_pool_id": "us-east-1_Pool12345",
            "user_pool_client_id": "webclient0123456789",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name.upper(), value)
        monkeypatch.delitem(sys.modules, "functions.trading.api", raising=False)
        api = importlib.import_module("functions.trading.api")
        _provide(kms_key)

        def send(method: str, path: str, body: Any = None, resource: str = "", **variables: str) -> Answer:
            text = json.dumps(body) if body is not None else None
            headers = signed_headers(method, path, (text or "").encode(), timestamp=str(time.time()))
            event = proxy_event(
                method, path, body=text, headers=headers, resource=resource or path, variables=variables
            )
            return call(api.handler, event)

        yield send


def _provide(kms_key: str) -> None:
    """A customer with a key and money, a product, and what trading it costs."""
    for model, table in ((InstrumentItem, "instruments"), (FeeScheduleItem, "fee_schedules")):
        bind(model, table)
    product = acme_usd()
    for asset in (product.base, product.quote):
        InstrumentStore().save_asset(asset)
    InstrumentStore().save_product(product)
    publish(flat(4_000, 6_000), now_ns=1)
    for item, table in ((CustomerItem, "users"), (ApiKeyItem, "api_keys"), (BalanceItem, "balances")):
        bind(item, table)
    CustomerStore().create_once(a_customer())
    sealed = KmsSecrets(boto3.client("kms"), kms_key).seal(SECRET, key_id=KEY_ID, user_id=USER_ID)
    ApiKeyStore(connection()).create(a_key(credential=a_credential(sealed)), keys_max=1)
    BalanceItem(str(ACCOUNT_ID), "USD", available=10**12, held=0, open_orders=0).save()


def order(name: str) -> dict[str, str]:
    return {"product_id": "ACME-USD", "side": "buy", "price": "99", "size": "1", "client_oid": name}


def counted(wire: Wire, request: Callable[[], Answer]) -> Counter[str]:
    """What one request asks. Raises AssertionError where it is not answered well."""
    wire.sent.clear()
    answer = request()
    assert answer.status == 200, answer.json
    return Counter(wire.sent)


def test_an_order_is_one_transaction_and_one_record(ask: Ask, wire: Wire) -> None:
    for name in ("one", "two"):
        assert ask(*PLACE, order(name)).status == 200
    assert counted(wire, lambda: ask(*PLACE, order("three"))) == {"TransactWriteItems": 1, "PutRecord": 1}


def test_a_batch_is_one_transaction_and_one_record(ask: Ask, wire: Wire) -> None:
    def batch(name: str) -> dict[str, Any]:
        many = [{key: value for key, value in order(f"{name}{n}").items() if key != "product_id"} for n in range(10)]
        return {"product_id": "ACME-USD", "orders": many}

    ask("POST", "/orders/batch", batch("a"))
    asked = counted(wire, lambda: ask("POST", "/orders/batch", batch("b")))
    # Ten orders take ten of the budgets at once, which may be more than is leased of them.
    assert asked.pop("UpdateItem", 0) <= 2
    assert asked == {"TransactWriteItems": 1, "PutRecord": 1}


def test_a_repeat_finds_the_first_order(ask: Ask, wire: Wire) -> None:
    first = ask(*PLACE, order("first"))
    again = counted(wire, lambda: ask(*PLACE, order("first")))
    assert again["TransactWriteItems"] == 1
    assert ask(*PLACE, order("first")).json["id"] == first.json["id"]
    assert sum(again.values()) <= 3


def test_a_cancel_looks_whether_its_key_is_good_and_at_its_order(ask: Ask, wire: Wire) -> None:
    first, second = (ask(*PLACE, order(name)).json["id"] for name in ("kept", "left"))
    ask("DELETE", f"/orders/{first}", resource="/orders/{order_id}", order_id=first)
    asked = counted(wire, lambda: ask("DELETE", f"/orders/{second}", resource="/orders/{order_id}", order_id=second))
    assert asked == {"GetItem": 2, "BatchGetItem": 1, "PutRecord": 1}
