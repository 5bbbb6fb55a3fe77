"""The acceptance transaction and the switches in DynamoDB, the orders stream, and the queue of the switches."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import and_
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import (
    TRANSACTION_ITEMS_MAX,
    UnitsAttribute,
    bind,
    cancellation_codes,
    error_code,
    outage,
    reading,
)
from exchange.aws.kinesis import StreamWriter
from exchange.instruments.model import Product
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import OutcomeUnknownError
from exchange.kernel.recent import Recent
from exchange.ledger.model import (
    DEBIT_PLACES_MAX,
    Balance,
    Movement,
    Movements,
    asset_and_product,
    customer_account,
    sub_balance,
)
from exchange.ledger.store import BalanceItem, BalanceStore, movement_expression, number_name
from exchange.messages import Command, encode_commands
from exchange.orders.model import Order
from exchange.orders.store import OrderItem, OrderStore, order_changes, order_item, still
from exchange.trading.model import Acceptance, Trader, Verdict, holds_of
from exchange.trading.switch import Switch
from exchange.users.store import ApiKeyItem, CustomerItem

_ACTIVE = "active"
# Where an account's money lies is remembered so long, of so many accounts and assets.
_SPLIT_AGE_NS_MAX = 60_000_000_000
_SPLITS_MAX = 20_000


def bind_orders(*, orders: str, balances: str) -> None:
    """Tell the items that entering and canceling orders read and write which tables they are here."""
    bind(OrderItem, orders)
    bind(BalanceItem, balances)


class DynamoOrderEntry(OrderStore):
    """Orders with the one transaction that accepts them.

    Where an account's money lies is remembered from its last order here, so the next one need not ask. The conditions
    guard, and what they refuse is tried again with what is read then.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._balances = BalanceStore()
        self._splits: Recent[tuple[str, str], dict[str, int]] = Recent(
            SystemClock(), age_max_ns=_SPLIT_AGE_NS_MAX, entries_max=_SPLITS_MAX
        )

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
        account = customer_account(trader.account_id)
        holds = holds_of(orders, product)
        # What the transaction has room for besides the customer, the key and the orders.
        places_max = (TRANSACTION_ITEMS_MAX - 2 - len(orders)) // max(len(holds), 1)
        while True:
            remembered = self._remembers(account, holds)
            movements = Movements()
            for asset, (units, count) in holds.items():
                place = sub_balance(asset, product.product_id)
                self._hold(movements, account, place, units, places_max=places_max).open_orders += count
            verdict = self._accept(orders, movements, product.open_orders_max, trader)
            if verdict.outcome is not Acceptance.BALANCE_REFUSED or not remembered:
                return verdict

    def _accept(self, orders: Sequence[Order], movements: Movements, open_orders_max: int, trader: Trader) -> Verdict:
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                meanings = _check_trader(transaction, trader)
                for order in orders:
                    transaction.save(order_item(order), condition=OrderItem.order_id.does_not_exist())
                _move(transaction, movements, open_orders_max=open_orders_max)
        except TransactWriteError as error:
            failed = _failed(error)
            places = range(len(meanings), len(meanings) + len(orders))
            existing = frozenset(order.order_id for order, place in zip(orders, places, strict=True) if failed[place])
            if existing:
                # An order that exists already is the answer, whatever else has changed since.
                return Verdict(Acceptance.ORDER_EXISTS, existing)
            refused = [Acceptance.BALANCE_REFUSED] * (len(orders) + len(movements.by_balance))
            return Verdict(self._judge(_first(failed, [*meanings, *refused]), movements))
        return Verdict(self._judge(Acceptance.ACCEPTED, movements))

    def amend(self, before: Order, after: Order, product: Product, trader: Trader) -> Acceptance:
        """Write an order with one more amend and what it holds for that, or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        account, asset = customer_account(before.account_id), before.hold_asset(product)
        more = after.hold_units - before.hold_units
        while True:
            remembered = self._remembers(account, [asset])
            movements = Movements()
            if more:
                self._hold(movements, account, sub_balance(asset, before.hold_product), more)
            outcome = self._amend(before, after, movements, trader)
            if outcome is not Acceptance.BALANCE_REFUSED or not remembered:
                return outcome

    def _amend(self, before: Order, after: Order, movements: Movements, trader: Trader) -> Acceptance:
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                meanings = _check_trader(transaction, trader)
                item = OrderItem(before.order_id)
                transaction.update(item, actions=order_changes(before, after), condition=still(before))
                _move(transaction, movements)
        except TransactWriteError as error:
            refused = [Acceptance.BALANCE_REFUSED] * len(movements.by_balance)
            return self._judge(_first(_failed(error), [*meanings, Acceptance.ORDER_MOVED, *refused]), movements)
        return self._judge(Acceptance.ACCEPTED, movements)

    def _hold(
        self, movements: Movements, account: str, place: str, units: int, *, places_max: int = DEBIT_PLACES_MAX
    ) -> Movement:
        asset, _ = asset_and_product(place)
        split = self._splits.get((account, asset)) or {}
        if sum(split.values()) < units:
            split = self._balances.split(account, asset)
            self._splits.put((account, asset), split)
        movement = movements.debit(account, place, units, split, places_max=places_max)
        movement.held += units
        return movement

    def _remembers(self, account: str, assets: Iterable[str]) -> bool:
        return any(self._splits.get((account, asset)) for asset in assets)

    def _judge(self, outcome: Acceptance, movements: Movements) -> Acceptance:
        """The outcome, with what it says of where the account's money lies now."""
        for (account, place), movement in movements.by_balance.items():
            key = account, asset_and_product(place)[0]
            split = self._splits.get(key)
            if outcome is Acceptance.ACCEPTED and split is not None:
                self._splits.put(key, {**split, place: split.get(place, 0) + movement.available})
            elif outcome is Acceptance.BALANCE_REFUSED:
                self._splits.put(key, {})
        return outcome


def _check_trader(transaction: TransactWrite, trader: Trader) -> list[Acceptance]:
    """Have customer and key checked inside the transaction; what it means where one fails, in PynamoDB's order.

    PynamoDB sends condition checks first, then puts, then updates; the reasons come back in that order.
    """
    transaction.condition_check(CustomerItem, trader.user_id, condition=CustomerItem.status == _ACTIVE)
    if trader.key_id is None:
        return [Acceptance.CUSTOMER_FROZEN]
    transaction.condition_check(ApiKeyItem, trader.key_id, condition=ApiKeyItem.status == _ACTIVE)
    return [Acceptance.CUSTOMER_FROZEN, Acceptance.KEY_REVOKED]


def _move(transaction: TransactWrite, movements: Movements, *, open_orders_max: int = 0) -> None:
    for (account, key), by_asset in movements.by_item().items():
        actions, condition = movement_expression(account, key, by_asset)
        for asset, movement in by_asset.items():
            count, open_orders = movement.open_orders, Path([number_name(key, asset, "open_orders")])
            if count:
                room = open_orders <= open_orders_max - count
                fits = room if count > open_orders_max else open_orders.does_not_exist() | room
                condition = fits if condition is None else condition & fits
        transaction.update(BalanceItem(account, key), actions=actions, condition=condition)


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
