"""Orders and fills in DynamoDB.

An order's key is its id, which is a function of account and client order id: putting it is the idempotency. The sparse
indexes hold only keys: `by_account` never changes, `open_by_account` and `pending` lose the order as it moves on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import OftenRead, UnitsAttribute, reading
from exchange.aws.writes import Is, Value, Write, item_of, update_write
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.orders.amends import amends_text, parse_amends
from exchange.orders.model import Fill, Liquidity, Order, OrderStatus, created_key

PENDING_BUCKETS = 4


class ByAccountIndex(GlobalSecondaryIndex[Any]):
    """Every order of an account, by creation."""

    class Meta:
        index_name = "by_account"
        projection = KeysOnlyProjection()

    account_id = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class OpenByAccountIndex(GlobalSecondaryIndex[Any]):
    """The live orders of an account, by creation."""

    class Meta:
        index_name = "open_by_account"
        projection = KeysOnlyProjection()

    open_account_id = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class PendingIndex(GlobalSecondaryIndex[Any]):
    """Orders of which something waits for its market's answer, by creation: what the sweeper looks at."""

    class Meta:
        index_name = "pending"
        projection = KeysOnlyProjection()

    pending_bucket = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class OrderItem(OftenRead, Model):
    """One order; zero and empty attributes are left out."""

    class Meta:
        table_name = "orders"

    order_id = UnitsAttribute(hash_key=True)
    account_id = UnitsAttribute()
    created_key = UnicodeAttribute()
    open_account_id = UnitsAttribute(null=True)
    pending_bucket = UnitsAttribute(null=True)
    product_id = UnicodeAttribute()
    side = UnitsAttribute()
    order_type = UnitsAttribute()
    created_at_ns = UnitsAttribute()
    maker_ppm = UnitsAttribute()
    taker_ppm = UnitsAttribute()
    client_oid = UnicodeAttribute(null=True)
    payload_hash = UnicodeAttribute(null=True)
    price_ticks = UnitsAttribute(null=True)
    size_lots = UnitsAttribute(null=True)
    funds = UnitsAttribute(null=True)
    specified_funds_units = UnitsAttribute(null=True)
    time_in_force = UnitsAttribute()
    expire_time_ns = UnitsAttribute(null=True)
    post_only = UnitsAttribute(null=True)
    stop = UnitsAttribute(null=True)
    stop_price_ticks = UnitsAttribute(null=True)
    cap_ticks = UnitsAttribute(null=True)
    trail_ticks = UnitsAttribute(null=True)
    display_lots = UnitsAttribute(null=True)
    oco_order_id = UnitsAttribute(null=True)
    self_trade_prevention = UnitsAttribute()
    status = UnicodeAttribute()
    remaining_lots = UnitsAttribute(null=True)
    remaining_funds = UnitsAttribute(null=True)
    filled_lots = UnitsAttribute(null=True)
    executed_value_units = UnitsAttribute(null=True)
    fee_numerator = UnitsAttribute(null=True)
    fees_charged_units = UnitsAttribute(null=True)
    hold_units = UnitsAttribute(null=True)
    first_trade_id = UnitsAttribute(null=True)
    last_trade_id = UnitsAttribute(null=True)
    done_at_ns = UnitsAttribute(null=True)
    done_reason = UnicodeAttribute(null=True)
    cancel_reason = UnicodeAttribute(null=True)
    reject_reason = UnicodeAttribute(null=True)
    amends = UnicodeAttribute(null=True)
    held_apart = UnitsAttribute(null=True)
    version = UnitsAttribute(null=True)

    by_account = ByAccountIndex()
    open_by_account = OpenByAccountIndex()
    pending = PendingIndex()


class FillItem(Model):
    """One side of one trade, keyed so that an account's fills in a product are in the order of their trade ids."""

    class Meta:
        table_name = "fills"

    account_id = UnitsAttribute(hash_key=True)
    fill_key = UnicodeAttribute(range_key=True)
    order_id = UnitsAttribute()
    product_id = UnicodeAttribute()
    trade_id = UnitsAttribute()
    side = UnitsAttribute()
    liquidity = UnicodeAttribute()
    price_ticks = UnitsAttribute()
    size_lots = UnitsAttribute()
    value_units = UnitsAttribute()
    fee_units = UnitsAttribute()
    created_at_ns = UnitsAttribute()
    order_version = UnitsAttribute(null=True)
    busted_at_ns = UnitsAttribute(null=True)


_ENUMS: dict[str, Any] = {
    "side": Side,
    "order_type": OrderType,
    "time_in_force": TimeInForce,
    "stop": StopKind,
    "self_trade_prevention": SelfTradePrevention,
    "status": OrderStatus,
    "post_only": bool,
    "held_apart": bool,
    "amends": parse_amends,
}
_FIELDS = tuple(field.name for field in fields(Order))
_FILL_FIELDS = tuple(field.name for field in fields(Fill))
# What can change after acceptance, and so what an update writes.
_CHANGING = (
    "price_ticks",
    "size_lots",
    "status",
    "remaining_lots",
    "remaining_funds",
    "filled_lots",
    "executed_value_units",
    "fee_numerator",
    "fees_charged_units",
    "hold_units",
    "first_trade_id",
    "last_trade_id",
    "done_at_ns",
    "done_reason",
    "cancel_reason",
    "reject_reason",
    "amends",
    "version",
)


def order_item(order: Order) -> OrderItem:
    """The item of a new order."""
    plain = {name: _plain(getattr(order, name)) for name in _FIELDS}
    item = OrderItem(**{name: value for name, value in plain.items() if value not in (0, "")})
    item.order_id, item.account_id, item.created_key = order.order_id, order.account_id, created_key(order)
    item.maker_ppm, item.taker_ppm = order.maker_ppm, order.taker_ppm
    item.open_account_id = order.account_id if order.live else None
    item.pending_bucket = order.order_id % PENDING_BUCKETS if order.unanswered else None
    return item


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return amends_text(value)
    return str(value) if isinstance(value, str) else int(value)


def order_from(item: OrderItem) -> Order:
    """The order an item stands for."""
    values: dict[str, Any] = {}
    for name in _FIELDS:
        value = item.attribute_values.get(name)
        if value is not None:
            values[name] = _ENUMS[name](value) if name in _ENUMS else value
    return Order(**values)


def order_of(attributes: Mapping[str, Mapping[str, str]]) -> Order:
    """The order that an item's attributes, as DynamoDB sends them, stand for."""
    values: dict[str, Any] = {}
    for name in _FIELDS:
        typed = attributes.get(name)
        if typed is not None:
            plain: Any = int(typed["N"]) if "N" in typed else typed["S"]
            values[name] = _ENUMS[name](plain) if name in _ENUMS else plain
    return Order(**values)


def order_changes(before: Order, after: Order) -> list[Action]:
    """The update that takes an order's item from one state to the next; none where nothing has changed."""
    actions: list[Action] = []
    for name, value in _changes(before, after).items():
        attribute: Any = getattr(OrderItem, name)
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return actions


def order_write(before: Order, after: Order) -> Write:
    """The same update under the condition that the item is `still` as it was read, for a transaction of many."""
    version = ("version", Is.EQUAL, before.version) if before.version else ("version", Is.ABSENT, 0)
    return update_write(
        OrderItem.Meta.table_name,
        {"order_id": before.order_id},
        sets=_changes(before, after),
        conditions=[("order_id", Is.THERE, 0), version],
    )


def _changes(before: Order, after: Order) -> dict[str, Value | None]:
    """What changes of an order's item; None where an attribute goes."""
    changes: dict[str, Value | None] = {}
    for name in _CHANGING:
        value = getattr(after, name)
        if getattr(before, name) != value:
            plain = _plain(value)
            changes[name] = None if plain in (0, "") else plain
    if before.live and not after.live:
        changes["open_account_id"] = None
    if before.unanswered != after.unanswered:
        changes["pending_bucket"] = after.order_id % PENDING_BUCKETS if after.unanswered else None
    return changes


def still(order: Order) -> Condition:
    """That an order's item is as it was read."""
    # An item that is not there has no version either, and an update would make one.
    same: Condition = (
        OrderItem.version == order.version
        if order.version
        else OrderItem.order_id.exists() & OrderItem.version.does_not_exist()
    )
    return same


def fill_key(product_id: str, trade_id: int) -> str:
    """The sort key of a fill."""
    return f"{product_id}#{trade_id:016d}"


def fill_from(item: FillItem) -> Fill:
    """The fill an item stands for."""
    return Fill(
        account_id=item.account_id,
        order_id=item.order_id,
        product_id=item.product_id,
        trade_id=item.trade_id,
        side=Side(item.side),
        liquidity=Liquidity(item.liquidity),
        price_ticks=item.price_ticks,
        size_lots=item.size_lots,
        value_units=item.value_units,
        fee_units=item.fee_units,
        created_at_ns=item.created_at_ns,
        busted_at_ns=item.busted_at_ns or 0,
    )


def fill_write(fill: Fill, order_version: int) -> Write:
    """The put of a fill that was reckoned from a version of its order; refused where a newer one was used before."""
    return {
        "TableName": FillItem.Meta.table_name,
        "Item": fill_attributes(fill) | item_of({"order_version": order_version}),
        "ConditionExpression": (
            "attribute_not_exists(#version) OR (#version <= :version AND attribute_not_exists(#busted))"
        ),
        "ExpressionAttributeNames": {"#version": "order_version", "#busted": "busted_at_ns"},
        "ExpressionAttributeValues": item_of({":version": order_version}),
    }


def fill_attributes(fill: Fill) -> dict[str, Any]:
    """The attributes of a fill's item as DynamoDB takes them."""
    values = {name: getattr(fill, name) for name in _FILL_FIELDS if name != "busted_at_ns"}
    values["fill_key"] = f"{fill_key(fill.product_id, fill.trade_id)}#{int(fill.side)}"
    return item_of(values)


def mark_busted(
    transaction: TransactWrite, account_id: int, product_id: str, trade_id: int, side: Side, *, at_ns: int
) -> None:
    """Add to a transaction that one side's fill is undone; it fails whole where it is already."""
    fill = FillItem(account_id, f"{fill_key(product_id, trade_id)}#{int(side)}")
    once = FillItem.order_id.exists() & FillItem.busted_at_ns.does_not_exist()
    transaction.update(fill, actions=[FillItem.busted_at_ns.set(at_ns)], condition=once)


class OrderStore:
    """Reads of orders and fills; single orders are read consistently. Each raises UnavailableError."""

    def order(self, order_id: int) -> Order | None:
        """One order by id."""
        found = self.orders([order_id])
        return found[0] if found else None

    def orders(self, order_ids: Iterable[int]) -> list[Order]:
        """Orders by id, in the order asked; unknown ids are left out."""
        wanted = list(dict.fromkeys(order_ids))
        with reading():
            items = list(OrderItem.batch_get(wanted, consistent_read=True))
        found = {item.order_id: order_from(item) for item in items}
        return [found[order_id] for order_id in wanted if order_id in found]

    def list_orders(
        self,
        account_id: int,
        *,
        live_only: bool,
        before_key: str | None,
        limit: int,
        after_key: str | None = None,
        oldest_first: bool = False,
    ) -> list[Order]:
        """An account's orders, newest first unless said otherwise, older than `before_key`, newer than `after_key`."""
        index: Any = OrderItem.open_by_account if live_only else OrderItem.by_account
        # BETWEEN takes its bounds in: step past the one, and just short of the other.
        low = f"{after_key}~" if after_key else "0"
        high = f"{before_key[:-1]}{chr(ord(before_key[-1]) - 1)}~" if before_key else "~"
        if low > high:
            return []
        condition = OrderItem.created_key.between(low, high)
        with reading():
            items = index.query(account_id, condition, scan_index_forward=oldest_first, limit=limit)
            ids = [item.order_id for item in items]
        return self.orders(ids)

    def pending_since(self, before_ns: int, *, limit: int) -> list[Order]:
        """Orders accepted before a time of which something waits for an answer, oldest first in each bucket."""
        ids: list[int] = []
        for bucket in range(PENDING_BUCKETS):
            older = OrderItem.created_key < f"{before_ns:020d}"
            with reading():
                ids += [item.order_id for item in OrderItem.pending.query(bucket, older, limit=limit)]
        return [order for order in self.orders(ids) if order.unanswered]

    def orders_of_trades(
        self, account_id: int, trades: Iterable[tuple[str, int, bool]]
    ) -> dict[tuple[str, int, bool], int]:
        """The ids of the account's orders that took part in trades, by (product, trade id, whether it bought)."""
        keys = {
            f"{fill_key(product_id, trade_id)}#{int(Side.BUY if bought else Side.SELL)}": (product_id, trade_id, bought)
            for product_id, trade_id, bought in trades
        }
        with reading():
            items = list(FillItem.batch_get([(account_id, key) for key in keys], consistent_read=True))
        return {keys[item.fill_key]: item.order_id for item in items}

    def fills(
        self,
        account_id: int,
        product_id: str,
        *,
        before_trade: int | None,
        first_trade: int,
        limit: int,
        oldest_first: bool = False,
    ) -> Sequence[Fill]:
        """An account's fills in a product within [first_trade, before_trade), by falling trade id or by rising."""
        low = fill_key(product_id, first_trade)
        high = fill_key(product_id, before_trade) if before_trade is not None else f"{product_id}$"
        with reading():
            items = list(
                FillItem.query(
                    account_id,
                    FillItem.fill_key.between(low, high),
                    consistent_read=True,
                    scan_index_forward=oldest_first,
                    limit=limit,
                )
            )
        return [fill_from(item) for item in items]
