"""What stands before every route: the true address of who asks, and whether they may ask now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from exchange.kernel.errors import Refused
from exchange.rest.request import ApiRequest


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request goes on, and the headers that say what is left."""

    refusal: Refused | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Gate(Protocol):
    """Counts requests against budgets."""

    def judge(self, request: ApiRequest, who: Any, *, cancels: bool, amount: int = 1, counted: int = 0) -> Verdict:
        """Count a request, or `amount` more for one that is `counted` already; in all at most a whole burst.

        `who` is the caller, the refusal of one who proved nothing, or None on a public route.
        """
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """A gate, and what the edge proves itself by; empty where there is no edge to believe."""

    gate: Gate
    origin_secret: str = ""
