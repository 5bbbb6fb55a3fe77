"""The private WebSocket messages: what happened to somebody's own orders and balances. Pure.

Unlike the public events these are told from what the engine said itself: full sizes of icebergs, waiting stops and
refusals.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from exchange.feeds.model import Owner
from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import account_uuid, to_uuid
from exchange.kernel.money import format_units
from exchange.ledger.model import Balance
from exchange.market_data.views import SIDES
from exchange.messages import (
    CancelReason,
    ChangeReason,
    DoneReason,
    Event,
    EventType,
    OrderType,
    Side,
    StopKind,
    op_name,
    reason_name,
)
from exchange.orders.model import Order

Message = dict[str, Any]
Orders = Mapping[int, Order]

PPM_SCALE: Final = 6


def own_events(events: Iterable[Event], accounts: Iterable[int]) -> dict[int, list[Event]]:
    """The events of each of these accounts, in order. A trade is its maker's and its taker's."""
    own: dict[int, list[Event]] = {account_id: [] for account_id in accounts}
    for event in events:
        for account_id in {event.account_id, event.maker_account_id}:
            if account_id in own:
                own[account_id].append(event)
    return own


def told_orders(events: Iterable[Event]) -> set[int]:
    """The orders whose items say more than the events do: client ids, what a stop order asked, and rates."""
    ids: set[int] = set()
    for event in events:
        if event.type in {EventType.RECEIVED, EventType.ACTIVATE}:
            ids.add(event.order_id)
        elif event.type == EventType.MATCH:
            ids |= {event.order_id, event.maker_order_id}
    return ids


def user_message(event: Event, owner: Owner, product: Product, orders: Orders) -> Message:
    """An event for the `user` channel of its owner."""
    kind = EventType(event.type)
    message: Message = {
        "type": kind.name.lower(),
        "product_id": product.product_id,
        "sequence": event.sequence,
        "time": iso_utc(event.time_ns),
        "user_id": owner.user_id,
        "profile_id": to_uuid(owner.account_id),
    }
    if kind is EventType.MATCH:
        return message | _match(event, owner, product, orders)
    return message | {"order_id": to_uuid(event.order_id)} | _BODIES[kind](event, product, orders)


def balance_message(balance: Balance, account_id: int, asset: Asset, *, updated_ns: int, now_ns: int) -> Message:
    """A balance for the `balance` channel of its owner."""
    return {
        "type": "balance",
        "account_id": account_uuid(account_id, asset.asset_id),
        "currency": asset.asset_id,
        "available": asset.format(balance.available),
        "holds": asset.format(balance.held),
        "updated": iso_utc(updated_ns),
        "timestamp": iso_utc(now_ns),
    }


def _match(event: Event, owner: Owner, product: Product, orders: Orders) -> Message:
    is_maker = event.maker_account_id == owner.account_id
    role, own_id = ("maker", event.maker_order_id) if is_maker else ("taker", event.order_id)
    message: Message = {
        "trade_id": event.trade_id,
        "maker_order_id": to_uuid(event.maker_order_id),
        "taker_order_id": to_uuid(event.order_id),
        "side": SIDES[Side(event.side)],
        "size": product.format_size(event.size),
        "price": product.format_price(event.price),
        f"{role}_user_id": owner.user_id,
        f"{role}_profile_id": to_uuid(owner.account_id),
    }
    order = orders.get(own_id)
    if order is not None:
        rate_ppm = order.maker_ppm if is_maker else order.taker_ppm
        message[f"{role}_fee_rate"] = format_units(rate_ppm, PPM_SCALE)
    return message


def _received(event: Event, product: Product, orders: Orders) -> Message:
    order = orders.get(event.order_id)
    return {
        **_side_and_price(event, product),
        "order_type": OrderType(event.order_type).name.lower(),
        **_size(event.size, event.funds, product),
        **({"client_oid": order.client_oid} if order and order.client_oid else {}),
    }


def _activate(event: Event, product: Product, orders: Orders) -> Message:
    message: Message = {
        "stop_type": StopKind(event.stop).name.lower(),
        "stop_price": product.format_price(event.stop_price),
        "timestamp": iso_utc(event.time_ns),
        "private": True,
    }
    order = orders.get(event.order_id)
    if order is None:
        return message
    return message | {"side": SIDES[order.side]} | _size(order.size_lots, order.funds, product)


def _open(event: Event, product: Product, _orders: Orders) -> Message:
    return _side_and_price(event, product) | {"remaining_size": product.format_size(event.remaining_size)}


def _change(event: Event, product: Product, _orders: Orders) -> Message:
    message = _side_and_price(event, product) | {"reason": ChangeReason(event.reason).name.lower()}
    if event.by_funds:
        message |= {"old_funds": _funds(event.old_funds, product), "new_funds": _funds(event.new_funds, product)}
    else:
        message |= {"old_size": product.format_size(event.old_size), "new_size": product.format_size(event.new_size)}
    if event.new_price:
        message |= {
            "old_price": product.format_price(event.old_price),
            "new_price": product.format_price(event.new_price),
        }
    return message


def _done(event: Event, product: Product, _orders: Orders) -> Message:
    message = _side_and_price(event, product) | {"reason": DoneReason(event.done_reason).name.lower()}
    if not event.by_funds:
        message["remaining_size"] = product.format_size(event.remaining_size)
    if event.reason:
        message["cancel_reason"] = CancelReason(event.reason).name.lower()
    return message


def _rejected(event: Event, _product: Product, _orders: Orders) -> Message:
    return {"command": op_name(event.op), "reason": reason_name(event)}


def _triggered(_event: Event, _product: Product, _orders: Orders) -> Message:
    return {}


def _side_and_price(event: Event, product: Product) -> Message:
    """What most messages about an order have; a market order has no price."""
    body: Message = {"side": SIDES[Side(event.side)]} if event.side else {}
    if event.price:
        body["price"] = product.format_price(event.price)
    return body


def _size(size_lots: int, funds: int, product: Product) -> Message:
    return {"funds": _funds(funds, product)} if funds else {"size": product.format_size(size_lots)}


def _funds(funds: int, product: Product) -> str:
    return product.quote.format(funds * product.units_per_tick_lot)


_BODIES: Final[dict[EventType, Callable[[Event, Product, Orders], Message]]] = {
    EventType.RECEIVED: _received,
    EventType.REJECTED: _rejected,
    EventType.ACTIVATE: _activate,
    EventType.TRIGGERED: _triggered,
    EventType.OPEN: _open,
    EventType.CHANGE: _change,
    EventType.DONE: _done,
}
