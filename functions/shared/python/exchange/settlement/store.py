"""The settlement transaction in DynamoDB."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

from exchange.aws.dynamodb import TRANSACTION_ITEMS_MAX, UnitsAttribute, cancellation_codes
from exchange.aws.writes import Write, item_of
from exchange.kernel.clock import jittered_pause
from exchange.kernel.errors import UnavailableError, require
from exchange.ledger.model import Head
from exchange.ledger.store import batch_write, movement_write
from exchange.orders.model import Order
from exchange.orders.store import OrderItem, fill_write, order_of, order_write
from exchange.settlement.model import Commit, Cursor, Part

_READ_KEYS_MAX = 100  # DynamoDB's own limit
_READS_MAX = 8


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


@dataclass(frozen=True, slots=True)
class PreparedPart:
    """A part's transaction as DynamoDB takes it: the cursor and the journal's batch, then orders and balances."""

    part: Part
    fills: "Future[bool]"  # whether they are written; not, where somebody has read newer orders
    puts: tuple[Write, ...]
    updates: tuple[Write, ...]


class DynamoSettlementStore:
    """Cursor, orders and the one transaction that moves everything."""

    def __init__(self, connection: Connection, executor: Executor) -> None:
        """The executor reads orders, many requests at once, and writes fills while other things are done."""
        self._connection = connection
        self._executor = executor

    def cursor(self, product_id: str) -> Cursor:
        """How far a product is settled, read consistently."""
        return settlement_cursor(product_id)

    def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
        """Orders by id, read consistently."""
        ids = list(order_ids)
        chunks = [ids[first : first + _READ_KEYS_MAX] for first in range(0, len(ids), _READ_KEYS_MAX)]
        return [order for found in self._executor.map(self._read_orders, chunks) for order in found]

    def _read_orders(self, order_ids: Sequence[int]) -> list[Order]:
        table_name, found = OrderItem.Meta.table_name, []
        asked = {table_name: {"Keys": [item_of({"order_id": each}) for each in order_ids], "ConsistentRead": True}}
        for attempt in range(_READS_MAX):
            try:
                answer = self._connection.dispatch("BatchGetItem", {"RequestItems": asked})
            except (BotoCoreError, ClientError) as error:
                raise UnavailableError(f"DynamoDB: {error}") from error
            found += [order_of(attributes) for attributes in answer.get("Responses", {}).get(table_name, ())]
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                return found
            jittered_pause(attempt)
        raise UnavailableError(f"{table_name} told some orders only, {_READS_MAX} times")

    def prepare(self, part: Part) -> PreparedPart:
        """Begin to write the fills, and make the transaction ready."""
        fills = self._executor.submit(self._put_fills, part)
        puts = [_cursor_write(part), *([batch_write(part.batch)] if part.batch is not None else [])]
        orders = [order_write(before, after) for before, after in part.changed_orders]
        balances = [movement_write(*item, moves) for item, moves in part.movements.by_item().items()]
        return PreparedPart(part, fills, tuple(puts), (*orders, *balances))

    def commit(self, prepared: PreparedPart) -> Commit:
        """Write a part whole or not at all.

        Raises:   InvariantError where a balance would go below zero or an order is gone; OutageError.
        """
        if not prepared.fills.result():
            return Commit.STALE
        try:
            self._connection.transact_write_items([], [], prepared.puts, prepared.updates)
        except TransactWriteError as error:
            return _failed(prepared.part, cancellation_codes(error))
        return Commit.DONE

    def _put_fills(self, part: Part) -> bool:
        """Put fills; again changes nothing. False where somebody has read a newer order. Raises OutageError.

        In a transaction, because the right to BatchWriteItem is the right to delete.
        """
        rows = [fill_write(fill, order_version) for fill, order_version in part.numbered_fills]
        for first in range(0, len(rows), TRANSACTION_ITEMS_MAX):
            try:
                self._connection.transact_write_items([], [], rows[first : first + TRANSACTION_ITEMS_MAX], [])
            except TransactWriteError as error:
                codes = cancellation_codes(error)
                if "ConditionalCheckFailed" in codes:
                    return False
                raise UnavailableError(f"fills were not put: {list(codes)}") from error
        return True


def _cursor_write(part: Part) -> Write:
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
    condition: Condition = CheckpointItem.name.does_not_exist()
    if part.before.sequence:
        condition = (CheckpointItem.sequence == part.before.sequence) & (CheckpointItem.epoch <= after.epoch)
    write: Write = item.get_save_kwargs_from_instance(condition=condition)
    return write


def _failed(part: Part, codes: Sequence[str]) -> Commit:
    # As they were sent: the cursor, the journal's batch, orders, balances.
    first_order = 1 + (part.batch is not None)
    orders = codes[first_order : first_order + len(part.changed_orders)]
    if "ConditionalCheckFailed" in {codes[0], *orders}:
        return Commit.STALE
    if any(code in {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} for code in codes):
        return Commit.CONFLICT
    require(False, f"{part.product_id}: settling up to {part.after.sequence} would break a balance: {list(codes)}")  # noqa: FBT003
    return Commit.CONFLICT
