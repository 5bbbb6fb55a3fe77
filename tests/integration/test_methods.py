"""Every path by every method: HEAD where there is GET, 405 with Allow where there is nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.contract.cloud_definition import api_document
from tests.contract.test_access import ACCESS, PERSON, PUBLIC
from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import METHODS, filled, operations, signed
from tests.integration.test_bad_input import Enemy

pytestmark = pytest.mark.cloud


def methods_of(path: str) -> set[str]:
    """The methods that the document gives to a path, and HEAD beside GET."""
    found = {method.upper() for method in METHODS if method in api_document()["paths"][path]}
    return found | {"HEAD"} if "GET" in found else found


def test_what_get_answers_head_answers_without_the_body(laptop: RunningLaptop) -> None:
    person = Enemy(laptop, laptop.user("carol"))

    def judge(path: str) -> str:
        target = filled(path)
        private = ACCESS[f"GET {path}"]

        def ask(method: str) -> requests.Response:
            """Whoever asks too often waits as told."""
            while True:
                own = person.login if private == PERSON else signed(person.user, method, target, b"")
                headers = {} if private == PUBLIC else own
                answer = requests.request(method, laptop.stack["rest_url"] + target, headers=headers, timeout=30)
                if answer.status_code != 429:
                    return answer
                time.sleep(float(answer.headers["Retry-After"]))

        got, head = ask("GET"), ask("HEAD")
        told, wanted = ({name.lower() for name in answer.headers} - {"content-length"} for answer in (head, got))
        fine = head.status_code == got.status_code < 500 and not head.content and told == wanted
        return "" if fine else f"{path}: {head.status_code} {told ^ wanted}, not {got.status_code}"

    paths = [path for method, path, _ in operations() if method == "GET"]
    with ThreadPoolExecutor(6) as executor:
        assert not [wrong for wrong in executor.map(judge, paths) if wrong]
    assert len(paths) >= 30


def test_head_needs_a_signature_of_its_own(laptop: RunningLaptop) -> None:
    url, user = laptop.stack["rest_url"] + "/accounts", laptop.user("carol")
    assert requests.head(url, timeout=30).status_code == 401
    assert requests.head(url, headers=signed(user, "GET", "/accounts", b""), timeout=30).status_code == 401
    assert requests.head(url, headers=signed(user, "HEAD", "/accounts", b""), timeout=30).status_code == 200


def test_a_method_that_a_path_does_not_have_is_405_and_says_which_it_has(laptop: RunningLaptop) -> None:
    def judge(tried: tuple[str, str]) -> str:
        method, path = tried
        answer = requests.request(method, laptop.stack["rest_url"] + filled(path), json={}, timeout=30)
        allowed = set(answer.headers.get("Allow", "").split(", "))
        body: dict[str, Any] = answer.json() if answer.content else {"code": "ROUTE_METHOD_NOT_ALLOWED"}
        fine = (answer.status_code, allowed, body["code"]) == (405, methods_of(path), "ROUTE_METHOD_NOT_ALLOWED")
        return "" if fine else f"{method} {path}: {answer.status_code} {allowed} {body}"

    every = {method.upper() for method in METHODS} | {"HEAD"}
    tries = [(method, path) for path in api_document()["paths"] for method in sorted(every - methods_of(path))]
    with ThreadPoolExecutor(6) as executor:
        assert not [wrong for wrong in executor.map(judge, tries) if wrong]
    assert len(tries) >= 100


def test_a_path_that_nobody_has_is_404_by_any_method(laptop: RunningLaptop) -> None:
    for method in ("GET", "HEAD", "POST", "DELETE", "PATCH"):
        answer = requests.request(method, laptop.stack["rest_url"] + "/no/such/thing", timeout=30)
        assert (answer.status_code, "Allow" in answer.headers) == (404, False)
