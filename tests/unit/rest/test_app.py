"""One way in and one way out: events become requests, answers become JSON, failures become codes."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange import kernel
from exchange.kernel.errors import Code, InvariantError, OutcomeUnknownError, Refused, UnavailableError
from exchange.rest import Api, ApiRequest, Guard, Reply, Verdict
from exchange.rest.app import STATUS, to_json

from tests.fakes.rest import Answer, call, proxy_event

REQUEST_ID = proxy_event("GET", "/")["requestContext"]["requestId"]


def served(view: Any, **event: Any) -> Answer:
    """What a view answers at GET /thing/{name}."""
    app = Api("test")
    app.endpoint("GET", "/thing/{name}")(view)
    return call(app, proxy_event("GET", "/thing/a", resource="/thing/{name}", variables={"name": "a"}, **event))


def answering(answer: Any) -> Any:
    """A view that answers, or raises, this."""

    def view(request: ApiRequest, name: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return view


def test_a_value_is_json_that_nobody_caches() -> None:
    answer = served(answering({"price": "10.50", "count": 2, "none": None}))
    assert (answer.status, answer.text) == (200, '{"price":"10.50","count":2,"none":null}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == REQUEST_ID


def test_a_bare_string_is_a_json_string() -> None:
    assert served(answering("an-id")).text == '"an-id"'


def test_a_reply_brings_its_status_and_headers() -> None:
    answer = served(answering(Reply([], status=202, headers={"CB-AFTER": "7"})))
    assert (answer.status, answer.headers["cb-after"], answer.json) == (202, "7", [])


@pytest.mark.parametrize("code", list(Code))
def test_every_refusal_has_the_one_shape(code: Code) -> None:
    answer = served(answering(Refused(code, "because")))
    assert answer.status == STATUS.get(code, 400)
    assert answer.json == {"message": "because", "code": code.value, "request_id": REQUEST_ID}


def test_stock_clients_never_see_what_they_misread() -> None:
    # Operators have an API of their own, which no stock client reads; nothing else knows of roles.
    layer = Path(kernel.__file__).parents[1]
    known = {path.relative_to(layer).parts[0] for path in layer.rglob("*.py") if "AUTH_ROLE" in path.read_text()}
    assert known == {"admin", "kernel", "rest"}
    told = {code: status for code, status in STATUS.items() if code is not Code.AUTH_ROLE}
    assert not {403, 409} & set(told.values())
    assert {status for code, status in told.items() if code.value.startswith("AUTH_")} == {401}


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (UnavailableError("the table is away"), 503, Code.SERVICE_UNAVAILABLE),
        (OutcomeUnknownError("no answer came"), 504, Code.OUTCOME_UNKNOWN),
        (InvariantError("debits are not credits"), 500, Code.INTERNAL_ERROR),
        (ZeroDivisionError("secret detail"), 500, Code.INTERNAL_ERROR),
    ],
)
def test_a_failure_is_told_without_its_inside(failure: Exception, status: int, code: Code) -> None:
    answer = served(answering(failure))
    assert (answer.status, answer.json["code"]) == (status, code.value)
    assert str(failure) not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize("value", [1.5, {"a": [0.1]}, [(2.0,)], {"deep": {"er": [{"x": float("nan")}]}}])
def test_no_float_ever_leaves(value: Any) -> None:
    with pytest.raises(TypeError):
        to_json(value)


def test_no_decimal_leaves_as_a_number() -> None:
    with pytest.raises(TypeError):
        to_json({"price": Decimal("1.10")})


def test_a_caller_is_known_before_the_view_runs() -> None:
    seen: list[Any] = []
    app = Api("test")

    def who(request: ApiRequest) -> Any:
        return Refused(Code.AUTH_MISSING, "who?") if "x-name" not in request.headers else request.headers["x-name"]

    @app.endpoint("GET", "/me", caller=who)
    def me(request: ApiRequest, name: str) -> Any:
        seen.append(name)
        return {"name": name}

    assert call(app, proxy_event("GET", "/me")).status == 401
    assert seen == []
    assert call(app, proxy_event("GET", "/me", headers={"X-Name": "ann"})).json == {"name": "ann"}


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/json; charset=utf-8", "text/plain", "nonsense"]
)
def test_a_body_is_read_whatever_its_content_type_says(content_type: str | None) -> None:
    app = Api("test")

    @app.endpoint("POST", "/echo")
    def echo(request: ApiRequest) -> Any:
        return {"got": request.body.decode()}

    event = proxy_event("POST", "/echo", body='{"a":1}')
    for headers in (event["headers"], event["multiValueHeaders"]):
        headers.pop("Content-Type")
    if content_type:
        event["headers"]["Content-Type"] = content_type
        event["multiValueHeaders"]["Content-Type"] = [content_type]
    assert call(app, event).json == {"got": '{"a":1}'}


def test_a_request_is_read_from_the_event() -> None:
    event = proxy_event(
        "GET",
        "/orders",
        query="status=open&status=done&limit=5",
        headers={"CB-ACCESS-KEY": "k"},
        source_address="198.51.100.1",
    )
    request = ApiRequest.from_event(event, b"")
    assert (request.method, request.path, request.source_address) == ("GET", "/orders", "198.51.100.1")
    assert request.path_with_query == "/orders?status=open&status=done&limit=5"
    assert request.headers["cb-access-key"] == "k"
    assert (request.query("status"), request.query_all("status"), request.query("x")) == (
        "done",
        ["open", "done"],
        None,
    )


def test_the_query_is_read_only_from_where_it_is_verified() -> None:
    event = proxy_event("GET", "/orders", query="limit=5")
    event["multiValueQueryStringParameters"] = {"limit": ["500"]}
    assert ApiRequest.from_event(event, b"").query("limit") == "5"


def test_without_an_edge_the_decoded_query_serves() -> None:
    event = proxy_event("GET", "/orders", query="a=x%20y&b=%3A", raw_query=False)
    request = ApiRequest.from_event(event, b"")
    assert request.path_with_query == "/orders?a=x+y&b=%3A"
    assert (request.query("a"), request.query("b")) == ("x y", ":")


def test_no_query_is_no_question_mark() -> None:
    assert ApiRequest.from_event(proxy_event("GET", "/time"), b"").path_with_query == "/time"
    assert ApiRequest.from_event(proxy_event("GET", "/time", raw_query=False), b"").path_with_query == "/time"


def test_an_answer_survives_every_text() -> None:
    assert json.loads(to_json({"name": 'é "\u2028 \U0001f600'})) == {"name": 'é "\u2028 \U0001f600'}


def test_a_route_of_get_answers_head_with_everything_but_the_body() -> None:
    app = Api("test")
    app.endpoint("GET", "/thing")(lambda request: Reply({"method": request.method}, headers={"CB-AFTER": "7"}))
    got, head = (call(app, proxy_event(method, "/thing")) for method in ("GET", "HEAD"))
    assert (head.status, head.text, head.headers) == (200, "", got.headers)
    assert got.json == {"method": "GET"}


def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() -> None:
    app = Api("test")
    app.endpoint("GET", "/thing")(lambda _: {})
    app.endpoint("POST", "/thing")(lambda _: {})
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = call(app, proxy_event(method, "/thing"))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")
        assert answer.json["code"] == Code.ROUTE_METHOD_NOT_ALLOWED
        assert answer.json["message"].startswith(f"{method}: ")
    app.endpoint("POST", "/other")(lambda _: {})
    assert call(app, proxy_event("HEAD", "/other")).status == 405


def test_a_wrong_method_is_counted_as_a_strangers_request() -> None:
    judged: list[Any] = []

    class Counter:
        def judge(self, request: ApiRequest, who: Any, *, cancels: bool, amount: int = 1, counted: int = 0) -> Verdict:
            judged.append((request.method, who, cancels, amount + counted))
            return Verdict(Refused(Code.RATE_LIMITED, "wait") if len(judged) > 1 else None, {"RateLimit": "x"})

    app = Api("test", guard=lambda: Guard(Counter()))
    app.endpoint("GET", "/thing")(lambda _: {})
    first, second = (call(app, proxy_event("PUT", "/thing")) for _ in range(2))
    assert (first.status, second.status, first.headers["ratelimit"]) == (405, 429, "x")
    assert judged == [("PUT", None, False, 1)] * 2


def test_what_a_batch_leaves_of_its_budget_is_told_and_when_a_refused_one_may_come_again() -> None:
    class Purse:
        """Has 5 in all."""

        left = 5

        def judge(self, _: ApiRequest, who: Any, *, cancels: bool, amount: int = 1, counted: int = 0) -> Verdict:
            if amount > self.left:
                return Verdict(Refused(Code.RATE_LIMITED, "wait 7 s"), {"Retry-After": "7"})
            self.left -= amount
            return Verdict(headers={"RateLimit-Remaining": f"{self.left}"})

    purse = Purse()
    app = Api("test", guard=lambda: Guard(purse))
    app.endpoint("POST", "/batch")(lambda asked: app.charge(asked, None, 2) or {})
    first, second = (call(app, proxy_event("POST", "/batch")) for _ in range(2))
    assert (first.status, first.headers["ratelimit-remaining"]) == (200, "2")
    assert (second.status, second.headers["retry-after"]) == (429, "7")
