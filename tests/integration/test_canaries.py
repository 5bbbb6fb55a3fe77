"""Secrets and personal data are planted wherever a client can put them, then looked for wherever we write."""

import base64
import json
import re
import secrets
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyotp
import pytest
from exchange.iso20022.grammar import check_digits

from infra.local.operators import OperatorSession, log_in
from tests.contract.test_routes import operations as api_operations
from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import JSON, Attack, operations, signed
from tests.integration.test_bad_input import GOOD_ORDER, Enemy
from tests.integration.test_bank_files import Bank
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud
Eventually = Callable[[Callable[[], Any]], Any]
# Where the customer's own name and address belong; nothing else has them.
PERSONAL_TABLES = {"users"}
# Where the name and the account of somebody who paid in belong: the bank's files, and what we owe back.
PAYER_TABLES = {"bank_files"}


class Planted(Visitor):
    """A customer, all of whose secrets can be told from anybody's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        mark = secrets.token_hex(8)
        self.email = f"canary-{mark}@example.com"
        self.name = f"Canary {mark}"
        self.password = f"Canary-{mark}-Aa1!"
        self.payer = f"Payer {mark}"
        account = f"CNRY{secrets.randbelow(10**14):014d}"
        self.iban = f"GB{check_digits('GB', account)}{account}"


@pytest.fixture(scope="module")
def planted(laptop: RunningLaptop) -> Planted:
    """Registered, confirmed and logged in."""
    person = Planted(laptop)
    form = {"email": person.email, "password": person.password, "name": person.name}
    assert person.send("POST", "/v1/users", form)[0] == 200
    assert person.confirm(person.mailed_code())[0] == 200
    return person


@pytest.fixture(scope="module")
def canaries(laptop: RunningLaptop, planted: Planted, eventually: Eventually) -> Mapping[str, tuple[str, ...]]:
    """Plant, and say what was planted: secrets, which belong nowhere, and personal data."""
    login = {"email": planted.email, "password": planted.password}
    status, session = planted.send("POST", "/v1/sessions", login)
    assert status == 200
    planted.bearer = {"Authorization": f"Bearer {session['access_token']}"}
    key = planted.make_key("view", "trade", "transfer")
    planted.send("POST", "/v1/sessions", login | {"password": planted.password + "wrong"})
    planted.send("POST", "/v1/sessions/refresh", {"refresh_token": session["refresh_token"]})
    planted.by_key(key, "POST", "/orders", {"product_id": "ACME-USD", "side": "buy", "price": "1", "size": "1"})
    enemy = Enemy(laptop, laptop.stack["demo_users"][1])
    assert (
        enemy.ask("POST", "/orders", {**GOOD_ORDER, "client_oid": "canary"})[0] == 200
    )  # so that streams have records
    typed = f"typed-{uuid.uuid4().hex}"
    _send_everywhere(enemy, key, planted, typed)
    operators = _ask_operators(laptop, planted, typed)
    totp = _turn_on_totp(planted)
    _pay_by_file(laptop, planted, eventually)
    outputs, manager = laptop.stack["outputs"], laptop.client("secretsmanager")
    ours = [
        manager.get_secret_value(SecretId=outputs[name])["SecretString"]
        for name in outputs
        if name.endswith(("SecretArn", "KeyArn")) and ":secret:" in outputs[name]
    ]
    assert len(ours) >= 4  # the bank's and Stripe's webhooks, Stripe's key, the edge's proof
    tokens = [session[name] for name in ("access_token", "refresh_token", "id_token") if session.get(name)]
    secret = [planted.password, key["secret"], key["passphrase"], base64.b64decode(key["secret"]).hex(), typed]
    secret += [totp, *operators, *_seed(laptop)]
    personal = (planted.email, planted.name)
    return {"secret": (*secret, *tokens, *ours), "personal": personal, "payer": (planted.payer, planted.iban)}


def _ask_operators(laptop: RunningLaptop, planted: Planted, typed: str) -> list[str]:
    """Operators look up and freeze nobody; strangers paste secrets there. Returns the operators' own secrets."""
    pool, url = laptop.stack["outputs"]["OperatorPoolClientId"], laptop.stack["operators_url"]
    known = laptop.stack["operators"]
    session = log_in(laptop.client("cognito-idp"), pool, url, known[0])
    pasted = {"reason": typed, "password": typed, "email": planted.email}
    for method, path, operation in api_operations("operators"):
        target = re.sub(r"{\w+}", typed, path)
        for token in (session.access_token, f"{typed}.x.{typed}"):
            OperatorSession(url, token).send(method, target, pasted if "requestBody" in operation else None)
    return [session.access_token, *(each[name] for each in known for name in ("password", "totp_secret"))]


def _turn_on_totp(planted: Planted) -> str:
    """The second factor's secret, which is told once; its codes are tried right and wrong, and it is left on."""
    status, begun = planted.send("POST", "/v1/withdrawals/totp", {})
    assert status == 200, begun
    secret = str(begun["secret"])
    assert planted.send("POST", "/v1/withdrawals/totp/confirm", {"two_factor_code": secret})[0] == 400
    code = pyotp.TOTP(secret).now()
    assert planted.send("POST", "/v1/withdrawals/totp/confirm", {"two_factor_code": code})[0] == 200
    assert planted.send("POST", "/v1/withdrawals/totp", {"two_factor_code": secret})[0] == 400
    return secret


def _pay_by_file(laptop: RunningLaptop, planted: Planted, eventually: Eventually) -> None:
    """Somebody sends euros to nobody in particular; the bank's file says who it was, and a damaged file does too."""
    bank = Bank(laptop)
    form = {"amount": "3", "reference": "who knows", "name": planted.payer, "iban": planted.iban}
    bank.do("transfer", **form)
    statement = f"<Document><Nm>{planted.payer}</Nm><IBAN>{planted.iban}</IBAN>".encode()
    damaged = bank.drop(statement)
    eventually(lambda: damaged in bank.refused())
    eventually(lambda: any(planted.payer in text for table, text in kept(laptop) if table in PAYER_TABLES))


def _seed(laptop: RunningLaptop) -> list[str]:
    """The seed of every deposit address, opened as only one role may, in the forms that somebody would write it in."""
    scanned = laptop.client("dynamodb").scan(TableName=laptop.stack["tables"]["chains"])["Items"]
    (sealed,) = [item for item in scanned if "sealed_seed" in item]
    opened = laptop.client("kms").decrypt(
        KeyId=laptop.stack["outputs"]["DepositSeedKeyArn"],
        CiphertextBlob=bytes(sealed["sealed_seed"]["B"]),
        EncryptionContext={"chain": sealed["chain"]["S"]},
    )["Plaintext"]
    return [opened.hex(), base64.b64encode(opened).decode(), opened.decode("latin-1"), repr(opened)[2:-1]]


def _send_everywhere(enemy: Enemy, key: Mapping[str, str], planted: Planted, typed: str) -> None:
    """Somebody pastes secrets where they do not belong: bodies, wrong bodies, headers, paths, queries."""
    pasted = {"password": typed, "secret": key["secret"], "email": planted.email, "name": planted.name}
    holder = {**key, "api_key": key["id"]}
    for method, path, operation in operations():
        target = path.replace("{", "").replace("}", "")
        bodies = [json.dumps(pasted).encode(), f'{{"broken": "{typed} {key["passphrase"]}'.encode()]
        for body in bodies if "requestBody" in operation else [b""]:
            enemy.send(Attack(method, target, body, signed(holder, method, target, body)))
            enemy.send(Attack(method, target, body, {**JSON, "Authorization": f"Bearer {typed}.{key['secret']}.x"}))
            headers = {**JSON, "CB-ACCESS-KEY": typed, "CB-ACCESS-SIGN": key["secret"], "CB-ACCESS-TIMESTAMP": typed}
            enemy.send(Attack(method, target, body, {**headers, "CB-ACCESS-PASSPHRASE": key["passphrase"]}))
    query = urllib.parse.urlencode(pasted)
    for method, path, _ in operations():
        if method == "GET":
            enemy.send(Attack("GET", f"{re.sub('{.*?}', typed, path)}?{query}", b"", enemy.login))


def written(laptop: RunningLaptop) -> Iterator[tuple[str, str]]:
    """All that the exchange writes of itself: where, and the text."""
    for path in sorted(Path(laptop.stack["logs"]).rglob("*")):
        # MiniStack's own log is no part of the exchange: on AWS there is none.
        if path.is_file() and path.name != "cloud.log":
            yield f"log {path.name}", path.read_text("utf-8", "replace")
    logs = laptop.client("logs")
    for group in logs.get_paginator("describe_log_groups").paginate():
        for entry in group["logGroups"]:
            name = entry["logGroupName"]
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                yield f"log group {name}", "\n".join(event["message"] for event in page["events"])
    yield from _streams(laptop)
    yield from _metrics(laptop)


def _streams(laptop: RunningLaptop) -> Iterator[tuple[str, str]]:
    kinesis = laptop.client("kinesis")
    for name in laptop.stack["streams"].values():
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while records := (answer := kinesis.get_records(ShardIterator=iterator))["Records"]:
                yield f"stream {name}", "\n".join(record["Data"].decode("latin-1") for record in records)
                iterator = answer["NextShardIterator"]


def _metrics(laptop: RunningLaptop) -> Iterator[tuple[str, str]]:
    for page in laptop.client("cloudwatch").get_paginator("list_metrics").paginate():
        yield "metrics", json.dumps(page["Metrics"])


def kept(laptop: RunningLaptop) -> Iterator[tuple[str, str]]:
    """Every item of every table."""
    dynamodb = laptop.client("dynamodb")
    for short, name in laptop.stack["tables"].items():
        for page in dynamodb.get_paginator("scan").paginate(TableName=name):
            yield short, "\n".join(_text(item) for item in page["Items"])


def _text(item: Any) -> str:
    return json.dumps(item, default=lambda value: bytes(value).decode("latin-1"))


def test_no_log_stream_or_metric_has_a_secret_or_who_somebody_is(
    laptop: RunningLaptop, canaries: Mapping[str, tuple[str, ...]]
) -> None:
    places, found = set(), []
    for place, text in written(laptop):
        if text:
            places.add(place.rpartition(" ")[0] or place)
        found += [
            f"{place}: {_around(text, canary)}" for kind in canaries.values() for canary in kind if canary in text
        ]
    assert not found, "\n".join(sorted(set(found)))
    assert places == {"log", "log group", "stream", "metrics"}


def test_no_table_has_a_secret_and_only_one_has_who_somebody_is(
    laptop: RunningLaptop, canaries: Mapping[str, tuple[str, ...]]
) -> None:
    found, where = [], {"personal": set[str](), "payer": set[str]()}
    for table, text in kept(laptop):
        found += [f"{table}: {_around(text, canary)}" for canary in canaries["secret"] if canary in text]
        for kind, tables in where.items():
            tables |= {table for canary in canaries[kind] if canary in text}
    assert not found, "\n".join(sorted(set(found)))
    assert where == {"personal": PERSONAL_TABLES, "payer": PAYER_TABLES}


def test_what_is_looked_for_would_be_found(laptop: RunningLaptop, planted: Planted) -> None:
    """The search itself: what does belong into logs and tables is there."""
    assert any('"service"' in text for place, text in written(laptop) if place.startswith("log "))
    assert any(planted.email in text for table, text in kept(laptop) if table == "users")


def _around(text: str, canary: str) -> str:
    start = text.index(canary)
    return repr(text[max(0, start - 80) : start + 24])
