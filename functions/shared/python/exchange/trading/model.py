"""What the trading API says about orders and fills, and the commands it puts on the stream."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from exchange.instruments.model import Product
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Refused
from exchange.kernel.ids import command_id_for, from_uuid, hex_to_uuid, is_uuid, order_id_for, to_uuid
from exchange.messages import Command, Op, OrderType, SelfTradePrevention, Side, StopKind
from exchange.orders.amends import APPLIED, Amend
from exchange.orders.model import Fill, Liquidity, Order, OrderStatus

CLIENT_OID_PREFIX = "client:"


class Acceptance(Enum):
    """What became of a transaction that accepts orders or an amend."""

    ACCEPTED = auto()
    ORDER_EXISTS = auto()
    ORDER_MOVED = auto()  # it is not as it was read
    CUSTOMER_FROZEN = auto()
    KEY_REVOKED = auto()
    BALANCE_REFUSED = auto()  # too little available, or too many open orders
    CONFLICT = auto()  # somebody else's transaction held an item; nothing happened


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a transaction of orders, and which of them were there before."""

    outcome: Acceptance
    existing: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Trader:
    """Who trades: what the acceptance transaction checks again, so that revocation and freeze bite at once."""

    user_id: str
    account_id: int
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Intent:
    """What a client calls an order ("" where it gave no name) and the fingerprint of what it asked."""

    client_oid: str
    payload_hash: str


def payload_hash(fields: Mapping[str, Any]) -> str:
    """What makes two requests under one client order id the same request."""
    text = json.dumps({name: value for name, value in fields.items() if value is not None}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def order_id_named(account_id: int, name: str) -> int | None:
    """The order a path names: our UUID, or `client:` and the client's own id. None where it can be neither."""
    if name.startswith(CLIENT_OID_PREFIX):
        client_oid = name.removeprefix(CLIENT_OID_PREFIX)
        return order_id_for(account_id, client_oid) if client_oid else None
    if not is_uuid(name):
        return None
    return from_uuid(name) or 0


def place_command(order: Order) -> Command:
    """The command that places an order: a function of the order alone, so the sweeper sends the very same."""
    return Command(
        op=Op.PLACE,
        command_id=command_id_for("place", order.order_id),
        order_id=order.order_id,
        account_id=order.account_id,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        stop=order.stop,
        self_trade_prevention=order.self_trade_prevention,
        post_only=order.post_only,
        price=order.price_ticks,
        size=order.size_lots,
        funds=order.funds,
        stop_price=order.stop_price_ticks,
        cap_price=order.cap_ticks,
        expire_time_ns=order.expire_time_ns,
        oco_order_id=order.oco_order_id,
        trail_amount=order.trail_ticks,
        display_size=order.display_lots,
    )


def amend_command(order: Order, amend: Amend) -> Command:
    """The command that amends an order: a function of what is stored, so the sweeper sends the very same."""
    return Command(
        op=Op.AMEND,
        command_id=bytes.fromhex(amend.amend_id),
        order_id=order.order_id,
        account_id=order.account_id,
        size=amend.size_lots,
        price=amend.price_ticks,
        expire_time_ns=amend.valid_until_ns,
    )


def cancel_commands(order: Order, request_id: str) -> list[Command]:
    """The commands that cancel an order. Each request has names of its own: an early one must not hide a later.

    A pending order may not be on the stream yet: then the door is closed on it first, so that its place, whenever it
    comes, is too late.
    """
    closing = [close_command(order, request_id)] if order.status is OrderStatus.PENDING else []
    return [*closing, _cancel_command(order, request_id)]


def close_command(order: Order, request_id: str) -> Command:
    """The command that ends an order which the engine has not seen, and changes nothing for one that it has."""
    return Command(
        op=Op.CANCEL_IF_UNSEEN,
        command_id=command_id_for("close", order.order_id, request_id),
        order_id=order.order_id,
        account_id=order.account_id,
    )


def _cancel_command(order: Order, request_id: str) -> Command:
    return Command(
        op=Op.CANCEL,
        command_id=command_id_for("cancel", order.order_id, request_id),
        order_id=order.order_id,
        account_id=order.account_id,
    )


def cancel_all_command(account_id: int, request_id: str) -> Command:
    """The command that cancels all that an account has in one product."""
    return Command(
        op=Op.CANCEL_ALL, command_id=command_id_for("cancel_all", account_id, request_id), account_id=account_id
    )


def order_json(order: Order, product: Product) -> dict[str, Any]:
    """An order as the trading API shows it; what doesn't apply is absent."""
    shown: dict[str, Any] = {
        "id": to_uuid(order.order_id),
        "product_id": order.product_id,
        "profile_id": to_uuid(order.account_id),
        "side": Side(order.side).name.lower(),
        "type": OrderType(order.order_type).name.lower(),
        "post_only": order.post_only,
        "created_at": iso_utc(order.created_at_ns),
        "status": order.status.value,
        "settled": order.status in {OrderStatus.DONE, OrderStatus.REJECTED},
        "filled_size": product.format_size(order.filled_lots),
        "executed_value": product.quote.format(order.executed_value_units),
        "fill_fees": product.quote.format(order.fees_charged_units),
        "stp": SelfTradePrevention(order.self_trade_prevention).name.lower(),
    }
    shown |= _asked_json(order, product)
    if order.order_type is OrderType.LIMIT:
        shown["time_in_force"] = order.time_in_force.name
    if order.expire_time_ns:
        shown["expire_time"] = iso_utc(order.expire_time_ns)
    if order.done_at_ns:
        shown["done_at"] = iso_utc(order.done_at_ns)
    for name in ("done_reason", "cancel_reason", "reject_reason", "client_oid"):
        if getattr(order, name):
            shown[name] = getattr(order, name)
    if order.amends:
        shown["amends"] = [_amend_json(amend, product) for amend in order.amends]
    return shown


def _amend_json(amend: Amend, product: Product) -> dict[str, str]:
    """One of the last amends of an order: what was asked, and what its market said."""
    shown = {
        "id": hex_to_uuid(amend.amend_id),
        "created_at": iso_utc(amend.asked_at_ns),
        "size": product.format_size(amend.size_lots),
        "status": "pending" if amend.waits else "done" if amend.answer == APPLIED else "rejected",
    }
    if amend.price_ticks:
        shown["price"] = product.format_price(amend.price_ticks)
    if shown["status"] == "rejected":
        shown["reject_reason"] = amend.answer
    return shown


def _asked_json(order: Order, product: Product) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if order.price_ticks:
        asked["price"] = product.format_price(order.price_ticks)
    if order.size_lots:
        asked["size"] = product.format_size(order.size_lots)
        asked["remaining_size"] = product.format_size(order.remaining_lots if order.live else 0)
    if order.funds:
        asked["funds"] = product.quote.format(order.funds * product.units_per_tick_lot)
        asked["specified_funds"] = product.quote.format(order.specified_funds_units)
    if order.stop is not StopKind.NONE:
        asked["stop"] = order.stop.name.lower()
        asked["stop_price"] = product.format_price(order.stop_price_ticks)
    if order.trail_ticks:
        asked["trail_amount"] = product.format_price(order.trail_ticks)
    if order.display_lots:
        asked["display_size"] = product.format_size(order.display_lots)
    if order.oco_order_id:
        asked["oco_order_id"] = to_uuid(order.oco_order_id)
    return asked


def refusal_json(refused: Refused, client_oid: str | None) -> dict[str, str]:
    """An order of a batch that was refused. It stands in a 200, and so has no `message`."""
    named = {"client_oid": client_oid} if client_oid else {}
    return {**named, "status": "rejected", "reject_reason": refused.message, "code": refused.code.value}


def trial_json(order: Order, product: Product) -> dict[str, Any]:
    """What a dry run would have placed, and what it would hold."""
    asset = product.quote if order.side is Side.BUY else product.base
    shown = order_json(order, product)
    return {**shown, "hold": asset.format(order.hold_units), "hold_currency": asset.asset_id}


def fill_json(fill: Fill, product: Product) -> dict[str, Any]:
    """A fill as the trading API shows it: the account's own side of a trade."""
    return {
        "trade_id": fill.trade_id,
        "order_id": to_uuid(fill.order_id),
        "product_id": fill.product_id,
        "profile_id": to_uuid(fill.account_id),
        "price": product.format_price(fill.price_ticks),
        "size": product.format_size(fill.size_lots),
        "fee": product.quote.format(fill.fee_units),
        "side": fill.side.name.lower(),
        "liquidity": Liquidity(fill.liquidity).value,
        "settled": True,
        "usd_volume": product.quote.format(fill.value_units) if product.quote.asset_id == "USD" else "",
        "created_at": iso_utc(fill.created_at_ns),
        **({"busted_at": iso_utc(fill.busted_at_ns)} if fill.busted_at_ns else {}),
    }


def holds_of(orders: Sequence[Order], product: Product) -> Mapping[str, tuple[int, int]]:
    """What orders hold together and how many they are, by asset."""
    sums: dict[str, tuple[int, int]] = {}
    for order in orders:
        units, count = sums.get(order.hold_asset(product), (0, 0))
        sums[order.hold_asset(product)] = units + order.hold_units, count + 1
    return sums
