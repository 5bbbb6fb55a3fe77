"""Other people's order books, each behind one face: what is prepared, what is timed, what it traded.

Prices, ids and order objects are made before the clock starts, so what is timed is the book's own work and the call of
it. A cancel of an order that is gone costs each what it costs; ours answers it with an event.
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Protocol

from bench.engines.plain import CANCEL, LIMIT, MARKET, Step, Trade

_SYMBOL: Final = "PLAIN-USD"


class Rival(Protocol):
    """A book with a flow in its hands."""

    def run(self, start: int, end: int) -> None:
        """Carry out these steps of the flow; this is what is timed."""
        ...

    def trades(self) -> list[Trade]:
        """What was traded so far, in order."""
        ...


class SortedDictBook:
    """cython-orderbook and akhil4n-orderbook: one author, one interface."""

    def __init__(self, flow: Sequence[Step], module: str, market_order: str) -> None:
        package = importlib.import_module(module)
        side = package.OrderSide
        self._book = package.OrderBook()
        self._flow = flow
        self._orders: list[Any] = []
        self._names: dict[str, int] = {}
        for number, step in enumerate(flow):
            order = None
            if step.kind != CANCEL:
                kind = package.Order if step.kind == LIMIT else getattr(package, market_order)
                price = {"price": Decimal(step.price) / 100} if step.kind == LIMIT else {}
                order = kind(side=side.BID if step.buying else side.ASK, original_quantity=step.size, **price)
                self._names[order.order_id] = number
            self._orders.append(order)

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        book, orders = self._book, self._orders
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == LIMIT:
                book.add_limit_order(orders[number])
            elif step.kind == CANCEL:
                book.cancel_order(orders[step.target].order_id)
            else:
                book.add_market_order(orders[number])

    def trades(self) -> list[Trade]:
        """As in Rival."""
        names = self._names
        return [
            (names[log.aggressor_id], names[log.filler_id], int(log.price * 100), log.quantity_filled)
            for log in self._book.trade_log
        ]


class PyOrderBook:
    """pyorderbook: it has no market order, so a limit beyond every price stands in and its rest is canceled."""

    def __init__(self, flow: Sequence[Step]) -> None:
        package = importlib.import_module("pyorderbook")
        logging.getLogger("pyorderbook.book").setLevel(logging.CRITICAL)
        self._book = package.Book()
        self._flow = flow
        make = {True: package.bid, False: package.ask}
        self._orders: list[Any] = [
            None if step.kind == CANCEL else make[step.buying](_SYMBOL, step.price / 100, step.size) for step in flow
        ]
        self._names = {order.id: number for number, order in enumerate(self._orders) if order is not None}
        self._blotters: list[Any] = []

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        book, orders, keep = self._book, self._orders, self._blotters.append
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == CANCEL:
                with suppress(KeyError):
                    book.cancel(orders[step.target])
                continue
            order = orders[number]
            keep(book.match(order))
            if step.kind == MARKET and order.quantity:
                book.cancel(order)

    def trades(self) -> list[Trade]:
        """As in Rival."""
        names = self._names
        return [
            (
                names[each.incoming_order_id],
                names[each.standing_order_id],
                int(each.fill_price * 100),
                each.fill_quantity,
            )
            for blotter in self._blotters
            for each in blotter.trades
        ]


class LightBook:
    """lightmatchingengine: its market order would rest at price 0, so a limit stands in as for pyorderbook."""

    def __init__(self, flow: Sequence[Step]) -> None:
        package = importlib.import_module("lightmatchingengine.lightmatchingengine")
        self._engine = package.LightMatchingEngine()
        self._flow = flow
        self._ids: list[int] = [0] * len(flow)
        self._answers: list[tuple[int, Any]] = []

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        engine, ids, keep = self._engine, self._ids, self._answers.append
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == CANCEL:
                # It keeps filled orders in its map and then finds their price gone.
                with suppress(AssertionError):
                    engine.cancel_order(ids[step.target], _SYMBOL)
                continue
            order, trades = engine.add_order(_SYMBOL, step.price, step.size, 1 if step.buying else 2)
            ids[number] = order.order_id
            keep((number, trades))
            if step.kind == MARKET and order.leaves_qty:
                engine.cancel_order(order.order_id, _SYMBOL)

    def trades(self) -> list[Trade]:
        """As in Rival: of each level it reports the taker's sum first; the makers' fills are the trades."""
        names = {order_id: number for number, order_id in enumerate(self._ids)}
        return [
            (number, names[trade.order_id], trade.trade_price, trade.trade_qty)
            for number, trades in self._answers
            for trade in trades
            if names[trade.order_id] != number
        ]


class ManticoreBook:
    """manticore-orderbook, without its logging; prices are floats."""

    def __init__(self, flow: Sequence[Step]) -> None:
        logging.disable(logging.CRITICAL)
        package = importlib.import_module("manticore_orderbook")
        events = importlib.import_module("manticore_orderbook.event_manager")
        manager = events.EventManager(enable_logging=False)
        manager.subscribe(events.EventType.TRADE_EXECUTED, self._keep)
        self._book = package.OrderBook(
            _SYMBOL,
            enable_logging=False,
            event_manager=manager,
            enable_price_improvement=False,
            check_expiry_interval=3600.0,
        )
        self._flow = flow
        self._names = [str(number) for number in range(len(flow))]
        self._told: list[dict[str, Any]] = []

    def _keep(self, _kind: object, told: dict[str, Any]) -> None:
        self._told.append(told)

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        book, names = self._book, self._names
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == LIMIT:
                book.add_order("buy" if step.buying else "sell", step.price, step.size, order_id=names[number])
            elif step.kind == CANCEL:
                book.cancel_order(names[step.target])
            else:
                # It refuses a market order that finds nothing.
                with suppress(ValueError):
                    book.add_order(
                        "buy" if step.buying else "sell", None, step.size, order_id=names[number], order_type="MARKET"
                    )

    def trades(self) -> list[Trade]:
        """As in Rival."""
        return [
            (int(each["taker_order_id"]), int(each["maker_order_id"]), int(each["price"]), int(each["quantity"]))
            for each in self._told
        ]


class OBook:
    """obook: a Go engine behind ctypes. Its trades are asked for after each order: later they tell of later ones."""

    def __init__(self, flow: Sequence[Step]) -> None:
        package = importlib.import_module("obook")
        self._package = package
        self._book = package.Book(max_orders=1_000_000)
        self._flow = flow
        self._ids: list[int] = [0] * len(flow)
        self._events: list[Any] = []

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        book, ids = self._book, self._ids
        submit, cancel, keep = book.submit, book.cancel, self._events.extend
        market = self._package.MARKET
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == CANCEL:
                cancel(ids[step.target], step.target)
                continue
            side = 0 if step.buying else 1
            if step.kind == LIMIT:
                ids[number] = submit(number, side, step.price, step.size).order_id
            else:
                ids[number] = submit(number, side, 0, step.size, market).order_id
            keep(book.events())

    def trades(self) -> list[Trade]:
        """As in Rival."""
        names = {order_id: number for number, order_id in enumerate(self._ids)}
        kind = self._package.EventKind.TRADE
        return [(names[e.taker_id], names[e.maker_id], e.price, e.qty) for e in self._events if e.kind == kind]


class OrderMatching:
    """order-matching: it matches when told to, here after each order, as a market does."""

    def __init__(self, flow: Sequence[Step]) -> None:
        importlib.import_module("loguru").logger.disable("order_matching")
        order = importlib.import_module("order_matching.order")
        side = importlib.import_module("order_matching.enums").Side
        self._orders_of = importlib.import_module("order_matching.orders").Orders
        self._engine = importlib.import_module("order_matching.matching_engine").MatchingEngine(seed=1)
        clock = importlib.import_module("datetime").datetime(2024, 1, 1)
        second = importlib.import_module("datetime").timedelta(seconds=1)
        self._flow = flow
        self._times = [clock + second * number for number in range(len(flow))]
        self._orders = [
            None
            if step.kind == CANCEL
            else order.LimitOrder(
                side=side.BUY if step.buying else side.SELL,
                price=step.price,
                size=step.size,
                timestamp=self._times[number],
                order_id=str(number),
                trader_id=str(number),
            )
            for number, step in enumerate(flow)
        ]
        self._trades: list[Any] = []

    def run(self, start: int, end: int) -> None:
        """As in Rival."""
        engine = self._engine
        for number in range(start, end):
            step = self._flow[number]
            if step.kind == CANCEL:
                with suppress(ValueError):
                    engine.cancel_order(str(step.target))
                continue
            engine.place(self._orders_of([self._orders[number]]))
            self._trades += engine.match(timestamp=self._times[number]).trades
            if step.kind == MARKET:
                with suppress(ValueError):
                    engine.cancel_order(str(number))

    def trades(self) -> list[Trade]:
        """As in Rival."""
        return [
            (int(each.incoming_order_id), int(each.book_order_id), int(each.price), int(each.size))
            for each in self._trades
        ]


# Package, how it is made, and what of the contract it lacks beyond what all of them lack.
RIVALS: Final[dict[str, tuple[str, Callable[[Sequence[Step]], Rival], str]]] = {
    "cython-orderbook": (
        "cython_orderbook",
        lambda flow: SortedDictBook(flow, "cython_orderbook.orderbook", "Order"),
        "IOC, FOK, post-only, stops, icebergs, amend, self-trade prevention",
    ),
    "obook": ("obook", OBook, "stops, icebergs, funds, self-trade prevention (it has IOC, FOK, post-only, amend)"),
    "akhil4n-orderbook": (
        "orderbook",
        lambda flow: SortedDictBook(flow, "orderbook", "MarketOrder"),
        "IOC, FOK, post-only, stops, icebergs, amend, self-trade prevention",
    ),
    "pyorderbook": ("pyorderbook", PyOrderBook, "market orders and all of the above"),
    "lightmatchingengine": ("lightmatchingengine", LightBook, "market orders that go, and all of the above"),
    "manticore-orderbook": (
        "manticore_orderbook",
        ManticoreBook,
        "exact prices (floats), self-trade prevention, funds (it has stops, icebergs, IOC, FOK, post-only, amend)",
    ),
    "order-matching": ("order_matching", OrderMatching, "exact prices (floats), IOC, FOK, post-only, stops, icebergs"),
}


def is_here(package: str) -> bool:
    """Whether a rival is installed."""
    return importlib.util.find_spec(package) is not None
