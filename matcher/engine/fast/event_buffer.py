# mypy: always-false=compiled
"""The events of a whole batch of commands, written as the packed bytes that the stream carries.

Every packed event is a head of 8 bytes and words behind it (see exchange.messages.events), so it is written in words.
"""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.layout import (
        ACCOUNT,
        BY_FUNDS,
        CHANGE_AMEND,
        CHANGE_STP,
        COMMAND_ACCOUNT,
        COMMAND_HEAD,
        COMMAND_ID_HIGH,
        COMMAND_ID_LOW,
        COMMAND_ORDER_ID,
        DISPLAY,
        DONE_CANCELED,
        DONE_FILLED,
        EVENT_ACTIVATE,
        EVENT_AUCTION,
        EVENT_CHANGE,
        EVENT_DONE,
        EVENT_MATCH,
        EVENT_OPEN,
        EVENT_PHASE,
        EVENT_RECEIVED,
        EVENT_REJECTED,
        EVENT_TRIGGERED,
        EVENT_WORDS_MAX,
        FLAGS,
        ORDER_ID,
        PRICE,
        REMAINING,
        RESULT_WORDS,
        SHOWN,
        SIDE_MASK,
        STOP_PRICE,
        STOP_SHIFT,
        TYPE_SHIFT,
    )
    from matcher.engine.fast.order_pool import OrderPool

_WORDS_LEAST = 8192


class EventBuffer:
    """`length` words are written; `sequence` is that of the last event."""

    words: "array[int]"

    def __init__(self, pool: OrderPool) -> None:
        self.pool = pool
        self.sequence = 0
        self.length = 0
        self._start = 0
        self._first_sequence = 0
        self._store = array("q", bytes(8 * _WORDS_LEAST))
        self._capacity = _WORDS_LEAST
        self._attach()

    def _attach(self) -> int:
        if cython.compiled:
            self.words = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.buffer_info()[0]))
        else:
            self.words = self._store
        return 0

    def packed(self) -> bytes:
        """Everything written since `clear`."""
        return bytes(memoryview(self._store)[: self.length])

    def clear(self) -> int:
        """Start a new batch."""
        self.length = 0
        return 0

    def begin(self) -> int:
        """Leave room for the head of a result."""
        self._reserve()
        self._start = self.length
        self._first_sequence = self.sequence + 1
        self.length += RESULT_WORDS
        return 0

    def end(self, commands: "array[int]", at: int, time_ns: int) -> int:
        """Write the head of the command's result, or take its room back where nothing happened; return its events."""
        count = self.sequence - self._first_sequence + 1
        if not count:
            self.length = self._start
            return 0
        words, start = self.words, self._start
        words[start] = commands[at + COMMAND_ID_LOW]
        words[start + 1] = commands[at + COMMAND_ID_HIGH]
        words[start + 2] = commands[at + COMMAND_ORDER_ID]
        words[start + 3] = commands[at + COMMAND_ACCOUNT]
        words[start + 4] = time_ns
        words[start + 5] = self._first_sequence
        words[start + 6] = count | ((commands[at + COMMAND_HEAD] & 255) << 32)
        words[start + 7] = count << 32
        return count

    def _reserve(self) -> int:
        return self._grow() if self.length + EVENT_WORDS_MAX > self._capacity else 0

    def _grow(self) -> int:
        self._store.extend(array("q", bytes(8 * self._capacity)))
        self._capacity = 2 * self._capacity
        return self._attach()

    def _head(self, event_type: int, flags: int) -> int:
        """A head with the order's side and type; the rest is shifted in by the caller."""
        return event_type | ((flags & SIDE_MASK) << 8) | (((flags >> TYPE_SHIFT) & 3) << 16)

    def received(self, order: int) -> int:
        """The command was accepted; what follows is what it does."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        flags = source[order + FLAGS]
        by_funds = 1 if flags & BY_FUNDS else 0
        head = self._head(EVENT_RECEIVED, flags) | (((flags >> STOP_SHIFT) & 3) << 48) | (by_funds << 56)
        words[at] = head
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        words[at + 3] = source[order + PRICE]
        words[at + 4] = 0 if by_funds else source[order + REMAINING]
        words[at + 5] = source[order + REMAINING] if by_funds else 0
        words[at + 6] = source[order + DISPLAY]
        self.length = at + 7
        self.sequence += 1
        return 0

    def rejected(self, op: int, order_id: int, account_id: int, reason: int) -> int:
        """The command was refused."""
        self._reserve()
        words, at = self.words, self.length
        # The op is the highest byte of a signed word.
        high = op - 256 if op > 127 else op
        words[at] = EVENT_REJECTED | (reason << 24) | (high << 56)
        words[at + 1] = order_id
        words[at + 2] = account_id
        self.length = at + 3
        self.sequence += 1
        return 0

    def activate(self, order: int) -> int:
        """A stop order waits."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        flags = source[order + FLAGS]
        words[at] = self._head(EVENT_ACTIVATE, flags) | (((flags >> STOP_SHIFT) & 3) << 48)
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        words[at + 3] = source[order + STOP_PRICE]
        self.length = at + 4
        self.sequence += 1
        return 0

    def triggered(self, order: int) -> int:
        """A stop order wakes."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        flags = source[order + FLAGS]
        words[at] = self._head(EVENT_TRIGGERED, flags) | (((flags >> STOP_SHIFT) & 3) << 48)
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        self.length = at + 3
        self.sequence += 1
        return 0

    def open(self, order: int) -> int:
        """An order rests, or shows its next part."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        words[at] = self._head(EVENT_OPEN, source[order + FLAGS])
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        words[at + 3] = source[order + PRICE]
        words[at + 4] = source[order + SHOWN]
        words[at + 5] = source[order + REMAINING]
        self.length = at + 6
        self.sequence += 1
        return 0

    def match(self, maker: int, taker: int, trade_id: int, price: int, size: int) -> int:
        """Two orders traded."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        words[at] = EVENT_MATCH | ((source[maker + FLAGS] & SIDE_MASK) << 8)
        words[at + 1] = source[taker + ORDER_ID]
        words[at + 2] = source[taker + ACCOUNT]
        words[at + 3] = source[maker + ORDER_ID]
        words[at + 4] = source[maker + ACCOUNT]
        words[at + 5] = trade_id
        words[at + 6] = price
        words[at + 7] = size
        self.length = at + 8
        self.sequence += 1
        return 0

    def reduced(self, order: int, old: int) -> int:
        """Self-trade prevention took from an order."""
        return self._change(order, CHANGE_STP, old, self.pool.words[order + PRICE])

    def amended(self, order: int, old_size: int, old_price: int) -> int:
        """Its owner changed an order."""
        return self._change(order, CHANGE_AMEND, old_size, old_price)

    def _change(self, order: int, reason: int, old: int, old_price: int) -> int:
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        flags = source[order + FLAGS]
        by_funds = 1 if flags & BY_FUNDS else 0
        price, new = source[order + PRICE], source[order + REMAINING]
        moved = price != old_price
        words[at] = self._head(EVENT_CHANGE, flags) | (reason << 24) | (by_funds << 56)
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        words[at + 3] = price
        words[at + 4] = 0 if by_funds else old
        words[at + 5] = 0 if by_funds else new
        words[at + 6] = old_price if moved else 0
        words[at + 7] = price if moved else 0
        words[at + 8] = old if by_funds else 0
        words[at + 9] = new if by_funds else 0
        self.length = at + 10
        self.sequence += 1
        return 0

    def done(self, order: int, cancel_reason: int) -> int:
        """An order ended; `cancel_reason` 0 means filled."""
        self._reserve()
        source, words, at = self.pool.words, self.words, self.length
        flags = source[order + FLAGS]
        by_funds = 1 if flags & BY_FUNDS else 0
        done_reason = DONE_CANCELED if cancel_reason else DONE_FILLED
        words[at] = self._head(EVENT_DONE, flags) | (cancel_reason << 24) | (done_reason << 32) | (by_funds << 56)
        words[at + 1] = source[order + ORDER_ID]
        words[at + 2] = source[order + ACCOUNT]
        words[at + 3] = source[order + PRICE]
        words[at + 4] = 0 if by_funds else source[order + REMAINING]
        words[at + 5] = source[order + REMAINING] if by_funds else 0
        self.length = at + 6
        self.sequence += 1
        return 0

    def phase(self, phase: int) -> int:
        """The product is in this phase now."""
        self._reserve()
        self.words[self.length] = EVENT_PHASE | (phase << 40)
        self.length += 1
        self.sequence += 1
        return 0

    def auction(self, price: int, size: int) -> int:
        """The book uncrosses at one price."""
        self._reserve()
        words, at = self.words, self.length
        words[at] = EVENT_AUCTION
        words[at + 1] = price
        words[at + 2] = size
        self.length = at + 3
        self.sequence += 1
        return 0
