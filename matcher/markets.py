"""The markets of one shard: an engine for each product, and the products that are paused."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.kernel.errors import require
from exchange.messages import PackedGroup, ProductParameters, encode_packed_groups

from matcher.snapshots import ShardState
from matcher.stream_reader import StreamRecord


class Answers(Protocol):
    """What a record's commands did: packed results one after the other, none for a command without events."""

    @property
    def commands(self) -> int:
        """How many commands there were."""
        ...

    @property
    def data(self) -> bytes:
        """The results."""
        ...

    @property
    def ends(self) -> Sequence[int]:
        """Where each of them ends."""
        ...


class Engine(Protocol):
    """What matches: a pure function of its commands. `matcher.engine` has the real ones."""

    @property
    def sequence(self) -> int:
        """The last event's number."""
        ...

    @property
    def chain_hash(self) -> bytes:
        """The chain after the last event."""
        ...

    @property
    def live_orders(self) -> int:
        """How many orders rest or wait."""
        ...

    def apply_record(self, record: bytes, *, arrival_ns: int) -> Answers:
        """Do what the record's commands ask, all at its arrival time.

        Raises:   UnknownVersionError, MalformedRecordError (also for a record of another product) before anything was
                  done; UnknownRulesError.
        """
        ...

    def snapshot(self) -> bytes:
        """The whole state, the product's specification included."""
        ...


class Engines(Protocol):
    """Makes engines."""

    def create(self, product_id: str, parameters: ProductParameters) -> Engine:
        """An engine with an empty book."""
        ...

    def restore(self, data: bytes) -> Engine:
        """The engine that a snapshot was taken of. Raises SnapshotCorruptError where the bytes are not one."""
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """A product as it was when its first record came; `first_record` is that record."""

    parameters: ProductParameters
    first_record: str


class Listings(Protocol):
    """Remembers for ever with which terms, and from which record on, a product is matched.

    The catalogue can change between a first reading of the stream and the next. A listing can't, so both read the same.
    """

    def find_or_add(self, product_id: str, *, first_record: str) -> Listing | None:
        """The product's listing, made from the catalogue if it has none yet; None where the catalogue has no such
        product. Raises OutageError.
        """
        ...


class Market:
    """One product's engine and what it has said since the last drain."""

    def __init__(self, product_id: str, engine: Engine) -> None:
        self.product_id = product_id
        self._engine = engine
        self._groups: deque[tuple[int, PackedGroup]] = deque()
        self.unpublished_bytes = 0
        self._hash_before = engine.chain_hash
        self._published_sequence = engine.sequence

    @property
    def sequence(self) -> int:
        """The last event's number."""
        return self._engine.sequence

    @property
    def chain_hash(self) -> bytes:
        """The chain after the last event."""
        return self._engine.chain_hash

    @property
    def published_sequence(self) -> int:
        """The last event's number at the last drain."""
        return self._published_sequence

    @property
    def live_orders(self) -> int:
        """How many orders rest or wait."""
        return self._engine.live_orders

    @property
    def has_spoken(self) -> bool:
        """Whether there is something to drain."""
        return bool(self._groups)

    def accept(self, record: StreamRecord) -> int:
        """Apply every command of a record, all at the record's time; return how many there were.

        Raises:   MalformedRecordError, UnknownVersionError: then nothing was applied.
        """
        answers = self._engine.apply_record(record.data, arrival_ns=record.arrival_ns)
        if answers.ends:
            group = PackedGroup(answers.data, answers.ends, self._engine.chain_hash)
            self._groups.append((int(record.sequence_number), group))
            self.unpublished_bytes += len(group.data)
        return answers.commands

    def drain(self, epoch: int) -> list[bytes]:
        """The records of everything said since the last drain."""
        groups, hash_before = [group for _, group in self._groups], self._hash_before
        self.forget()
        return encode_packed_groups(self.product_id, epoch, groups, hash_before=hash_before)

    def forget(self) -> None:
        """Drop what was said since the last drain: it is published already."""
        self._groups.clear()
        self.unpublished_bytes = 0
        self._hash_before = self._engine.chain_hash
        self._published_sequence = self._engine.sequence

    def forget_until(self, position: int) -> None:
        """Drop what records up to this one caused: it is published already."""
        while self._groups and self._groups[0][0] <= position:
            _, group = self._groups.popleft()
            self._hash_before = group.hash_after
            self.unpublished_bytes -= len(group.data)

    def snapshot(self) -> bytes:
        """The engine's state. Only a drained market may be saved: what it said would be lost."""
        require(not self._groups, f"{self.product_id} is saved before it is published")
        return self._engine.snapshot()


class Markets:
    """Finds the market that a record is for."""

    def __init__(self, engines: Engines, listings: Listings) -> None:
        self._engines = engines
        self._listings = listings
        self._markets: dict[str, Market] = {}
        self.paused: dict[str, str] = {}

    def __iter__(self) -> Iterator[Market]:
        """Every open market."""
        return iter(tuple(self._markets.values()))

    def restore(self, state: ShardState) -> None:
        """Begin with a saved state. Raises SnapshotCorruptError where an engine does not know its own."""
        self._markets = {
            product_id: Market(product_id, self._engines.restore(data)) for product_id, data in state.markets.items()
        }
        self.paused = dict(state.paused)

    def get(self, product_id: str) -> Market | None:
        """A market that is open."""
        return self._markets.get(product_id)

    def find(self, record: StreamRecord) -> Market | None:
        """The market that a record is for, opened by its first; None where there is no such product (yet).

        Raises:   OutageError.
        """
        product_id = record.partition_key
        market = self._markets.get(product_id)
        if market is None:
            listing = self._listings.find_or_add(product_id, first_record=record.sequence_number)
            if listing is None or int(record.sequence_number) < int(listing.first_record):
                return None
            market = self._markets[product_id] = Market(
                product_id, self._engines.create(product_id, listing.parameters)
            )
        return market

    @property
    def unpublished_bytes(self) -> int:
        """How much was said since the last drain."""
        return sum(market.unpublished_bytes for market in self)

    def forget_until(self, position: int) -> None:
        """Drop what records up to this one caused: it is published already."""
        for market in self:
            market.forget_until(position)

    def snapshot(self) -> Mapping[str, bytes]:
        """Every market's state."""
        return {market.product_id: market.snapshot() for market in self}
