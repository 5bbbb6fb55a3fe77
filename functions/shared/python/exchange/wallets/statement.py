"""GET /accounts/{id}/ledger: what changed a balance, newest first, each entry with what the balance was after it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.ledger.model import EntryKind, customer_account
from exchange.rest import ApiRequest, NumberPage, Reply, read_last_moment, read_moment, read_number_page
from exchange.statements.model import Line, Page
from exchange.wallets.listing import NO_ACCOUNT
from exchange.wallets.views import View, asset_of_account

# A filter that matches little looks at most at this many lines for one answer; the cursor leads on from there.
LINES_SEEN_MAX = 10_000
# Product, trade id, and whether the account bought.
TradeSide = tuple[str, int, bool]
_TRADES = frozenset({EntryKind.MATCH, EntryKind.FEE})
# The chain of a product's busts.
_BUSTS = "busts:"
# Paid out of a product's fees at a closing of the books; each has a type of its own, and the chain of the product.
_AWARDS = frozenset({EntryKind.REBATE, EntryKind.COMMISSION})


class StatementPages(Protocol):
    """Where statements are read."""

    def pages(self, account: str, asset: str, *, before: int | None) -> Iterator[Page]:
        """Pages with lines below `before`, newest first."""
        ...

    def pages_from(self, account: str, asset: str, *, number: int) -> Iterator[Page]:
        """Pages with lines from `number` on, oldest first."""
        ...


class TradedOrders(Protocol):
    """Where it is known which order of an account a trade filled."""

    def orders_of_trades(self, account_id: int, trades: Iterable[TradeSide]) -> Mapping[TradeSide, int]:
        """Order ids by (product, trade id, bought)."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    line: Line
    balance: int


def list_ledger(
    account_id: int,
    wire_id: str,
    request: ApiRequest,
    *,
    statements: StatementPages,
    orders: TradedOrders,
    assets: Mapping[str, Asset],
) -> Reply | Refused:
    """`limit`, `after` and `before` (entry numbers), `start_date` and `end_date` (both inclusive).

    Refuses:  ACCOUNT_NOT_FOUND, REQUEST_FIELD_INVALID (in this order).
    Raises:   UnavailableError.
    """
    asset = asset_of_account(account_id, wire_id, assets)
    if asset is None:
        return NO_ACCOUNT
    page = read_number_page(request)
    if isinstance(page, Refused):
        return page
    start, end = read_moment(request, "start_date"), read_last_moment(request, "end_date")
    if isinstance(start, Refused):
        return start
    if isinstance(end, Refused):
        return end
    walk = _older if page.before is None else _newer
    found, more = _collect(walk(account_id, asset, page, statements), page, start or 0, end)
    found.sort(key=lambda row: -row.number)
    headers = {"CB-BEFORE": str(found[0].number)} if found else {}
    if page.before is not None:
        more = found[-1].number if found and found[-1].number > 1 else None
    if more:
        headers["CB-AFTER"] = str(more)
    names = orders.orders_of_trades(account_id, _trades(found))
    return Reply([_view(account_id, row, asset, names) for row in found], headers=headers)


def _older(account_id: int, asset: Asset, page: NumberPage, statements: StatementPages) -> Iterator[_Row]:
    for found in statements.pages(customer_account(account_id), asset.asset_id, before=page.after):
        for number, line, balance in reversed(found.numbered()):
            if page.after is None or number < page.after:
                yield _Row(number, line, balance)


def _newer(account_id: int, asset: Asset, page: NumberPage, statements: StatementPages) -> Iterator[_Row]:
    start = (page.before or 0) + 1
    for found in statements.pages_from(customer_account(account_id), asset.asset_id, number=start):
        for number, line, balance in found.numbered():
            if number >= start:
                yield _Row(number, line, balance)


def _collect(rows: Iterator[_Row], page: NumberPage, start: int, end: int | None) -> tuple[list[_Row], int | None]:
    """The rows within the moments, and the number of the last one looked at where there may be more behind it."""
    found: list[_Row] = []
    for seen, row in enumerate(rows, 1):
        if row.line.posted_at_ns >= start and (end is None or row.line.posted_at_ns <= end):
            found.append(row)
        if len(found) == page.limit or seen == LINES_SEEN_MAX:
            return found, row.number if row.number > 1 else None
    return found, None


def _trades(rows: Iterable[_Row]) -> list[TradeSide]:
    keys = {
        (row.line.product_id, int(row.line.reference), row.line.bought): None
        for row in rows
        if row.line.kind in _TRADES and row.line.bought is not None
    }
    return [(product_id, trade_id, bool(bought)) for product_id, trade_id, bought in keys]


def _view(account_id: int, row: _Row, asset: Asset, orders: Mapping[TradeSide, int]) -> View:
    line = row.line
    return {
        "id": str(row.number),
        "created_at": iso_utc(line.posted_at_ns),
        "amount": asset.format(line.units),
        "balance": asset.format(row.balance),
        "type": line.kind.value if line.kind in _TRADES | _AWARDS else "transfer",
        "details": _details(account_id, line, orders),
    }


def _details(account_id: int, line: Line, orders: Mapping[TradeSide, int]) -> dict[str, str]:
    if line.kind is EntryKind.TRANSFER:
        ends = [to_uuid(account_id), to_uuid(int(line.counterparty))]
        source, target = ends if line.units < 0 else reversed(ends)
        return {"profile_transfer_id": line.reference, "from": source, "to": target}
    if line.partition.startswith(_BUSTS):
        product_id = line.partition.removeprefix(_BUSTS)
        return {"trade_id": line.reference, "product_id": product_id, "transfer_type": "bust"}
    if line.kind in _AWARDS:
        return {"closing": line.reference, "product_id": line.partition.partition(":")[2]}
    if line.kind not in _TRADES:
        kind = "withdraw" if line.kind is EntryKind.WITHDRAWAL else line.kind.value
        return {"transfer_id": line.reference, "transfer_type": kind}
    details = {"trade_id": line.reference, "product_id": line.product_id}
    order_id = orders.get((line.product_id, int(line.reference), bool(line.bought)))
    return {**details, "order_id": to_uuid(order_id)} if order_id is not None else details
