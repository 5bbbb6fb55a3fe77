# mypy: always-false=compiled
"""The live orders to a snapshot's words and back (see ORDER in matcher.engine.snapshot: 14 words an order)."""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.layout import (
        ACCOUNT,
        ACTIVATION,
        BY_FUNDS,
        CAP,
        DISPLAY,
        EXPIRY,
        FLAGS,
        LEVEL_HEAD,
        NEXT,
        ORDER_ID,
        POST_ONLY,
        PREVENTION_SHIFT,
        PRICE,
        RANK,
        REMAINING,
        SAVED_WORDS,
        SHOWN,
        SIDE_MASK,
        STOP_LOSS,
        STOP_PRICE,
        STOP_SHIFT,
        TIME_SHIFT,
        TRADED,
        TYPE_SHIFT,
        WAITING,
    )
    from matcher.engine.fast.matching import Matching
    from matcher.engine.fast.price_queues import PriceQueues


class OrderPages:
    """Packs and unpacks; `words` is the page that is being written or read."""

    words: "array[int]"

    def __init__(self, market: Matching) -> None:
        self.market = market
        self.store = array("q")

    def _take(self, store: "array[int]") -> int:
        self.store = store
        if cython.compiled:
            self.words = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self.store.buffer_info()[0]))
        else:
            self.words = self.store
        return 0

    def pack(self) -> "tuple[list[int], bytes]":
        """How many bids, asks and waiting stops there are; all of them packed."""
        market = self.market
        self._take(array("q", bytes(8 * SAVED_WORDS * (market.pool.live + 1))))
        bids = self._pack_queues(market.bids, 0)
        asks = self._pack_queues(market.asks, bids)
        waiting = sorted(self._waiting(market.losses) + self._waiting(market.entries) + self._trailing())
        at = asks
        for _, order in waiting:
            self._pack_order(order, at)
            at += 1
        counts = [bids, asks - bids, at - asks]
        return counts, self.store[: SAVED_WORDS * at].tobytes()

    def unpack(self, packed: bytes, counts: "list[int]", ties: "list[tuple[int, int, int]]") -> int:
        """Fill an empty market whose remembered ids are loaded."""
        trails = {order_id: trail for order_id, _, trail in ties if trail}
        self._take(array("q", packed))
        market = self.market
        bids_end = counts[0]
        asks_end = bids_end + counts[1]
        end = asks_end + counts[2]
        for index in range(end):
            order = self._unpack_order(index)
            words = market.pool.words
            if index < bids_end:
                market.bids.append(order, words[order + PRICE])
            elif index < asks_end:
                market.asks.append(order, words[order + PRICE])
            elif trails and words[order + ORDER_ID] in trails:
                market.wait_trailing(order, trails[words[order + ORDER_ID]])
            elif (words[order + FLAGS] >> STOP_SHIFT) & 3 == STOP_LOSS:
                market.losses.append(order, words[order + STOP_PRICE])
            else:
                market.entries.append(order, words[order + STOP_PRICE])
        return self.tie(ties)

    def ties(self) -> "list[tuple[int, int, int]]":
        """The orders with a partner or a trail: an order's id, its partner's, its trail."""
        words, ties = self.market.pool.words, self.market.ties
        partners = {order: words[partner + ORDER_ID] for order, partner in ties.pairs()}
        trails = {order: trail for order, trail, _ in ties.trailing()}
        return [(words[order + ORDER_ID], partners.get(order, 0), trails.get(order, 0)) for order in partners | trails]

    def tie(self, ties: "list[tuple[int, int, int]]") -> int:
        """Give the orders of a filled market their partners."""
        market = self.market
        for order_id, partner_id, _ in ties:
            if order_id < partner_id:
                market.pair(market.ids.find(order_id), market.ids.find(partner_id))
        return 0

    def _waiting(self, queues: PriceQueues) -> "list[tuple[int, int]]":
        words = self.market.pool.words
        found = []
        level = queues.top()
        while level:
            order = queues.levels[level + LEVEL_HEAD]
            while order:
                found.append((words[order + ACTIVATION], order))
                order = words[order + NEXT]
            level = queues.below(level)
        return found

    def _trailing(self) -> "list[tuple[int, int]]":
        """The trailing stops, their stop prices brought up to date."""
        words = self.market.pool.words
        found = []
        for order, _, stop_price in self.market.ties.trailing():
            words[order + STOP_PRICE] = stop_price
            found.append((words[order + ACTIVATION], order))
        return found

    def _pack_queues(self, queues: PriceQueues, index: int) -> int:
        words = self.market.pool.words
        level = queues.top()
        while level:
            order = queues.levels[level + LEVEL_HEAD]
            while order:
                self._pack_order(order, index)
                index += 1
                order = words[order + NEXT]
            level = queues.below(level)
        return index

    def _pack_order(self, order: int, index: int) -> int:
        source, page, at = self.market.pool.words, self.words, SAVED_WORDS * index
        flags = source[order + FLAGS]
        by_funds = 1 if flags & BY_FUNDS else 0
        marks = (1 if flags & POST_ONLY else 0) | (2 * by_funds) | (4 if flags & WAITING else 0)
        page[at] = (
            (flags & SIDE_MASK)
            | (((flags >> TYPE_SHIFT) & 3) << 8)
            | (((flags >> TIME_SHIFT) & 7) << 16)
            | (((flags >> STOP_SHIFT) & 3) << 24)
            | (((flags >> PREVENTION_SHIFT) & 7) << 32)
            | (marks << 40)
        )
        page[at + 1] = source[order + ORDER_ID]
        page[at + 2] = source[order + ACCOUNT]
        page[at + 3] = source[order + PRICE]
        page[at + 4] = source[order + STOP_PRICE]
        page[at + 5] = source[order + CAP]
        page[at + 6] = source[order + EXPIRY]
        page[at + 7] = source[order + DISPLAY]
        page[at + 8] = 0 if by_funds else source[order + REMAINING]
        page[at + 9] = source[order + SHOWN]
        page[at + 10] = source[order + REMAINING] if by_funds else 0
        page[at + 11] = source[order + TRADED]
        page[at + 12] = source[order + RANK]
        page[at + 13] = source[order + ACTIVATION]
        return 0

    def _unpack_order(self, index: int) -> int:
        market = self.market
        order = market.pool.allocate(self.words[SAVED_WORDS * index + 1])
        words, page, at = market.pool.words, self.words, SAVED_WORDS * index
        head = page[at]
        marks = (head >> 40) & 255
        flags = (head & 3) | (((head >> 8) & 3) << TYPE_SHIFT) | (((head >> 16) & 7) << TIME_SHIFT)
        flags |= (((head >> 24) & 3) << STOP_SHIFT) | (((head >> 32) & 7) << PREVENTION_SHIFT)
        flags |= (POST_ONLY if marks & 1 else 0) | (BY_FUNDS if marks & 2 else 0) | (WAITING if marks & 4 else 0)
        words[order + ACCOUNT] = page[at + 2]
        words[order + PRICE] = page[at + 3]
        words[order + REMAINING] = page[at + 10] if marks & 2 else page[at + 8]
        words[order + SHOWN] = page[at + 9]
        words[order + FLAGS] = flags
        words[order + DISPLAY] = page[at + 7]
        words[order + EXPIRY] = page[at + 6]
        words[order + TRADED] = page[at + 11]
        words[order + RANK] = page[at + 12]
        words[order + ACTIVATION] = page[at + 13]
        words[order + STOP_PRICE] = page[at + 4]
        words[order + CAP] = page[at + 5]
        market.ids.revive(page[at + 1], page[at + 12], order)
        market.accounts.add(order)
        if page[at + 6]:
            market.expiries.add(page[at + 6], page[at + 12], order)
        return order
