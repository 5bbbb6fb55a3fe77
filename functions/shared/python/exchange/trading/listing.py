"""Lists of orders and fills: filters, pages and cursors as the trading API has them."""

import re

from exchange.instruments.catalogue import Catalogue
from exchange.kernel.errors import Code, Refused
from exchange.orders.model import LIVE, Order, OrderStatus, created_key
from exchange.rest import ApiRequest, Reply
from exchange.trading.model import fill_json, order_json
from exchange.trading.service import Desk, FillReader, OrderEntry, find_order, order_fills

LIMIT_MAX = 100
# A filter that matches little reads at most this many pages for one answer; the cursor leads on from there.
_PAGES_MAX = 10
_ORDER_CURSOR = re.compile(r"[0-9]{20}-[0-9]{19}", re.ASCII)


def list_orders(entry: OrderEntry, account_id: int, request: ApiRequest, catalogue: Catalogue) -> Reply | Refused:
    """GET /orders: newest first; `status` (repeated, or `all`), `product_id`, `limit`, `after`.

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND.
    """
    limit = _limit(request)
    statuses = _statuses(request)
    after = request.query("after")
    product_id = _product_id(request, catalogue)
    if isinstance(limit, Refused):
        return limit
    if isinstance(statuses, Refused):
        return statuses
    if isinstance(product_id, Refused):
        return product_id
    if after is not None and not _ORDER_CURSOR.fullmatch(after):
        return Refused(Code.REQUEST_FIELD_INVALID, "after: not a cursor of ours; take it from the CB-AFTER header")
    found, cursor = _collect(entry, account_id, after, statuses=statuses, product_id=product_id, limit=limit)
    products = catalogue.products()
    headers = {"CB-AFTER": cursor} if cursor else {}
    return Reply([order_json(order, products[order.product_id]) for order in found], headers=headers)


def _collect(
    entry: OrderEntry,
    account_id: int,
    after: str | None,
    *,
    statuses: frozenset[OrderStatus],
    product_id: str | None,
    limit: int,
) -> tuple[list[Order], str | None]:
    """Orders that pass the filters, and the cursor that leads on; None at the end of the list."""
    found: list[Order] = []
    before_key = after.replace("-", "#") if after else None
    for _ in range(_PAGES_MAX):
        page = entry.list_orders(account_id, live_only=statuses <= LIVE, before_key=before_key, limit=LIMIT_MAX)
        for order in page:
            before_key = created_key(order)
            if order.status in statuses and product_id in {None, order.product_id}:
                found.append(order)
                if len(found) == limit:
                    return found, before_key.replace("#", "-")
        if len(page) < LIMIT_MAX:
            return found, None
    return found, before_key.replace("#", "-") if before_key else None


def list_fills(
    desk: Desk, reader: FillReader, account_id: int, request: ApiRequest, catalogue: Catalogue
) -> Reply | Refused:
    """GET /fills: by falling trade id; `order_id` or `product_id` is required, `limit`, `after` (a trade id).

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND, ORDER_ID_INVALID, ORDER_NOT_FOUND.
    """
    limit = _limit(request)
    if isinstance(limit, Refused):
        return limit
    after = request.query("after")
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 17):
        return Refused(Code.REQUEST_FIELD_INVALID, "after: give a trade id, as the CB-AFTER header has it")
    before_trade = int(after) if after else None
    product_id = _product_id(request, catalogue)
    if isinstance(product_id, Refused):
        return product_id
    name = request.query("order_id")
    if name:
        order = find_order(desk, account_id, name)
        if isinstance(order, Refused):
            return order
        found = order_fills(reader, order, before_trade=before_trade, limit=limit)
    elif product_id:
        found = list(reader.fills(account_id, product_id, before_trade=before_trade, first_trade=0, limit=limit))
    else:
        return Refused(Code.REQUEST_FIELD_INVALID, "product_id: give product_id or order_id")
    headers = {"CB-AFTER": str(found[-1].trade_id)} if len(found) == limit else {}
    products = catalogue.products()
    return Reply([fill_json(fill, products[fill.product_id]) for fill in found], headers=headers)


def _limit(request: ApiRequest) -> int | Refused:
    text = request.query("limit")
    if text is None:
        return LIMIT_MAX
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1:
        return min(int(text), LIMIT_MAX)
    return Refused(Code.REQUEST_FIELD_INVALID, f"limit: give a whole number from 1 to {LIMIT_MAX}")


def _statuses(request: ApiRequest) -> frozenset[OrderStatus] | Refused:
    names = request.query_all("status")
    if not names:
        return LIVE
    if "all" in names:
        return frozenset(OrderStatus)
    known = {status.value: status for status in OrderStatus}
    for name in names:
        if name not in known:
            return Refused(Code.REQUEST_FIELD_INVALID, f"status: give all or any of {', '.join(known)}")
    return frozenset(known[name] for name in names)


def _product_id(request: ApiRequest, catalogue: Catalogue) -> str | Refused | None:
    text = request.query("product_id")
    if not text:
        return None
    product = catalogue.product(text)
    return product.product_id if product else Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
