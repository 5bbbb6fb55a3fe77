"""GET /accounts/{id}/holds: what live orders and pending withdrawals hold of one asset, in one list."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Asset, Product
from exchange.kernel.errors import Code, Refused
from exchange.orders.model import Order
from exchange.orders.model import created_key as order_key
from exchange.rest import ApiRequest, Reply
from exchange.transfers.model import Page, Transfer, created_key
from exchange.wallets.listing import NO_ACCOUNT, TransferPages
from exchange.wallets.request import LIMIT_MAX, read_page
from exchange.wallets.views import View, asset_of_account, order_hold_view, transfer_hold_view

# A list of which little is wanted is read at most this many pages far for one answer; the cursor leads on from there.
_PAGES_MAX = 10
_MOMENT_DIGITS = 20
_ORDER_DIGITS = 19
Row = TypeVar("Row", Order, Transfer)


class OpenOrders(Protocol):
    """Where an account's live orders are listed."""

    def list_orders(self, account_id: int, *, live_only: bool, before_key: str | None, limit: int) -> list[Order]:
        """An account's orders, newest first, older than `before_key`."""
        ...


@dataclass(frozen=True, slots=True)
class _Hold:
    """A row, and its place: a moment of 20 digits, then # and an order's id or - and a transfer's."""

    key: str
    view: View


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of one kind, newest first, and how far was looked; empty where nothing is left."""

    holds: list[_Hold]
    reached: str


def list_holds(
    account_id: int,
    wire_id: str,
    request: ApiRequest,
    *,
    orders: OpenOrders,
    transfers: TransferPages,
    catalogue: Catalogue,
) -> Reply | Refused:
    """Newest first; `limit`, `after`.

    Refuses:  ACCOUNT_NOT_FOUND, REQUEST_FIELD_INVALID (in this order).
    """
    products, asset = catalogue.products(), asset_of_account(account_id, wire_id, catalogue.assets())
    if asset is None:
        return NO_ACCOUNT
    page = read_page(request)
    if isinstance(page, Refused):
        return page
    if page.before:
        return Refused(Code.REQUEST_FIELD_INVALID, "before: holds are listed from the newest on; give after")
    kinds = (
        _look(
            _order_pages(orders, account_id, page.after), lambda row: _of_order(account_id, asset, row, products), page
        ),
        _look(_transfer_pages(transfers, account_id, page.after), lambda row: _of_transfer(asset, row), page),
    )
    # What is older than the place where the search for one kind ended may have rows of that kind before it.
    floor = max(kind.reached for kind in kinds)
    rows = sorted((hold for kind in kinds for hold in kind.holds if hold.key >= floor), key=lambda hold: hold.key)
    shown = rows[::-1][: page.limit]
    cursor = shown[-1].key if len(rows) > page.limit else floor
    headers = {"CB-AFTER": cursor.replace("#", "-")} if cursor else {}
    return Reply([hold.view for hold in shown], headers=headers)


def _look(pages: Iterator[list[tuple[str, Row]]], hold_of: Callable[[Row], View | None], page: Page) -> _Found:
    found: list[_Hold] = []
    reached = ""
    for rows in pages:
        for reached, row in rows:
            view = hold_of(row)
            if view is not None:
                found.append(_Hold(reached, view))
                if len(found) == page.limit:
                    return _Found(found, reached)
        if len(rows) < LIMIT_MAX:
            return _Found(found, "")
    return _Found(found, reached)


def _order_pages(orders: OpenOrders, account_id: int, after: str) -> Iterator[list[tuple[str, Order]]]:
    moment, name = after[:_MOMENT_DIGITS], after[_MOMENT_DIGITS + 1 :]
    is_order = len(name) == _ORDER_DIGITS and name.isdigit()
    # An order of the same moment as a transfer comes after it in the list.
    before_key = None if not after else f"{moment}#{name}" if is_order else f"{moment}$"
    for _ in range(_PAGES_MAX):
        rows = orders.list_orders(account_id, live_only=True, before_key=before_key, limit=LIMIT_MAX)
        yield [(order_key(row), row) for row in rows]
        if rows:
            before_key = order_key(rows[-1])


def _transfer_pages(transfers: TransferPages, account_id: int, after: str) -> Iterator[list[tuple[str, Transfer]]]:
    name = after[_MOMENT_DIGITS + 1 :]
    is_order = len(name) == _ORDER_DIGITS and name.isdigit()
    cursor = after[:_MOMENT_DIGITS] if is_order else after
    for _ in range(_PAGES_MAX):
        rows = transfers.list_transfers(account_id, Page(LIMIT_MAX, after=cursor))
        yield [(created_key(row), row) for row in rows]
        if rows:
            cursor = created_key(rows[-1])


def _of_order(account_id: int, asset: Asset, order: Order, products: Mapping[str, Product]) -> View | None:
    product = products.get(order.product_id)
    if product is None or not order.hold_units or order.hold_asset(product) != asset.asset_id:
        return None
    return order_hold_view(account_id, asset, order)


def _of_transfer(asset: Asset, transfer: Transfer) -> View | None:
    return transfer_hold_view(transfer) if transfer.held_units and transfer.asset == asset.asset_id else None
