"""Journal and balances in DynamoDB. Everything here is written inside somebody's transaction."""

from collections.abc import Iterable

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, reading
from exchange.ledger.model import (
    Balance,
    Batch,
    Head,
    Movement,
    Movements,
    customer_account,
    may_be_negative,
    may_be_positive,
    parse_entries,
    receivable_account,
)


class JournalItem(Model):
    """One batch. Put once, inside a transaction, never updated or deleted: IAM sees to it."""

    class Meta:
        table_name = "journal"

    partition = UnicodeAttribute(hash_key=True)
    batch = UnitsAttribute(range_key=True)
    previous_hash = BinaryAttribute(legacy_encoding=False)
    hash = BinaryAttribute(legacy_encoding=False)
    posted_at_ns = UnitsAttribute()
    reference = UnicodeAttribute()
    entries = UnicodeAttribute()


class BalanceItem(Model):
    """What one account owns of one asset."""

    class Meta:
        table_name = "balances"

    account = UnicodeAttribute(hash_key=True)
    asset = UnicodeAttribute(range_key=True)
    available = UnitsAttribute(default=0)
    held = UnitsAttribute(default=0)
    open_orders = UnitsAttribute(default=0)


def append_batch(transaction: TransactWrite, batch: Batch) -> None:
    """Add a batch to a transaction; it fails whole if that number is taken."""
    item = JournalItem(
        partition=batch.partition,
        batch=batch.number,
        previous_hash=batch.previous_hash,
        hash=batch.hash(),
        posted_at_ns=batch.posted_at_ns,
        reference=batch.reference,
        entries=batch.entries_text(),
    )
    transaction.save(item, condition=JournalItem.partition.does_not_exist())


def move_balances(transaction: TransactWrite, movements: Movements) -> None:
    """Add every balance's net movement to a transaction; it fails whole rather than go below zero."""
    for account, asset, movement in movements.moving():
        actions, condition = movement_expression(account, movement)
        transaction.update(BalanceItem(account, asset), actions=actions, condition=condition)


def movement_expression(account: str, movement: Movement) -> tuple[list[Action], Condition | None]:
    """The update of one balance and the condition that keeps it from going below zero, or a debt above."""
    parts = (
        (BalanceItem.available, movement.available),
        (BalanceItem.held, movement.held),
        (BalanceItem.open_orders, movement.open_orders),
    )
    condition: Condition | None = None
    for attribute, units in parts:
        if units < 0 and not may_be_negative(account):
            enough = attribute >= -units
            condition = enough if condition is None else condition & enough
        if attribute is BalanceItem.available and units > 0 and not may_be_positive(account):
            condition = attribute <= -units
    return [attribute.add(units) for attribute, units in parts if units], condition


class JournalStore:
    """Reads of the journal."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, read consistently. Raises UnavailableError."""
        with reading():
            for item in JournalItem.query(partition, consistent_read=True, scan_index_forward=False, limit=1):
                return Head(item.batch, item.hash)
        return Head()

    def batches(self, partition: str, *, after: int = 0) -> Iterable[tuple[Batch, bytes]]:
        """Every batch of a partition with the hash it was stored with, oldest first."""
        for item in JournalItem.query(partition, JournalItem.batch > after, consistent_read=True):
            entries = parse_entries(item.entries)
            yield (
                Batch(item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, entries),
                item.hash,
            )


class BalanceStore:
    """Reads of balances, always consistent: decisions about money are made on them."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance; zero where nothing was ever posted. Raises UnavailableError."""
        account = customer_account(account_id)
        with reading():
            for item in BalanceItem.query(account, BalanceItem.asset == asset, consistent_read=True):
                return _balance(item)
        return Balance(account, asset, 0, 0)

    def owed(self, account_id: int) -> list[Balance]:
        """What an account owes us, by asset; empty where it owes nothing. Raises UnavailableError."""
        with reading():
            rows = [_balance(item) for item in BalanceItem.query(receivable_account(account_id), consistent_read=True)]
        return [row for row in rows if row.available < 0]

    def balances(self, account_id: int) -> list[Balance]:
        """Every balance of an account, by asset. Raises UnavailableError."""
        with reading():
            return [_balance(item) for item in BalanceItem.query(customer_account(account_id), consistent_read=True)]


def _balance(item: BalanceItem) -> Balance:
    return Balance(item.account, item.asset, item.available or 0, item.held or 0, item.open_orders or 0)
