"""Amends on their way: what was asked of an order and not yet answered by its market, and what they may cost.

An amend is asked for against an order that goes on trading meanwhile, and several may be under way, in an order that
only the stream decides. So an order holds for the worst that any of its terms can bring, the present ones and those
under way: lot by lot, the dearest price of all terms that reach as far as that lot. What an answer rules out is free at
once, and no answer ever needs more than is held.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

WAITING_MAX = 8
ANSWERED_KEPT = 4
APPLIED = "applied"
# An amend that reaches its market later than this is refused there: so a copy that is sent again, to free what was
# held where the first was lost, can't undo what came after it.
VALID_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Amend:
    """One amend of one order.

    Units:    size_lots in lots, the new total; price_ticks in ticks, 0: the price stays.
    `answer` is "" while it is under way, then "applied" or why the market refused it. `name` is what its client's own
    id for it is known by.
    """

    amend_id: str  # 32 hexadecimal digits: the command's id
    size_lots: int
    price_ticks: int
    asked_at_ns: int
    answer: str = ""
    name: str = ""

    @property
    def waits(self) -> bool:
        """Whether its market has not answered yet."""
        return not self.answer

    @property
    def valid_until_ns(self) -> int:
        """From when on its market refuses it."""
        return self.asked_at_ns + VALID_NS


def with_answer(amends: Iterable[Amend], amend_id: str, answer: str) -> tuple[Amend, ...]:
    """The amends with one answered; of the answered ones the last few stay, so that a repeat is recognised."""
    return _pruned(replace(a, answer=answer) if a.amend_id == amend_id and a.waits else a for a in amends)


def all_answered(amends: Iterable[Amend], answer: str) -> tuple[Amend, ...]:
    """The amends with every one that waits answered alike."""
    return _pruned(replace(a, answer=answer) if a.waits else a for a in amends)


def _pruned(amends: Iterable[Amend]) -> tuple[Amend, ...]:
    found = tuple(amends)
    kept = [amend for amend in found if not amend.waits][-ANSWERED_KEPT:]
    return tuple(amend for amend in found if amend.waits or amend in kept)


def worst_lots(remaining_lots: int, filled_lots: int, amends: Iterable[Amend]) -> int:
    """The most lots that may still trade, whichever of the terms come to hold."""
    return max([remaining_lots, *(amend.size_lots - filled_lots for amend in amends if amend.waits)])


def worst_value(remaining_lots: int, price_ticks: int, filled_lots: int, amends: Sequence[Amend]) -> int:
    """The most that the rest may cost, whichever of the terms come to hold when. In tick x lot units."""
    waiting = [amend for amend in amends if amend.waits]
    # An amend that leaves the price takes the one it finds, which may be any of them.
    dearest_of_all = max([price_ticks, *(amend.price_ticks for amend in waiting)])
    terms = [(remaining_lots, price_ticks)]
    terms += [(amend.size_lots - filled_lots, amend.price_ticks or dearest_of_all) for amend in waiting]
    value = dearest = 0
    reach = 0
    for lots, price in sorted(((lots, price) for lots, price in terms if lots > 0), reverse=True):
        value += (reach - lots) * dearest if dearest else 0
        reach, dearest = lots, max(dearest, price)
    return value + reach * dearest


def amends_text(amends: Iterable[Amend]) -> str:
    """The amends as they are stored; "" for none."""
    rows = [[a.amend_id, a.size_lots, a.price_ticks, a.asked_at_ns, a.answer, a.name] for a in amends]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def parse_amends(text: str) -> tuple[Amend, ...]:
    """Read back what `amends_text` wrote."""
    return tuple(Amend(*row) for row in json.loads(text)) if text else ()
