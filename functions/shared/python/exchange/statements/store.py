"""Statements in DynamoDB: a page an item, put once."""

import json
from collections.abc import Iterator

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import PutError, UpdateError
from pynamodb.models import Model

from exchange.aws.dynamodb import OftenRead, UnitsAttribute, error_code, outage, reading
from exchange.ledger.model import EntryKind
from exchange.statements.model import Line, Page

_CONDITION_FAILED = "ConditionalCheckFailedException"
_CURSORS = "statements:"
_SIDES = {None: 0, True: 1, False: 2}
_BOUGHT = {number: bought for bought, number in _SIDES.items()}


class StatementItem(OftenRead, Model):
    """One page. `lines` and `cursors` are JSON; amounts in it are text."""

    class Meta:
        table_name = "statements"

    balance = UnicodeAttribute(hash_key=True)
    first = UnitsAttribute(range_key=True)
    opening = UnitsAttribute()
    lines = UnicodeAttribute()
    cursors = UnicodeAttribute()


class StatementCursorItem(Model):
    """How far a partition of the journal is on all statements; only a place to start looking from."""

    class Meta:
        table_name = "checkpoints"

    name = UnicodeAttribute(hash_key=True)
    batch = UnitsAttribute()


def _balance(account: str, asset: str) -> str:
    return f"{account}/{asset}"


def _cursor_name(partition: str) -> str:
    return f"{_CURSORS}{partition}"


def reached_partitions() -> dict[str, int]:
    """How far the statements are in every partition of the journal that they have begun. Raises UnavailableError."""
    with reading():
        items = StatementCursorItem.scan(StatementCursorItem.name.startswith(_CURSORS), consistent_read=True)
        return {item.name.removeprefix(_CURSORS): item.batch for item in items}


class StatementStore:
    """Pages by balance."""

    def head(self, account: str, asset: str) -> Page:
        """The last page, read consistently; an empty one before the first. Raises UnavailableError."""
        for page in self._pages(account, asset, before=None, limit=1):
            return page
        return Page(account, asset)

    def page_with(self, account: str, asset: str, number: int) -> Page:
        """The page that has the line of this number; an empty one where there is no such. Raises UnavailableError."""
        for page in self._pages(account, asset, before=number + 1, limit=1):
            return page
        return Page(account, asset)

    def pages(self, account: str, asset: str, *, before: int | None = None) -> Iterator[Page]:
        """Pages with any line numbered below `before` (None: all), newest first. Raises UnavailableError."""
        return self._pages(account, asset, before=before, limit=None)

    @staticmethod
    def _pages(account: str, asset: str, *, before: int | None, limit: int | None) -> Iterator[Page]:
        older = StatementItem.first < before if before is not None else None
        with reading():
            for item in StatementItem.query(
                _balance(account, asset), older, consistent_read=True, scan_index_forward=False, limit=limit
            ):
                yield page_from(item)

    def pages_from(self, account: str, asset: str, *, number: int) -> Iterator[Page]:
        """Pages with any line numbered `number` or above, oldest first. Raises UnavailableError."""
        start = 1
        for page in self._pages(account, asset, before=number + 1, limit=1):
            start = page.first
        with reading():
            for item in StatementItem.query(
                _balance(account, asset), StatementItem.first >= start, consistent_read=True
            ):
                yield page_from(item)

    def append(self, page: Page) -> bool:
        """Put a page; False where a page with this first number is there. Raises OutageError."""
        try:
            page_item(page).save(condition=StatementItem.balance.does_not_exist())
        except PutError as error:
            if error_code(error) == _CONDITION_FAILED:
                return False
            raise outage(error) from error
        return True

    def reached(self, partition: str) -> int:
        """The batch up to which the partition is known to be on all statements. Raises UnavailableError."""
        with reading():
            for item in StatementCursorItem.query(_cursor_name(partition), consistent_read=True):
                return item.batch
        return 0

    def reach(self, partition: str, number: int) -> None:
        """Note that; a smaller number than the one noted changes nothing. Raises OutageError."""
        item = StatementCursorItem(_cursor_name(partition))
        behind = StatementCursorItem.batch.does_not_exist() | (StatementCursorItem.batch < number)
        try:
            item.update(actions=[StatementCursorItem.batch.set(number)], condition=behind)
        except UpdateError as error:
            if error_code(error) != _CONDITION_FAILED:
                raise outage(error) from error


def page_item(page: Page) -> StatementItem:
    """The item of a page."""
    rows = [
        [
            str(line.units),
            line.kind.value,
            line.reference,
            line.partition,
            line.posted_at_ns,
            _SIDES[line.bought],
            line.counterparty,
        ]
        for line in page.lines
    ]
    return StatementItem(
        balance=_balance(page.account, page.asset),
        first=page.first,
        opening=page.opening,
        lines=json.dumps(rows, separators=(",", ":")),
        cursors=json.dumps(page.cursors, separators=(",", ":"), sort_keys=True),
    )


def page_from(item: StatementItem) -> Page:
    """The page an item stands for."""
    account, _, asset = item.balance.rpartition("/")
    lines = tuple(
        Line(int(units), EntryKind(kind), reference, partition, posted_at_ns, _BOUGHT[side], counterparty)
        for units, kind, reference, partition, posted_at_ns, side, counterparty in json.loads(item.lines)
    )
    return Page(account, asset, item.first, item.opening, lines, json.loads(item.cursors))
