"""The engine's whole state as bytes: equal states have equal bytes, whichever engine wrote them.

Format, versions 1 and 2, little-endian:

    file      4s magic "XSNP" | u16 version | u16 NUL | u64 length of the payload | 32s SHA-256 of the payload
    payload   the counters (COUNTERS) | the product's parameters | the queue of order ids by rank, i64 each
              | the remembered command ids, oldest first, 16s each | the orders (ORDER): bids then asks, each by
              priority, then the waiting stops by activation | in version 2 the ties (TIE) of the orders that have
              any, by order id. A state without ties is written as version 1.

Where header, lengths or checksum are wrong it is refused; who restores then takes the snapshot before it, or replays
from the start. What a right checksum covers is taken at its word: the orders are as an engine wrote them.
"""

import hashlib
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from exchange.messages import Phase, RecordError
from exchange.messages.commands import (
    PARAMETERS_STRUCT,
    pack_parameters,
    pack_product_id,
    unpack_parameters,
    unpack_product_id,
)

from matcher.engine.book import Order
from matcher.engine.errors import SnapshotError, UnknownRulesError
from matcher.engine.memory import CommandIds, OrderIds
from matcher.engine.product import ProductError, ProductSpec
from matcher.engine.state import State
from matcher.engine.writer import EventWriter

MAGIC: Final = b"XSNP"
VERSION: Final = 1
TIED_VERSION: Final = 2

_FILE: Final = Struct("<4sHHQ32s")
# product id | phase | rules version | now, sequence, trade id, last price, activations, first rank | chain hash
# | how many: order ids, command ids, bids, asks, waiting stops
COUNTERS: Final = Struct("<24sBxH4x6q32s5Q")
# side, type, time in force, stop, self-trade prevention, flags | ids, price, stop price, cap, expiry, display size,
# remaining, shown, funds, traded, rank, activation
ORDER: Final = Struct("<6B2x13q")
# An order's id, its partner's, its trail.
TIE: Final = Struct("<3q")
_POST_ONLY, _BY_FUNDS, _WAITING = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot taken apart: what every engine can fill itself from.

    Shape:    order_ids, command_ids, orders and ties packed as in the payload; counts of bids, asks and waiting stops.
    """

    product: ProductSpec
    phase: Phase
    rules_version: int
    now_ns: int
    sequence: int
    trade_id: int
    last_price: int
    activations: int
    first_rank: int
    chain_hash: bytes
    order_ids: bytes
    command_ids: bytes
    counts: tuple[int, int, int]
    orders: bytes
    ties: bytes = b""


def encode(state: State) -> bytes:
    """Write a snapshot."""
    return seal(encode_payload(state))


def decode(data: bytes) -> State:
    """Read a snapshot.

    Raises:   SnapshotError.
    """
    return _state_of(read_payload(checked_payload(data)))


def seal(payload: bytes) -> bytes:
    """Put the file's header before a payload."""
    version = VERSION if len(payload) == _Places.of(payload).orders_end else TIED_VERSION
    return _FILE.pack(MAGIC, version, 0, len(payload), hashlib.sha256(payload).digest()) + payload


def checked_payload(data: bytes) -> bytes:
    """The payload of a snapshot that is whole.

    Raises:   SnapshotError.
    """
    if len(data) < _FILE.size:
        raise SnapshotError(f"{len(data)} bytes are too few for a snapshot")
    magic, version, reserved, length, digest = _FILE.unpack_from(data)
    if magic != MAGIC or reserved:
        raise SnapshotError("these bytes are not a snapshot")
    if version not in (VERSION, TIED_VERSION):
        raise SnapshotError(f"version {version} of the snapshot's format is unknown here")
    payload = data[_FILE.size :]
    if len(payload) != length:
        raise SnapshotError(f"the snapshot has {len(payload)} bytes where it should have {length}")
    if hashlib.sha256(payload).digest() != digest:
        raise SnapshotError("the snapshot's checksum is wrong")
    return payload


def require_known(rules_version: int, known: Collection[int]) -> None:
    """Go on only by rules that are known here: a snapshot remembers a switch that the log need not show again.

    Raises:   UnknownRulesError.
    """
    if rules_version not in known:
        here = " and ".join(map(str, sorted(known)))
        raise UnknownRulesError(f"the snapshot was taken under rules version {rules_version}, here is {here}")


def write_payload(saved: Saved) -> bytes:
    """Put a payload together."""
    counters = COUNTERS.pack(
        pack_product_id(saved.product.product_id),
        saved.phase,
        saved.rules_version,
        saved.now_ns,
        saved.sequence,
        saved.trade_id,
        saved.last_price,
        saved.activations,
        saved.first_rank,
        saved.chain_hash,
        len(saved.order_ids) // 8,
        len(saved.command_ids) // 16,
        *saved.counts,
    )
    parameters = pack_parameters(saved.product.parameters)
    return b"".join((counters, parameters, saved.order_ids, saved.command_ids, saved.orders, saved.ties))


def read_payload(payload: bytes) -> Saved:
    """Take a payload apart.

    Raises:   SnapshotError.
    """
    try:
        return _read_parts(payload)
    except (struct.error, RecordError, ProductError, ValueError) as error:
        raise SnapshotError(f"the snapshot can't be read: {error}") from error


def encode_payload(state: State) -> bytes:
    """Write the state without the file's header."""
    ids = list(state.order_ids.queue)
    groups = [list(state.book.bids.orders()), list(state.book.asks.orders()), list(state.stops.orders())]
    return write_payload(
        Saved(
            product=state.product,
            phase=state.phase,
            rules_version=state.rules_version,
            now_ns=state.now_ns,
            sequence=state.writer.sequence,
            trade_id=state.trade_id,
            last_price=state.last_price,
            activations=state.activations,
            first_rank=state.order_ids.first_rank,
            chain_hash=state.chain_hash,
            order_ids=struct.pack(f"<{len(ids)}q", *ids),
            command_ids=b"".join(state.command_ids.queue),
            counts=(len(groups[0]), len(groups[1]), len(groups[2])),
            orders=b"".join(_pack_order(order) for group in groups for order in group),
            ties=pack_ties((order.order_id, order.partner, order.trail) for group in groups for order in group),
        )
    )


def pack_ties(ties: Iterable[tuple[int, int, int]]) -> bytes:
    """Pack those ties that say something, by order id. Each is an order's id, its partner's and its trail."""
    return b"".join(TIE.pack(*tie) for tie in sorted(ties) if tie[1] or tie[2])


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the parts of a payload end that vary in length."""

    ids_end: int
    commands_end: int
    orders_end: int

    @classmethod
    def of(cls, payload: bytes) -> "_Places":
        ids_count, commands_count, *orders_counts = COUNTERS.unpack_from(payload)[-5:]
        ids_end = COUNTERS.size + PARAMETERS_STRUCT.size + 8 * ids_count
        commands_end = ids_end + 16 * commands_count
        return cls(ids_end, commands_end, commands_end + ORDER.size * sum(orders_counts))


def _read_parts(payload: bytes) -> Saved:
    product_id, phase, rules, now, sequence, trades, last_price, activations, first_rank, chain, *counts = (
        COUNTERS.unpack_from(payload)
    )
    places = _Places.of(payload)
    if len(payload) < places.orders_end or (len(payload) - places.orders_end) % TIE.size:
        raise SnapshotError("the snapshot's parts don't add up to its length")
    parameters, _ = unpack_parameters(payload, COUNTERS.size)
    return Saved(
        product=ProductSpec.from_parameters(unpack_product_id(product_id), parameters),
        phase=Phase(phase),
        rules_version=rules,
        now_ns=now,
        sequence=sequence,
        trade_id=trades,
        last_price=last_price,
        activations=activations,
        first_rank=first_rank,
        chain_hash=chain,
        order_ids=payload[COUNTERS.size + PARAMETERS_STRUCT.size : places.ids_end],
        command_ids=payload[places.ids_end : places.commands_end],
        counts=(counts[2], counts[3], counts[4]),
        orders=payload[places.commands_end : places.orders_end],
        ties=payload[places.orders_end :],
    )


def _state_of(saved: Saved) -> State:
    orders = [_read_order(fields) for fields in ORDER.iter_unpack(saved.orders)]
    ties = {order_id: (partner, trail) for order_id, partner, trail in TIE.iter_unpack(saved.ties)}
    for order in orders:
        order.partner, order.trail = ties.get(order.order_id, (0, 0))
    bids_end = saved.counts[0]
    asks_end = bids_end + saved.counts[1]
    state = State(saved.product)
    state.phase = saved.phase
    state.rules_version, state.now_ns, state.trade_id = saved.rules_version, saved.now_ns, saved.trade_id
    state.last_price, state.activations, state.chain_hash = saved.last_price, saved.activations, saved.chain_hash
    state.writer = EventWriter(saved.sequence)
    state.load_orders(bids=orders[:bids_end], asks=orders[bids_end:asks_end], waiting=orders[asks_end:])
    ids = (order_id for (order_id,) in struct.iter_unpack("<q", saved.order_ids))
    state.order_ids = OrderIds(ids, first_rank=saved.first_rank, live=state.orders)
    state.command_ids = CommandIds(saved.command_ids[at : at + 16] for at in range(0, len(saved.command_ids), 16))
    return state


def _pack_order(order: Order) -> bytes:
    flags = _POST_ONLY * order.post_only | _BY_FUNDS * order.by_funds | _WAITING * order.is_waiting
    return ORDER.pack(
        order.side,
        order.order_type,
        order.time_in_force,
        order.stop,
        order.self_trade_prevention,
        flags,
        order.order_id,
        order.account_id,
        order.price,
        order.stop_price,
        order.cap_price,
        order.expire_time_ns,
        order.display_size,
        order.remaining,
        order.shown,
        order.funds,
        order.traded,
        order.rank,
        order.activation,
    )


def _read_order(fields: tuple[int, ...]) -> Order:
    side, order_type, time_in_force, stop, prevention, flags = fields[:6]
    order_id, account_id, price, stop_price, cap_price, expire_time_ns, display_size = fields[6:13]
    remaining, shown, funds, traded, rank, activation = fields[13:]
    return Order(
        order_id=order_id,
        account_id=account_id,
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        stop=stop,
        self_trade_prevention=prevention,
        post_only=bool(flags & _POST_ONLY),
        price=price,
        stop_price=stop_price,
        cap_price=cap_price,
        expire_time_ns=expire_time_ns,
        display_size=display_size,
        remaining=remaining,
        funds=funds,
        traded=traded,
        rank=rank,
        by_funds=bool(flags & _BY_FUNDS),
        shown=shown,
        activation=activation,
        is_waiting=bool(flags & _WAITING),
    )
