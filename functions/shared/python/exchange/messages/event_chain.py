"""Computing the chain again from what consumers read: whoever changed a byte can't have changed the hash with it."""

import hashlib

from exchange.messages.event_records import EventRecord
from exchange.messages.events import CommandResult, pack_event, pack_head


class ChainCheck:
    """Follows one product's records in the order of the stream.

    A group is checked where it ends, if its beginning was seen too: it may be spread over many records.
    """

    def __init__(self) -> None:
        self._next_sequence = 0
        self._chain = b""
        self._group: hashlib._Hash | None = None
        self._head = b""

    def take(self, record: EventRecord) -> bool:
        """Whether every group that ends in this record hashes to what the record says."""
        goes_on = record.first_sequence == self._next_sequence
        if goes_on and record.hash_before != self._chain:
            return False
        if not record.begins_within:
            self._group = hashlib.sha256(record.hash_before)
        elif not goes_on:
            self._group = None
        self._next_sequence, self._chain = record.last_sequence + 1, record.hash_at_end
        return all(self._agrees(result) for result in record.results)

    def _agrees(self, result: CommandResult) -> bool:
        group, head = self._group, pack_head(result)
        if group is not None:
            if not result.first_index:
                group.update(head)
            elif head != self._head:
                return False
            for event in result.events:
                group.update(pack_event(event))
        self._head = head
        if not result.hash_after:
            return True
        self._group = hashlib.sha256(result.hash_after)
        return group is None or group.digest() == result.hash_after


def verify_record(record: EventRecord) -> bool:
    """Whether every group that begins and ends in the record hashes to what the record says."""
    return ChainCheck().take(record)
