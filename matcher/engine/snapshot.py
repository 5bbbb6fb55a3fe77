"""The engine's whole state as bytes: equal states have equal bytes, whichever engine wrote them.

Format, version 1, little-endian:

    file      4s magic "XSNP" | u16 version | u16 NUL | u64 length of the payload | 32s SHA-256 of the payload
    payload   the counters (COUNTERS) | the product's parameters | the queue of order ids by rank, i64 each
              | the remembered command ids, oldest first, 16s each | the orders (ORDER): bids then asks, each by
              priority, then the waiting stops by activation

Anything that is not exactly that is refused; who restores then takes the snapshot before it, or replays from the start.
"""

import hashlib
import struct
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
from matcher.engine.errors import SnapshotError
from matcher.engine.memory import CommandIds, OrderIds
from matcher.engine.product import ProductError, ProductSpec
from matcher.engine.state import State
from matcher.engine.writer import EventWriter

MAGIC: Final = b"XSNP"
VERSION: Final = 1

_FILE: Final = Struct("<4sHHQ32s")
# product id | phase | rules version | now, sequence, trade id, last price, activations, first rank | chain hash
# | how many: order ids, command ids, bids, asks, waiting stops
COUNTERS: Final = Struct("<24sBxH4x6q32s5Q")
# side, type, time in force, stop, self-trade prevention, flags | ids, price, stop price, cap, expiry, display size,
# remaining, shown, funds, traded, rank, activation
ORDER: Final = Struct("<6B2x13q")
_POST_ONLY, _BY_FUNDS, _WAITING = 1, 2, 4


def encode(state: State) -> bytes:
    """Write a snapshot."""
    payload = encode_payload(state)
    return _FILE.pack(MAGIC, VERSION, 0, len(payload), hashlib.sha256(payload).digest()) + payload


def decode(data: bytes) -> State:
    """Read a snapshot.

    Raises:   SnapshotError.
    """
    return decode_payload(checked_payload(data))


def checked_payload(data: bytes) -> bytes:
    """The payload of a snapshot that is whole.

    Raises:   SnapshotError.
    """
    if len(data) < _FILE.size:
        raise SnapshotError(f"{len(data)} bytes are too few for a snapshot")
    magic, version, reserved, length, digest = _FILE.unpack_from(data)
    if magic != MAGIC or reserved:
        raise SnapshotError("these bytes are not a snapshot")
    if version != VERSION:
        raise SnapshotError(f"version {version} of the snapshot's format is unknown here")
    payload = data[_FILE.size :]
    if len(payload) != length:
        raise SnapshotError(f"the snapshot has {len(payload)} bytes where it should have {length}")
    if hashlib.sha256(payload).digest() != digest:
        raise SnapshotError("the snapshot's checksum is wrong")
    return payload


def encode_payload(state: State) -> bytes:
    """Write the state without the file's header."""
    ids = list(state.order_ids.queue)
    commands = list(state.command_ids.queue)
    groups = [list(state.book.bids.orders()), list(state.book.asks.orders()), list(state.stops.orders())]
    counters = COUNTERS.pack(
        pack_product_id(state.product.product_id),
        state.phase,
        state.rules_version,
        state.now_ns,
        state.writer.sequence,
        state.trade_id,
        state.last_price,
        state.activations,
        state.order_ids.first_rank,
        state.chain_hash,
        len(ids),
        len(commands),
        *map(len, groups),
    )
    return b"".join(
        (
            counters,
            pack_parameters(state.product.parameters),
            struct.pack(f"<{len(ids)}q", *ids),
            *commands,
            *(_pack_order(order) for group in groups for order in group),
        )
    )


def decode_payload(payload: bytes) -> State:
    """Read the state back.

    Raises:   SnapshotError.
    """
    try:
        return _read_state(payload)
    except (struct.error, RecordError, ProductError, ValueError) as error:
        raise SnapshotError(f"the snapshot can't be read: {error}") from error


def _read_state(payload: bytes) -> State:
    product_id, phase, rules, now, sequence, trades, last_price, activations, first_rank, chain, *counts = (
        COUNTERS.unpack_from(payload)
    )
    ids_count, commands_count, bids_count, asks_count, stops_count = counts
    offset = COUNTERS.size + PARAMETERS_STRUCT.size
    ids_end = offset + 8 * ids_count
    commands_end = ids_end + 16 * commands_count
    if len(payload) != commands_end + ORDER.size * (bids_count + asks_count + stops_count):
        raise SnapshotError("the snapshot's parts don't add up to its length")
    parameters, _ = unpack_parameters(payload, COUNTERS.size)
    orders = [_read_order(fields) for fields in ORDER.iter_unpack(payload[commands_end:])]
    bids_end, asks_end = bids_count, bids_count + asks_count

    state = State(ProductSpec.from_parameters(unpack_product_id(product_id), parameters))
    state.phase = Phase(phase)
    state.rules_version, state.now_ns, state.trade_id = rules, now, trades
    state.last_price, state.activations, state.chain_hash = last_price, activations, chain
    state.writer = EventWriter(sequence)
    state.load_orders(bids=orders[:bids_end], asks=orders[bids_end:asks_end], waiting=orders[asks_end:])
    ids = struct.unpack_from(f"<{ids_count}q", payload, offset)
    state.order_ids = OrderIds(ids, first_rank=first_rank, live=state.orders)
    state.command_ids = CommandIds(payload[start : start + 16] for start in range(ids_end, commands_end, 16))
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
