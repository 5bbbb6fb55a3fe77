"""The trading API's client: signed requests over kept connections, and answers told apart.

A request that ran out of time has an unknown outcome, so the order is asked for by its client_oid before anything else;
then the same client_oid is sent again, which never makes a second order.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp

from infra.demo.diary import Diary

ATTEMPTS_MAX = 10
ANSWER_SECONDS_MAX = 15
PAUSE_SECONDS_MAX = 2.0
PAGE_ORDERS_MAX = 100
_TRY_AGAIN = frozenset((429, 502, 503))


class AnswerLostError(Exception):
    """The request went out and no answer came: whether it acted is unknown."""


class UnreachableError(Exception):
    """The request never went out: nothing happened."""


class ExchangeAwayError(RuntimeError):
    """The exchange did not answer, however often it was asked; the message says what was asked."""


class RequestRefusedError(RuntimeError):
    """A request that had to succeed was refused; the message has the exchange's own words."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body of JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The stable code of an error."""
        return str(self.body.get("code", self.status)) if isinstance(self.body, dict) else str(self.status)

    @property
    def message(self) -> str:
        """The words of an error."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


class Transport(Protocol):
    """Sends one request. Raises AnswerLostError or UnreachableError."""

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply: ...


class HttpTransport:
    """Kept connections to one origin, at most `connections` at a time."""

    def __init__(self, rest_url: str, *, connections: int) -> None:
        self._rest_url = rest_url
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request."""
        if self._session is None:
            raise UnreachableError("the transport is not open")
        try:
            async with self._session.request(
                method, self._rest_url + path, headers=headers, data=body or None
            ) as answer:
                text = await answer.read()
                return Reply(answer.status, _json(text), answer.headers)
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(str(error)) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise AnswerLostError(str(error) or type(error).__name__) from error


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")[:200]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange has the order."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The exchange does not have the order and never will."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Neither could be found out."""


Outcome = Accepted | Refusal | Unknown


@dataclass(slots=True)
class Traffic:
    """What it took: requests sent, those sent again, and outcomes that had to be asked for."""

    requests: int = 0
    repeated: int = 0
    asked: int = 0


class Trader:
    """A customer with an API key."""

    def __init__(
        self,
        user: Mapping[str, str],
        transport: Transport,
        *,
        traffic: Traffic | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = user["name"]
        self._key = user["api_key"]
        self._secret = base64.b64decode(user["secret"])
        self._passphrase = user["passphrase"]
        self._transport = transport
        self._now = now
        self._sleep = sleep
        self.traffic = traffic if traffic is not None else Traffic()
        self.diary = Diary()

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one signed request, once. Raises AnswerLostError, UnreachableError."""
        self.traffic.requests += 1
        timestamp = str(int(self._now()))
        signed = hmac.digest(self._secret, f"{timestamp}{method}{path}".encode() + body, hashlib.sha256)
        headers = {
            "CB-ACCESS-KEY": self._key,
            "CB-ACCESS-SIGN": base64.b64encode(signed).decode(),
            "CB-ACCESS-TIMESTAMP": timestamp,
            "CB-ACCESS-PASSPHRASE": self._passphrase,
            "Content-Type": "application/json",
        }
        return await self._transport.send(method, path, headers, body)

    async def place(self, client_oid: str, fields: Mapping[str, Any]) -> Outcome:
        """Place an order, once, whatever happens on the way."""
        body = json.dumps({**fields, "client_oid": client_oid}).encode()
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self.traffic.repeated += 1
                await self._sleep(_pause_seconds(attempt))
            asked_at = time.monotonic_ns()
            try:
                reply = await self.request("POST", "/orders", body)
            except UnreachableError:
                continue
            except AnswerLostError:
                reply = Reply(504, None, {})
            self.diary.placed(client_oid, asked_at, reply.status, reply.body)
            if reply.status == 200:
                return Accepted(str(reply.body["id"]))
            if reply.status in _TRY_AGAIN:
                continue
            if reply.status < 500:
                return Refusal(reply.code, reply.message)
            found = await self.find(client_oid)
            if found is not None:
                return Accepted(str(found["id"]))
        return Unknown()

    async def find(self, client_oid: str) -> dict[str, Any] | None:
        """The order of this name; None where there is none, or nobody says."""
        self.traffic.asked += 1
        asked_at = time.monotonic_ns()
        try:
            reply = await self.request("GET", f"/orders/client:{client_oid}")
        except (UnreachableError, AnswerLostError):
            return None
        self.diary.found(client_oid, asked_at, reply.status, reply.body)
        return reply.body if reply.status == 200 else None

    async def cancel(self, client_oid: str) -> bool:
        """Ask for an order to be cancelled; False where it was done already. Asking twice does no harm."""
        asked_at = time.monotonic_ns()
        reply = await self._insist("DELETE", f"/orders/client:{client_oid}")
        if reply.status not in {200, 404}:
            raise RequestRefusedError(f"DELETE of {client_oid} for {self.name}: {reply.status} {reply.message}")
        if reply.status == 200:
            self.diary.canceled(client_oid, asked_at, reply.body)
        return reply.status == 200

    async def get(self, path: str) -> Any:
        """The body of a GET. Raises ExchangeAwayError, RequestRefusedError."""
        return (await self._get(path)).body

    async def call(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        """The answer to a request that may safely be sent twice. Raises ExchangeAwayError, RequestRefusedError."""
        reply = await self._insist(method, path, json.dumps(fields).encode() if fields is not None else b"")
        if reply.status != 200:
            raise RequestRefusedError(f"{method} {path} for {self.name}: {reply.status} {reply.message}")
        return reply.body

    async def pages(self, path: str, query: str) -> list[dict[str, Any]]:
        """Every page of a list, newest first."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            reply = await self._get(f"{path}?{query}&limit={PAGE_ORDERS_MAX}{after}")
            found += reply.body
            cursor = reply.headers.get("CB-AFTER")
            if not cursor:
                return found
            after = f"&after={cursor}"

    async def _get(self, path: str) -> Reply:
        reply = await self._insist("GET", path)
        if reply.status != 200:
            raise RequestRefusedError(f"GET {path} for {self.name}: {reply.status} {reply.message}")
        return reply

    async def _insist(self, method: str, path: str, body: bytes = b"") -> Reply:
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self.traffic.repeated += 1
                await self._sleep(_pause_seconds(attempt))
            try:
                reply = await self.request(method, path, body)
            except (UnreachableError, AnswerLostError):
                continue
            if reply.status not in _TRY_AGAIN and reply.status < 500:
                return reply
        raise ExchangeAwayError(f"{method} {path} got no answer in {ATTEMPTS_MAX} attempts. See: exchange status")


def _pause_seconds(attempt: int) -> float:
    """Each pause twice the last one."""
    return min(0.05 * float(2**attempt), PAUSE_SECONDS_MAX)
