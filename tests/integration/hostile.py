"""Hostile requests made from the API's document: every route, field, parameter and id, wrong in one thing each.

A new route or field is attacked once it is in `infra/api/openapi.yaml`; nothing here names them, but for the bodies
from which an attack starts.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.cloud_definition import api_document

METHODS = ("get", "post", "put", "patch", "delete")
JSON = {"Content-Type": "application/json"}
# Who asks has proven who they are: 401 would say that nothing but the signature was looked at.
REFUSED = frozenset({400, 404, 413, 414})
UNPROVEN = REFUSED | {401}
NOT_TEXT: tuple[Any, ...] = (1, -1, 1.5, 1e308, 2**64, True, [], {}, ["1"], {"amount": "1"}, [None])
NOT_NUMBER: tuple[Any, ...] = ("1", "x", 1.5, True, [], {}, 2**200, -1, 0)
NOT_FLAG: tuple[Any, ...] = ("true", "false", 0, 1, 2, [], {}, "yes")
NOT_LIST: tuple[Any, ...] = ("x", 1, True, {}, {"0": "x"}, "", [None], [[]], [{}], [1])
NOT_OBJECT: tuple[Any, ...] = ("x", 1, True, [], "", [[]])
NOT_DECIMAL = (
    "", " ", "x", "-1", "0x10", "1e5", "1E-5", "NaN", "Infinity", "-Infinity", "-0", "+1", " 1", "1 ", "1,0", "1_0",
    ".5", "1.", "1..2", "1.0000000000000000001", "1" * 21, "1" * 400, "null", "\u0661", "\uff11", "1\u200b", "1\n",
    "1/2", "1\u0000",
    "\u221e", "\U0001f4b0", "0b1", "1;DROP TABLE", "${7*7}",
)  # fmt: skip
BODIES = (
    b"{", b"[]", b'"text"', b"null", b"NaN", b"1", b"true", b'{"a":1,}', b"{'a':'b'}", b"[" * 5000, b"\x00", b"{}{}",
    b'{"a":NaN}', b'{"a":Infinity}', b"x" * 20_000, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a":"\\ud83d"}',
    b"\xef\xbb\xbf{}",
    b'{"__proto__":{}}', b'{"":""}', b"<a/>", b"a=1&b=2",
)  # fmt: skip
IDS = (
    "x", "0", "-1", "1e9", "null", "undefined", "0" * 32, "f" * 32, "00000000-0000-4000-8000-000000000000",
    "518100e6-fe0d-e300-8000-000000000002", "518100e6fe0de3008000000000000002", "A" * 65, "a" * 3000, "%27--",
    "%F0%9F%92%B0", "%C2%A0", "%EF%BB%BF", "$%7B7*7%7D", "1%20OR%201", "client:", "client:nobody", "client%3Anobody",
    "~", "a.b", "%3Cb%3E", "9" * 40, "-", "%2A", "%5B%5D", "%7B%7D", "1;1",
)  # fmt: skip
NUMBERS = ("x", "-1", "1e2", "1.5", "%D9%A1", "9" * 30, "5;1", "[]", "0x1", "%20", "+", "NaN", "null", "%00")
# From where an attack on a body starts: one thing of it is changed.
GOOD: Mapping[str, Mapping[str, Any]] = {
    "PlaceOrderBody": {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"},
    "RegisterBody": {"email": "nobody@example.com", "password": "short", "name": "Nobody"},
    "CreateKeyBody": {"name": "x", "scopes": ["view"], "expires_at": "2001-01-01T00:00:00Z"},
}


@dataclass(frozen=True)
class Attack:
    """One request that must be refused."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None  # None: signed, or with a login, as `person` says
    statuses: frozenset[int] = REFUSED
    name: str = field(default="")
    person: bool = False

    def __str__(self) -> str:
        """What it tries."""
        return f"{self.method} {self.path[:90]} {self.name or self.body[:80]!r}"


def signed(user: Mapping[str, str], method: str, path: str, body: bytes, **changes: str) -> dict[str, str]:
    """The headers of a signed request; `changes` replaces the timestamp, passphrase, key or signature."""
    timestamp = changes.get("timestamp", str(int(time.time())))
    text = timestamp.encode() + method.encode() + path.encode() + body
    mac = hmac.new(base64.b64decode(user["secret"]), text, hashlib.sha256).digest()
    return {
        "CB-ACCESS-KEY": changes.get("key", user["api_key"]),
        "CB-ACCESS-TIMESTAMP": timestamp,
        "CB-ACCESS-PASSPHRASE": changes.get("passphrase", user["passphrase"]),
        "CB-ACCESS-SIGN": changes.get("signature", base64.b64encode(mac).decode()),
        **JSON,
    }


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the document."""
    for path, item in api_document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference of the document stands for."""
    while "$ref" in node:
        _, _, kind, name = node["$ref"].split("/")
        node = api_document()["components"][kind][name]
    return node


def filled(path: str) -> str:
    """A path with ids that name nothing, products excepted."""
    parts = ("ACME-USD" if "products" in path else IDS[9]) if "{" in path else ""
    return "/".join(parts if part.startswith("{") else part for part in path.split("/"))


def is_public(operation: Mapping[str, Any]) -> bool:
    """Whether nobody in particular may ask."""
    return operation.get("security") == []


def attacks_on_bodies(only_persons: frozenset[str]) -> Iterator[Attack]:
    """Bodies that are wrong in one thing; `only_persons` names the operations that no key may do."""
    for method, path, operation in operations():
        if "requestBody" not in operation or "notifications" in path:
            continue
        reference = operation["requestBody"]["content"]["application/json"]["schema"]
        schema, name = resolved(reference), reference.get("$ref", "").rsplit("/", 1)[-1]
        person = operation["operationId"] in only_persons
        target = filled(path)
        # A login's own password and a notification's own signature may be what is wrong.
        statuses = UNPROVEN if is_public(operation) or "/stripe/" in path else REFUSED
        for raw in BODIES:
            yield Attack(method, target, raw, statuses=statuses, person=person)
        good = {**_example(schema), **GOOD.get(name, {})}
        for change, body in _wrong_bodies(schema, good):
            yield Attack(
                method, target, json.dumps(body).encode(), statuses=statuses, name=f"{name}: {change}", person=person
            )
        for known in good:
            twice = f'{{"{known}":"a","{known}":"b"}}'.encode()
            yield Attack(method, target, twice, statuses=statuses, name=f"{known} twice", person=person)


def _wrong_bodies(schema: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in schema.get("required", ()):
        yield f"without {name}", {key: value for key, value in good.items() if key != name}
        yield f"{name} null", {**good, name: None}
    for unknown in ("status", "account_id", "user_id", "__class__", "constructor", "hold_units", "\u00e9", ""):
        if unknown not in schema["properties"]:
            yield f"unknown {unknown!r}", {**good, unknown: "1"}
    for name, reference in schema["properties"].items():
        for value in _wrong_values(resolved(reference)):
            yield f"{name}={str(value)[:40]!r}", {**good, name: value}


def _wrong_values(schema: Mapping[str, Any]) -> Iterator[Any]:
    kind = schema.get("type")
    if kind == "string":
        yield from NOT_TEXT
        if "enum" in schema:
            yield from ("", "nope", schema["enum"][0].swapcase(), f" {schema['enum'][0]}", "\u0131", "x" * 5000)
        elif "[0-9]" in schema.get("pattern", ""):
            yield from NOT_DECIMAL
        else:
            yield from ("a" * (schema.get("maxLength", 15_000) + 1), "a" * 15_000)
    elif kind == "integer":
        yield from (value for value in NOT_NUMBER if type(value) is not int or not _is_within(value, schema))
    elif kind == "boolean":
        yield from NOT_FLAG
    elif kind == "array":
        yield from NOT_LIST
        yield [{"x": 1}] * 200
    else:
        yield from NOT_OBJECT


def _is_within(value: int, schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("minimum", 1) <= value <= schema.get("maximum", value))


def _example(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name in schema.get("required", ()):
        part = resolved(schema["properties"][name])
        examples = {"integer": 1, "boolean": True, "array": [], "object": {}}
        text = "nobody@example.com" if part.get("format") == "email" else "1" if "pattern" in part else "x"
        found[name] = part["enum"][0] if "enum" in part else examples.get(part.get("type", ""), text)
    return found


def attacks_on_queries() -> Iterator[Attack]:
    """Numbers that are none, choices that are not offered, cursors and moments of nonsense."""
    for method, path, operation in operations():
        for reference in operation.get("parameters", ()):
            parameter = resolved(reference)
            schema = resolved(parameter["schema"])
            choices = "enum" in schema or "enum" in schema.get("items", {})
            if parameter["in"] != "query" or method != "GET":
                continue
            values: tuple[str, ...] = ()
            if schema["type"] == "integer":
                values = NUMBERS
            elif choices:
                values = ("nope", "%00", "%F0%9F%92%B0", "OPEN%20", "a" * 3000)
            elif parameter["name"] in {"before", "after", "start_date", "end_date", "start", "end"}:
                values = ("x", "%00", "%27--", "%F0%9F%92%B0", "2026-13-45", "a" * 3000)
            for value in values:
                needed = "&product_id=ACME-USD" if path == "/fills" else ""
                # The client escapes brackets after they were signed as they are.
                statuses = UNPROVEN if "[" in value else REFUSED
                yield Attack(method, f"{filled(path)}?{parameter['name']}={value}{needed}", statuses=statuses)


def attacks_on_ids(only_persons: frozenset[str]) -> Iterator[Attack]:
    """Ids that name nothing; what only a person may do is 401 for the key that asks."""
    for method, path, operation in operations():
        if "{" in path:
            body = b"{}" if "requestBody" in operation else b""
            start, end = path[: path.index("{")], path[path.index("}") + 1 :]
            is_for_key = not is_public(operation) and operation["operationId"] not in only_persons
            statuses = REFUSED if is_for_key else UNPROVEN
            for name in IDS:
                yield Attack(method, f"{start}{name}{end}", body, statuses=statuses)


def attacks_on_credentials(user: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Attack]:
    """Signatures and tokens that prove nothing, on every private route: 401, never 403."""
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    claims = base64.urlsafe_b64encode(b'{"sub":"x","token_use":"access"}').rstrip(b"=").decode()
    for method, template, operation in operations():
        if is_public(operation):
            continue
        path = filled(template)
        good = signed(user, method, path, b"")
        now = int(time.time())
        attempts: dict[str, Mapping[str, str]] = {
            "nothing at all": JSON,
            "an old timestamp": signed(user, method, path, b"", timestamp=str(now - 300)),
            "a future timestamp": signed(user, method, path, b"", timestamp=str(now + 300)),
            "a timestamp of words": signed(user, method, path, b"", timestamp="now"),
            "another passphrase": signed(user, method, path, b"", passphrase="guess"),
            "an unknown key": signed(user, method, path, b"", key="f" * 32),
            "a key of words": signed(user, method, path, b"", key="guess"),
            "somebody else's key": signed(user, method, path, b"", key=other["api_key"]),
            "no base64": signed(user, method, path, b"", signature="***"),
            "another path": signed(user, method, path + "/x", b""),
            "another method": signed(user, "HEAD", path, b""),
            "another body": signed(user, method, path, b" "),
            "another path in x-raw-path": {**signed(user, method, "/time", b""), "X-Raw-Path": "/time"},
            "no passphrase": {name: value for name, value in good.items() if name != "CB-ACCESS-PASSPHRASE"},
            "an unsigned token": {"Authorization": f"Bearer {header}.{claims}."},
            "a token of words": {"Authorization": "Bearer token"},
            "basic credentials": {"Authorization": "Basic dXNlcjpwYXNz"},
        }
        for name, headers in attempts.items():
            yield Attack(method, path, headers=headers, statuses=frozenset({401}), name=name)
