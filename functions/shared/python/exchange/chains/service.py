"""Watching one chain: what left it is taken back, what it has anew is noted, what lies deep enough is credited.

One run reads a bounded number of blocks. Each effect is conditional on what it is an effect of, so a run that was cut
short anywhere, or ran beside another, is finished by the next.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from exchange.chains.crediting import (
    credit_batch,
    credit_movements,
    credit_transfer,
    reversal_batch,
    reversal_movements,
    reversal_transfer,
    unlock_movements,
)
from exchange.chains.model import (
    BLOCKS_PER_RUN,
    CREDITED,
    GONE,
    Arrival,
    Block,
    Cursor,
    Listing,
    Node,
    Stage,
    arrival_of,
)
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError, require
from exchange.ledger.model import Balance, Batch, Head, Movements
from exchange.transfers.model import Transfer

ATTEMPTS_MAX = 32


class Ledger(Protocol):
    """Where a chain's cursor, addresses and arrivals are kept."""

    def cursor(self, chain: str) -> Cursor:
        """How far the chain was read."""
        ...

    def save_cursor(self, chain: str, cursor: Cursor) -> bool:
        """Put the version after the one that is there; False where somebody else was faster."""
        ...

    def owners(self, chain: str, addresses: Iterable[str]) -> Mapping[str, int]:
        """The accounts behind those of the addresses that are ours."""
        ...

    def note(self, arrival: Arrival) -> None:
        """Put an arrival, or see one again that was gone; one that is there stays as it is."""
        ...

    def arrivals(self, chain: str, *, from_block: int) -> Sequence[Arrival]:
        """Arrivals in blocks of that number and above, in their order."""
        ...

    def orphan(self, arrival: Arrival) -> None:
        """An arrival that was never credited is gone."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Balances(Protocol):
    """Where balances are read."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance; zero where nothing was ever posted."""
        ...


class Postings(Protocol):
    """The writes that move money. Each is whole or nothing; False where what it stands on is no longer so."""

    def credit(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        """The arrival becomes a locked deposit."""
        ...

    def unlock(self, arrival: Arrival, movements: Movements) -> bool:
        """Its money may be spent."""
        ...

    def reverse(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        """It is taken back."""
        ...


class Watcher:
    """One chain's watcher, with all that it reaches."""

    def __init__(
        self,
        listing: Listing,
        *,
        node: Node,
        ledger: Ledger,
        journal: Journal,
        balances: Balances,
        postings: Postings,
        clock: Clock,
        pause: Callable[[int], None],
    ) -> None:
        self._listing = listing
        self._node = node
        self._ledger = ledger
        self._journal = journal
        self._balances = balances
        self._postings = postings
        self._clock = clock
        self._pause = pause

    def run(self) -> Cursor:
        """Follow the chain once, a bounded number of blocks; return how far it is read now.

        Raises:   OutageError; UnavailableError too where the chain changed deeper than we remember: then nothing is
                  credited until an operator has looked.
        """
        cursor = self._rewind(self._ledger.cursor(self._listing.chain))
        self._settle(cursor)  # Before more is read, so that nothing leaves the window unsettled.
        cursor = self._advance(cursor)
        self._settle(cursor)
        return cursor

    def _rewind(self, cursor: Cursor) -> Cursor:
        """Drop what the chain no longer has, from the top, and undo what stood in it."""
        count = len(cursor.blocks)
        while count and not self._still(cursor.blocks[count - 1]):
            count -= 1
        if count == len(cursor.blocks):
            return cursor
        if not count:
            raise UnavailableError(
                f"{self._listing.chain} was reorganised below block {cursor.blocks[0].number}: deeper than we remember"
            )
        kept = cursor.rewound(count)
        for arrival in self._ledger.arrivals(self._listing.chain, from_block=kept.tip.number + 1):
            self._undo(arrival)
        self._save(kept)
        return kept

    def _still(self, block: Block) -> bool:
        found = self._node.block(block.number)
        return found is not None and found.hash == block.hash

    def _advance(self, cursor: Cursor) -> Cursor:
        newest = min(self._node.height(), cursor.tip.number + BLOCKS_PER_RUN)
        for number in range(cursor.tip.number + 1, newest + 1):
            block = self._node.block(number)
            if block is None or block.parent_hash != cursor.tip.hash:
                break  # It is thinking again; the next run finds out where.
            self._read(block)
            cursor = cursor.extended(block)
            self._save(cursor)
        return cursor

    def _read(self, block: Block) -> None:
        payments = [payment for payment in self._node.payments(block) if payment.base_units]
        owners = self._ledger.owners(self._listing.chain, {payment.address for payment in payments})
        ours = [payment for payment in payments if payment.address in owners]
        senders = self._ledger.owners(self._listing.chain, {payment.sender for payment in ours} - {""})
        for payment in ours:
            self._ledger.note(arrival_of(payment, block, owners={**owners, **senders}, listing=self._listing))

    def _save(self, cursor: Cursor) -> None:
        if not self._ledger.save_cursor(self._listing.chain, cursor):
            raise UnavailableError(f"{self._listing.chain}: another run is at work")

    def _settle(self, cursor: Cursor) -> None:
        for arrival in self._ledger.arrivals(self._listing.chain, from_block=cursor.blocks[0].number):
            depth = cursor.tip.number - arrival.block_number + 1
            if depth < 1 or not cursor.has(arrival.block_number, arrival.block_hash):
                self._undo(arrival)
            elif arrival.stage is Stage.SEEN and depth >= self._enough(arrival):
                self._credit(arrival)
            elif arrival.stage is Stage.LOCKED and depth >= self._listing.unlock_confirmations:
                self._postings.unlock(arrival, unlock_movements(arrival))

    def _enough(self, arrival: Arrival) -> int:
        return self._listing.unlock_confirmations if arrival.giver else self._listing.confirmations

    def _credit(self, arrival: Arrival) -> None:
        def post(head: Head, at_ns: int) -> bool:
            transfer = credit_transfer(arrival, at_ns=at_ns)
            batch = credit_batch(arrival, head, at_ns=at_ns)
            return self._postings.credit(arrival, transfer, batch, credit_movements(arrival))

        self._post(arrival, post)

    def _undo(self, arrival: Arrival) -> None:
        if arrival.stage in GONE:
            return
        if arrival.stage not in CREDITED:
            self._ledger.orphan(arrival)
            return

        def post(head: Head, at_ns: int) -> bool:
            transfer = reversal_transfer(arrival, at_ns=at_ns)
            taken = self._recoverable(arrival)
            batch = reversal_batch(arrival, head, taken_units=taken, at_ns=at_ns)
            return self._postings.reverse(arrival, transfer, batch, reversal_movements(arrival, taken_units=taken))

        self._post(arrival, post)

    def _recoverable(self, arrival: Arrival) -> int:
        if arrival.stage is Stage.LOCKED or arrival.giver:
            return arrival.units
        return min(arrival.units, self._balances.balance(arrival.account_id, arrival.asset).available)

    def _post(self, arrival: Arrival, post: Callable[[Head, int], bool]) -> None:
        """Post at the end of the rail's chain; others may post there too."""
        for attempt in range(ATTEMPTS_MAX):
            if post(self._journal.head(f"rail:{self._listing.rail}"), self._clock.now_ns()):
                return
            now = self._ledger.arrivals(arrival.chain, from_block=arrival.block_number)
            found = next((each for each in now if each.key == arrival.key), None)
            require(found is not None, f"{arrival.key} is gone")
            if found != arrival:
                return  # Another run has done it.
            self._pause(attempt)
        raise UnavailableError(f"{arrival.key}: the chain of {self._listing.rail} was busy {ATTEMPTS_MAX} times")
