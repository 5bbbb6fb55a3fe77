"""What every consumer of the executions stream does: drop what it has seen, refuse gaps and other bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.messages import Event, decode_events, genesis_hash, verify_record


@dataclass
class Consumer:
    """Every event of every product, each once, in order."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    hashes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    epochs: dict[str, list[int]] = field(default_factory=dict)
    repeated: int = 0

    def take(self, records: Iterable[tuple[str, bytes]]) -> "Consumer":
        """Consume records as they came; asserts what must hold of them."""
        for partition_key, data in records:
            record = decode_events(data)
            assert record.product_id == partition_key
            assert verify_record(record)
            events = self.events.setdefault(record.product_id, [])
            hashes = self.hashes.setdefault(record.product_id, {0: genesis_hash(record.product_id)})
            assert record.first_sequence <= len(events) + 1, "a gap"
            for result in record.results:
                for event in result.events:
                    if event.sequence <= len(events):
                        assert events[event.sequence - 1] == event, "another matcher said otherwise"
                        self.repeated += 1
                    else:
                        events.append(event)
                if result.is_last_part:
                    last = result.events[-1].sequence
                    assert hashes.setdefault(last, result.hash_after) == result.hash_after, "the chain forks"
            assert hashes.get(record.first_sequence - 1, record.hash_before) == record.hash_before
            self.epochs.setdefault(record.product_id, []).append(record.epoch)
        return self
