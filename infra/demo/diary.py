"""What the demo's customers were told, answer by answer, so that the audit can hold it against the books.

Nobody but a client knows what a client was told: the exchange can't check C1 to C6 of itself.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from exchange.audit.model import Said, Told
from exchange.kernel.ids import from_uuid

_NOTHING_HAPPENED: Final = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer about the order that its owner calls `name`. Times are of this process's own clock."""

    name: str
    said: Said
    asked_at: int
    told_at: int
    order_id: int = 0
    status: str = ""


@dataclass(slots=True)
class Diary:
    """One customer's answers, in the order they came."""

    heard: list[Heard] = field(default_factory=list)

    def placed(self, name: str, asked_at: int, status: int, body: Any) -> None:
        """Note the answer to an order."""
        if status == HTTPStatus.OK:
            self._saw(name, Said.ACCEPTED, asked_at, body)
        else:
            self._note(name, _denial(status, body), asked_at)

    def found(self, name: str, asked_at: int, status: int, body: Any) -> None:
        """Note the answer to a question for an order; that nobody could say is no answer."""
        if status == HTTPStatus.OK:
            self._saw(name, Said.SEEN, asked_at, body)
        elif status == HTTPStatus.NOT_FOUND:
            self._note(name, Said.ABSENT, asked_at)

    def canceled(self, name: str, asked_at: int, body: Any) -> None:
        """Note that a cancel was taken; the answer is the order's id."""
        self._note(name, Said.CANCELING, asked_at, order_id=from_uuid(str(body)) or 0)

    def told(self, account_id: int) -> Iterator[Told]:
        """All of it as an audit takes it."""
        for each in self.heard:
            yield Told(account_id, each.name, each.said, each.asked_at, each.told_at, each.order_id, status=each.status)

    def _saw(self, name: str, said: Said, asked_at: int, order: Any) -> None:
        self._note(name, said, asked_at, order_id=from_uuid(str(order["id"])) or 0, status=str(order.get("status", "")))

    def _note(self, name: str, said: Said, asked_at: int, *, order_id: int = 0, status: str = "") -> None:
        self.heard.append(Heard(name, said, asked_at, time.monotonic_ns(), order_id, status))


def _denial(status: int, body: Any) -> Said:
    # Only the exchange's own words, which have a code, say that nothing has happened; a gateway's do not.
    is_ours = isinstance(body, dict) and "code" in body
    if status in _NOTHING_HAPPENED and is_ours:
        return Said.UNAVAILABLE
    return Said.REFUSED if status < HTTPStatus.INTERNAL_SERVER_ERROR and is_ours else Said.UNKNOWN
