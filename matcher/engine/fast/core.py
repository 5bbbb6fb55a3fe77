# mypy: always-false=compiled
"""What each command does: matcher.engine.checks and reference once more, on a flat buffer of packed commands.

A command is its offset in the buffer. The checks are made in the order that the contract gives the reasons in.
"""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.command_ids import CommandIds
    from matcher.engine.fast.layout import (
        ABSENT,
        ACCOUNT,
        ACTIVATION,
        BY_FUNDS,
        CANCEL_EXPIRED,
        CANCEL_MASS,
        CANCEL_USER,
        CAP,
        COMMAND_ACCOUNT,
        COMMAND_CAP,
        COMMAND_DISPLAY,
        COMMAND_EXPIRY,
        COMMAND_FUNDS,
        COMMAND_ID_HIGH,
        COMMAND_ID_LOW,
        COMMAND_OCO,
        COMMAND_ORDER_ID,
        COMMAND_PRICE,
        COMMAND_RULES,
        COMMAND_SIZE,
        COMMAND_STOP_PRICE,
        COMMAND_TIME,
        COMMAND_TRAIL,
        COMMAND_WORDS,
        DISPLAY,
        EXPIRY,
        EXTENDED,
        EXTENSION_WORDS,
        FLAGS,
        OP_AMEND,
        OP_CANCEL,
        OP_CANCEL_ALL,
        OP_CANCEL_IF_UNSEEN,
        OP_CONFIGURE,
        OP_PHASE,
        OP_PLACE,
        OP_RULES_VERSION,
        OP_TICK,
        ORDER_ID,
        PAIRED,
        PARAMETERS_WORDS,
        PHASE_AUCTION,
        PHASE_CLOSED,
        PHASE_CONTINUOUS,
        PHASE_HALTED,
        POST_ONLY,
        PREVENTION_CB,
        PREVENTION_DC,
        PREVENTION_SHIFT,
        PRICE,
        RANK,
        REJECT_AUCTION,
        REJECT_CLOSED,
        REJECT_DUPLICATE_ORDER_ID,
        REJECT_EXPIRED,
        REJECT_HALTED,
        REJECT_INVALID_CONFIGURATION,
        REJECT_INVALID_FUNDS,
        REJECT_INVALID_PRICE,
        REJECT_INVALID_SIZE,
        REJECT_MALFORMED,
        REJECT_OCO,
        REJECT_POST_ONLY,
        REJECT_PRICE_BAND,
        REJECT_SIZE_BELOW_FILLED,
        REJECT_UNKNOWN_ORDER,
        REJECT_UNSEEN,
        REMAINING,
        SHOWN,
        SIDE_BUY,
        SIDE_MASK,
        SIDE_SELL,
        STOP_ENTRY,
        STOP_PRICE,
        STOP_SHIFT,
        TIME_FOK,
        TIME_GTC,
        TIME_GTT,
        TIME_IOC,
        TIME_SHIFT,
        TRADED,
        TYPE_LIMIT,
        TYPE_MARKET,
        TYPE_SHIFT,
        WAITING,
        WARMED_CELLS,
        WARMED_ORDERS,
    )
    from matcher.engine.fast.matching import Matching

from exchange.messages.commands import unpack_parameters

from matcher.engine.errors import UnknownRulesError
from matcher.engine.product import INT64_MAX, TICKS_MAX, VALUE_MAX, ProductError, ProductSpec

RULES_VERSION = 1
IS_COMPILED: bool = cython.compiled


class Core:
    """One product's market, driven by batches of packed commands."""

    commands: "array[int]"
    ends: "array[int]"

    def __init__(self, product: ProductSpec) -> None:
        self.market = Matching(product)
        self.command_ids = CommandIds()
        self.phase = PHASE_CONTINUOUS
        self.ticks_max = TICKS_MAX
        self.value_max = VALUE_MAX
        self.rules_version = RULES_VERSION
        self._end_store = array("q", bytes(8 * 1024))
        self._end_capacity = 1024
        self.results = 0
        self.events = 0
        self._attach()
        self._take_limits(product)

    def _attach(self) -> int:
        if cython.compiled:
            self.ends = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._end_store.buffer_info()[0]))
        else:
            self.ends = self._end_store
        return 0

    def _take_limits(self, product: ProductSpec) -> None:
        self.size_min = min(product.size_min, INT64_MAX)
        self.size_max = product.size_max
        self.funds_min = min(product.funds_min, INT64_MAX)
        self.funds_max = product.funds_max if product.funds_min <= product.funds_max else 0

    def run_batch(self, data: bytes, start: int, count: int, time_ns: int) -> int:
        """Carry out `count` packed commands that begin at word `start`; return where the last one ends.

        The results are in `market.out`, one after the other; `ends` says where each of them ends. A `time_ns` of 0 or
        more is the time of all commands; below, each brings its own.
        """
        self._command_store = data
        if cython.compiled:
            self.commands = cython.cast(cython.p_longlong, cython.cast(cython.p_char, data))
        else:
            self.commands = memoryview(data).cast("q")  # type: ignore[assignment]
        out = self.market.out
        out.clear()
        self._make_room(count)
        self.results = 0
        self.events = 0
        at = start
        end = len(data) // 8
        for ahead in range(min(count, WARMED_CELLS)):
            self.warm(start + COMMAND_WORDS * (ahead - WARMED_CELLS), end)
        for _ in range(count):
            self.warm(at, end)
            out.begin()
            self.execute(at, time_ns if time_ns >= 0 else self.commands[at + COMMAND_TIME])
            events = out.end(self.commands, at, self.market.now_ns)
            if events:
                self.ends[self.results] = 8 * out.length
                self.results += 1
                self.events += events
            if (self.commands[at] >> 48) & EXTENDED:
                at += COMMAND_WORDS + EXTENSION_WORDS
            else:
                at += COMMAND_WORDS + (PARAMETERS_WORDS if self.commands[at] & 255 == OP_CONFIGURE else 0)
        return at

    def warm(self, at: int, end: int) -> int:
        """Have brought into the cache what the commands behind the one at `at` will ask for.

        A million remembered ids don't fit into it. Asked for one after the other each costs a trip to memory; asked for
        while other commands are carried out they cost next to nothing. Nothing is decided here, so a word that is no
        id, in the parameters of a `configure`, does no harm.
        """
        commands, ids = self.commands, self.market.ids
        coming = at + WARMED_CELLS * COMMAND_WORDS
        if coming + COMMAND_WORDS <= end:
            order_id = commands[coming + COMMAND_ORDER_ID]
            ids.warm_cell(order_id)
            if commands[coming] & 255 == OP_PLACE:
                ids.recent.warm(order_id, 0)
            self.command_ids.recent.warm(commands[coming + COMMAND_ID_LOW], commands[coming + COMMAND_ID_HIGH])
        coming = at + WARMED_ORDERS * COMMAND_WORDS
        if coming >= 0 and coming + COMMAND_WORDS <= end:
            ids.warm_order(commands[coming + COMMAND_ORDER_ID])
        return 0

    def _make_room(self, results: int) -> int:
        """Have room for where so many results end."""
        while results > self._end_capacity:
            self._end_store.extend(array("q", bytes(8 * self._end_capacity)))
            self._end_capacity = 2 * self._end_capacity
            self._attach()
        return 0

    def execute(self, at: int, time_ns: int) -> int:
        """Carry out one command."""
        commands, market = self.commands, self.market
        low, high = commands[at + COMMAND_ID_LOW], commands[at + COMMAND_ID_HIGH]
        if (low or high) and not self.command_ids.is_new(low, high):
            return 0
        market.now_ns = max(market.now_ns, time_ns)
        if market.expiries.count:
            order = market.expiries.due(market.now_ns)
            while order:
                market.cancel(order, CANCEL_EXPIRED)
                order = market.expiries.due(market.now_ns)
        if market.last_price != market.edges_price:
            market.set_edges()
        op = commands[at] & 255
        if op == OP_PLACE:
            self.place(at)
        elif op == OP_CANCEL:
            self.cancel(at)
        elif op == OP_AMEND:
            self.amend(at)
        else:
            self.do_rarer(at, op)
        if market.traded_high or market.fired:
            market.run_stops()
        return 0

    def do_rarer(self, at: int, op: int) -> int:
        """The commands that are not about one known order."""
        commands = self.commands
        if op == OP_CANCEL_ALL:
            return self.cancel_all(commands[at + COMMAND_ACCOUNT])
        if op == OP_PHASE:
            return self.enter_phase(at)
        if op == OP_CANCEL_IF_UNSEEN:
            return self.cancel_if_unseen(at)
        if op == OP_CONFIGURE:
            return self.configure(at)
        if op == OP_RULES_VERSION:
            return self.follow_rules(at)
        if op != OP_TICK:
            return self.reject(at, op, REJECT_MALFORMED)
        return 0

    def reject(self, at: int, op: int, reason: int) -> int:
        """Refuse the command."""
        commands = self.commands
        return self.market.out.rejected(op, commands[at + COMMAND_ORDER_ID], commands[at + COMMAND_ACCOUNT], reason)

    # New orders.

    def place(self, at: int) -> int:
        """A new order."""
        commands, market = self.commands, self.market
        order_id = commands[at + COMMAND_ORDER_ID]
        reason = self.refusal_of_place(at)
        if reason:
            self.reject(at, OP_PLACE, reason)
            if reason != REJECT_DUPLICATE_ORDER_ID and order_id > 0:
                market.ids.remember(order_id)
            return 0
        order = self.new_order(at)
        market.out.received(order)
        expiry = commands[at + COMMAND_EXPIRY]
        if expiry:
            market.expiries.add(expiry, market.pool.words[order + RANK], order)
        trail = 0
        if (commands[at] >> 48) & EXTENDED:
            trail = commands[at + COMMAND_TRAIL]
            if commands[at + COMMAND_OCO]:
                market.pair(order, market.ids.find(commands[at + COMMAND_OCO]))
        if commands[at + COMMAND_STOP_PRICE]:
            return market.wait(order, trail)
        if self.phase == PHASE_AUCTION:
            return market.rest(order)
        return market.run(order)

    def new_order(self, at: int) -> int:
        """The order that an accepted `place` makes."""
        commands, market = self.commands, self.market
        head = commands[at]
        side = (head >> 8) & 255
        order_type = (head >> 16) & 255
        time_in_force = (head >> 24) & 255
        stop = (head >> 32) & 255
        prevention = (head >> 40) & 255
        funds = commands[at + COMMAND_FUNDS]
        order_id = commands[at + COMMAND_ORDER_ID]
        order = market.pool.allocate(order_id)
        words = market.pool.words
        flags = side | (order_type << TYPE_SHIFT) | (stop << STOP_SHIFT)
        flags |= (time_in_force if time_in_force else TIME_GTC) << TIME_SHIFT
        flags |= (prevention if prevention else PREVENTION_DC) << PREVENTION_SHIFT
        if (head >> 48) & 1:
            flags |= POST_ONLY
        if funds:
            flags |= BY_FUNDS
        words[order + ACCOUNT] = commands[at + COMMAND_ACCOUNT]
        words[order + PRICE] = commands[at + COMMAND_PRICE]
        words[order + REMAINING] = funds if funds else commands[at + COMMAND_SIZE]
        words[order + SHOWN] = 0
        words[order + FLAGS] = flags
        words[order + DISPLAY] = commands[at + COMMAND_DISPLAY]
        words[order + EXPIRY] = commands[at + COMMAND_EXPIRY]
        words[order + TRADED] = 0
        words[order + ACTIVATION] = 0
        words[order + STOP_PRICE] = commands[at + COMMAND_STOP_PRICE]
        is_capped = order_type == TYPE_MARKET and side == SIDE_BUY and not funds
        words[order + CAP] = commands[at + COMMAND_CAP] if is_capped else 0
        words[order + RANK] = market.ids.place(order_id, order)
        market.accounts.add(order)
        return order

    def refusal_of_place(self, at: int) -> int:
        """Why a new order is refused; 0 when it is not."""
        commands = self.commands
        if self.market.ids.get(commands[at + COMMAND_ORDER_ID]) != ABSENT:
            return REJECT_DUPLICATE_ORDER_ID
        head = commands[at]
        if not self.is_well_formed(at) or ((head >> 48) & EXTENDED and not self.has_right_ties(at)):
            return REJECT_MALFORMED
        is_limit = (head >> 16) & 255 == TYPE_LIMIT
        time_in_force = (head >> 24) & 255
        has_stop = (head >> 32) & 255
        if self.phase != PHASE_CONTINUOUS:
            if self.phase != PHASE_AUCTION:
                return REJECT_CLOSED if self.phase == PHASE_CLOSED else REJECT_HALTED
            if not is_limit or time_in_force >= TIME_IOC or has_stop:
                return REJECT_AUCTION
        reason = self.refusal_of_values(at)
        if reason:
            return reason
        if time_in_force == TIME_GTT and commands[at + COMMAND_EXPIRY] <= self.market.now_ns:
            return REJECT_EXPIRED
        reason = 0
        if is_limit and not has_stop:
            reason = self.refusal_of_price((head >> 8) & 255, commands[at + COMMAND_PRICE], (head >> 48) & 1)
        if not reason and (head >> 48) & EXTENDED:
            return self.refusal_of_pair(at)
        return reason

    def refusal_of_pair(self, at: int) -> int:
        """Whether the order may be paired with the one it names."""
        commands, words = self.commands, self.market.pool.words
        partner = commands[at + COMMAND_OCO]
        if not partner:
            return 0
        other = self.market.ids.find(partner)
        if not other or words[other + ACCOUNT] != commands[at + COMMAND_ACCOUNT]:
            return REJECT_OCO
        flags = words[other + FLAGS]
        if flags & PAIRED or words[other + TRADED]:
            return REJECT_OCO
        return 0 if commands[at + COMMAND_STOP_PRICE] or flags & WAITING else REJECT_OCO

    def refusal_of_values(self, at: int) -> int:
        """Whether the sizes, prices or funds of a new order are off the product's limits."""
        commands = self.commands
        price, size = commands[at + COMMAND_PRICE], commands[at + COMMAND_SIZE]
        funds, display = commands[at + COMMAND_FUNDS], commands[at + COMMAND_DISPLAY]
        stop_price = commands[at + COMMAND_STOP_PRICE]
        if size and not self.is_size(size):
            return REJECT_INVALID_SIZE
        if display < 0 or (display and display > size):
            return REJECT_INVALID_SIZE
        if price < 0 or price > self.ticks_max or stop_price < 0 or stop_price > self.ticks_max:
            return REJECT_INVALID_PRICE
        if (commands[at] >> 48) & EXTENDED:
            trail = commands[at + COMMAND_TRAIL]
            if trail and (trail < 0 or trail >= stop_price):
                return REJECT_INVALID_PRICE
        if funds and (funds < 0 or funds < self.funds_min or funds > self.funds_max):
            return REJECT_INVALID_FUNDS
        if price and size > self.value_max // price:
            return REJECT_INVALID_FUNDS
        return 0

    def is_well_formed(self, at: int) -> int:
        """Whether the fields can stand together."""
        commands = self.commands
        head = commands[at]
        side = (head >> 8) & 255
        order_type = (head >> 16) & 255
        time_in_force = (head >> 24) & 255
        stop = (head >> 32) & 255
        post_only = (head >> 48) & 1
        if side not in (SIDE_BUY, SIDE_SELL):
            return 0
        if order_type not in (TYPE_LIMIT, TYPE_MARKET):
            return 0
        if time_in_force > TIME_FOK or stop > STOP_ENTRY or (head >> 40) & 255 > PREVENTION_CB:
            return 0
        if commands[at + COMMAND_ORDER_ID] <= 0 or commands[at + COMMAND_ACCOUNT] <= 0:
            return 0
        if (stop != 0) != (commands[at + COMMAND_STOP_PRICE] != 0):
            return 0
        expiry = commands[at + COMMAND_EXPIRY]
        if expiry < 0 or (expiry and time_in_force != TIME_GTT) or commands[at + COMMAND_CAP] < 0:
            return 0
        has_size = commands[at + COMMAND_SIZE] != 0
        has_funds = commands[at + COMMAND_FUNDS] != 0
        has_price = commands[at + COMMAND_PRICE] != 0
        if order_type == TYPE_MARKET:
            return not post_only and not commands[at + COMMAND_DISPLAY] and not has_price and has_size != has_funds
        may_rest = time_in_force < TIME_IOC
        if (commands[at + COMMAND_DISPLAY] or post_only) and not may_rest:
            return 0
        if post_only and stop:
            return 0
        return has_price and has_size and not has_funds

    def has_right_ties(self, at: int) -> int:
        """Whether a trail belongs to a stop, and a partner to an order that rests or waits."""
        commands = self.commands
        head = commands[at]
        if (head >> 32) & 255:
            return commands[at + COMMAND_OCO] >= 0
        if commands[at + COMMAND_TRAIL] or commands[at + COMMAND_OCO] < 0:
            return 0
        may_rest = (head >> 16) & 255 == TYPE_LIMIT and (head >> 24) & 255 < TIME_IOC
        return may_rest or not commands[at + COMMAND_OCO]

    def refusal_of_price(self, side: int, price: int, post_only: int) -> int:
        """Whether the band or `post_only` speaks against a limit."""
        market = self.market
        if price > market.upper if side == SIDE_BUY else price < market.lower:
            return REJECT_PRICE_BAND
        if post_only and self.phase != PHASE_AUCTION:
            if side == SIDE_BUY:
                if market.asks.best_level and market.asks.best_price <= price:
                    return REJECT_POST_ONLY
            elif market.bids.best_level and market.bids.best_price >= price:
                return REJECT_POST_ONLY
        return 0

    def is_size(self, size: int) -> int:
        """Whether the product allows the size."""
        return size > 0 and size >= self.size_min and size <= self.size_max

    # Live orders.

    def cancel(self, at: int) -> int:
        """End one order."""
        order = self.market.ids.find(self.commands[at + COMMAND_ORDER_ID])
        if not order:
            return self.reject(at, OP_CANCEL, REJECT_UNKNOWN_ORDER)
        return self.market.cancel(order, CANCEL_USER)

    def cancel_all(self, account_id: int) -> int:
        """End every order of an account, by the order received."""
        market = self.market
        words = market.pool.words
        found = []
        order = market.accounts.youngest(account_id)
        while order:
            found.append((words[order + RANK], order))
            if words[order + FLAGS] & PAIRED:
                # Each ends by its owner's word, none by its partner's end.
                market.part(order)
            order = market.accounts.older(order)
        found.sort()
        for _, order in found:
            market.cancel(order, CANCEL_MASS)
        return 0

    def cancel_if_unseen(self, at: int) -> int:
        """Close the door on an order that never arrived."""
        order_id = self.commands[at + COMMAND_ORDER_ID]
        if order_id <= 0:
            return self.reject(at, OP_CANCEL_IF_UNSEEN, REJECT_MALFORMED)
        if self.market.ids.get(order_id) == ABSENT:
            self.reject(at, OP_PLACE, REJECT_UNSEEN)
            return self.market.ids.remember(order_id)
        return 0

    def amend(self, at: int) -> int:
        """Change an order."""
        commands, market = self.commands, self.market
        order = market.ids.find(commands[at + COMMAND_ORDER_ID])
        if not order:
            return self.reject(at, OP_AMEND, REJECT_UNKNOWN_ORDER)
        words = market.pool.words
        reason = self.refusal_of_amend(at, order)
        if reason:
            return market.out.rejected(OP_AMEND, words[order + ORDER_ID], words[order + ACCOUNT], reason)
        old_price, old_size = words[order + PRICE], words[order + REMAINING]
        price = commands[at + COMMAND_PRICE]
        if not price:
            price = old_price
        size = commands[at + COMMAND_SIZE] - words[order + TRADED]
        loses_place = not words[order + FLAGS] & WAITING and (price != old_price or size > old_size)
        if loses_place:
            market.withdraw(order)
        words[order + PRICE] = price
        words[order + REMAINING] = size
        words[order + SHOWN] = min(words[order + SHOWN], size)
        market.out.amended(order, old_size, old_price)
        if not loses_place:
            return 0
        if self.phase == PHASE_AUCTION:
            return market.rest(order)
        return market.run(order)

    def refusal_of_amend(self, at: int, order: int) -> int:
        """Why a live order may not be changed so; 0 when it may."""
        commands, words = self.commands, self.market.pool.words
        if self.phase == PHASE_CLOSED:
            return REJECT_CLOSED
        if self.phase == PHASE_HALTED:
            return REJECT_HALTED
        flags = words[order + FLAGS]
        size, price = commands[at + COMMAND_SIZE], commands[at + COMMAND_PRICE]
        if flags & BY_FUNDS or not self.is_size(size):
            return REJECT_INVALID_SIZE
        if price and (price < 0 or price > self.ticks_max or (flags >> TYPE_SHIFT) & 3 == TYPE_MARKET):
            return REJECT_INVALID_PRICE
        if not price:
            price = words[order + PRICE]
        if price and size > self.value_max // price:
            return REJECT_INVALID_FUNDS
        expiry = commands[at + COMMAND_EXPIRY]
        if 0 < expiry <= self.market.now_ns:
            return REJECT_EXPIRED
        traded = words[order + TRADED]
        if not flags & WAITING and (price != words[order + PRICE] or size - traded > words[order + REMAINING]):
            reason = self.refusal_of_price(flags & SIDE_MASK, price, flags & POST_ONLY)
            if reason:
                return reason
        return REJECT_SIZE_BELOW_FILLED if size <= traded else 0

    # The product.

    def enter_phase(self, at: int) -> int:
        """Begin a phase, or say again that it goes on."""
        phase = (self.commands[at] >> 56) & 255
        if phase < PHASE_CONTINUOUS or phase > PHASE_CLOSED:
            return self.reject(at, OP_PHASE, REJECT_MALFORMED)
        self.phase = phase
        self.market.out.phase(phase)
        if phase == PHASE_CONTINUOUS:
            return self.market.uncross()
        return 0

    def configure(self, at: int) -> int:
        """Take new parameters. Ticks and lots never change under a product that has had some."""
        start = 8 * (at + COMMAND_WORDS)
        packed = self._command_store[start : start + 8 * PARAMETERS_WORDS]
        old = self.market.product
        try:
            new = ProductSpec.from_parameters(old.product_id, unpack_parameters(packed, 0)[0])
        except ProductError:
            return self.reject(at, OP_CONFIGURE, REJECT_INVALID_CONFIGURATION)
        has_same_units = new.base_increment == old.base_increment and new.quote_increment == old.quote_increment
        if not has_same_units and not old.is_unlisted:
            return self.reject(at, OP_CONFIGURE, REJECT_INVALID_CONFIGURATION)
        self.market.configure(new)
        self._take_limits(new)
        return 0

    def follow_rules(self, at: int) -> int:
        """Go on by the rules the log names. Raises UnknownRulesError."""
        version = self.commands[at + COMMAND_RULES] & 65535
        if version != RULES_VERSION:
            raise UnknownRulesError(f"the log asks for rules version {version}, here is {RULES_VERSION}")
        self.rules_version = version
        return 0

    def result_ends(self) -> "array[int]":
        """Where each packed result of the last batch ends, in bytes."""
        ends: array[int] = self._end_store[: self.results]
        return ends
