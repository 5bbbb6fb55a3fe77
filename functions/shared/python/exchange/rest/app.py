"""A Chalice app whose routes take an ApiRequest and return a value, a Reply or a Refused."""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from chalice.app import Chalice, Response

from exchange.kernel.errors import Code, OutcomeUnknownError, Refused, UnavailableError
from exchange.rest.admission import Guard, Verdict
from exchange.rest.reading import Body, read_body
from exchange.rest.request import ApiRequest, Reply

View = Callable[..., Any]
# Says who calls, or refuses: `exchange.users` makes these.
Caller = Callable[[ApiRequest], Any]

# Refusals are 400 unless said otherwise: stock clients read 403 and 409 as "exchange not available".
STATUS: Mapping[Code, int] = {
    Code.AUTH_MISSING: 401,
    Code.AUTH_INVALID: 401,
    Code.AUTH_EXPIRED: 401,
    Code.AUTH_SCOPE: 401,
    Code.AUTH_ADDRESS: 401,
    Code.ACCOUNT_FROZEN: 401,
    Code.AUTH_ROLE: 403,  # of the operators' API, which no stock client reads
    Code.ROUTE_NOT_FOUND: 404,
    Code.ROUTE_METHOD_NOT_ALLOWED: 405,
    Code.CURRENCY_NOT_FOUND: 404,
    Code.CHAIN_NOT_LISTED: 404,
    Code.ACCOUNT_NOT_FOUND: 404,
    Code.PROFILE_NOT_FOUND: 404,
    Code.ORDER_NOT_FOUND: 404,
    Code.ORDER_DONE: 404,
    Code.PROOF_NOT_FOUND: 404,
    Code.SETTLEMENT_FAILURE_NOT_FOUND: 404,
    Code.TRANSFER_NOT_FOUND: 404,
    Code.REPORT_NOT_FOUND: 404,
    Code.PROPOSAL_NOT_FOUND: 404,
    Code.API_KEY_NOT_FOUND: 404,
    Code.USER_NOT_FOUND: 404,
    Code.RATE_LIMITED: 429,
    Code.ORDER_AMENDS_WAITING: 429,
    Code.SERVICE_UNAVAILABLE: 503,
    Code.OUTCOME_UNKNOWN: 504,
    Code.INTERNAL_ERROR: 500,
}


@dataclass(frozen=True, slots=True)
class _Route:
    """A view, and what it wants to know before it is called."""

    view: View
    caller: Caller | None = None
    body: type[Body] | None = None
    cancels: bool = False

    def answer(self, request: ApiRequest, who: Any, variables: Mapping[str, str]) -> Any:
        """Read what the view wants and call it."""
        wanted: list[Any] = [request] if self.caller is None else [request, who]
        if self.body is not None:
            read = read_body(self.body, request.body)
            if isinstance(read, Refused):
                return read
            wanted.append(read)
        return self.view(*wanted, **variables)


# A page of anybody's may read an answer and its headers: nothing here is proven by a cookie.
READABLE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "cb-before, cb-after, ratelimit, ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset, "
        "retry-after, x-request-id"
    ),
}


class Api(Chalice):
    """Routes of one service. `endpoint` is the only way to add one.

    `guard` makes what stands before every route, at the first request; without it nothing is counted.
    """

    def __init__(self, name: str, *, guard: Callable[[], Guard] | None = None) -> None:
        super().__init__(app_name=name, configure_logs=False)
        self.logger = Logger(service=name)
        self._guard = functools.cache(guard) if guard is not None else None
        self._told: Mapping[str, str] = {}  # what the answer under way tells of its caller's budget

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        caller: Caller | None = None,
        body: type[Body] | None = None,
        cancels: bool = False,
    ) -> Callable[[View], View]:
        """Serve `method path` by `view(request, **path variables)`, which returns a value, a Reply or a Refused.

        With `caller` the principal comes after the request, once it is known; with `body` the model that was read comes
        after that. A route of GET answers HEAD too, without the body.
        `cancels` says that the route takes risk off the market and so has the budget that is kept for that.
        """

        def register(view: View) -> View:
            @functools.wraps(view)
            def served(**variables: str) -> Response:
                return self._serve(_Route(view, caller, body, cancels), variables)

            methods = [method, "HEAD"] if method == "GET" else [method]
            self.route(path, methods=methods, content_types=["*/*"], name=f"{method} {path}")(served)
            return view

        return register

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer a proxy event; a method that the path doesn't have, which API Gateway passes on too, with 405."""
        called = event.get("requestContext") or {}
        served = self.routes.get(called.get("resourcePath", ""), {})
        if served and called.get("httpMethod") not in served:
            allowed = ", ".join(sorted(served))
            request = ApiRequest.from_event(event, b"", origin_secret=self._origin_secret())
            refused: dict[str, Any] = self._answer(_Route(partial(_refuse_method, allowed)), request, {}).to_dict()
            return refused
        answered: dict[str, Any] = super().__call__(event, context)
        return answered

    def charge(self, request: ApiRequest, who: Any, amount: int, *, cancels: bool = False) -> Refused | None:
        """Count `amount` more requests, for one that is worth several: with itself at most a whole burst.

        Refuses:  RATE_LIMITED.
        """
        if self._guard is None or amount < 1:
            return None
        verdict = self._guard().gate.judge(request, who, cancels=cancels, amount=amount, counted=1)
        self._told = verdict.headers
        return verdict.refusal

    def _origin_secret(self) -> str:
        return self._guard().origin_secret if self._guard is not None else ""

    def _serve(self, route: _Route, variables: Mapping[str, str]) -> Response:
        current: Any = self.current_request
        body: bytes = current.raw_body or b""
        request = ApiRequest.from_event(current.to_original_event(), body, origin_secret=self._origin_secret())
        return self._answer(route, request, variables)

    def _answer(self, route: _Route, request: ApiRequest, variables: Mapping[str, str]) -> Response:
        self._told = {}
        try:
            who = route.caller(request) if route.caller is not None else None
            verdict = Verdict()
            if self._guard is not None:
                verdict = self._guard().gate.judge(request, who, cancels=route.cancels)
                self._told = verdict.headers
            if verdict.refusal is not None or isinstance(who, Refused):
                answer = verdict.refusal or who
            else:
                answer = route.answer(request, who, variables)
        except UnavailableError as error:
            self.logger.warning("a dependency is unavailable", reason=str(error), request_id=request.request_id)
            answer = Refused(
                Code.SERVICE_UNAVAILABLE, "the exchange can't take this now and nothing has changed; try again"
            )
        except OutcomeUnknownError as error:
            self.logger.warning("an outcome is unknown", reason=str(error), request_id=request.request_id)
            answer = Refused(Code.OUTCOME_UNKNOWN, "the outcome is unknown; ask for it by its id before trying again")
        except Exception:  # the edge of the process: a defect is logged whole and told to nobody
            self.logger.exception("a defect", path=request.path, request_id=request.request_id)
            answer = Refused(
                Code.INTERNAL_ERROR, "something broke on our side and has been logged; ask with the request id"
            )
        return _response(answer, request, self._told)


def _refuse_method(allowed: str, request: ApiRequest) -> Reply:
    refused = Refused(
        Code.ROUTE_METHOD_NOT_ALLOWED, f"{request.method}: this path has no such method; use one of {allowed}"
    )
    return _error(refused, request.request_id, {"Allow": allowed})


def _error(refused: Refused, request_id: str, headers: Mapping[str, str]) -> Reply:
    body = {"message": refused.message, "code": refused.code.value, "request_id": request_id}
    return Reply(body, status=STATUS.get(refused.code, 400), headers=headers)


def _response(answer: Any, request: ApiRequest, told: Mapping[str, str]) -> Response:
    if isinstance(answer, Refused):
        wait = {"Retry-After": "1"} if STATUS.get(answer.code) in {429, 503} else {}
        answer = _error(answer, request.request_id, wait)
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    text = to_json(reply.body)
    own = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Request-Id": request.request_id}
    return Response(
        body="" if request.method == "HEAD" else text,
        status_code=reply.status,
        headers={**own, **READABLE, **reply.headers, **told},
    )


def to_json(value: Any) -> str:
    """JSON text in which no number is anything but whole. Raises TypeError for a float or a Decimal."""
    _refuse_floats(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r}: money and sizes leave as text, never as a float")
    if isinstance(value, dict):
        for inner in value.values():
            _refuse_floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_floats(inner)
