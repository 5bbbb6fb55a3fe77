"""Lists of orders and fills: filters, pages and cursors as the trading API has them."""

import re
from dataclasses import dataclass

from exchange.instruments.catalogue import Catalogue
from exchange.kernel.errors import Code, Refused
from exchange.orders.model import LIVE, Fill, Order, OrderStatus, created_key
from exchange.rest import ApiRequest, NumberPage, Reply, read_last_moment, read_limit, read_moment, read_number_page
from exchange.trading.model import fill_json, order_json
from exchange.trading.service import Desk, FillReader, OrderEntry, find_order, order_fills

LIMIT_MAX = 100
# A filter that matches little reads at most this many pages for one answer; the cursor leads on from there.
_PAGES_MAX = 10
_ORDER_CURSOR = re.compile(r"[0-9]{20}-[0-9]{19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What GET /orders was asked for. Keys bound the creation: newer than `newer_than`, older than `older_than`."""

    statuses: frozenset[OrderStatus]
    product_id: str | None
    newer_than: str | None
    older_than: str | None
    limit: int
    # Those next above `newer_than` are wanted, not those next below `older_than`.
    forward: bool

    def admits(self, order: Order) -> bool:
        """Whether an order is wanted."""
        return order.status in self.statuses and self.product_id in {None, order.product_id}


def list_orders(entry: OrderEntry, account_id: int, request: ApiRequest, catalogue: Catalogue) -> Reply | Refused:
    """GET /orders: newest first.

    `status` (repeated, or `all`), `product_id`, `start_date`, `end_date` (ISO), `limit`, `after` (the next older ones,
    from CB-AFTER), `before` (the next newer ones, from CB-BEFORE).

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND.
    """
    wanted = _read_filter(request, catalogue)
    if isinstance(wanted, Refused):
        return wanted
    found, cursor = _collect(entry, account_id, wanted)
    products = catalogue.products()
    newest = created_key(found[0]) if found else None
    if wanted.forward:
        cursors = {"CB-BEFORE": cursor or newest, "CB-AFTER": created_key(found[-1]) if found else None}
    else:
        cursors = {"CB-BEFORE": newest, "CB-AFTER": cursor}
    headers = {name: key.replace("#", "-") for name, key in cursors.items() if key}
    return Reply([order_json(order, products[order.product_id]) for order in found], headers=headers)


def _read_filter(request: ApiRequest, catalogue: Catalogue) -> _Filter | Refused:
    limit, statuses, product_id = read_limit(request), _statuses(request), _product_id(request, catalogue)
    if isinstance(limit, Refused):
        return limit
    if isinstance(statuses, Refused):
        return statuses
    if isinstance(product_id, Refused):
        return product_id
    after, before = _key("after", request.query("after")), _key("before", request.query("before"))
    if isinstance(after, Refused):
        return after
    if isinstance(before, Refused):
        return before
    if after and before:
        return Refused(Code.REQUEST_FIELD_INVALID, "before: give before or after, not both")
    start, end = read_moment(request, "start_date"), read_last_moment(request, "end_date")
    if isinstance(start, Refused):
        return start
    if isinstance(end, Refused):
        return end
    newer = [f"{max(start - 1, 0):020d}" if start is not None else None, before]
    older = [f"{max(end + 1, 0):020d}" if end is not None else None, after]
    return _Filter(
        statuses,
        product_id,
        newer_than=max((key for key in newer if key), default=None),
        older_than=min((key for key in older if key), default=None),
        limit=limit,
        forward=before is not None,
    )


def _collect(entry: OrderEntry, account_id: int, wanted: _Filter) -> tuple[list[Order], str | None]:
    """Orders that pass the filter, newest first, and the key that leads on; None at the end of the list."""
    found: list[Order] = []
    newer_than, older_than = wanted.newer_than, wanted.older_than
    for _ in range(_PAGES_MAX):
        page = entry.list_orders(
            account_id,
            live_only=wanted.statuses <= LIVE,
            before_key=older_than,
            after_key=newer_than,
            limit=LIMIT_MAX,
            oldest_first=wanted.forward,
        )
        reached = None
        for order in page:
            reached = created_key(order)
            if wanted.admits(order):
                found.append(order)
                if len(found) == wanted.limit:
                    return _newest_first(found, wanted), reached
        if len(page) < LIMIT_MAX:
            return _newest_first(found, wanted), None
        newer_than, older_than = (reached, older_than) if wanted.forward else (newer_than, reached)
    return _newest_first(found, wanted), newer_than if wanted.forward else older_than


def _newest_first(found: list[Order], wanted: _Filter) -> list[Order]:
    return found[::-1] if wanted.forward else found


def _key(name: str, text: str | None) -> str | Refused | None:
    """The key behind a cursor."""
    if text is None:
        return None
    if not _ORDER_CURSOR.fullmatch(text):
        header = f"CB-{name.upper()}"
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: not a cursor of ours; take it from the {header} header")
    return text.replace("-", "#")


def list_fills(
    desk: Desk, reader: FillReader, account_id: int, request: ApiRequest, catalogue: Catalogue
) -> Reply | Refused:
    """GET /fills: by falling trade id; `order_id` or `product_id` is required, `limit`, `after` (those next below a
    trade id), `before` (those next above one).

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND, ORDER_ID_INVALID, ORDER_NOT_FOUND.
    """
    page = read_number_page(request)
    if isinstance(page, Refused):
        return page
    product_id = _product_id(request, catalogue)
    if isinstance(product_id, Refused):
        return product_id
    name = request.query("order_id")
    if name:
        order = find_order(desk, account_id, name)
        if isinstance(order, Refused):
            return order
        found = order_fills(reader, order, before_trade=page.after, after_trade=page.before, limit=page.limit)
    elif product_id:
        found = _product_fills(reader, account_id, product_id, page)
    else:
        return Refused(Code.REQUEST_FIELD_INVALID, "product_id: give product_id or order_id")
    headers = {"CB-BEFORE": str(found[0].trade_id)} if found else {}
    if found and (page.before is not None or len(found) == page.limit):
        headers["CB-AFTER"] = str(found[-1].trade_id)
    products = catalogue.products()
    return Reply([fill_json(fill, products[fill.product_id]) for fill in found], headers=headers)


def _product_fills(reader: FillReader, account_id: int, product_id: str, page: NumberPage) -> list[Fill]:
    forward = page.before is not None
    found = reader.fills(
        account_id,
        product_id,
        before_trade=page.after,
        first_trade=(page.before or 0) + 1 if forward else 0,
        limit=page.limit,
        oldest_first=forward,
    )
    return list(found[::-1] if forward else found)


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
