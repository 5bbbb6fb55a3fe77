"""What an engine remembers of the past so that nothing happens twice: bounded, and the same in every replay."""

from collections import deque
from collections.abc import Container, Iterable
from typing import Final

ORDER_IDS_MAX: Final = 1_000_000
COMMAND_IDS_MAX: Final = 65_536


class OrderIds:
    """Every live order's id, and of the others exactly the last ORDER_IDS_MAX placed.

    Each placed id has a rank: the number of ids placed before it. Ids stand in a queue by rank. Once more than the
    allowed number of ids in it are no longer live, the oldest leave; a live one that leaves is remembered for as long
    as it lives (the engine looks there first) and forgotten with its death, for a million others were placed after it.
    """

    def __init__(self, ids: Iterable[int] = (), *, first_rank: int = 0, live: Container[int] = ()) -> None:
        self._queue = deque(ids)
        self._first_rank = first_rank
        self._known = {order_id for order_id in self._queue if order_id not in live}

    @property
    def next_rank(self) -> int:
        """The rank of the id placed next."""
        return self._first_rank + len(self._queue)

    @property
    def first_rank(self) -> int:
        """The rank of the oldest id in the queue."""
        return self._first_rank

    @property
    def queue(self) -> Iterable[int]:
        """The queued ids by rank."""
        return self._queue

    def __contains__(self, order_id: int) -> bool:
        """Whether an id that is not live is remembered."""
        return order_id in self._known

    def place(self, order_id: int) -> int:
        """Give a new id its rank. Until `retire` it counts as live."""
        self._queue.append(order_id)
        return self.next_rank - 1

    def retire(self, order_id: int, rank: int, live: Container[int]) -> None:
        """An id is live no longer (`live` must not hold it any more)."""
        if rank < self._first_rank:
            return
        self._known.add(order_id)
        while len(self._known) > ORDER_IDS_MAX:
            oldest = self._queue.popleft()
            self._first_rank += 1
            if oldest not in live:
                self._known.discard(oldest)


class CommandIds:
    """The last COMMAND_IDS_MAX command ids: a stream may deliver the same command twice."""

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        self._queue = deque(ids)
        self._known = set(self._queue)

    @property
    def queue(self) -> Iterable[bytes]:
        """The remembered ids, oldest first."""
        return self._queue

    def is_new(self, command_id: bytes) -> bool:
        """Remember the id; say whether it had not been seen."""
        if command_id in self._known:
            return False
        self._known.add(command_id)
        self._queue.append(command_id)
        if len(self._queue) > COMMAND_IDS_MAX:
            self._known.discard(self._queue.popleft())
        return True
