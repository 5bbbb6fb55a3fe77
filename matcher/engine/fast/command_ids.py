# mypy: always-false=compiled
"""The last command ids (see matcher.engine.memory.CommandIds)."""

import cython

if not cython.compiled:
    from matcher.engine.fast.recent_ids import RecentIds

from matcher.engine.memory import COMMAND_IDS_MAX


class CommandIds:
    """Ids of two words."""

    def __init__(self, remembered_max: int = COMMAND_IDS_MAX) -> None:
        self.recent = RecentIds(2)
        self.remembered_max = remembered_max

    def is_new(self, low: int, high: int) -> int:
        """Remember the id; say whether it had not been seen."""
        recent = self.recent
        if recent.find(low, high) >= 0:
            return 0
        if recent.next_rank - recent.first_rank == self.remembered_max:
            recent.forget()
        recent.append(low, high)
        return 1

    def queue(self) -> bytes:
        """The remembered ids, oldest first, packed."""
        return self.recent.queue()

    def load(self, packed: bytes) -> None:
        """Fill an empty memory, oldest first."""
        self.recent.load(packed, 0)
