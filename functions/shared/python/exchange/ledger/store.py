"""Journal and balances in DynamoDB. Everything here is written inside somebody's transaction."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import OftenRead, UnitsAttribute, reading
from exchange.aws.writes import Is, Write, update_write
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import (
    DEBIT_PLACES_MAX,
    HOUSE_PREFIX,
    Balance,
    Batch,
    Head,
    Movement,
    Movements,
    asset_and_product,
    customer_account,
    may_be_negative,
    may_be_positive,
    parse_entries,
    receivable_account,
    together,
)

# A read that saw money on its way between two places of a balance is made again, so many times.
_READS_MAX = 8


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


class BalanceItem(OftenRead, Model):
    """What one account owns of one asset; or, under `#` and a product, of that product's assets in its sub-balances.

    An item of sub-balances has the same four numbers for each asset, named after it: `USD:available`.
    """

    class Meta:
        table_name = "balances"

    account = UnicodeAttribute(hash_key=True)
    asset = UnicodeAttribute(range_key=True)
    available = UnitsAttribute(default=0)
    held = UnitsAttribute(default=0)
    open_orders = UnitsAttribute(default=0)
    shifted = UnitsAttribute(default=0)

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Self:
        """As every model, and with the numbers that are named after assets."""
        item = super().from_raw_data(data)
        item.numbers = {name: int(value["N"]) for name, value in data.items() if _OF_ASSET in name}
        return item

    numbers: dict[str, int] = {}  # noqa: RUF012 - never written, each item read has its own


_OF_ASSET = ":"
_NUMBERS = ("available", "held", "open_orders", "shifted")


def append_batch(transaction: TransactWrite, batch: Batch) -> None:
    """Add a batch to a transaction; it fails whole if that number is taken."""
    transaction.save(_journal_item(batch), condition=JournalItem.partition.does_not_exist())


def batch_write(batch: Batch) -> Write:
    """The same put under the same condition, for a transaction of many."""
    write: Write = _journal_item(batch).get_save_kwargs_from_instance(condition=JournalItem.partition.does_not_exist())
    return write


def _journal_item(batch: Batch) -> JournalItem:
    return JournalItem(
        partition=batch.partition,
        batch=batch.number,
        previous_hash=batch.previous_hash,
        hash=batch.hash(),
        posted_at_ns=batch.posted_at_ns,
        reference=batch.reference,
        entries=batch.entries_text(),
    )


def move_balances(transaction: TransactWrite, movements: Movements) -> None:
    """Add every balance's net movement to a transaction; it fails whole rather than go below zero.

    What leaves a customer's main balance is taken from its sub-balances too, where the main one has too little.
    Raises:   UnavailableError.
    """
    for (account, key), by_asset in _drawn(movements).by_item().items():
        actions, condition = movement_expression(account, key, by_asset)
        transaction.update(BalanceItem(account, key), actions=actions, condition=condition)


def _drawn(movements: Movements) -> Movements:
    drawn, moving = Movements(), movements.moving()
    leaving = {
        (account, place)
        for account, place, movement in moving
        if movement.available < 0 and not account.startswith(HOUSE_PREFIX) and not asset_and_product(place)[1]
    }
    for account, place, movement in moving:
        if (account, place) in leaving:
            split, room = BalanceStore().split(account, place), DEBIT_PLACES_MAX // len(leaving)
            target = drawn.debit(account, place, -movement.available, split, places_max=room)
        else:
            target = drawn.of(account, place)
            target.available += movement.available
        target.held += movement.held
        target.open_orders += movement.open_orders
        target.shifted += movement.shifted
    return drawn


def movement_expression(
    account: str, key: str, by_asset: Mapping[str, Movement]
) -> tuple[list[Action], Condition | None]:
    """The update of one item and the condition that keeps it from going below zero, or a debt above."""
    adds, bounds = _changes(account, key, by_asset)
    condition: Condition | None = None
    for name, bound, units in bounds:
        within = Path([name]) >= units if bound is Is.AT_LEAST else Path([name]) <= units
        condition = within if condition is None else condition & within
    return [Path([name]).add(units) for name, units in adds.items()], condition


def movement_write(account: str, key: str, by_asset: Mapping[str, Movement]) -> Write:
    """The same update and condition, for a transaction of many."""
    adds, bounds = _changes(account, key, by_asset)
    return update_write(BalanceItem.Meta.table_name, {"account": account, "asset": key}, adds=adds, conditions=bounds)


def number_name(key: str, asset: str, name: str) -> str:
    """What a number of an asset is called in the item with a key."""
    return name if key == asset else f"{asset}{_OF_ASSET}{name}"


def _changes(
    account: str, key: str, by_asset: Mapping[str, Movement]
) -> tuple[dict[str, int], list[tuple[str, Is, int]]]:
    """What is added to each number of an item, and what each must be before."""
    adds: dict[str, int] = {}
    bounds: list[tuple[str, Is, int]] = []
    for asset, movement in by_asset.items():
        for number in _NUMBERS:
            units, name = getattr(movement, number), number_name(key, asset, number)
            if units:
                adds[name] = units
            if units < 0 and number != "shifted" and not may_be_negative(account):
                bounds.append((name, Is.AT_LEAST, -units))
            if units > 0 and number == "available" and not may_be_positive(account):
                bounds.append((name, Is.AT_MOST, -units))
    return adds, bounds


class JournalStore:
    """Reads of the journal."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, read consistently. Raises UnavailableError."""
        with reading():
            for item in JournalItem.query(partition, consistent_read=True, scan_index_forward=False, limit=1):
                return Head(item.batch, item.hash)
        return Head()

    def batch(self, partition: str, number: int) -> Batch | None:
        """One batch, read consistently; None where there is none. Raises UnavailableError."""
        with reading():
            for item in JournalItem.query(partition, JournalItem.batch == number, consistent_read=True):
                entries = parse_entries(item.entries)
                return Batch(item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, entries)
        return None

    def batches(self, partition: str, *, after: int = 0) -> Iterable[tuple[Batch, bytes]]:
        """Every batch of a partition with the hash it was stored with, oldest first."""
        for item in JournalItem.query(partition, JournalItem.batch > after, consistent_read=True):
            entries = parse_entries(item.entries)
            yield (
                Batch(item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, entries),
                item.hash,
            )


def every_batch() -> Iterator[tuple[Batch, bytes]]:
    """Every batch of every partition with the hash it was stored with, in no order. Raises UnavailableError."""
    with reading():
        for item in JournalItem.scan(consistent_read=True):
            entries = parse_entries(item.entries)
            yield (
                Batch(item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, entries),
                item.hash,
            )


def batch_of_image(image: Mapping[str, Mapping[str, str]]) -> Batch:
    """The batch that a record of the journal's own stream has, as JSON."""
    return Batch(
        image["partition"]["S"],
        int(image["batch"]["N"]),
        base64.b64decode(image["previous_hash"]["B"]),
        int(image["posted_at_ns"]["N"]),
        image["reference"]["S"],
        parse_entries(image["entries"]["S"]),
    )


class BalanceStore:
    """Reads of balances, always consistent: decisions about money are made on them."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance; zero where nothing was ever posted. Raises UnavailableError."""
        found = (balance for balance in self.balances(account_id) if balance.asset == asset)
        return next(found, Balance(customer_account(account_id), asset, 0, 0))

    def split(self, account: str, asset: str) -> dict[str, int]:
        """What is available of an asset by place, the empty ones left out. Raises UnavailableError."""
        return {row.place: row.available for row in rows_of(account) if row.asset == asset and row.available}

    def owed(self, account_id: int) -> list[Balance]:
        """What an account owes us, by asset; empty where it owes nothing. Raises UnavailableError."""
        return [row for row in rows_of(receivable_account(account_id)) if row.available < 0]

    def balances(self, account_id: int) -> list[Balance]:
        """Every balance of an account as it was at one moment, by asset. Raises UnavailableError."""
        account = customer_account(account_id)
        for _ in range(_READS_MAX):
            whole = together(rows_of(account))
            if not any(balance.shifted for balance in whole):
                return sorted(whole, key=lambda balance: balance.asset)
        raise UnavailableError(f"the balances of {account} are moving")


def balances_from(item: BalanceItem) -> list[Balance]:
    """The balance, or the sub-balances of a product, that an item stands for."""
    asset, product_id = asset_and_product(item.asset)
    if not product_id:
        return [Balance(item.account, asset, item.available, item.held, item.open_orders, shifted=item.shifted)]
    assets = sorted({name.partition(_OF_ASSET)[0] for name in item.numbers})
    rows = ({name: item.numbers.get(number_name(item.asset, each, name), 0) for name in _NUMBERS} for each in assets)
    return [Balance(item.account, each, product_id=product_id, **row) for each, row in zip(assets, rows, strict=True)]


def assets_of(image: Mapping[str, Any]) -> list[str]:
    """The assets of which an item of the table's stream tells."""
    asset, product_id = asset_and_product(image["asset"]["S"])
    return sorted({name.partition(_OF_ASSET)[0] for name in image if _OF_ASSET in name}) if product_id else [asset]


def every_balance() -> Iterator[Balance]:
    """Every balance and sub-balance there is, each as it was when it was read. Raises UnavailableError."""
    with reading():
        for item in BalanceItem.scan(consistent_read=True):
            yield from balances_from(item)


def rows_of(account: str) -> list[Balance]:
    """An account's balances and sub-balances. Raises UnavailableError."""
    with reading():
        return [row for item in BalanceItem.query(account, consistent_read=True) for row in balances_from(item)]
