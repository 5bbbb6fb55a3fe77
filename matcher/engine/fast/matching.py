# mypy: always-false=compiled
"""How orders meet: matcher.engine.state, matching, stops and auction once more, on flat buffers.

Read the reference engine for what the rules are; here is the same, shaped for the machine. An order is its handle.
"""

from fractions import Fraction

import cython

if not cython.compiled:
    from matcher.engine.fast.accounts import Accounts
    from matcher.engine.fast.event_buffer import EventBuffer
    from matcher.engine.fast.expiries import Expiries
    from matcher.engine.fast.layout import (
        ACCOUNT,
        ACTIVATION,
        BY_FUNDS,
        CANCEL_FOK,
        CANCEL_IOC,
        CANCEL_MARKET,
        CANCEL_OCO,
        CANCEL_PRICE_BAND,
        CANCEL_STP,
        CAP,
        DISPLAY,
        EXPIRY,
        FIRED,
        FLAGS,
        LEVEL_HEAD,
        LEVEL_PRICE,
        NEXT,
        ORDER_ID,
        PAIRED,
        PREVENTION_CN,
        PREVENTION_CO,
        PREVENTION_DC,
        PREVENTION_SHIFT,
        PRICE,
        RANK,
        REMAINING,
        SHOWN,
        SIDE_BUY,
        SIDE_MASK,
        STOP_LOSS,
        STOP_PRICE,
        STOP_SHIFT,
        TIME_FOK,
        TIME_IOC,
        TIME_SHIFT,
        TRADED,
        TRAILING,
        TYPE_LIMIT,
        TYPE_MARKET,
        TYPE_SHIFT,
        WAITING,
    )
    from matcher.engine.fast.order_ids import OrderIds
    from matcher.engine.fast.order_pool import OrderPool
    from matcher.engine.fast.price_queues import PriceQueues

from matcher.engine.auction import choose_price
from matcher.engine.fast.ties import Ties
from matcher.engine.product import ProductSpec
from matcher.engine.state import PRICE_HIGHEST, PRICE_LOWEST

# Up to here the band's arithmetic stays within 64 bits for every price.
_BAND_PARTS_MAX = 9_000_000


class Matching:
    """The book, the waiting stops, and the moves that every command is made of."""

    def __init__(self, product: ProductSpec) -> None:
        self.pool = OrderPool()
        self.ids = OrderIds(self.pool)
        self.bids = PriceQueues(self.pool, 1)
        self.asks = PriceQueues(self.pool, -1)
        self.losses = PriceQueues(self.pool, 1)
        self.entries = PriceQueues(self.pool, -1)
        self.expiries = Expiries()
        self.accounts = Accounts(self.pool)
        self.out = EventBuffer(self.pool)
        self.fired: list[int] = []
        self.ties = Ties()
        self.trailing = 0
        self.quiet_low, self.quiet_high = self.ties.low, self.ties.high
        self.now_ns = 0
        self.last_price = 0
        self.trade_id = 0
        self.activations = 0
        self.traded_low = 0
        self.traded_high = 0
        self.configure(product)

    def configure(self, product: ProductSpec) -> None:
        """Take a product's parameters."""
        self.product = product
        self.unit = product.funds_per_value
        self.band = product.band if product.band is not None else Fraction(0)
        part, whole = self.band.as_integer_ratio()
        self.is_band_small = whole + part <= _BAND_PARTS_MAX
        self.band_part, self.band_whole = (part, whole) if self.is_band_small else (0, 1)
        self.has_band = product.band is not None
        self.lower, self.upper = PRICE_LOWEST, PRICE_HIGHEST
        self.edges_price = -1

    # The price band.

    def set_edges(self) -> int:
        """Take the reference, at the start of a command or of a triggered stop's run."""
        if not self.has_band or self.last_price == self.edges_price:
            return 0
        if self.last_price and self.is_band_small:
            self.upper = self.last_price * (self.band_whole + self.band_part) // self.band_whole
            # Rounded up. Where the band is as wide as the price the edge is not above zero and binds nothing.
            low = self.last_price * (self.band_whole - self.band_part)
            self.lower = (low + self.band_whole - 1) // self.band_whole if low > 0 else 0
        else:
            self._set_wide_edges()
        self.edges_price = self.last_price
        return 0

    def _set_wide_edges(self) -> int:
        """`set_edges` in numbers of any size: before the first trade, and for bands of many decimals."""
        reference = self.reference()
        if reference is None:
            return 0
        numerator, denominator = reference
        part, whole = self.band.as_integer_ratio()
        upper = numerator * (whole + part) // (denominator * whole)
        lower = -(-numerator * (whole - part) // (denominator * whole))
        self.upper, self.lower = min(upper, PRICE_HIGHEST), max(min(lower, PRICE_HIGHEST), 0)
        return 0

    def reference(self) -> "tuple[int, int] | None":
        """The reference price in ticks as a fraction."""
        if self.last_price:
            return self.last_price, 1
        own = self.product.reference_price
        return own.as_integer_ratio() if own is not None else None

    # Orders rest, wait, change and go.

    def display(self, order: int) -> int:
        """Show the next part of an order."""
        words = self.pool.words
        remaining = words[order + REMAINING]
        shown = words[order + DISPLAY]
        words[order + SHOWN] = remaining if shown == 0 or shown > remaining else shown
        return 0

    def rest(self, order: int) -> int:
        """Put an order at the back of its price's queue."""
        self.display(order)
        price = self.pool.words[order + PRICE]
        if self.pool.words[order + FLAGS] & SIDE_MASK == SIDE_BUY:
            self.bids.append(order, price)
        else:
            self.asks.append(order, price)
        return self.out.open(order)

    def wait(self, order: int, trail: int) -> int:
        """Let a stop order wait, or fire it at once where its condition holds already; a `trail` of 0 is none."""
        words = self.pool.words
        self.activations += 1
        words[order + ACTIVATION] = self.activations
        stop_price = words[order + STOP_PRICE]
        is_loss = (words[order + FLAGS] >> STOP_SHIFT) & 3 == STOP_LOSS
        if trail and self.last_price:
            stop_price = (
                max(stop_price, self.last_price - trail) if is_loss else min(stop_price, self.last_price + trail)
            )
            words[order + STOP_PRICE] = stop_price
        self.out.activate(order)
        if self.last_price and (self.last_price <= stop_price if is_loss else self.last_price >= stop_price):
            words[order + FLAGS] |= FIRED
            self.fired.append(order)
            return 0
        words[order + FLAGS] |= WAITING
        if trail:
            return self.wait_trailing(order, trail)
        if is_loss:
            return self.losses.append(order, stop_price)
        return self.entries.append(order, stop_price)

    def wait_trailing(self, order: int, trail: int) -> int:
        """Let a trailing stop wait at its stop price."""
        words = self.pool.words
        words[order + FLAGS] |= TRAILING
        is_loss = (words[order + FLAGS] >> STOP_SHIFT) & 3 == STOP_LOSS
        self.ties.trail(
            order, words[order + ACTIVATION], is_loss=is_loss, trail=trail, stop_price=words[order + STOP_PRICE]
        )
        return self.bound_trailing()

    def withdraw_stop(self, order: int) -> int:
        """Take out a stop that waits, or that has fired and does not run yet: its run will find it gone."""
        words = self.pool.words
        flags = words[order + FLAGS]
        if flags & FIRED:
            return 0
        is_loss = (flags >> STOP_SHIFT) & 3 == STOP_LOSS
        if flags & TRAILING:
            self.ties.remove(words[order + ACTIVATION], is_loss=is_loss)
            return self.bound_trailing()
        if is_loss:
            return self.losses.remove(order)
        return self.entries.remove(order)

    def withdraw(self, order: int) -> int:
        """Take a resting, waiting or fired order from where it stands."""
        flags = self.pool.words[order + FLAGS]
        if flags & (WAITING | FIRED):
            return self.withdraw_stop(order)
        if flags & SIDE_MASK == SIDE_BUY:
            return self.bids.remove(order)
        return self.asks.remove(order)

    def finish(self, order: int, cancel_reason: int) -> int:
        """End an order that stands nowhere any more; reason 0: it is filled."""
        words = self.pool.words
        self.out.done(order, cancel_reason)
        self.ids.retire(words[order + ORDER_ID], order, words[order + RANK])
        self.accounts.remove(order)
        if words[order + EXPIRY]:
            self.expiries.remove(order)
        self.pool.release(order)
        if words[order + FLAGS] & PAIRED:
            return self.cancel_partner(order)
        return 0

    def cancel(self, order: int, cancel_reason: int) -> int:
        """End a resting or waiting order."""
        self.withdraw(order)
        return self.finish(order, cancel_reason)

    def pair(self, order: int, partner: int) -> int:
        """Make two orders one pair."""
        words = self.pool.words
        words[order + FLAGS] |= PAIRED
        words[partner + FLAGS] |= PAIRED
        self.ties.pair(order, partner)
        return 0

    def part(self, order: int) -> int:
        """Make a pair two orders again; return the other."""
        words = self.pool.words
        partner = self.ties.part(order)
        words[order + FLAGS] &= ~PAIRED
        words[partner + FLAGS] &= ~PAIRED
        return partner

    def cancel_partner(self, order: int) -> int:
        """One of a pair has traded, fired or ended, so it cancels the other."""
        partner = self.part(order)
        return self.cancel(partner, CANCEL_OCO)

    def reduce(self, order: int, amount: int) -> int:
        """Take from an order what self-trade prevention decrements; the hidden part goes first."""
        words = self.pool.words
        old = words[order + REMAINING]
        words[order + REMAINING] = old - amount
        words[order + SHOWN] = min(words[order + SHOWN], old - amount)
        return self.out.reduced(order, old)

    # Matching.

    def run(self, order: int) -> int:
        """Match an order to its end: it is filled, it rests, or what is left of it is canceled."""
        words = self.pool.words
        flags = words[order + FLAGS]
        is_buy = flags & SIDE_MASK == SIDE_BUY
        edge = self.upper if is_buy else self.lower
        cap = words[order + CAP]
        if is_buy and cap and cap < edge:
            edge = cap
        time_in_force = (flags >> TIME_SHIFT) & 7
        if time_in_force == TIME_FOK and not self.can_fill(order, edge):
            return self.finish(order, CANCEL_FOK)
        if self.match(order, edge):
            return 0
        if (flags >> TYPE_SHIFT) & 3 == TYPE_MARKET:
            return self.finish(order, CANCEL_MARKET)
        if time_in_force >= TIME_IOC:
            return self.finish(order, CANCEL_IOC)
        price = words[order + PRICE]
        if price > edge if is_buy else price < edge:
            return self.finish(order, CANCEL_PRICE_BAND)
        return self.rest(order)

    def match(self, order: int, edge: int) -> int:
        """Trade while there is a maker to trade with; return whether the order has ended."""
        words = self.pool.words
        flags = words[order + FLAGS]
        is_buy = flags & SIDE_MASK == SIDE_BUY
        is_limit = (flags >> TYPE_SHIFT) & 3 == TYPE_LIMIT
        by_funds = flags & BY_FUNDS
        account = words[order + ACCOUNT]
        limit = words[order + PRICE]
        makers = self.asks if is_buy else self.bids
        while makers.best_level:
            price = makers.best_price
            if is_limit and (price > limit if is_buy else price < limit):
                return 0
            if price > edge if is_buy else price < edge:
                self.finish(order, CANCEL_PRICE_BAND)
                return 1
            lots = words[order + REMAINING]
            if by_funds:
                lots = lots // self.unit // price
                if not lots:
                    self.finish(order, 0 if words[order + TRADED] else CANCEL_MARKET)
                    return 1
            maker = makers.levels[makers.best_level + LEVEL_HEAD]
            if words[maker + ACCOUNT] == account:
                if self.prevent(order, maker, lots):
                    return 1
                continue
            size = words[maker + SHOWN]
            size = min(size, lots)
            self.trade(maker, order, price, size)
            words[order + REMAINING] -= price * size * self.unit if by_funds else size
            self.fill_resting(makers, maker, size)
            if flags & PAIRED and words[order + FLAGS] & PAIRED:
                self.cancel_partner(order)
            if (words[order + REMAINING] // self.unit < price) if by_funds else (not words[order + REMAINING]):
                self.finish(order, 0)
                return 1
        return 0

    def trade(self, maker: int, taker: int, price: int, size: int) -> int:
        """Exchange `size` lots; what it leaves of the two is the caller's."""
        words = self.pool.words
        self.trade_id += 1
        self.last_price = price
        self.traded_high = max(self.traded_high, price)
        if price < self.traded_low or not self.traded_low:
            self.traded_low = price
        if self.trailing and (price < self.quiet_low or price > self.quiet_high):
            self.follow(price)
        words[maker + TRADED] += size
        words[taker + TRADED] += size
        return self.out.match(maker, taker, self.trade_id, price, size)

    def fill_resting(self, queues: PriceQueues, order: int, size: int) -> int:
        """Take a fill from a resting order: it is done, or an iceberg shows its next part."""
        words = self.pool.words
        words[order + REMAINING] -= size
        words[order + SHOWN] -= size
        if not words[order + REMAINING]:
            queues.remove(order)
            return self.finish(order, 0)
        if not words[order + SHOWN]:
            self.display(order)
            queues.requeue(order)
            self.out.open(order)
        if words[order + FLAGS] & PAIRED:
            return self.cancel_partner(order)
        return 0

    def prevent(self, order: int, maker: int, lots: int) -> int:
        """Do what the order's mode says where it meets its own account; return whether it has ended."""
        words = self.pool.words
        mode = (words[order + FLAGS] >> PREVENTION_SHIFT) & 7
        if mode == PREVENTION_DC:
            return self.decrement(order, maker, lots)
        if mode != PREVENTION_CN:
            self.cancel(maker, CANCEL_STP)
        if mode == PREVENTION_CO:
            return 0
        self.finish(order, CANCEL_STP)
        return 1

    def decrement(self, order: int, maker: int, lots: int) -> int:
        """Cancel the smaller, reduce the larger by it; cancel both where they are equal."""
        words = self.pool.words
        size = words[maker + REMAINING]
        price = words[maker + PRICE]
        if lots < size:
            self.finish(order, CANCEL_STP)
            self.reduce(maker, lots)
            return 1
        self.cancel(maker, CANCEL_STP)
        if lots == size:
            self.finish(order, CANCEL_STP)
            return 1
        self.reduce(order, size * price * self.unit if words[order + FLAGS] & BY_FUNDS else size)
        return 0

    def can_fill(self, order: int, edge: int) -> int:
        """Whether a fill-or-kill order would be filled whole at once."""
        words = self.pool.words
        flags = words[order + FLAGS]
        is_buy = flags & SIDE_MASK == SIDE_BUY
        if (flags >> TYPE_SHIFT) & 3 == TYPE_LIMIT:
            limit = words[order + PRICE]
            edge = min(edge, limit) if is_buy else max(edge, limit)
        by_funds = flags & BY_FUNDS
        left = words[order + REMAINING]
        has_traded = 0
        makers = self.asks if is_buy else self.bids
        level = makers.top()
        while level:
            price = makers.levels[level + LEVEL_PRICE]
            if price > edge if is_buy else price < edge:
                return 0
            wanted = left // self.unit // price if by_funds else left
            if not wanted:
                return has_traded
            volume = self.reachable(order, makers.levels[level + LEVEL_HEAD], wanted)
            if volume == wanted:
                return 1
            if volume < 0:
                return 0
            has_traded = 1 if volume else has_traded
            left -= volume * price * self.unit if by_funds else volume
            level = makers.below(level)
        return 0

    def reachable(self, order: int, maker: int, wanted: int) -> int:
        """How many of the wanted lots the order can trade in one queue; -1 where an own order stands before.

        Before an own order only what is shown can be traded: hidden parts come back behind it.
        """
        words = self.pool.words
        account = words[order + ACCOUNT]
        skips_own = (words[order + FLAGS] >> PREVENTION_SHIFT) & 7 == PREVENTION_CO
        volume = 0
        shown = 0
        while maker:
            if words[maker + ACCOUNT] != account:
                volume += words[maker + REMAINING]
                shown += words[maker + SHOWN]
                if (volume if skips_own else shown) >= wanted:
                    return wanted
            elif not skips_own:
                return -1
            maker = words[maker + NEXT]
        return min(volume, wanted)

    # Stops.

    def fire_stops(self) -> int:
        """Queue the stops whose condition held at any trade since this was asked last, by activation."""
        if not self.traded_high:
            return 0
        low, high = self.traded_low, self.traded_high
        self.traded_low = 0
        self.traded_high = 0
        losses, entries = self.losses, self.entries
        if not losses.best_level and not entries.best_level and not self.trailing:
            return 0
        if not self.trailing and not (
            (losses.best_level and losses.best_price >= low) or (entries.best_level and entries.best_price <= high)
        ):
            return 0
        words = self.pool.words
        fired = self.take_trailing() if self.trailing else []
        while losses.best_level and losses.best_price >= low:
            order = losses.first()
            losses.remove(order)
            fired.append((words[order + ACTIVATION], order))
        while entries.best_level and entries.best_price <= high:
            order = entries.first()
            entries.remove(order)
            fired.append((words[order + ACTIVATION], order))
        fired.sort()
        for _, order in fired:
            words[order + FLAGS] = (words[order + FLAGS] & ~(WAITING | TRAILING)) | FIRED
            self.fired.append(order)
        return 0

    def follow(self, price: int) -> int:
        """Let the trailing stops see a trade."""
        self.ties.follow(price)
        return self.bound_trailing()

    def bound_trailing(self) -> int:
        """Note how many trailing stops there are, and between which prices a trade does nothing to any."""
        self.trailing = self.ties.count()
        self.quiet_low = self.ties.low
        self.quiet_high = self.ties.high
        return 0

    def take_trailing(self) -> "list[tuple[int, int]]":
        """The trailing stops that trades have fired since this was asked last, with their activations."""
        words = self.pool.words
        fired = []
        for order, stop_price in self.ties.take_fired():
            words[order + STOP_PRICE] = stop_price
            fired.append((words[order + ACTIVATION], order))
        self.bound_trailing()
        return fired

    def run_stops(self) -> int:
        """Run what was fired, one after the other; what their trades fire queues behind."""
        self.fire_stops()
        if not self.fired:
            return 0
        words = self.pool.words
        done = 0
        while done < len(self.fired):
            order = self.fired[done]
            done += 1
            if not words[order + ORDER_ID]:
                continue
            words[order + FLAGS] &= ~FIRED
            self.out.triggered(order)
            if words[order + FLAGS] & PAIRED:
                self.cancel_partner(order)
            self.set_edges()
            self.run(order)
            self.fire_stops()
        self.fired = []
        return 0

    # The call auction.

    def uncross(self) -> int:
        """Trade a crossed book at its clearing price."""
        bids, asks = self.bids, self.asks
        if not (bids.best_level and asks.best_level and bids.best_price >= asks.best_price):
            return 0
        price, volume = choose_price(self.volumes(bids), self.volumes(asks), self.reference())
        self.out.auction(price, volume)
        words = self.pool.words
        while volume:
            bid, ask = bids.first(), asks.first()
            size = min(words[bid + SHOWN], words[ask + SHOWN], volume)
            if words[bid + RANK] < words[ask + RANK]:
                self.trade(bid, ask, price, size)
            else:
                self.trade(ask, bid, price, size)
            self.fill_resting(bids, bid, size)
            self.fill_resting(asks, ask, size)
            volume -= size
        return 0

    def volumes(self, queues: PriceQueues) -> "dict[int, int]":
        """How many lots stand at each price, hidden ones included."""
        words = self.pool.words
        volumes = {}
        level = queues.top()
        while level:
            volume = 0
            order = queues.levels[level + LEVEL_HEAD]
            while order:
                volume += words[order + REMAINING]
                order = words[order + NEXT]
            volumes[queues.levels[level + LEVEL_PRICE]] = volume
            level = queues.below(level)
        return volumes
