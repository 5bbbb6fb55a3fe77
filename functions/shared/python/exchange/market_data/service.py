"""Folding the stream."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.kernel.errors import OutageError
from exchange.market_data.model import Batch, FeedError, MarketState, PublicEvent, StaleStateError
from exchange.messages import Event, EventRecord, RecordError, Side, decode_events


class MarketWriter(Protocol):
    """Where the fold keeps its states."""

    def load(self, product_id: str) -> MarketState:
        """The state at the checkpoint."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write what a batch did, if the fold still stands where the batch began."""
        ...


@dataclass(frozen=True, slots=True)
class Update:
    """What a batch did to one market: the state after it, its events, the levels it touched.

    `is_continued` is false where the state before was read from the store, so that somebody else may have folded
    what came before it. `said` are the same events as the engine said them: nothing of them is for the public.
    """

    state: MarketState
    events: Sequence[PublicEvent]
    said: Sequence[Event]
    touched: frozenset[tuple[Side, int]]
    is_continued: bool


class Feed(Protocol):
    """Who is told of updates once they are committed."""

    def publish(self, update: Update) -> None:
        """Tell everybody who listens. Raises OutageError where owners may not have been told; the batch comes again."""
        ...

    def repeat(self, product_id: str, said: Sequence[Event]) -> None:
        """Tell owners what was committed before and comes again, if it may not have been told. Raises OutageError."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of the executions stream; its partition key is the product."""

    product_id: str
    data: bytes


class BatchError(RuntimeError):
    """Some products' records could not be folded; the batch must come again. The others' are committed."""


class MarketFold:
    """Folds batches of one shard. Keeps every state it committed last, and loads where somebody else went on."""

    def __init__(self, store: MarketWriter, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._states: dict[str, MarketState] = {}

    def fold(self, records: Iterable[StreamRecord]) -> None:
        """Fold a batch, product by product. The same batch again, in any cut, changes nothing.

        It tells owners again what they may not have been told: the stream goes on only behind a batch that was told.

        Raises:   BatchError after every product was tried; InvariantError at once.
        """
        failures = []
        for product_id, datas in _by_product(records).items():
            try:
                self._fold_product(product_id, datas)
            except (OutageError, RecordError, FeedError) as error:
                failures.append(f"{product_id}: {type(error).__name__}: {error}")
        if failures:
            raise BatchError("; ".join(failures))

    def _fold_product(self, product_id: str, datas: Sequence[bytes]) -> None:
        records, unread = _decode(datas)
        held = self._states.pop(product_id, None)
        is_behind = held is None or (bool(records) and records[0].first_sequence > held.sequence + 1)
        if held is not None and not is_behind:
            try:
                self._states[product_id] = self._fold_records(held, records, is_continued=True)
            except StaleStateError:
                is_behind = True
        if is_behind:
            self._states[product_id] = self._fold_records(self._store.load(product_id), records, is_continued=False)
        if unread is not None:
            raise unread

    def _fold_records(self, state: MarketState, records: Sequence[EventRecord], *, is_continued: bool) -> MarketState:
        """Fold the records and commit them together; where one does not fit, none counts."""
        begun_at = state.sequence
        events = [event for record in records for event in state.apply_record(record)]
        is_news = state.sequence > begun_at
        if is_news:
            self._store.commit(Batch(state, begun_at, events, state.bars.take_pages()))
        said = _said(records)
        before = [event for event in said if event.sequence <= begun_at]
        if before:
            self._feed.repeat(state.product_id, before)
        if is_news:
            touched = state.book.take_touched()
            self._feed.publish(Update(state, events, said[len(before) :], touched, is_continued))
        return state


def _said(records: Sequence[EventRecord]) -> list[Event]:
    """Every event, once and in order, as the engine said it."""
    said: list[Event] = []
    after = 0
    for event in (event for record in records for result in record.results for event in result.events):
        if event.sequence > after:
            said.append(event)
            after = event.sequence
    return said


def _by_product(records: Iterable[StreamRecord]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = {}
    for record in records:
        grouped.setdefault(record.product_id, []).append(record.data)
    return grouped


def _decode(datas: Sequence[bytes]) -> tuple[list[EventRecord], RecordError | None]:
    """The records up to the first that can't be read, and what is wrong with that one."""
    records: list[EventRecord] = []
    for data in datas:
        try:
            records.append(decode_events(data))
        except RecordError as error:
            return records, error
    return records, None
