"""The acceptance transaction in DynamoDB, and the orders stream."""

from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import bind, cancellation_codes
from exchange.aws.kinesis import StreamWriter
from exchange.instruments.model import Product
from exchange.ledger.model import Balance, customer_account
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.messages import Command, encode_commands
from exchange.orders.model import Order
from exchange.orders.store import FillItem, OrderItem, OrderStore, order_changes, order_item, still
from exchange.trading.model import Acceptance, Trader, Verdict, holds_of
from exchange.users.store import ApiKeyItem, CustomerItem

_ACTIVE = "active"


def bind_order_entry(*, orders: str, fills: str, balances: str) -> None:
    """Tell the items that order entry writes and reads which tables they are here."""
    bind(OrderItem, orders)
    bind(FillItem, fills)
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
