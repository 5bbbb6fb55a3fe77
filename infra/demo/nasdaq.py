"""Turns a LOBSTER day into orders that leave our book as NASDAQ's was, best level by best level.

The file shows only the best level of each side. So a level that leaves the view is emptied here, and a level that comes
into view is filled with anonymous volume, the size that the book file shows. What rests is kept as this exchange will
have it: first come, first served, a reduced order behind the others, for the API has no amend and cancels and places
anew. So sizes and prices of every execution agree with NASDAQ's; which of several orders at a price is hit may not.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from infra.demo.lobster import Best, Kind, Message, Row

# A cancellation that names no order.
NOBODY = -1


class Role(Enum):
    """Who sends: what was there before, the orders of the file, those who take."""

    ANONYMOUS = 0
    NAMED = 1
    TAKER = 2


@dataclass(frozen=True, slots=True)
class Rest:
    """Place a limit order that rests. `number` names it. Units: price in 1/10,000."""

    time_ns: int
    role: Role
    number: int
    buying: bool
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel a resting order."""

    time_ns: int
    role: Role
    number: int


@dataclass(frozen=True, slots=True)
class Take:
    """One limit order, IOC, that does what a run of executions did: `expected` are its fills, price and size."""

    time_ns: int
    number: int
    buying: bool
    price: int
    size: int
    expected: tuple[tuple[int, int], ...]
    role: Role = Role.TAKER


Step = Rest | Withdraw | Take


@dataclass(slots=True)
class _Resting:
    number: int
    role: Role
    order_id: int  # NASDAQ's; 0 of anonymous volume
    size: int


@dataclass(slots=True)
class _Level:
    queue: deque[_Resting] = field(default_factory=deque)

    @property
    def size(self) -> int:
        return sum(resting.size for resting in self.queue)


@dataclass(slots=True)
class Counts:
    """What the day was made of, and how often the file's view had to be put right."""

    rows: int = 0
    by_kind: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    takes: int = 0
    corrected: int = 0


class Day:
    """Translates rows, in their order, into steps."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._levels: dict[bool, dict[int, _Level]] = {True: {}, False: {}}
        self._number = 0
        self._steps: list[Step] = []

    def steps(self, rows: Iterable[Row]) -> Iterator[tuple[int, list[Step]]]:
        """For each row or run of executions: how many rows it was, and what to send."""
        run: list[Row] = []
        hidden = 0
        first = True
        for row in rows:
            self.counts.rows += 1
            self.counts.by_kind[row.message.kind] += 1
            if first:
                self._before(row)
                first = False
            if row.message.kind is Kind.HIDDEN_EXECUTED and run:
                hidden += 1
                continue
            if run and not _continues(run[-1].message, row.message):
                self._execute(run)
                yield len(run) + hidden, self._taken()
                run, hidden = [], 0
            if row.message.kind is Kind.EXECUTED:
                run.append(row)
                continue
            self._apply(row)
            yield 1, self._taken()
        if run:
            self._execute(run)
            yield len(run) + hidden, self._taken()

    def _taken(self) -> list[Step]:
        steps, self._steps = self._steps, []
        return steps

    def _before(self, row: Row) -> None:
        """What rested before the first message: book row 1 with message 1 undone."""
        for buying in (True, False):
            best = row.best(buying=buying)
            message = row.message
            price, size = best.price, best.size
            if message.buying == buying:
                if message.kind is Kind.NEW and message.price == price:
                    size -= message.size
                elif message.kind in {Kind.REDUCED, Kind.DELETED, Kind.EXECUTED}:
                    # A level that message 1 emptied is not in row 1 any more.
                    size = message.size + (size if price == message.price else 0)
                    price = message.price
            if size > 0:
                self._rest(message.time_ns, Role.ANONYMOUS, 0, buying=buying, price=price, size=size)

    def _apply(self, row: Row) -> None:
        message = row.message
        if message.kind is Kind.NEW:
            best = row.best(buying=message.buying)
            if message.price == best.price:
                self._make_room(row)
                self._rest(
                    message.time_ns,
                    Role.NAMED,
                    message.order_id,
                    buying=message.buying,
                    price=message.price,
                    size=message.size,
                )
        elif message.kind in {Kind.REDUCED, Kind.DELETED}:
            self._reduce(message)
        self._agree(row, message.time_ns)

    def _execute(self, run: list[Row]) -> None:
        """One order for the whole run. Levels that come into view while it lasts are filled before it is sent."""
        first = run[0].message
        expected: dict[int, int] = {}
        for row in run:
            message = row.message
            level = self._levels[message.buying].get(message.price)
            missing = message.size - (level.size if level else 0)
            if missing > 0:
                self.counts.corrected += 1
                self._rest(message.time_ns, Role.ANONYMOUS, 0, buying=message.buying, price=message.price, size=missing)
            self._consume(message)
            expected[message.price] = expected.get(message.price, 0) + message.size
            self._agree(row, first.time_ns)
        self.counts.takes += 1
        prices = list(expected)
        self._steps.append(
            Take(
                time_ns=first.time_ns,
                number=self._next_number(),
                buying=not first.buying,
                price=min(prices) if first.buying else max(prices),
                size=sum(expected.values()),
                expected=tuple(sorted(expected.items())),
            )
        )

    def _consume(self, message: Message) -> None:
        queue = self._levels[message.buying][message.price].queue
        left = message.size
        while left:
            taken = min(left, queue[0].size)
            queue[0].size -= taken
            left -= taken
            if not queue[0].size:
                queue.popleft()
        if not queue:
            del self._levels[message.buying][message.price]

    def _reduce(self, message: Message) -> None:
        """Take volume away: of the order named, then of what is anonymous, then of the last in the queue."""
        level = self._levels[message.buying].get(message.price)
        if level is None:
            return
        left = message.size
        same = [resting for resting in level.queue if resting.order_id == message.order_id]
        others = [resting for resting in reversed(level.queue) if resting.order_id != message.order_id]
        others.sort(key=lambda resting: resting.role is not Role.ANONYMOUS)
        for resting in (*same, *others):
            if not left:
                break
            left -= self._shrink(message, level, resting, min(left, resting.size))
        if left:
            self.counts.corrected += 1
        if not level.queue:
            del self._levels[message.buying][message.price]

    def _shrink(self, message: Message, level: _Level, resting: _Resting, by: int) -> int:
        level.queue.remove(resting)
        self._steps.append(Withdraw(message.time_ns, resting.role, resting.number))
        if resting.size > by:
            self._rest(
                message.time_ns,
                resting.role,
                resting.order_id,
                buying=message.buying,
                price=message.price,
                size=resting.size - by,
            )
        return by

    def _make_room(self, row: Row) -> None:
        """Empty the levels that a better order has put out of view, before it comes."""
        self._forget(row.message.time_ns, buying=row.message.buying, but=row.message.price)

    def _agree(self, row: Row, time_ns: int) -> None:
        """Make the best levels what the book row says they are."""
        for buying in (True, False):
            best = row.best(buying=buying)
            self._forget(time_ns, buying=buying, but=best.price)
            if not best.size:
                continue
            level = self._levels[buying].get(best.price)
            if level is None:
                self._rest(time_ns, Role.ANONYMOUS, 0, buying=buying, price=best.price, size=best.size)
            else:
                self._correct(time_ns, level, best, buying=buying)

    def _correct(self, time_ns: int, level: _Level, best: Best, *, buying: bool) -> None:
        missing = best.size - level.size
        if missing > 0:
            self.counts.corrected += 1
            self._rest(time_ns, Role.ANONYMOUS, 0, buying=buying, price=best.price, size=missing)
        elif missing < 0:
            self.counts.corrected += 1
            self._reduce(Message(time_ns, Kind.REDUCED, NOBODY, -missing, best.price, buying))

    def _forget(self, time_ns: int, *, buying: bool, but: int) -> None:
        for price in [price for price in self._levels[buying] if price != but]:
            for resting in self._levels[buying].pop(price).queue:
                self._steps.append(Withdraw(time_ns, resting.role, resting.number))

    def _rest(self, time_ns: int, role: Role, order_id: int, *, buying: bool, price: int, size: int) -> None:
        number = self._next_number()
        self._levels[buying].setdefault(price, _Level()).queue.append(_Resting(number, role, order_id, size))
        self._steps.append(Rest(time_ns, role, number, buying, price, size))

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def _continues(last: Message, following: Message) -> bool:
    """Whether an execution belongs to the run of the one before it."""
    return following.kind is Kind.EXECUTED and following.time_ns == last.time_ns and following.buying == last.buying
