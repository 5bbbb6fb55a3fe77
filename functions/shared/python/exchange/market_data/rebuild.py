"""Market data anew from the log, or compared with it: the fold is a function of the log, so both must agree."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from exchange.market_data.bars import Scale
from exchange.market_data.model import Batch, MarketState, StaleStateError
from exchange.messages import EventRecord

BATCH_RECORDS: Final = 100
ATTEMPTS_MAX: Final = 10

# Reads a product's log from its oldest record to its newest, as often as it is called.
Log = Callable[[], Iterable[EventRecord]]


class MarketMovesError(RuntimeError):
    """The market goes on faster than it is read. Try again when less is traded."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far the kept market is folded, and how often it was rebuilt."""

    sequence: int = 0
    edition: int = 0


class Kept(Protocol):
    """The market as it is kept."""

    def position(self, product_id: str) -> Position:
        """How far it is folded."""
        ...

    def differences(self, batch: Batch) -> list[str]:
        """What of a batch's trades, events and final pages is kept otherwise, or not at all."""
        ...

    def end_differences(self, state: MarketState, pages: Set[tuple[Scale, int]]) -> list[str]:
        """The same of book, ticker and growing pages; and what is kept that the log doesn't say."""
        ...

    def begin(self, until: MarketState, pages: Set[tuple[Scale, int]]) -> None:
        """Remove what is kept of the time up to this state that the log doesn't say: other pages, and all events."""
        ...

    def put(self, batch: Batch) -> None:
        """Write what is final of a batch."""
        ...

    def finish(self, state: MarketState, *, before: Position) -> None:
        """Put book, ticker and growing pages at once. Raises StaleStateError where the market has gone past it."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a run saw: the last sequence, how much was folded, and what differed."""

    product_id: str
    sequence: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    pages: set[tuple[Scale, int]] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)

    def count(self, batch: Batch) -> None:
        """Add a batch."""
        self.sequence = batch.state.sequence
        self.counts["events"] += len(batch.events)
        self.counts["trades"] = batch.state.last_trade.trade_id if batch.state.last_trade else 0
        self.pages.update((page.scale, page.number) for page in batch.pages)
        self.counts["candles"] += sum(len(page.bars) for page in batch.pages if page.is_final)


def refold(state: MarketState, records: Iterable[EventRecord], *, until: int | None = None) -> Iterator[Batch]:
    """Fold a log, batch by batch, on top of a state; `until` a sequence, where one is given.

    Raises:   SequenceGapError where the log does not reach back to the state; HistoryForkError.
    """
    wanted = (record for record in records if until is None or record.last_sequence <= until)
    while batch := list(islice(wanted, BATCH_RECORDS)):
        begun_at = state.sequence
        events = [event for record in batch for event in state.apply_record(record)]
        if events:
            yield Batch(state, begun_at, events, state.bars.take_pages())


def compare(product_id: str, log: Log, kept: Kept) -> Outcome:
    """Compare the kept market with the log, as far as it is folded.

    Raises:   MarketMovesError, SequenceGapError, HistoryForkError, OutageError.
    """
    for _ in range(ATTEMPTS_MAX):
        before = kept.position(product_id)
        state, outcome = MarketState.genesis(product_id), Outcome(product_id)
        # Where nothing is kept, all that the log says is missing.
        for batch in refold(state, log(), until=before.sequence or None):
            outcome.count(batch)
            outcome.differences += kept.differences(batch)
        if state.sequence != before.sequence:
            outcome.differences.append(
                f"{product_id} is kept up to {before.sequence}, its log has a record that ends at {state.sequence}"
            )
        outcome.differences += kept.end_differences(state, outcome.pages)
        if kept.position(product_id) == before:
            return outcome
    raise MarketMovesError(f"{product_id} is traded faster than it can be compared")


def rebuild(product_id: str, log: Log, kept: Kept) -> Outcome:
    """Write the market anew from the log. Whoever folds it meanwhile finds that out and goes on from there.

    Raises:   MarketMovesError, SequenceGapError, HistoryForkError, OutageError.
    """
    before = kept.position(product_id)
    end, known = MarketState.genesis(product_id), Outcome(product_id)
    for batch in refold(end, log()):
        known.count(batch)
    kept.begin(end, known.pages)
    state, outcome = MarketState.genesis(product_id), Outcome(product_id)
    for _ in range(ATTEMPTS_MAX):
        for batch in refold(state, log()):
            outcome.count(batch)
            kept.put(batch)
        state.edition = before.edition + 1
        try:
            kept.finish(state, before=before)
        except StaleStateError:
            continue
        return outcome
    raise MarketMovesError(f"{product_id} is traded faster than it can be rebuilt")
