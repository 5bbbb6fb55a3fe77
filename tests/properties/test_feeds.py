"""Whoever follows level2 holds the exchange's book, and owners hear of their own, however all of it interleaves."""

import json
from collections.abc import Callable, Sequence
from enum import Enum, auto
from itertools import count, islice
from typing import Any

from exchange.feeds.model import Connection, Owner, Pace, Subscription
from exchange.feeds.publishing import Publisher
from exchange.feeds.sockets import Sockets
from exchange.instruments.catalogue import Catalogue
from exchange.market_data.model import MarketState
from exchange.market_data.service import BatchError, MarketFold, StreamRecord
from exchange.messages import Side
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.feeds import CountingPulse, Inboxes, KnownKeys, MemoryBalances, MemoryConnections, MemoryOrders
from tests.fakes.market_data import EPOCH_NS, Listing, MemoryMarkets, RecordingFeed, SteppingClock, ToyMarket, acme

SUBSCRIBE = json.dumps({"type": "subscribe", "product_ids": ["ACME-USD"], "channels": ["level2"]})
ORDERS = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=25)


class Interrupted:
    """Lets batches happen before and after every step of the socket function."""

    def __init__(self, markets: MemoryMarkets, connections: MemoryConnections, step: Callable[[], None]) -> None:
        self._markets, self._connections, self._step = markets, connections, step

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        self._step()
        state = self._markets.state(product_id)
        self._step()
        return state

    def sequence(self, product_id: str) -> int:
        self._step()
        return self._markets.sequence(product_id)

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        self._step()
        self._connections.subscribe(subscriptions)
        self._step()

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        self._connections.unsubscribe(subscriptions)
        self._step()

    def find(self, connection_id: str) -> Connection | None:
        return self._connections.find(connection_id)

    def pace(self, connection: Connection, now_ns: int, pace: Pace) -> bool:
        return self._connections.pace(connection, now_ns, pace)

    def count_from(self, source_address: str, now_ns: int, limit: int) -> int:
        return self._connections.count_from(source_address, now_ns, limit)

    def open(self, connection_id: str, source_address: str, now_ns: int) -> None:
        self._connections.open(connection_id, source_address, now_ns)

    def close(self, connection_id: str) -> None:
        self._connections.close(connection_id)


@settings(max_examples=150)
@given(ORDERS, st.integers(0, 5), st.sets(st.integers(0, 20), max_size=2))
def test_a_follower_of_level2_holds_the_book(
    orders: list[tuple[Side, int, int]], batches_before: int, interruptions: set[int]
) -> None:
    check_follower(orders, batches_before, lambda step: step in interruptions)


@given(ORDERS)
def test_a_market_that_never_rests_is_caught_up_with_by_its_next_batch(orders: list[tuple[Side, int, int]]) -> None:
    check_follower(orders, 1, lambda _: True, is_restless=True)


def check_follower(
    orders: list[tuple[Side, int, int]],
    batches_before: int,
    is_interrupted: Callable[[int], bool],
    *,
    is_restless: bool = False,
) -> None:
    market = ToyMarket()
    for side, price, size in orders:
        market.place(side, price, size)
    markets, connections, inboxes, clock = MemoryMarkets(), MemoryConnections(), Inboxes(), SteppingClock()
    catalogue = Catalogue(Listing(acme()), clock)
    fold = MarketFold(markets, Publisher(connections, inboxes, catalogue, MemoryOrders()))
    batches, steps = iter(market.encoded(1)), count()

    def fold_next() -> None:
        fold.fold([StreamRecord("ACME-USD", data) for data in islice(batches, 1)])

    for _ in range(batches_before):
        fold_next()
    between = Interrupted(markets, connections, lambda: fold_next() if is_interrupted(next(steps)) else None)
    connections.open("ann", "203.0.113.9", clock.now_ns())
    sockets = Sockets(
        connections=between,
        pusher=inboxes,
        catalogue=catalogue,
        markets=between,
        balances=MemoryBalances(),
        credentials=KnownKeys(),
        pulse=CountingPulse(),
        clock=clock,
    )
    sockets.receive("ann", SUBSCRIBE)
    held = followed(inboxes.take("ann"))
    assert is_restless or held == displayed(markets.load("ACME-USD"))
    for data in batches:
        fold.fold([StreamRecord("ACME-USD", data)])
        held = followed(inboxes.take("ann"), held)
        assert held == displayed(markets.load("ACME-USD"))


def followed(messages: list[dict[str, Any]], held: dict[Any, str] | None = None) -> dict[Any, str]:
    book = dict(held or {})
    for message in messages:
        if message["type"] == "snapshot":
            sides = (("buy", message["bids"]), ("sell", message["asks"]))
            book = {(side, price): size for side, rows in sides for price, size in rows}
        for side, price, size in message.get("changes", []):
            book[side, price] = size
            if size == "0":
                del book[side, price]
    return book


def displayed(state: MarketState) -> dict[Any, str]:
    product = acme()
    return {
        (name, product.format_price(price)): product.format_size(sum(level.values()))
        for name, side in (("buy", Side.BUY), ("sell", Side.SELL))
        for price, level in state.book.levels(side)
    }


class Fate(Enum):
    """What becomes of one try to fold a batch."""

    TOLD = auto()
    OUTAGE = auto()  # Nobody can say who listens.
    FELL = auto()  # The worker ends between commit and telling, and another goes on.


@given(ORDERS, st.lists(st.sampled_from(Fate), max_size=40), st.integers(1, 4))
def test_owners_are_told_everything_in_order_whatever_befalls_the_workers(
    orders: list[tuple[Side, int, int]], fates: list[Fate], batch_size: int
) -> None:
    market, markets, connections, inboxes = ToyMarket(), MemoryMarkets(), MemoryConnections(), Inboxes()
    for side, price, size in orders:
        market.place(side, price, size)
    catalogue = Catalogue(Listing(acme()), SteppingClock())
    connections.open("ann", "203.0.113.9", EPOCH_NS)
    owner = Owner(1, "user-ann", "ann")
    connections.subscribe([Subscription("ann", "ACME-USD", "user", "1", owner)])

    def new_worker() -> MarketFold:
        return MarketFold(markets, Publisher(connections, inboxes, catalogue, MemoryOrders()))

    def is_done(batch: list[StreamRecord], worker: MarketFold, fate: Fate) -> bool:
        connections.is_down = fate is Fate.OUTAGE
        try:
            worker.fold(batch)
        except BatchError:
            return False
        return True

    worker, coming, encoded = new_worker(), iter(fates), iter(market.encoded(1))
    while batch := [StreamRecord("ACME-USD", data) for data in islice(encoded, batch_size)]:
        is_acknowledged = False
        while not is_acknowledged:
            fate = next(coming, Fate.TOLD)
            if fate is Fate.FELL:
                MarketFold(markets, RecordingFeed()).fold(batch)
                worker = new_worker()
            else:
                is_acknowledged = is_done(batch, worker, fate)
    own = [
        event for result in market.results for event in result.events if 1 in {event.account_id, event.maker_account_id}
    ]
    heard: list[int] = []
    for message in inboxes.take("ann"):
        if message["sequence"] > (heard[-1] if heard else 0):
            heard.append(message["sequence"])
    assert heard == [event.sequence for event in own]
