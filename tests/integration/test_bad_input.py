"""Hostile requests through the real API: each is refused with 4xx, a message and a code, and nothing changes."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from tests.contract.test_access import ACCESS, PERSON
from tests.integration.conftest import RunningLaptop, audited
from tests.integration.hostile import (
    JSON,
    Attack,
    attacks_on_bodies,
    attacks_on_credentials,
    attacks_on_ids,
    attacks_on_queries,
    operations,
    signed,
)

pytestmark = pytest.mark.cloud
Make = Callable[[str], dict[str, str]]
ATTACKS_MIN = 1_500
AT_ONCE = 6
GOOD_ORDER = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"}
SEEN = (
    "/accounts",
    "/orders?status=all",
    "/transfers",
    "/profiles",
    "/payment-methods",
    "/v1/users/self",
    "/v1/api-keys",
)


class Enemy:
    """A customer who means harm, with a key and a login."""

    def __init__(self, laptop: RunningLaptop, user: dict[str, str]) -> None:
        self.url = laptop.stack["rest_url"]
        self.user = user
        self.pool = urllib3.PoolManager(maxsize=AT_ONCE, timeout=60, retries=False)
        body = json.dumps({name: user[name] for name in ("email", "password")})
        session = self.pool.request("POST", f"{self.url}/v1/sessions", body=body, headers=JSON).json()
        self.login = {**JSON, "Authorization": f"Bearer {session['access_token']}"}

    def send(self, attack: Attack) -> tuple[int, Any]:
        """The status and the body as JSON (or its bytes, where it is none)."""
        headers = attack.headers
        if headers is None:
            own = self.login if attack.person else signed(self.user, attack.method, attack.path, attack.body)
            headers = own
        # No encoding of urllib3's own: what is sent is what was signed.
        answer = self.pool.urlopen(
            attack.method, self.url + attack.path, body=attack.body or None, headers=headers, assert_same_host=False
        )
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            return answer.status, answer.data

    def patient(self, attack: Attack) -> tuple[int, Any]:
        """The same, asked again as long as it is only too often."""
        while (answer := self.send(attack))[0] == 429:
            time.sleep(1)
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One honest request by the login."""
        return self.patient(Attack(method, path, b"" if body is None else json.dumps(body).encode(), self.login))

    def sees(self) -> dict[str, Any]:
        """All that this customer has, but for when their key was used."""
        found = {path: self.ask("GET", path)[1] for path in SEEN}
        for key in found["/v1/api-keys"]:
            key.pop("last_used_at", None)
        return found


def wrongs(enemy: Enemy, attacks: Iterable[Attack]) -> list[str]:
    """The attacks that were not refused in our shape."""

    def judge(attack: Attack) -> str:
        status, answer = enemy.send(attack)
        shaped = isinstance(answer, dict) and all(
            isinstance(answer.get(key), str) and answer[key] for key in ("message", "code", "request_id")
        )
        return "" if status in attack.statuses and shaped else f"{attack}: {status} {str(answer)[:200]}"

    with ThreadPoolExecutor(AT_ONCE) as executor:
        return [wrong for wrong in executor.map(judge, attacks) if wrong]


def test_every_hostile_request_is_refused_in_words_and_changes_nothing(laptop: RunningLaptop, newcomer: Make) -> None:
    # Nobody else trades as these two, so whatever changes is the attacks' doing.
    users = [newcomer("mallory"), newcomer("trudy")]
    enemies = [Enemy(laptop, user) for user in users]
    before = [enemy.sees() for enemy in enemies]
    persons = {
        operation["operationId"] for method, path, operation in operations() if ACCESS[f"{method} {path}"] == PERSON
    }
    attacks = [
        *attacks_on_bodies(frozenset(persons)),
        *attacks_on_queries(),
        *attacks_on_ids(frozenset(persons)),
        *attacks_on_credentials(users[0], users[1]),
    ]
    assert len(attacks) >= ATTACKS_MIN
    wrong = wrongs(enemies[0], attacks)
    assert not wrong, f"{len(wrong)} of {len(attacks)}\n" + "\n".join(wrong)
    assert [enemy.sees() for enemy in enemies] == before
    audited(laptop)


def test_a_secret_that_proves_nothing_fails_the_judgement(laptop: RunningLaptop, newcomer: Make) -> None:
    user = newcomer("eve")
    enemy = Enemy(laptop, {**user, "secret": base64.b64encode(b"guess").decode()})
    sample = [attack for attack in attacks_on_bodies(frozenset()) if attack.path == "/orders"][:20]
    assert len(wrongs(enemy, sample)) == len(sample) == 20


POST = b"POST /orders HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "no request": b"\r\n\r\n",
    "a binary greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a nul in the path": b"GET /time\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a nul in a header": b"GET /fees HTTP/1.1\r\nHost: x\r\nCB-ACCESS-KEY: a\x00b\r\n\r\n",
    "two lengths": b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length of words": b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n{}",
    "a negative length": b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of words": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a huge header": b"GET /fees HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET /fees HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)) + b"\r\n",
    "a huge query": b"GET /orders?a=" + b"b" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded header": b"GET /fees HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "a header without a name": b"GET /fees HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    "a version of tomorrow": b"GET /fees HTTP/9.9\r\nHost: x\r\n\r\n",
    "a method of nobody": b"FROB /orders HTTP/1.1\r\nHost: x\r\n\r\n",
    "two keys": b"GET /fees HTTP/1.1\r\nHost: x\r\nCB-ACCESS-KEY: a\r\nCB-ACCESS-KEY: b\r\n\r\n",
    "latin letters": b"GET /orders/\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken escape": b"GET /orders/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a climb": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a climb in the pages": b"GET /app/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_request_are_refused_or_hung_up_on(laptop: RunningLaptop, name: str) -> None:
    with socket.create_connection(("127.0.0.1", laptop.settings.port), timeout=20) as connection:
        connection.sendall(RAW[name])
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    for line in answer.split(b"HTTP/1.1 ")[1:]:
        if line[:1] == b"4":
            told = json.loads(line.partition(b"\r\n\r\n")[2])
            assert told["message"], answer
            assert told["code"], answer
        assert line[:1] == b"4" or (b"/app/" in RAW[name] and line[:3] == b"200" and b"root:" not in answer), answer
    assert Enemy(laptop, laptop.stack["demo_users"][0]).ask("GET", "/fees")[0] == 200
