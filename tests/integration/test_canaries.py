"""Secrets and personal data are planted wherever a client can put them, then looked for wherever we write."""

import base64
import json
import secrets
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import JSON, Attack, operations, signed
from tests.integration.test_bad_input import GOOD_ORDER, Enemy
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud
# Where the customer's own name and address belong; nothing else has them.
PERSONAL_TABLES = {"users"}


class Planted(Visitor):
    """A customer, all of whose secrets can be told from anybody's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        mark = secrets.token_hex(8)
        self.email = f"canary-{mark}@example.com"
        self.name = f"Canary {mark}"
        self.password = f"Canary-{mark}-Aa1!"


@pytest.fixture(scope="module")
def planted(laptop: RunningLaptop) -> Planted:
    """Registered, confirmed and logged in."""
    person = Planted(laptop)
    form = {"email": person.email, "password": person.password, "name": person.name}
    assert person.send("POST", "/v1/users", form)[0] == 200
    assert person.confirm(person.mailed_code())[0] == 200
    return person


@pytest.fixture(scope="module")
def canaries(laptop: RunningLaptop, planted: Planted) -> Mapping[str, tuple[str, ...]]:
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
    outputs, manager = laptop.stack["outputs"], laptop.client("secretsmanager")
    ours = [
        manager.get_secret_value(SecretId=outputs[name])["SecretString"]
        for name in outputs
        if name.endswith(("SecretArn", "KeyArn")) and ":secret:" in outputs[name]
    ]
    assert len(ours) >= 3
    tokens = [session[name] for name in ("access_token", "refresh_token", "id_token") if session.get(name)]
    secret = [planted.password, key["secret"], key["passphrase"], base64.b64decode(key["secret"]).hex(), typed]
    return {"secret": (*secret, *tokens, *ours), "personal": (planted.email, planted.name)}


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
    for path in ("/orders", "/time", f"/products/{typed}", f"/orders/{typed}"):
        enemy.send(Attack("GET", f"{path}?{query}", b"", enemy.login))


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
        places.add(place.split()[0])
        found += [
            f"{place}: {_around(text, canary)}" for kind in canaries.values() for canary in kind if canary in text
        ]
    assert not found, "\n".join(sorted(set(found)))
    assert places >= {"log", "stream"}


def test_no_table_has_a_secret_and_only_one_has_who_somebody_is(
    laptop: RunningLaptop, canaries: Mapping[str, tuple[str, ...]]
) -> None:
    found, personal = [], set()
    for table, text in kept(laptop):
        found += [f"{table}: {_around(text, canary)}" for canary in canaries["secret"] if canary in text]
        personal |= {table for canary in canaries["personal"] if canary in text}
    assert not found, "\n".join(sorted(set(found)))
    assert personal == PERSONAL_TABLES


def test_what_is_looked_for_would_be_found(laptop: RunningLaptop, planted: Planted) -> None:
    """The search itself: what does belong into logs and tables is there."""
    assert any('"service"' in text for place, text in written(laptop) if place.startswith("log "))
    assert any(planted.email in text for table, text in kept(laptop) if table == "users")


def _around(text: str, canary: str) -> str:
    start = text.index(canary)
    return repr(text[max(0, start - 80) : start + 24])
