"""How an arriving order meets the book in the continuous phase (rules 1 to 6, 8 and 10)."""

from exchange.messages import CancelReason, OrderType, SelfTradePrevention, TimeInForce

from matcher.engine.book import Order
from matcher.engine.state import State


def run(state: State, order: Order) -> None:
    """Match an order to its end: it is filled, it rests, or what is left of it is canceled.

    The band's edges must have been set for this command or triggered stop.
    """
    edge = _edge(state, order)
    if order.time_in_force == TimeInForce.FOK and not can_fill(state, order, edge):
        state.finish(order, CancelReason.FOK)
        return
    if _match(state, order, edge):
        return
    if order.order_type == OrderType.MARKET:
        state.finish(order, CancelReason.MARKET)
    elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        state.finish(order, CancelReason.IOC)
    elif is_beyond(order, order.price, edge):
        state.finish(order, CancelReason.PRICE_BAND)
    else:
        state.rest(order)


def is_beyond(order: Order, price: int, edge: int) -> bool:
    """Whether `price` is past the edge that binds the order: too dear for a buy, too cheap for a sell."""
    return price > edge if order.is_buy else price < edge


def _edge(state: State, order: Order) -> int:
    """The band's edge; a market buy by size also stops at the price that its hold was counted with."""
    if not order.is_buy:
        return state.lower
    return min(state.upper, order.cap_price) if order.cap_price else state.upper


def _match(state: State, order: Order, edge: int) -> bool:
    """Trade while there is a maker to trade with; return whether the order has ended."""
    makers = state.book.against(order)
    unit = state.product.funds_per_value
    while makers:
        price = makers.best_price
        if order.is_limit and is_beyond(order, price, order.price):
            return False
        if is_beyond(order, price, edge):
            state.finish(order, CancelReason.PRICE_BAND)
            return True
        lots = order.funds // (price * unit) if order.by_funds else order.remaining
        if not lots:
            state.finish(order, 0 if order.traded else CancelReason.MARKET)
            return True
        maker = makers.first
        if maker.account_id == order.account_id:
            if _prevent_self_trade(state, order, maker, lots):
                return True
            continue
        size = min(lots, maker.shown)
        state.trade(maker, order, price, size)
        state.after_fill(maker, size)
        state.cancel_partner(order)
        if order.funds < price * unit if order.by_funds else not order.remaining:
            state.finish(order)
            return True
    return False


def _prevent_self_trade(state: State, order: Order, maker: Order, lots: int) -> bool:
    """Do what the arriving order's mode says where it meets its own account; return whether it has ended.

    `done` of the one comes before `change` of the other, and where both end the maker's comes first.
    """
    mode = order.self_trade_prevention
    if mode == SelfTradePrevention.DC:
        return _decrement(state, order, maker, lots)
    if mode != SelfTradePrevention.CN:
        state.cancel(maker, CancelReason.STP)
    if mode == SelfTradePrevention.CO:
        return False
    state.finish(order, CancelReason.STP)
    return True


def _decrement(state: State, order: Order, maker: Order, lots: int) -> bool:
    """Cancel the smaller, reduce the larger by it; cancel both where they are equal. An iceberg counts in full."""
    size = maker.remaining
    if lots < size:
        state.finish(order, CancelReason.STP)
        state.reduce(maker, size=lots)
        return True
    price = maker.price
    state.cancel(maker, CancelReason.STP)
    if lots == size:
        state.finish(order, CancelReason.STP)
        return True
    if order.by_funds:
        state.reduce(order, funds=size * price * state.product.funds_per_value)
    else:
        state.reduce(order, size=size)
    return False


def can_fill(state: State, order: Order, edge: int) -> bool:
    """Whether a fill-or-kill order would be filled whole at once (rule 4), without touching anything."""
    makers = state.book.against(order)
    unit = state.product.funds_per_value
    wanted, funds, has_traded = order.remaining, order.funds, False
    for price, queue in makers.levels():
        if (order.is_limit and is_beyond(order, price, order.price)) or is_beyond(order, price, edge):
            return False
        if order.by_funds:
            wanted = funds // (price * unit)
            if not wanted:
                return has_traded
        volume, meets_own = _reachable(order, queue)
        if wanted <= volume:
            return True
        if meets_own:
            return False
        wanted -= volume
        funds -= volume * price * unit
        has_traded = has_traded or volume > 0
    return False


def _reachable(order: Order, queue: list[Order]) -> tuple[int, bool]:
    """How much of one price the order can trade, and whether it then meets an own order.

    An iceberg's hidden parts come back behind the orders that stand there, so before the first own order only what is
    shown can be traded.
    """
    if order.self_trade_prevention == SelfTradePrevention.CO:
        return sum(maker.remaining for maker in queue if maker.account_id != order.account_id), False
    shown = 0
    for maker in queue:
        if maker.account_id == order.account_id:
            return shown, True
        shown += maker.shown
    return sum(maker.remaining for maker in queue), False
