"""A Chalice app whose routes take an ApiRequest and return a value, a Reply or a Refused."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from chalice.app import Chalice, Response

from exchange.kernel.errors import Code, OutcomeUnknownError, Refused, UnavailableError
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
    Code.ROUTE_NOT_FOUND: 404,
    Code.CURRENCY_NOT_FOUND: 404,
    Code.ACCOUNT_NOT_FOUND: 404,
    Code.ORDER_NOT_FOUND: 404,
    Code.ORDER_DONE: 404,
    Code.TRANSFER_NOT_FOUND: 404,
    Code.API_KEY_NOT_FOUND: 404,
    Code.USER_NOT_FOUND: 404,
    Code.RATE_LIMITED: 429,
    Code.SERVICE_UNAVAILABLE: 503,
    Code.OUTCOME_UNKNOWN: 504,
    Code.INTERNAL_ERROR: 500,
}


class Api(Chalice):
    """Routes of one service. `endpoint` is the only way to add one."""

    def __init__(self, name: str) -> None:
        super().__init__(app_name=name, configure_logs=False)
        self.logger = Logger(service=name)

    def endpoint(self, method: str, path: str, *, caller: Caller | None = None) -> Callable[[View], View]:
        """Serve `method path` by `view(request, **path variables)`, which returns a value, a Reply or a Refused.

        With `caller` the view is called as `view(request, principal, **path variables)`, once the caller is known.
        """

        def register(view: View) -> View:
            @functools.wraps(view)
            def served(**variables: str) -> Response:
                return self._serve(view, caller, variables)

            name = f"{method} {path}"
            self.route(path, methods=[method], content_types=["*/*"], name=name)(served)
            return view

        return register

    def _serve(self, view: View, caller: Caller | None, variables: Mapping[str, str]) -> Response:
        current: Any = self.current_request
        body: bytes = current.raw_body or b""
        request = ApiRequest.from_event(current.to_original_event(), body)
        try:
            if caller is None:
                answer = view(request, **variables)
            else:
                principal = caller(request)
                answer = principal if isinstance(principal, Refused) else view(request, principal, **variables)
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
        return _response(answer, request.request_id)


def _response(answer: Any, request_id: str) -> Response:
    if isinstance(answer, Refused):
        answer = Reply(
            {"message": answer.message, "code": answer.code.value, "request_id": request_id},
            status=STATUS.get(answer.code, 400),
            headers={"Retry-After": "1"} if answer.code in {Code.RATE_LIMITED, Code.SERVICE_UNAVAILABLE} else {},
        )
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Request-Id": request_id}
    return Response(body=to_json(reply.body), status_code=reply.status, headers={**headers, **reply.headers})


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
