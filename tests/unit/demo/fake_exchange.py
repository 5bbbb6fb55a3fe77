"""An exchange in memory behind the demo's transport, with a network that may fail at any request."""

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.demo.client import AnswerLostError, Reply, UnreachableError

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def user(name: str) -> dict[str, str]:
    """A demo customer as stack.json has it."""
    return {"name": name, "api_key": f"key-{name}", "secret": SECRET, "passphrase": "open", "rate_limit_tier": "maker"}


class Fault(Enum):
    """What the network or the exchange does to one request."""

    NONE = auto()
    UNREACHABLE = auto()
    LOST_BEFORE = auto()  # the request never arrived
    LOST_AFTER = auto()  # it arrived, its answer did not
    UNAVAILABLE = auto()  # 503
    UNKNOWN_AFTER = auto()  # it acted and answered 504
    RATE_LIMITED = auto()


@dataclass
class FakeExchange:
    """Orders by trader and client_oid. `faults` meets the next requests, one each."""

    faults: deque[Fault] = field(default_factory=deque)
    orders: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    under_way_max: int = 0

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one request, or fail as told."""
        import asyncio

        self.requests.append((method, path, headers, body))
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.UNREACHABLE:
            raise UnreachableError("refused")
        if fault is Fault.LOST_BEFORE:
            raise AnswerLostError("timed out")
        if fault is Fault.UNAVAILABLE:
            return Reply(503, {"message": "try again", "code": "SERVICE_UNAVAILABLE"}, {})
        if fault is Fault.RATE_LIMITED:
            return Reply(429, {"message": "slower", "code": "RATE_LIMITED"}, {})
        reply = self._answer(method, path, headers["CB-ACCESS-KEY"].removeprefix("key-"), body)
        if fault is Fault.LOST_AFTER:
            raise AnswerLostError("timed out")
        if fault is Fault.UNKNOWN_AFTER:
            return Reply(504, {"message": "unknown", "code": "OUTCOME_UNKNOWN"}, {})
        return reply

    def _answer(self, method: str, path: str, trader: str, body: bytes) -> Reply:
        url = urlsplit(path)
        if method == "POST":
            return self._place(trader, json.loads(body))
        if method == "DELETE" and url.path == "/orders":
            return Reply(200, [self._end(order) for order in self._of(trader) if order["status"] == "open"], {})
        if url.path == "/orders":
            return self._list(trader, parse_qs(url.query))
        order = self.orders.get((trader, url.path.removeprefix("/orders/client:")))
        if order is None:
            return Reply(404, {"message": "order not found", "code": "ORDER_NOT_FOUND"}, {})
        if method == "GET":
            return Reply(200, order, {})
        if order["status"] == "done":
            return Reply(404, {"message": "Order already done", "code": "ORDER_DONE"}, {})
        return Reply(200, self._end(order), {})

    def _place(self, trader: str, fields: dict[str, Any]) -> Reply:
        if fields.get("price") == "0":
            return Reply(400, {"message": "price too small", "code": "RISK_PRICE_TOO_SMALL"}, {})
        key = (trader, fields["client_oid"])
        if key not in self.orders:
            self.made[fields["client_oid"]] += 1
            self.orders[key] = {
                **fields,
                "id": f"id-{trader}-{fields['client_oid']}",
                "status": "open",
                "settled": False,
                "filled_size": "0",
            }
        return Reply(200, self.orders[key], {})

    def _end(self, order: dict[str, Any]) -> str:
        order.update(status="done", settled=True, done_reason="canceled")
        return str(order["id"])

    def _of(self, trader: str) -> list[dict[str, Any]]:
        return [order for (owner, _), order in self.orders.items() if owner == trader]

    def _list(self, trader: str, query: Mapping[str, list[str]]) -> Reply:
        wanted = query["status"]
        found = [order for order in self._of(trader) if "all" in wanted or order["status"] in wanted]
        first = int(query.get("after", ["0"])[0])
        page = found[first : first + int(query["limit"][0])]
        more = first + len(page) < len(found)
        return Reply(200, page, {"CB-AFTER": str(first + len(page))} if more else {})
