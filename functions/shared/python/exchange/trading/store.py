"""The acceptance transaction in DynamoDB, and the orders stream."""

from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import bind, cancellation_codes
from exchange.aws.kinesis import StreamWriter
from exchange.instruments.model import Product
from exchange.ledger.model import Balance, customer_account
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.messages import Command, encode_commands
from exchange.orders.model import Order
from exchange.orders.store import FillItem, OrderItem, OrderStore, order_item
from exchange.trading.model import Acceptance, Trader
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

    def accept(self, order: Order, product: Product, trader: Trader) -> Acceptance:
        """Write the order and its hold whole or not at all.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        # PynamoDB sends condition checks first, then puts, then updates; the reasons come back in that order.
        meanings = [Acceptance.CUSTOMER_FROZEN]
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction.condition_check(CustomerItem, trader.user_id, condition=CustomerItem.status == _ACTIVE)
                if trader.key_id is not None:
                    transaction.condition_check(ApiKeyItem, trader.key_id, condition=ApiKeyItem.status == _ACTIVE)
                    meanings.append(Acceptance.KEY_REVOKED)
                transaction.save(order_item(order), condition=OrderItem.order_id.does_not_exist())
                _hold(transaction, order, product)
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            return _meaning(codes, [*meanings, Acceptance.ORDER_EXISTS, Acceptance.BALANCE_REFUSED])
        return Acceptance.ACCEPTED


def _hold(transaction: TransactWrite, order: Order, product: Product) -> None:
    item = BalanceItem(customer_account(order.account_id), order.hold_asset(product))
    room = BalanceItem.open_orders < product.open_orders_max
    transaction.update(
        item,
        actions=[
            BalanceItem.available.add(-order.hold_units),
            BalanceItem.held.add(order.hold_units),
            BalanceItem.open_orders.add(1),
        ],
        condition=(BalanceItem.available >= order.hold_units) & (BalanceItem.open_orders.does_not_exist() | room),
    )


def _meaning(codes: Sequence[str], meanings: Sequence[Acceptance]) -> Acceptance:
    """The first item's failure decides, so the same request always earns the same answer."""
    first: Acceptance | None = None
    for code, meaning in zip(codes, meanings, strict=True):
        if code == "ConditionalCheckFailed":
            # An order that exists already is the answer, whatever else has changed since.
            if meaning is Acceptance.ORDER_EXISTS:
                return meaning
            first = first or meaning
    return first or Acceptance.CONFLICT


class KinesisCommandStream:
    """The orders stream: one record a call, partitioned by product."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer

    def send(self, product_id: str, commands: Sequence[Command]) -> None:
        """Put commands of one product on the stream. Raises OutageError."""
        self._writer.put(product_id=product_id, data=encode_commands(product_id, commands))
