"""Rates agreed with one account, for `exchange fees`: proposed, and listed in pages."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from exchange.fees.document import iso
from exchange.fees.model import AGREE, Agreement, Agreements, FeeScheduleError, agreed_at, format_rate
from exchange.fees.store import read_published
from exchange.kernel.ids import from_uuid, to_uuid
from rich.console import Console

from infra.local.operators import OperatorSession

PAGE = 50
console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be agreed with a profile, as it was typed; `none`: no rates of its own, no end."""

    profile_id: str
    maker: str
    taker: str
    begins: str
    ends: str

    def payload(self) -> dict[str, str]:
        """A proposal's payload. Raises FeeScheduleError where the time to begin is missing."""
        if not self.begins:
            raise FeeScheduleError("from: give a time to come, like --from 2026-12-01T00:00:00Z")
        rates = {"maker": self.maker or "none", "taker": self.taker or "none"}
        return {"profile_id": self.profile_id, **rates, "from": self.begins, "until": self.ends or "none"}


def agree(terms: Terms, session: OperatorSession, reason: str, *, option: str) -> None:
    """Have rates agreed once another operator approves. Raises OperatorError with the API's own words."""
    wanted = {"kind": AGREE, "payload": terms.payload(), "reason": reason, "key": str(uuid4())}
    made = session.ask("POST", "/v1/proposals", wanted)
    console.print(f"Proposed as {made['id']}. Another operator looks at it, and approves:")
    for what in ("fees --proposal", "operator approve"):
        console.print(f"  exchange {what} {made['id']}{option}", markup=False, soft_wrap=True)


def show_agreed(after: str, option: str) -> None:
    """A page of what holds now and is to come, by profile. Raises FeeScheduleError; UnavailableError."""
    behind = from_uuid(after) if after else 0
    if behind is None:
        raise FeeScheduleError("after: give the profile's id that the page before ended with")
    now_ns = time.time_ns()
    known = read_published().agreements
    left = sorted(account_id for account_id, rows in known.items() if account_id > behind and tells(rows, now_ns))
    console.print(
        "Agreed rates: profile, from when, maker, taker, and whether they hold" if left else "None are agreed."
    )
    for account_id in left[:PAGE]:
        for line in _lines(account_id, known[account_id], now_ns):
            # Lines, for a table that is piped is made to fit eighty columns, whatever it has to cut.
            console.print(line, markup=False, soft_wrap=True)
    if len(left) > PAGE:
        last = to_uuid(left[PAGE - 1])
        console.print(f"More: exchange fees --agreed --after {last}{option}", markup=False, soft_wrap=True)


def tells(rows: Agreements, now_ns: int) -> bool:
    """Whether anything of it holds or is to come."""
    return agreed_at(rows, now_ns) is not None or rows[-1].from_ns > now_ns


def _lines(account_id: int, rows: Agreements, now_ns: int) -> Iterator[str]:
    begun: list[Agreement] = [row for row in rows if row.from_ns <= now_ns][-1:]
    for row in (*begun, *(row for row in rows if row.from_ns > now_ns)):
        rates = [format_rate(row.rates.maker_ppm), format_rate(row.rates.taker_ppm)] if row.rates else ["none", "none"]
        yield "  ".join([to_uuid(account_id), iso(row.from_ns), *rates, "now" if row in begun else "later"])
