"""The rows of each kind of report, one by one, so that a long history never is in memory at once."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import to_uuid
from exchange.ledger.model import EntryKind, customer_account
from exchange.messages import Side
from exchange.orders.model import Fill
from exchange.reports.lots import Lots
from exchange.reports.model import ALL, ReportKind, ReportRequest
from exchange.statements.model import Line, Page

Row = Sequence[str]
FILLS_AT_ONCE = 500
# More than a year: longer than 365 days between the two trades.
_YEAR_NS = 365 * 86_400 * 1_000_000_000
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FILL_HEAD = (
    "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit,order id,liquidity"
)
_ACCOUNT_HEAD = "portfolio,type,time,amount,balance,amount/balance unit,transfer id,trade id,product,entry"
_PROFIT_HEAD = (
    "portfolio,product,from,to,bought,sold,size unit,fees,realised,realised since the first trade,open size,open cost,"
    "last price,unrealised,sold without a lot,proceeds without a lot,cash since the first trade,unit"
)
_LOT_HEAD = (
    "portfolio,product,method,acquired at,disposed at,size,size unit,proceeds,cost,gain,term,buy trade id,"
    "sell trade id,unit"
)
_NOTE_HEAD = (
    "note,traded at,portfolio,order id,product,side,liquidity,size,size unit,price,consideration,fee,net,currency,"
    "settlement,undone at"
)
_HEADS = {
    ReportKind.FILLS: _FILL_HEAD,
    ReportKind.ACCOUNT: _ACCOUNT_HEAD,
    ReportKind.PROFIT: _PROFIT_HEAD,
    ReportKind.TAX_LOTS: _LOT_HEAD,
    ReportKind.CONTRACT_NOTES: _NOTE_HEAD,
}


class Fills(Protocol):
    """Where fills are read."""

    def fills(
        self,
        account_id: int,
        product_id: str,
        *,
        before_trade: int | None,
        first_trade: int,
        limit: int,
        oldest_first: bool,
    ) -> Sequence[Fill]:
        """A page of fills by trade id."""
        ...


class Statements(Protocol):
    """Where statements are read."""

    def pages_from(self, account: str, asset: str, *, number: int) -> Iterator[Page]:
        """Pages, oldest first."""
        ...


class Prices(Protocol):
    """Where the last prices are."""

    def last_trade_ticks(self, product_id: str) -> int | None:
        """The price of the last trade."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What reports are made from."""

    fills: Fills
    statements: Statements
    prices: Prices
    products: Mapping[str, Product]
    assets: Mapping[str, Asset]


def rows_of(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    """The head and every row after it, as text that no spreadsheet takes for a formula. Raises UnavailableError."""
    yield _HEADS[request.kind].split(",")
    makers = {
        ReportKind.FILLS: _fill_rows,
        ReportKind.ACCOUNT: _account_rows,
        ReportKind.PROFIT: _profit_rows,
        ReportKind.TAX_LOTS: _lot_rows,
        ReportKind.CONTRACT_NOTES: _note_rows,
    }
    for row in makers[request.kind](request, sources):
        yield [cell(value) for value in row]


def cell(value: str) -> str:
    """A cell that is shown as it is: a number as a number, a text never as a formula."""
    return f"'{value}" if value.startswith(_FORMULA) and not _NUMBER.fullmatch(value) else value


def _products(request: ReportRequest, sources: Sources) -> Iterable[Product]:
    return [product for name, product in sorted(sources.products.items()) if request.subject in {ALL, name}]


def _fills(request: ReportRequest, product: Product, sources: Sources) -> Iterator[Fill]:
    """An account's fills in a product before the end, oldest first. A trade with oneself has two."""
    first, seen = 1, set[tuple[int, Side]]()
    while True:
        page = sources.fills.fills(
            request.account_id,
            product.product_id,
            before_trade=None,
            first_trade=first,
            limit=FILLS_AT_ONCE,
            oldest_first=True,
        )
        for fill in page:
            if (fill.trade_id, fill.side) not in seen and fill.created_at_ns < request.end_ns:
                yield fill
        if len(page) < FILLS_AT_ONCE:
            return
        # The page may end between the two sides of a trade: begin the next with the last trade again.
        first = page[-1].trade_id
        seen = {(fill.trade_id, fill.side) for fill in page if fill.trade_id == first}


def _standing(fills: Iterable[Fill]) -> Iterator[Fill]:
    """Those that were not undone: only they made a profit or a lot."""
    return (fill for fill in fills if not fill.busted_at_ns)


def _fill_rows(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    for product in _products(request, sources):
        quote = product.quote
        for fill in _fills(request, product, sources):
            if fill.created_at_ns < request.start_ns:
                continue
            sold = fill.side is Side.SELL
            total = fill.value_units - fill.fee_units if sold else -(fill.value_units + fill.fee_units)
            yield (
                to_uuid(request.account_id),
                str(fill.trade_id),
                fill.product_id,
                "SELL" if sold else "BUY",
                iso_utc(fill.created_at_ns),
                product.format_size(fill.size_lots),
                product.base.asset_id,
                product.format_price(fill.price_ticks),
                quote.format(fill.fee_units),
                quote.format(total),
                quote.asset_id,
                to_uuid(fill.order_id),
                fill.liquidity.value,
            )


def _note_rows(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    """A contract note of each fill: what was dealt, at what price, what it cost, and what moved because of it."""
    for product in _products(request, sources):
        quote = product.quote
        for fill in _fills(request, product, sources):
            if fill.created_at_ns < request.start_ns:
                continue
            sold = fill.side is Side.SELL
            net = fill.value_units - fill.fee_units if sold else -(fill.value_units + fill.fee_units)
            side = "SELL" if sold else "BUY"
            yield (
                f"{fill.product_id}/{fill.trade_id}/{side}",
                iso_utc(fill.created_at_ns),
                to_uuid(request.account_id),
                to_uuid(fill.order_id),
                fill.product_id,
                side,
                fill.liquidity.value,
                product.format_size(fill.size_lots),
                product.base.asset_id,
                product.format_price(fill.price_ticks),
                quote.format(fill.value_units),
                quote.format(fill.fee_units),
                quote.format(net),
                quote.asset_id,
                "undone" if fill.busted_at_ns else "settled",
                iso_utc(fill.busted_at_ns) if fill.busted_at_ns else "",
            )


def _account_rows(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    for name, asset in sorted(sources.assets.items()):
        if request.subject in {ALL, name}:
            yield from _statement(request, asset, sources)


def _statement(request: ReportRequest, asset: Asset, sources: Sources) -> Iterator[Row]:
    """Opening balance, entries, closing balance. An account that nothing ever happened to has no rows."""

    def lines() -> Iterator[tuple[int, Line, int]]:
        account = customer_account(request.account_id)
        for page in sources.statements.pages_from(account, asset.asset_id, number=1):
            yield from page.numbered()

    if next(lines(), None) is None:
        return
    # Read twice: lines of several partitions of the journal are nearly, not strictly, in the order of time.
    balance = sum(line.units for _, line, _ in lines() if line.posted_at_ns < request.start_ns)
    own, unit, none = to_uuid(request.account_id), asset.asset_id, ("", "", "", "")
    yield own, "opening", iso_utc(request.start_ns), "", asset.format(balance), unit, *none
    for number, line, _ in lines():
        if request.start_ns <= line.posted_at_ns < request.end_ns:
            balance += line.units
            yield _entry(own, line, number, asset, balance)
    yield own, "closing", iso_utc(request.end_ns), "", asset.format(balance), unit, *none


def _entry(own: str, line: Line, number: int, asset: Asset, balance: int) -> Row:
    traded = line.kind in {EntryKind.MATCH, EntryKind.FEE}
    return (
        own,
        line.kind.value,
        iso_utc(line.posted_at_ns),
        asset.format(line.units),
        asset.format(balance),
        asset.asset_id,
        "" if traded else line.reference,
        line.reference if traded else "",
        line.product_id,
        str(number),
    )


def _profit_rows(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    for product in _products(request, sources):
        before, lots = Lots(request.method), Lots(request.method)
        for fill in _standing(_fills(request, product, sources)):
            lots.take(fill)
            if fill.created_at_ns < request.start_ns:
                before.take(fill)
        if lots.bought_lots or lots.sold_lots:
            yield _profit(request, product, before, lots, sources.prices.last_trade_ticks(product.product_id))


def _profit(request: ReportRequest, product: Product, before: Lots, lots: Lots, price_ticks: int | None) -> Row:
    money, size = product.quote.format, product.format_size
    worth = product.value_units(price_ticks, lots.open_size_lots) if price_ticks else None
    return (
        to_uuid(request.account_id),
        product.product_id,
        iso_utc(request.start_ns),
        iso_utc(request.end_ns),
        size(lots.bought_lots - before.bought_lots),
        size(lots.sold_lots - before.sold_lots),
        product.base.asset_id,
        money(lots.fee_units - before.fee_units),
        money(lots.realised_units - before.realised_units),
        money(lots.realised_units),
        size(lots.open_size_lots),
        money(lots.open_cost_units),
        product.format_price(price_ticks) if price_ticks else "",
        money(worth - lots.open_cost_units) if worth is not None else "",
        size(lots.uncovered_lots),
        money(lots.uncovered_units),
        money(lots.cash_units),
        product.quote.asset_id,
    )


def _lot_rows(request: ReportRequest, sources: Sources) -> Iterator[Row]:
    for product in _products(request, sources):
        lots, base, quote = Lots(request.method), product.base.asset_id, product.quote
        start = to_uuid(request.account_id), product.product_id, request.method.value
        for fill in _standing(_fills(request, product, sources)):
            for part in lots.take(fill):
                if part.disposed_at_ns < request.start_ns:
                    continue
                bought = part.buy_trade_id > 0
                held_ns = part.disposed_at_ns - part.acquired_at_ns
                yield (
                    *start,
                    iso_utc(part.acquired_at_ns) if bought else "",
                    iso_utc(part.disposed_at_ns),
                    product.format_size(part.size_lots),
                    base,
                    quote.format(part.proceeds_units),
                    quote.format(part.cost_units) if bought else "",
                    quote.format(part.gain_units) if bought else "",
                    ("long" if held_ns > _YEAR_NS else "short") if bought else "unknown",
                    str(part.buy_trade_id) if bought else "",
                    str(part.sell_trade_id),
                    quote.asset_id,
                )
        for lot in lots.open_lots():
            size, cost = product.format_size(lot.size_lots), quote.format(lot.cost_units)
            opened = iso_utc(lot.acquired_at_ns)
            yield *start, opened, "", size, base, "", cost, "", "open", str(lot.trade_id), "", quote.asset_id
