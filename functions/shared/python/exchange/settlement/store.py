"""The settlement transaction in DynamoDB."""

from collections.abc import Iterable, Sequence

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes
from exchange.kernel.errors import require
from exchange.ledger.model import Head
from exchange.ledger.store import append_batch, move_balances
from exchange.orders.model import Order
from exchange.orders.store import OrderItem, OrderStore, fill_item, order_changes, still
from exchange.settlement.model import Commit, Cursor, Part


class CheckpointItem(Model):
    """How far a consumer of the executions stream has come in one product."""

    class Meta:
        table_name = "checkpoints"

    name = UnicodeAttribute(hash_key=True)
    sequence = UnitsAttribute()
    hash_sequence = UnitsAttribute()
    hash = BinaryAttribute(legacy_encoding=False)
    epoch = UnitsAttribute()
    journal_batch = UnitsAttribute()
    journal_hash = BinaryAttribute(legacy_encoding=False)
    paused_reason = UnicodeAttribute(null=True)


def checkpoint_name(product_id: str) -> str:
    """The key of a product's settlement cursor."""
    return f"settlement:{product_id}"


def settlement_cursor(product_id: str) -> Cursor:
    """How far a product is settled, read consistently."""
    for item in CheckpointItem.query(checkpoint_name(product_id), consistent_read=True):
        head = Head(item.journal_batch, item.journal_hash)
        return Cursor(item.sequence, item.hash_sequence, item.hash, item.epoch, head)
    return Cursor.start(product_id)


class DynamoSettlementStore:
    """Cursor, orders and the one transaction that moves everything."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders = OrderStore()

    def cursor(self, product_id: str) -> Cursor:
        """How far a product is settled, read consistently."""
        return settlement_cursor(product_id)

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id, read consistently."""
        return self._orders.orders(order_ids)

    def commit(self, part: Part) -> Commit:
        """Write a part whole or not at all.

        Raises:   InvariantError where a balance would go below zero or an order is gone; OutageError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                _step_cursor(transaction, part)
                if part.batch is not None:
                    append_batch(transaction, part.batch)
                for fill in part.fills:
                    transaction.save(fill_item(fill))
                _change_orders(transaction, part)
                move_balances(transaction, part.movements)
        except TransactWriteError as error:
            return _failed(part, cancellation_codes(error))
        return Commit.DONE


def _step_cursor(transaction: TransactWrite, part: Part) -> None:
    after = part.after
    item = CheckpointItem(
        name=checkpoint_name(part.product_id),
        sequence=after.sequence,
        hash_sequence=after.hash_sequence,
        hash=after.hash,
        epoch=after.epoch,
        journal_batch=after.head.number,
        journal_hash=after.head.hash,
    )
    if part.before.sequence == 0:
        transaction.save(item, condition=CheckpointItem.name.does_not_exist())
    else:
        same = CheckpointItem.sequence == part.before.sequence
        transaction.save(item, condition=same & (CheckpointItem.epoch <= after.epoch))


def _change_orders(transaction: TransactWrite, part: Part) -> None:
    for before, after in part.changed_orders:
        actions = order_changes(before, after)
        transaction.update(OrderItem(before.order_id), actions=actions, condition=still(before))


def _failed(part: Part, codes: Sequence[str]) -> Commit:
    # PynamoDB sends puts first, in the order they were saved (cursor, journal, fills), then updates: orders, balances.
    first_order = 1 + (part.batch is not None) + len(part.fills)
    orders = codes[first_order : first_order + len(part.changed_orders)]
    if "ConditionalCheckFailed" in {codes[0], *orders}:
        return Commit.STALE
    if any(code in {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} for code in codes):
        return Commit.CONFLICT
    require(False, f"{part.product_id}: settling up to {part.after.sequence} would break a balance: {list(codes)}")  # noqa: FBT003
    return Commit.CONFLICT
