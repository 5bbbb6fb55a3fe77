"""When keys were last used, to the hour: one write an hour and key from each process, not one a request."""

from typing import Protocol

from aws_lambda_powertools import Logger

from exchange.kernel.errors import UnavailableError
from exchange.usage.model import SECOND_NS

EVERY_NS = 3_600 * SECOND_NS
KEYS_MAX = 4_096


class UseRecords(Protocol):
    """Where last uses are kept."""

    def note_use(self, key_id: str, now_ns: int, *, unless_after_ns: int) -> None:
        """Write when a key was used, unless that is known well enough."""
        ...


class LastUses:
    """Remembers what it has written, so that it writes seldom."""

    def __init__(self, records: UseRecords) -> None:
        self._records = records
        self._written_at_ns: dict[str, int] = {}
        self._logger = Logger()

    def note(self, key_id: str, now_ns: int) -> None:
        """A key was used. An outage is logged: nobody is turned away for it."""
        if now_ns - self._written_at_ns.get(key_id, -EVERY_NS) < EVERY_NS:
            return
        if len(self._written_at_ns) >= KEYS_MAX:
            self._written_at_ns.clear()
        self._written_at_ns[key_id] = now_ns
        try:
            self._records.note_use(key_id, now_ns, unless_after_ns=now_ns - EVERY_NS)
        except UnavailableError as error:
            self._logger.warning("a key's use was not written", reason=str(error))
