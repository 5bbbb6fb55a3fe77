"""The reference engine: one product's market as the plainest Python that meets the contract.

It is the documentation of the rules, the oracle of the tests, and what runs where nothing was compiled. Commands come
in the order of the stream; each is carried out whole, with every stop that it fires, before the next. Nothing here asks
for the time, draws a number or depends on the order of a set.
"""

import hashlib
from array import array
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar, Self

from exchange.messages import (
    NO_COMMAND_ID,
    CancelReason,
    ChangeReason,
    Command,
    CommandResult,
    MalformedRecordError,
    Op,
    OrderType,
    Phase,
    RejectReason,
    SelfTradePrevention,
    Side,
    TimeInForce,
    chain_hash,
    decode_commands,
    genesis_hash,
    unpack_result,
)

from matcher.engine import snapshot
from matcher.engine.auction import uncross
from matcher.engine.batch import Batch
from matcher.engine.book import Order
from matcher.engine.checks import refusal_of_amend, refusal_of_place
from matcher.engine.errors import UnknownRulesError
from matcher.engine.matching import run
from matcher.engine.product import ProductError, ProductSpec
from matcher.engine.state import State

RULES_VERSION = 1


class Engine:
    """One product's matching engine."""

    known_rules: ClassVar[frozenset[int]] = frozenset({RULES_VERSION})

    def __init__(self, product: ProductSpec) -> None:
        self._state = State(product)

    @classmethod
    def restore(cls, data: bytes) -> Self:
        """Continue from a snapshot.

        Raises:   SnapshotError; UnknownRulesError where the log had switched to rules that this code does not have.
        """
        state = snapshot.decode(data)
        snapshot.require_known(state.rules_version, cls.known_rules)
        engine = cls.__new__(cls)
        engine._state = state  # noqa: SLF001 - our own class
        return engine

    @property
    def product(self) -> ProductSpec:
        """The product as the last `configure` left it."""
        return self._state.product

    @property
    def sequence(self) -> int:
        """The sequence of the last event."""
        return self._state.writer.sequence

    @property
    def chain_hash(self) -> bytes:
        """The chain over all groups so far."""
        return self._state.chain_hash

    def forget_chain(self) -> None:
        """Begin the chain anew: what was answered so far is no stream's, or nobody's who follows the chain."""
        self._state.chain_hash = genesis_hash(self.product.product_id)

    @property
    def now_ns(self) -> int:
        """The latest time a command has brought."""
        return self._state.now_ns

    @property
    def live_orders(self) -> int:
        """How many orders rest or wait."""
        return len(self._state.orders)

    def is_live(self, order_id: int) -> bool:
        """Whether the order rests or waits."""
        return order_id in self._state.orders

    def snapshot(self) -> bytes:
        """The whole state as bytes, versioned and checksummed."""
        return snapshot.encode(self._state)

    def state_hash(self) -> bytes:
        """SHA-256 of the state: equal in two engines that will answer everything alike."""
        return hashlib.sha256(snapshot.encode_payload(self._state)).digest()

    def apply(self, command: Command) -> CommandResult | None:
        """Carry out one command, a group of its own; None where it causes no event.

        Raises:   UnknownRulesError.
        """
        packed = self.apply_packed(command)
        return None if packed is None else unpack_result(packed, self._state.chain_hash)

    def apply_packed(self, command: Command) -> bytes | None:
        """`apply` with the result as the stream carries it."""
        packed = self._run(command)
        self._add_to_chain(packed or b"")
        return packed

    def _add_to_chain(self, group: bytes) -> None:
        if group:
            self._state.chain_hash = chain_hash(self._state.chain_hash, group)

    def _run(self, command: Command) -> bytes | None:
        state = self._state
        if command.command_id != NO_COMMAND_ID and not state.command_ids.is_new(command.command_id):
            return None
        state.now_ns = max(state.now_ns, command.time_ns)
        while (expired := state.next_expired()) is not None:
            state.cancel(expired, CancelReason.EXPIRED)
        state.set_edges()
        self._carry_out(command)
        self._run_stops()
        return state.writer.take(command, state.now_ns)

    def apply_record(self, record: bytes, *, arrival_ns: int | None = None) -> Batch:
        """Carry out a whole record of the orders stream; all its commands have the arrival time, if there is one.

        Raises:   UnknownVersionError, MalformedRecordError before anything was done; UnknownRulesError.
        """
        decoded = decode_commands(record)
        product_id = self.product.product_id
        if decoded.product_id != product_id:
            raise MalformedRecordError(f"a record of {decoded.product_id} came to the engine of {product_id}")
        first, results = self.sequence, []
        for command in decoded.commands:
            stamped = command if arrival_ns is None else replace(command, time_ns=arrival_ns)
            packed = self._run(stamped)
            if packed is not None:
                results.append(packed)
        group, ends = b"".join(results), array("q", accumulate(map(len, results)))
        self._add_to_chain(group)
        return Batch(group, ends, len(decoded.commands), self.sequence - first)

    def _run_stops(self) -> None:
        """Run what was fired, one after the other; what their trades fire queues behind."""
        state = self._state
        state.fire_stops()
        while state.fired:
            _, order = state.fired.popitem(last=False)
            state.writer.triggered(order)
            state.cancel_partner(order)
            state.set_edges()
            run(state, order)
            state.fire_stops()

    def _carry_out(self, command: Command) -> None:
        match command.op:
            case Op.PLACE:
                self._place(command)
            case Op.CANCEL:
                self._cancel(command)
            case Op.CANCEL_ALL:
                self._cancel_all(command)
            case Op.AMEND:
                self._amend(command)
            case Op.PHASE:
                self._enter_phase(command)
            case Op.TICK:
                pass
            case Op.CANCEL_IF_UNSEEN:
                self._cancel_if_unseen(command)
            case Op.CONFIGURE:
                self._configure(command)
            case Op.RULES_VERSION:
                self._follow_rules(command)
            case _:
                self._refuse_malformed(command)

    def _reject(self, command: Command, reason: int, *, op: int = 0, account_id: int = 0) -> None:
        self._state.writer.rejected(op or command.op, command.order_id, account_id or command.account_id, reason)

    def _refuse_malformed(self, command: Command) -> None:
        self._reject(command, RejectReason.MALFORMED)

    def _place(self, command: Command) -> None:
        state = self._state
        reason = refusal_of_place(state, command)
        if reason:
            self._reject(command, reason)
            if reason != RejectReason.DUPLICATE_ORDER_ID and command.order_id > 0:
                self._remember(command.order_id)
            return
        order = _order_of(command, rank=state.order_ids.place(command.order_id))
        state.writer.received(order)
        state.admit(order)
        state.pair(order)
        if order.stop:
            state.wait(order)
        elif state.phase == Phase.AUCTION:
            state.rest(order)
        else:
            run(state, order)

    def _remember(self, order_id: int) -> None:
        """Count an id among those placed though no order lives under it."""
        order_ids = self._state.order_ids
        order_ids.retire(order_id, order_ids.place(order_id), self._state.orders)

    def _cancel(self, command: Command) -> None:
        order = self._state.orders.get(command.order_id)
        if order is None:
            self._reject(command, RejectReason.UNKNOWN_ORDER)
        else:
            self._state.cancel(order, CancelReason.USER)

    def _cancel_all(self, command: Command) -> None:
        own = [order for order in self._state.orders.values() if order.account_id == command.account_id]
        for order in own:
            # Each ends by its owner's word, none by its partner's end.
            order.partner = 0
        for order in sorted(own, key=lambda order: order.rank):
            self._state.cancel(order, CancelReason.MASS)

    def _cancel_if_unseen(self, command: Command) -> None:
        """Close the door on an order that never arrived: a place that comes later is a duplicate.

        The rejection names `place`, so what was held for the order is freed by it, once.
        """
        state = self._state
        if command.order_id <= 0:
            self._refuse_malformed(command)
        elif command.order_id not in state.orders and command.order_id not in state.order_ids:
            self._reject(command, RejectReason.UNSEEN, op=Op.PLACE)
            self._remember(command.order_id)

    def _amend(self, command: Command) -> None:
        state = self._state
        order = state.orders.get(command.order_id)
        if order is None:
            self._reject(command, RejectReason.UNKNOWN_ORDER)
            return
        price, remaining = command.price or order.price, command.size - order.traded
        loses_place = not order.is_waiting and (price != order.price or remaining > order.remaining)
        reason = refusal_of_amend(state, order, command, loses_place=loses_place)
        if reason:
            self._reject(command, reason, account_id=order.account_id)
            return
        if loses_place:
            state.withdraw(order)
        old_size, old_price = order.remaining, order.price
        order.price, order.remaining = price, remaining
        order.shown = min(order.shown, remaining)
        state.writer.change(order, ChangeReason.AMEND, old_size=old_size, old_price=old_price, old_funds=0)
        if loses_place and state.phase == Phase.AUCTION:
            state.rest(order)
        elif loses_place:
            run(state, order)

    def _enter_phase(self, command: Command) -> None:
        state = self._state
        if not Phase.CONTINUOUS <= command.phase <= Phase.CLOSED:
            self._refuse_malformed(command)
            return
        state.phase = Phase(command.phase)
        state.writer.phase(state.phase)
        if state.phase == Phase.CONTINUOUS:
            uncross(state)

    def _configure(self, command: Command) -> None:
        """Take new parameters. Ticks and lots never change under a product that has had some."""
        state = self._state
        old = state.product
        new = _product_of(old.product_id, command)
        if new is None or not (old.is_unlisted or _units(new) == _units(old)):
            self._reject(command, RejectReason.INVALID_CONFIGURATION)
        else:
            state.product = new

    def _follow_rules(self, command: Command) -> None:
        """Go on by the rules the log names; only one version exists so far.

        Raises:   UnknownRulesError.
        """
        if command.rules_version not in self.known_rules:
            raise UnknownRulesError(f"the log asks for rules version {command.rules_version}, here is {RULES_VERSION}")
        self._state.rules_version = command.rules_version


def _product_of(product_id: str, command: Command) -> ProductSpec | None:
    """The product that a `configure` describes; None when it describes none."""
    if command.parameters is None:
        return None
    try:
        return ProductSpec.from_parameters(product_id, command.parameters)
    except ProductError:
        return None


def _units(product: ProductSpec) -> tuple[Fraction, Fraction]:
    return product.base_increment, product.quote_increment


def _order_of(command: Command, *, rank: int) -> Order:
    """The order that an accepted `place` makes; absent words take their defaults."""
    is_capped = command.order_type == OrderType.MARKET and command.side == Side.BUY and command.size != 0
    return Order(
        order_id=command.order_id,
        account_id=command.account_id,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force or TimeInForce.GTC,
        stop=command.stop,
        self_trade_prevention=command.self_trade_prevention or SelfTradePrevention.DC,
        post_only=command.post_only,
        price=command.price,
        stop_price=command.stop_price,
        cap_price=command.cap_price if is_capped else 0,
        expire_time_ns=command.expire_time_ns,
        display_size=command.display_size,
        remaining=command.size,
        funds=command.funds,
        traded=0,
        rank=rank,
        by_funds=command.funds != 0,
        trail=command.trail_amount,
        partner=command.oco_order_id,
    )
