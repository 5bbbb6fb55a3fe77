"""Whether a command is refused, and why: the first reason in the contract's order that applies.

Commands come packed from outside. The gateway and the replay tool let only well-formed ones through, but an engine
answers whatever a record can hold.
"""

from exchange.messages import Command, OrderType, Phase, RejectReason, Side, StopKind, TimeInForce

from matcher.engine.book import Order
from matcher.engine.product import TICKS_MAX, VALUE_MAX
from matcher.engine.state import State


def refusal_of_place(state: State, command: Command) -> int:
    """Why a new order is refused; 0 when it is not."""
    if command.order_id in state.orders or command.order_id in state.order_ids:
        return RejectReason.DUPLICATE_ORDER_ID
    if not _is_well_formed(command):
        return RejectReason.MALFORMED
    if state.phase in _CLOSED_PHASES:
        return _CLOSED_PHASES[state.phase]
    if state.phase == Phase.AUCTION and not _may_join_auction(command):
        return RejectReason.AUCTION
    return (
        _refusal_of_values(state, command)
        or _refusal_of_funds(state, command)
        or _refusal_of_moment(state, command)
        or _refusal_of_pair(state, command)
    )


def refusal_of_amend(state: State, order: Order, command: Command, *, loses_place: bool) -> int:
    """Why a live order may not be changed so; 0 when it may."""
    if state.phase in _CLOSED_PHASES:
        return _CLOSED_PHASES[state.phase]
    if order.by_funds or not _is_size(state, command.size):
        return RejectReason.INVALID_SIZE
    price = command.price or order.price
    if command.price and not (order.is_limit and _is_price(price)):
        return RejectReason.INVALID_PRICE
    if price * command.size > VALUE_MAX:
        return RejectReason.INVALID_FUNDS
    if 0 < command.expire_time_ns <= state.now_ns:
        return RejectReason.EXPIRED
    if loses_place and _is_outside_band(state, order.side, price):
        return RejectReason.PRICE_BAND
    if loses_place and order.post_only and _would_cross(state, order.side, price):
        return RejectReason.POST_ONLY
    if command.size <= order.traded:
        return RejectReason.SIZE_BELOW_FILLED
    return 0


_CLOSED_PHASES = {Phase.CLOSED: RejectReason.CLOSED, Phase.HALTED: RejectReason.HALTED}
_RESTING = (0, TimeInForce.GTC, TimeInForce.GTT)


def _is_well_formed(command: Command) -> bool:
    """Whether the fields can stand together: what JSON of that kind would be refused for as malformed."""
    is_limit = command.order_type == OrderType.LIMIT
    may_rest = is_limit and command.time_in_force in _RESTING
    return (
        command.order_id > 0
        and command.account_id > 0
        and command.side in (Side.BUY, Side.SELL)
        and command.order_type in (OrderType.LIMIT, OrderType.MARKET)
        and 0 <= command.time_in_force <= TimeInForce.FOK
        and 0 <= command.stop <= StopKind.ENTRY
        and 0 <= command.self_trade_prevention <= 4
        and (command.stop != 0) == (command.stop_price != 0)
        and (command.time_in_force == TimeInForce.GTT or command.expire_time_ns == 0)
        and command.expire_time_ns >= 0
        and command.cap_price >= 0
        and (may_rest or command.display_size == 0)
        and not (command.post_only and (not may_rest or command.stop))
        and (command.stop != 0 or command.trail_amount == 0)
        and (command.oco_order_id == 0 or (command.oco_order_id > 0 and (may_rest or command.stop != 0)))
        and _has_right_measures(command, is_limit=is_limit)
    )


def _has_right_measures(command: Command, *, is_limit: bool) -> bool:
    """A limit order has a price and a size; a market order a size or funds."""
    if is_limit:
        return command.price != 0 and command.size != 0 and command.funds == 0
    return command.price == 0 and (command.size == 0) != (command.funds == 0)


def _may_join_auction(command: Command) -> bool:
    return command.order_type == OrderType.LIMIT and command.time_in_force in _RESTING and not command.stop


def _refusal_of_values(state: State, command: Command) -> int:
    if command.size and not _is_size(state, command.size):
        return RejectReason.INVALID_SIZE
    if command.display_size and not 0 < command.display_size <= command.size:
        return RejectReason.INVALID_SIZE
    if command.price and not _is_price(command.price):
        return RejectReason.INVALID_PRICE
    if command.stop and not _is_price(command.stop_price):
        return RejectReason.INVALID_PRICE
    if command.trail_amount and not 0 < command.trail_amount < command.stop_price:
        return RejectReason.INVALID_PRICE
    return 0


def _refusal_of_funds(state: State, command: Command) -> int:
    product = state.product
    if command.funds and not product.funds_min <= command.funds <= product.funds_max:
        return RejectReason.INVALID_FUNDS
    if command.funds < 0 or command.price * command.size > VALUE_MAX:
        return RejectReason.INVALID_FUNDS
    return 0


def _refusal_of_moment(state: State, command: Command) -> int:
    """What depends on now: the time, the band and the book."""
    if command.time_in_force == TimeInForce.GTT and command.expire_time_ns <= state.now_ns:
        return RejectReason.EXPIRED
    if command.order_type == OrderType.MARKET or command.stop:
        return 0
    if _is_outside_band(state, command.side, command.price):
        return RejectReason.PRICE_BAND
    if command.post_only and _would_cross(state, command.side, command.price):
        return RejectReason.POST_ONLY
    return 0


def _refusal_of_pair(state: State, command: Command) -> int:
    """Whether the order may be paired with the one it names: its owner's, untraded and single, one of them a stop."""
    if not command.oco_order_id:
        return 0
    other = state.orders.get(command.oco_order_id)
    if other is None or other.account_id != command.account_id or other.partner or other.traded:
        return RejectReason.OCO
    return 0 if command.stop or other.is_waiting else RejectReason.OCO


def _is_size(state: State, size: int) -> bool:
    return size > 0 and state.product.size_min <= size <= state.product.size_max


def _is_price(price: int) -> bool:
    return 0 < price <= TICKS_MAX


def _is_outside_band(state: State, side: int, price: int) -> bool:
    return price > state.upper if side == Side.BUY else price < state.lower


def _would_cross(state: State, side: int, price: int) -> bool:
    if state.phase == Phase.AUCTION:
        return False
    makers = state.book.asks if side == Side.BUY else state.book.bids
    return makers.reaches(price)
