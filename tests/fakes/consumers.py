"""What every consumer of the executions stream does: drop what it has seen, refuse gaps and other bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.messages import ChainCheck, Event, decode_events, genesis_hash


@dataclass
class Consumer:
    """Every event of every product, each once, in order."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    hashes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    epochs: dict[str, list[int]] = field(default_factory=dict)
    checks: dict[str, ChainCheck] = field(default_factory=dict)
    repeated: int = 0

    def take(self, records: Iterable[tuple[str, bytes]]) -> "Consumer":
        """Consume records as they came; asserts what must hold of them."""
        for partition_key, data in records:
            record = decode_events(data)
            assert record.product_id == partition_key
            assert self.checks.setdefault(record.product_id, ChainCheck()).take(record), "a byte was changed"
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
            for at, hash_after in record.points():
                assert hashes.setdefault(at, hash_after) == hash_after, "the chain forks"
            before = max(at for at in hashes if at < record.first_sequence)
            assert hashes[before] == record.hash_before, "the chain has a gap"
            self.epochs.setdefault(record.product_id, []).append(record.epoch)
        return self
