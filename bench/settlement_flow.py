"""Products whose trades wait to be settled, put into the tables of a cloud; and which transactions met on the way."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from exchange.aws.dynamodb import bind, connection
from exchange.fees.model import Rates
from exchange.instruments.model import Asset, Product, list_product
from exchange.ledger.model import Balance, Movement, Movements
from exchange.ledger.store import BalanceItem, JournalItem, move_balances
from exchange.messages import EventRecord, OrderType, Side, decode_events
from exchange.orders.store import FillItem, OrderItem, order_item
from exchange.risk.model import OrderTerms
from exchange.settlement.store import CheckpointItem
from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from tests.fakes.venue import Venue

MAKER: Final = 1
TABLES: Final = {
    "orders": OrderItem,
    "fills": FillItem,
    "balances": BalanceItem,
    "journal": JournalItem,
    "checkpoints": CheckpointItem,
}
_PLACES_A_TRANSACTION = 50


def bind_tables() -> None:
    """Tell the items which tables they are: those of `tests.fakes.tables.create_tables`."""
    for name, model in TABLES.items():
        bind(model, name)


def product(number: int) -> Product:
    """The numbered product, of an asset of its own, quoted in dollars."""
    return list_product(
        f"A{number}-USD",
        base=Asset(f"A{number}", f"Asset {number}", 4, "stock"),
        quote=Asset("USD", "US dollar", 6),
        base_increment="0.001",
        quote_increment="0.01",
        base_min_size="0.001",
        base_max_size="1000",
        min_market_funds="1",
        reference_price="100",
        price_band=None,
        open_orders_max=1_000_000,
    )


def traded(number: int, trades: int, *, one_maker: bool) -> Venue:
    """A product in which every trade has a taker of its own, and a maker of its own or the one maker of all products.

    The maker sells in every other trade, so both of its assets move.
    """
    venue = Venue(product(number), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for trade in range(trades):
        taker = 1_000_000 * (number + 1) + 2 * trade
        maker = MAKER if one_maker else taker + 1
        sides = (Side.SELL, Side.BUY) if trade % 2 else (Side.BUY, Side.SELL)
        for account, side in zip((maker, taker), sides, strict=True):
            asset = venue.product.base.asset_id if side is Side.SELL else "USD"
            venue.deposit(account, asset, 10**4 if side is Side.SELL else 110 * 10**6)
            venue.place(account, OrderTerms(side, OrderType.LIMIT, "100", "1"))
    venue.match()
    return venue


def records_of(venue: Venue) -> list[EventRecord]:
    """What its engine published."""
    return [decode_events(data) for data in venue.executions]


def load(venues: Iterable[Venue], connected: Connection) -> None:
    """Put the orders and the balances of all venues into the tables; what several have of one place adds up."""
    movements = Movements()
    for venue in venues:
        with OrderItem.batch_write() as batch:
            for order in venue.tables.stored.values():
                batch.save(order_item(order))
        for balance in venue.tables.balances.values():
            _add(movements.of(balance.account, balance.place), balance)
    rows = movements.moving()
    for first in range(0, len(rows), _PLACES_A_TRANSACTION):
        some = Movements(
            {(account, place): move for account, place, move in rows[first : first + _PLACES_A_TRANSACTION]}
        )
        with TransactWrite(connection=connected) as transaction:
            move_balances(transaction, some)


def _add(movement: Movement, balance: Balance) -> None:
    movement.available += balance.available
    movement.held += balance.held
    movement.open_orders += balance.open_orders
    movement.shifted += balance.shifted


@dataclass(frozen=True, slots=True)
class Sent:
    """One transaction: whose it was, when it was under way, and every item that it wrote."""

    thread: int
    began: float
    ended: float
    items: frozenset[str]


@dataclass
class Watch:
    """Every transaction that its connections send, from any thread."""

    sent: list[Sent] = field(default_factory=list)
    _under_way: threading.local = field(default_factory=threading.local)

    def connect(self) -> Connection:
        """A connection that is watched."""
        watched = connection()
        events = watched.client.meta.events
        events.register("before-send.dynamodb.TransactWriteItems", self._begin)
        events.register("after-call.dynamodb.TransactWriteItems", self._end)
        return watched

    def _begin(self, request: Any, **_: Any) -> None:
        self._under_way.items = frozenset(_items(json.loads(request.body)))
        self._under_way.began = time.monotonic()

    def _end(self, **_: Any) -> None:
        under_way = self._under_way
        self.sent.append(Sent(threading.get_ident(), under_way.began, time.monotonic(), under_way.items))

    def conflicts(self) -> list[tuple[Sent, Sent]]:
        """Transactions of different threads that were under way at one time and wrote an item in common.

        These are what DynamoDB cancels one of; a laptop's cloud takes them one after the other.
        """
        by_item: dict[str, list[Sent]] = defaultdict(list)
        for one in sorted(self.sent, key=lambda sent: sent.began):
            for item in one.items:
                by_item[item].append(one)
        met = {
            (id(one), id(other)): (one, other)
            for writers in by_item.values()
            for one, other in pairwise(writers)
            if one.thread != other.thread and other.began < one.ended
        }
        return list(met.values())


def _items(body: dict[str, Any]) -> Iterator[str]:
    for action in body["TransactItems"]:
        [(_, written)] = action.items()
        model = next(model for model in TABLES.values() if model.Meta.table_name == written["TableName"])
        keys = {
            name
            for name, attribute in model.get_attributes().items()
            if attribute.is_hash_key or attribute.is_range_key
        }
        values = written.get("Key") or {name: written["Item"][name] for name in keys}
        yield json.dumps([written["TableName"], values], sort_keys=True)
