"""Lists of orders and fills: filters, pages and cursors as the trading API has them."""

import datetime as dt
import re
from dataclasses import dataclass

from exchange.instruments.catalogue import Catalogue
from exchange.kernel.errors import Code, Refused
from exchange.orders.model import LIVE, Order, OrderStatus, created_key
from exchange.rest import ApiRequest, Reply
from exchange.trading.model import fill_json, order_json
from exchange.trading.service import Desk, FillReader, OrderEntry, find_order, order_fills

LIMIT_MAX = 100
# A filter that matches little reads at most this many pages for one answer; the cursor leads on from there.
_PAGES_MAX = 10
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ORDER_CURSOR = re.compile(r"[0-9]{20}-[0-9]{19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What GET /orders was asked for. Keys bound the creation: newer than `newer_than`, older than `older_than`."""

    statuses: frozenset[OrderStatus]
    product_id: str | None
    newer_than: str | None
    older_than: str | None
    limit: int

    def admits(self, order: Order) -> bool:
        """Whether an order is wanted."""
        return order.status in self.statuses and self.product_id in {None, order.product_id}


def list_orders(entry: OrderEntry, account_id: int, request: ApiRequest, catalogue: Catalogue) -> Reply | Refused:
    """GET /orders: newest first.

    `status` (repeated, or `all`), `product_id`, `start_date`, `end_date` (ISO), `limit`, `after` (older ones, from
    CB-AFTER), `before` (newer ones, from CB-BEFORE).

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND.
    """
    wanted = _read_filter(request, catalogue)
    if isinstance(wanted, Refused):
        return wanted
    found, cursor = _collect(entry, account_id, wanted)
    products = catalogue.products()
    headers = {"CB-BEFORE": _cursor(created_key(found[0]))} if found else {}
    if cursor:
        headers["CB-AFTER"] = _cursor(cursor)
    return Reply([order_json(order, products[order.product_id]) for order in found], headers=headers)


def _read_filter(request: ApiRequest, catalogue: Catalogue) -> _Filter | Refused:
    limit, statuses, product_id = _limit(request), _statuses(request), _product_id(request, catalogue)
    if isinstance(limit, Refused):
        return limit
    if isinstance(statuses, Refused):
        return statuses
    if isinstance(product_id, Refused):
        return product_id
    bounds: dict[str, str | None] = {}
    for name, read in (("after", _key), ("before", _key), ("start_date", _moment), ("end_date", _moment)):
        bound = read(name, request.query(name))
        if isinstance(bound, Refused):
            return bound
        bounds[name] = bound
    newer = [f"{int(bounds['start_date']) - 1:020d}" if bounds["start_date"] else None, bounds["before"]]
    older = [f"{int(bounds['end_date']) + 1:020d}" if bounds["end_date"] else None, bounds["after"]]
    return _Filter(
        statuses,
        product_id,
        newer_than=max((key for key in newer if key), default=None),
        older_than=min((key for key in older if key), default=None),
        limit=limit,
    )


def _collect(entry: OrderEntry, account_id: int, wanted: _Filter) -> tuple[list[Order], str | None]:
    """Orders that pass the filter, and the key that leads on; None at the end of the list."""
    found: list[Order] = []
    older_than = wanted.older_than
    for _ in range(_PAGES_MAX):
        page = entry.list_orders(
            account_id,
            live_only=wanted.statuses <= LIVE,
            before_key=older_than,
            after_key=wanted.newer_than,
            limit=LIMIT_MAX,
        )
        for order in page:
            older_than = created_key(order)
            if wanted.admits(order):
                found.append(order)
                if len(found) == wanted.limit:
                    return found, older_than
        if len(page) < LIMIT_MAX:
            return found, None
    return found, older_than


def _cursor(key: str) -> str:
    return key.replace("#", "-")


def _key(name: str, text: str | None) -> str | Refused | None:
    """The key behind a cursor."""
    if text is None:
        return None
    if not _ORDER_CURSOR.fullmatch(text):
        header = f"CB-{name.upper()}"
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: not a cursor of ours; take it from the {header} header")
    return text.replace("-", "#")


def _moment(name: str, text: str | None) -> str | Refused | None:
    """A date or a time of day as nanoseconds in text; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: give an ISO date or time, like 2026-01-31T12:00:00Z")
    since = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH
    return str(max(since // dt.timedelta(microseconds=1) * 1_000, 1))


def list_fills(
    desk: Desk, reader: FillReader, account_id: int, request: ApiRequest, catalogue: Catalogue
) -> Reply | Refused:
    """GET /fills: by falling trade id; `order_id` or `product_id` is required, `limit`, `after` (older than a
    trade id), `before` (newer than one).

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND, ORDER_ID_INVALID, ORDER_NOT_FOUND.
    """
    limit = _limit(request)
    if isinstance(limit, Refused):
        return limit
    before_trade, after_trade = _trade_id(request, "after"), _trade_id(request, "before")
    if isinstance(before_trade, Refused):
        return before_trade
    if isinstance(after_trade, Refused):
        return after_trade
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
    whole_page = len(found) == limit
    found = [fill for fill in found if fill.trade_id > (after_trade or 0)]
    headers = {"CB-BEFORE": str(found[0].trade_id)} if found else {}
    if found and whole_page:
        headers["CB-AFTER"] = str(found[-1].trade_id)
    products = catalogue.products()
    return Reply([fill_json(fill, products[fill.product_id]) for fill in found], headers=headers)


def _trade_id(request: ApiRequest, name: str) -> int | Refused | None:
    text = request.query(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 17:
        return int(text)
    return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: give a trade id, as the CB-{name.upper()} header has it")


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
