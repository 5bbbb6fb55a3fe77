"""API keys through real HTTP: stage prefixes, Ed25519, rotation with overlap, revocation."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import JSON, Attack, signed
from tests.integration.test_bad_input import Enemy

pytestmark = pytest.mark.cloud
SCOPES = ["view", "trade"]
ORDERS = "/orders?status=open&status=done&product_id=ACME-USD&limit=5&start_date=2026-01-01T00:00:00Z"
ORDER = json.dumps({"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "0.1"}).encode()
Make = Callable[[str], dict[str, str]]
Sign = Callable[[str, str, bytes], dict[str, str]]


@pytest.fixture(scope="module")
def person(laptop: RunningLaptop, newcomer: Make) -> Enemy:
    """A customer with a login, who makes keys."""
    return Enemy(laptop, newcomer("keyholder"))


def by_secret(key: Mapping[str, str]) -> Sign:
    """Signs with a key's secret."""
    user = {**key, "api_key": key["id"]}
    return lambda method, path, body: signed(user, method, path, body)


def by_private(key_id: str, private: Ed25519PrivateKey) -> Sign:
    """Signs with the private half that the exchange never sees."""

    def sign(method: str, path: str, body: bytes) -> dict[str, str]:
        timestamp = f"{time.time():.3f}"
        signature = private.sign(f"{timestamp}{method}{path}".encode() + body)
        proof = {"CB-ACCESS-KEY": key_id, "CB-ACCESS-SIGN": base64.b64encode(signature).decode()}
        return {**proof, "CB-ACCESS-TIMESTAMP": timestamp, **JSON}

    return sign


def public_half(private: Ed25519PrivateKey) -> str:
    """What is registered."""
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def told(person: Enemy, sign: Sign) -> list[Any]:
    """What reading, listing with a long query, and placing an order answer to a way of signing: 200 or the code."""
    answers = []
    for method, path, body in (("GET", "/accounts", b""), ("GET", ORDERS, b""), ("POST", "/orders", ORDER)):
        status, answer = person.send(Attack(method, path, body, sign(method, path, body)))
        answers.append(status if status == 200 else answer["code"])
    return answers


ALL_WELL = [200, 200, 200]
ALL_REFUSED = ["AUTH_INVALID"] * 3


def test_the_stages_own_address_takes_what_is_signed_with_and_without_the_stage(
    laptop: RunningLaptop, person: Enemy
) -> None:
    # As cbpro does: it signs the path of the URL that it was given, and nobody carries its raw query.
    stage = {"Host": f"{laptop.stack['outputs']['RestApiId']}.execute-api.localhost"}
    origin = laptop.stack["aws_endpoint_url"]

    def ask(method: str, path: str, body: bytes, prefix: str) -> int:
        headers = {**signed(person.user, method, prefix + path, body), **stage}
        answer = urllib3.PoolManager().urlopen(
            method, f"{origin}/live{path}", body=body or None, headers=headers, assert_same_host=False
        )
        return answer.status

    for prefix, status in (("/live", 200), ("", 200), ("/ws", 401), ("/live/live", 401)):
        for method, path, body in (("GET", "/accounts", b""), ("GET", ORDERS, b""), ("POST", "/orders", ORDER)):
            assert ask(method, path, body, prefix) == status, (prefix, method, path)


def test_the_edge_takes_a_signature_over_the_stage_too(person: Enemy) -> None:
    for method, path, body in (("GET", ORDERS, b""), ("POST", "/orders", ORDER)):
        headers = signed(person.user, method, f"/live{path}", body)
        assert person.send(Attack(method, path, body, headers))[0] == 200


def test_an_ed25519_key_signs_and_nothing_else_will_do(person: Enemy) -> None:
    private, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    asked = {"name": "ed", "scopes": SCOPES, "public_key": public_half(private)}
    status, key = person.ask("POST", "/v1/api-keys", asked)
    assert (status, key["type"], key["public_key"]) == (200, "ed25519", public_half(private))
    assert not {"secret", "passphrase"} & key.keys()
    assert told(person, by_private(key["id"], private)) == ALL_WELL
    assert told(person, by_private(key["id"], other)) == ALL_REFUSED
    # The public half as a secret of HMAC: the classic confusion of the two.
    confused = {"id": key["id"], "secret": public_half(private), "passphrase": "x"}
    assert told(person, by_secret(confused)) == ALL_REFUSED
    headers = by_private(key["id"], private)("POST", "/orders", ORDER)
    assert person.send(Attack("POST", "/orders", ORDER.replace(b"0.1", b"0.2"), headers))[1]["code"] == "AUTH_INVALID"
    assert person.ask("DELETE", f"/v1/api-keys/{key['id']}")[0] == 200
    assert told(person, by_private(key["id"], private)) == ALL_REFUSED


def test_a_rotated_key_has_two_secrets_for_a_while_and_then_none_after_it_is_revoked(person: Enemy) -> None:
    first = person.ask("POST", "/v1/api-keys", {"name": "turning", "scopes": SCOPES})[1]
    assert told(person, by_secret(first)) == ALL_WELL
    path = f"/v1/api-keys/{first['id']}/rotations"
    status, second = person.ask("POST", path, {"overlap_hours": 1})
    assert status == 200
    assert second["id"] == first["id"]
    assert second["secret"] != first["secret"]
    assert told(person, by_secret(first)) == told(person, by_secret(second)) == ALL_WELL
    mixed = {**second, "passphrase": first["passphrase"]}
    assert told(person, by_secret(mixed)) == ALL_REFUSED
    assert person.ask("POST", path, {})[1]["code"] == "API_KEY_ROTATING"
    shown = next(key for key in person.ask("GET", "/v1/api-keys")[1] if key["id"] == first["id"])
    assert shown["previous_until"] == second["previous_until"] > shown["created_at"]
    assert person.ask("DELETE", f"/v1/api-keys/{first['id']}")[0] == 200
    assert told(person, by_secret(first)) == told(person, by_secret(second)) == ALL_REFUSED


def test_a_key_turns_from_a_secret_to_a_public_half_with_both_at_work_between(person: Enemy) -> None:
    first = person.ask("POST", "/v1/api-keys", {"name": "turning", "scopes": SCOPES})[1]
    private = Ed25519PrivateKey.generate()
    path = f"/v1/api-keys/{first['id']}/rotations"
    status, second = person.ask("POST", path, {"public_key": public_half(private)})
    assert (status, second["type"]) == (200, "ed25519")
    assert "secret" not in second
    assert told(person, by_secret(first)) == told(person, by_private(first["id"], private)) == ALL_WELL
