"""The gate before every route: whose budget a request takes from, and the headers that tell what is left."""

import ipaddress
from typing import Any

from aws_lambda_powertools import Logger

from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import ApiSettings
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.rest.admission import Guard, Verdict
from exchange.rest.request import ApiRequest
from exchange.usage.limiter import Admission, Limiter
from exchange.usage.model import SECOND_NS, Budget, address_budget, caller_budget
from exchange.usage.store import UsageItem, UsageStore

_IPV6_NETWORK_BITS = 64


class BudgetGate:
    """Counts a known caller's requests against key and customer, everybody else's against their address."""

    def __init__(self, limiter: Limiter, *, address_rate: int) -> None:
        self._limiter = limiter
        self._logger = Logger()
        self._address_rate = address_rate  # 0: addresses are not limited

    def judge(self, request: ApiRequest, who: Any, *, cancels: bool, amount: int = 1, counted: int = 0) -> Verdict:
        """Count a request. One that proves nobody takes from its address, or guessing would be free."""
        if who is None or isinstance(who, Refused):
            if not self._address_rate:
                return Verdict()
            budget = address_budget(_network(request.source_address), self._address_rate)
        else:
            budget = caller_budget(who, cancels=cancels)
        try:
            admission = self._limiter.admit(budget, min(amount, budget.burst - counted))
        except UnavailableError as error:
            # An outage of the limits must not keep anybody from canceling.
            self._logger.warning("a budget can't be asked", reason=str(error), request_id=request.request_id)
            return Verdict()
        headers = _headers(budget, admission)
        return Verdict(None if admission.admitted else _refusal(budget, admission), headers)


def guard(settings: ApiSettings) -> Guard:
    """The gate of this process over DynamoDB."""
    bind(UsageItem, settings.usage_table)
    limiter = Limiter(UsageStore(connection()), SystemClock())
    return Guard(BudgetGate(limiter, address_rate=settings.public_requests_per_second), settings.origin_secret)


def _network(address: str) -> str:
    """An address; of IPv6 the network, because one customer has many addresses there."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 6:
        return str(ipaddress.ip_network((found, _IPV6_NETWORK_BITS), strict=False))
    return str(found)


def _refusal(budget: Budget, admission: Admission) -> Refused:
    seconds = _seconds(admission.wait_ns)
    limit = f"{budget.rate} requests a second with bursts of {budget.burst}"
    return Refused(Code.RATE_LIMITED, f"too many requests: this allows {limit}; try again in {seconds} s")


def _headers(budget: Budget, admission: Admission) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-08, and the three of its versions up to 06, which the
    clients in use read."""
    name = budget.parts[0].name.partition("_")[0]
    window = budget.parts[0].policy.window_seconds
    wait = _seconds(admission.wait_ns) if not admission.admitted else 0
    reset = wait or window
    headers = {
        "RateLimit-Policy": f'"{name}";q={budget.burst};w={window}',
        "RateLimit": f'"{name}";r={admission.left};t={reset}',
        "RateLimit-Limit": str(budget.burst),
        "RateLimit-Remaining": str(admission.left),
        "RateLimit-Reset": str(reset),
    }
    return headers if admission.admitted else {**headers, "Retry-After": str(wait)}


def _seconds(wait_ns: int) -> int:
    return max(1, -(-wait_ns // SECOND_NS))
