"""The acceptance transaction and the switches in DynamoDB, the orders stream, and the queue of the switches."""

import json
from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, bind, cancellation_codes, error_code, outage, reading
from exchange.aws.kinesis import StreamWriter
from exchange.instruments.model import Product
from exchange.kernel.errors import OutcomeUnknownError
from exchange.ledger.model import Balance, customer_account
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.messages import Command, encode_commands
from exchange.orders.model import Order
from exchange.orders.store import OrderItem, OrderStore, order_changes, order_item, still
from exchange.trading.model import Acceptance, Trader, Verdict, holds_of
from exchange.trading.switch import Switch
from exchange.users.store import ApiKeyItem, CustomerItem

_ACTIVE = "active"


def bind_orders(*, orders: str, balances: str) -> None:
    """Tell the items that entering and canceling orders read and write which tables they are here."""
    bind(OrderItem, orders)
    bind(BalanceItem, balances)


class DynamoOrderEntry(OrderStore):
    """Orders with the one transaction that accepts them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._balances = BalanceStore()

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, read consistently."""
        return self._balances.balance(account_id, asset)

    def balances_of(self, account_id: int) -> Sequence[Balance]:
        """Every balance of an account, read consistently."""
        return self._balances.balances(account_id)

    def accept(self, orders: Sequence[Order], product: Product, trader: Trader) -> Verdict:
        """Write orders of one product and their holds, all or none. Each balance is touched once.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        holds = holds_of(orders, product)
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                meanings = _check_trader(transaction, trader)
                for order in orders:
                    transaction.save(order_item(order), condition=OrderItem.order_id.does_not_exist())
                for asset, (units, count) in holds.items():
                    account = customer_account(trader.account_id)
                    _hold(transaction, account, asset, units, count, open_orders_max=product.open_orders_max)
        except TransactWriteError as error:
            failed = _failed(error)
            places = range(len(meanings), len(meanings) + len(orders))
            existing = frozenset(order.order_id for order, place in zip(orders, places, strict=True) if failed[place])
            if existing:
                # An order that exists already is the answer, whatever else has changed since.
                return Verdict(Acceptance.ORDER_EXISTS, existing)
            refused = [Acceptance.BALANCE_REFUSED] * (len(orders) + len(holds))
            return Verdict(_first(failed, [*meanings, *refused]))
        return Verdict(Acceptance.ACCEPTED)

    def amend(self, before: Order, after: Order, product: Product, trader: Trader) -> Acceptance:
        """Write an order with one more amend and what it holds for that, or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        more = after.hold_units - before.hold_units
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                meanings = _check_trader(transaction, trader)
                item = OrderItem(before.order_id)
                transaction.update(item, actions=order_changes(before, after), condition=still(before))
                if more:
                    _hold(transaction, customer_account(before.account_id), before.hold_asset(product), more, 0)
        except TransactWriteError as error:
            return _first(_failed(error), [*meanings, Acceptance.ORDER_MOVED, Acceptance.BALANCE_REFUSED])
        return Acceptance.ACCEPTED


def _check_trader(transaction: TransactWrite, trader: Trader) -> list[Acceptance]:
    """Have customer and key checked inside the transaction; what it means where one fails, in PynamoDB's order.

    PynamoDB sends condition checks first, then puts, then updates; the reasons come back in that order.
    """
    transaction.condition_check(CustomerItem, trader.user_id, condition=CustomerItem.status == _ACTIVE)
    if trader.key_id is None:
        return [Acceptance.CUSTOMER_FROZEN]
    transaction.condition_check(ApiKeyItem, trader.key_id, condition=ApiKeyItem.status == _ACTIVE)
    return [Acceptance.CUSTOMER_FROZEN, Acceptance.KEY_REVOKED]


def _hold(
    transaction: TransactWrite, account: str, asset: str, units: int, count: int, *, open_orders_max: int = 0
) -> None:
    actions: list[Action] = [BalanceItem.available.add(-units), BalanceItem.held.add(units)]
    condition = BalanceItem.available >= units
    if count:
        actions.append(BalanceItem.open_orders.add(count))
        room = BalanceItem.open_orders <= open_orders_max - count
        condition &= room if count > open_orders_max else BalanceItem.open_orders.does_not_exist() | room
    transaction.update(BalanceItem(account, asset), actions=actions, condition=condition)


def _failed(error: TransactWriteError) -> list[bool]:
    """Which items' conditions failed. Raises OutageError where the transaction did not get that far."""
    return [code == "ConditionalCheckFailed" for code in cancellation_codes(error)]


def _first(failed: Sequence[bool], meanings: Sequence[Acceptance]) -> Acceptance:
    """The first item's failure decides, so the same request always earns the same answer; none: a conflict."""
    found = (meaning for fails, meaning in zip(failed, meanings, strict=False) if fails)
    return next(found, Acceptance.CONFLICT)


class KinesisCommandStream:
    """The orders stream: one record a call, partitioned by product."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer

    def send(self, product_id: str, commands: Sequence[Command]) -> None:
        """Put commands of one product on the stream. Raises OutageError."""
        self._writer.put(product_id=product_id, data=encode_commands(product_id, commands))


class SwitchItem(Model):
    """The dead man's switch of one account."""

    class Meta:
        table_name = "switches"

    account_id = UnitsAttribute(hash_key=True)
    deadline_ns = UnitsAttribute(null=True)
    generation = UnitsAttribute(null=True)
    due_ns = UnitsAttribute(null=True)


class SwitchStore:
    """Switches in DynamoDB; the table is bound by the composition."""

    def switch(self, account_id: int) -> Switch:
        """An account's switch, read consistently. Raises UnavailableError."""
        with reading():
            for item in SwitchItem.query(account_id, consistent_read=True):
                return Switch(account_id, item.deadline_ns or 0, item.generation or 0, item.due_ns or 0)
        return Switch(account_id)

    def turn_off(self, account_id: int) -> None:
        """Set no deadline. Raises OutageError."""
        _update(account_id, [SwitchItem.deadline_ns.set(0)], None)

    def move(self, account_id: int, deadline_ns: int, *, due_after_ns: int) -> bool:
        """Move the deadline if a message is under way that rings after a time and not after the deadline."""
        under_way = (SwitchItem.due_ns > due_after_ns) & (SwitchItem.due_ns <= deadline_ns)
        return _update(account_id, [SwitchItem.deadline_ns.set(deadline_ns)], under_way)

    def replace(self, before: Switch, after: Switch) -> bool:
        """Write a switch over what was read; False where it has changed."""
        names = ("deadline_ns", "generation", "due_ns")
        conditions = [getattr(SwitchItem, name) == getattr(before, name) for name in names]
        if not before.generation:
            conditions = [SwitchItem.generation.does_not_exist()]
        actions = [getattr(SwitchItem, name).set(getattr(after, name)) for name in names]
        return _update(before.account_id, actions, reduce(and_, conditions))


def _update(account_id: int, actions: list[Action], condition: Condition | None) -> bool:
    try:
        SwitchItem(account_id).update(actions=actions, condition=condition)
    except UpdateError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise outage(error) from error
    return True


class SqsBells:
    """The queue of the switches. Its client is made with the first message: few requests need one."""

    def __init__(self, client: Callable[[], Any], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring_in(self, account_id: int, generation: int, delay_seconds: int) -> None:
        """Queue a message that comes back after a delay. Raises OutcomeUnknownError; another one does no harm."""
        body = json.dumps({"account_id": account_id, "generation": generation})
        try:
            self._client().send_message(QueueUrl=self._queue_url, MessageBody=body, DelaySeconds=delay_seconds)
        except (ClientError, BotoCoreError) as error:
            raise OutcomeUnknownError(f"the queue of the switches: {error}") from error
