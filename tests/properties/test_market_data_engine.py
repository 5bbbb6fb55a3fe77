"""The fold against the matching engine's own book, through auctions, icebergs, stops and self-trades."""

from random import Random
from typing import Any

from exchange.market_data.book import OrderBook
from exchange.market_data.model import MarketState, PublicEvent
from exchange.messages import EventType, Phase, Side, decode_events, encode_event_records
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.engine.book import BookSide
from matcher.engine.reference import Engine
from matcher.engine.snapshot import decode
from tests.properties.engine_flow import PRODUCT, Flow


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 250), st.booleans())
def test_the_fold_displays_what_the_engine_displays(seed: int, commands: int, hostile: bool) -> None:
    engine, flow = Engine(PRODUCT), Flow(Random(seed), hostile=hostile)
    results = [result for _ in range(commands) if (result := engine.apply(flow.command())) is not None]
    state = MarketState.genesis(PRODUCT.product_id)
    told: list[PublicEvent] = []
    for data in encode_event_records(PRODUCT.product_id, 1, results, hash_before=state.chain):
        told += state.apply_record(decode_events(data))
    truth = decode(engine.snapshot())
    assert (state.sequence, state.chain) == (engine.sequence, engine.chain_hash)
    assert shown(state.book, Side.BUY) == displayed(truth.book.bids)
    assert shown(state.book, Side.SELL) == displayed(truth.book.asks)
    assert state.phase is truth.phase
    assert state.waiting_stops == {order.order_id for order in truth.orders.values() if order.is_waiting}
    assert (state.last_trade.trade_id if state.last_trade else 0) == truth.trade_id
    bid, ask = state.book.best(Side.BUY)[0], state.book.best(Side.SELL)[0]
    assert state.phase is not Phase.CONTINUOUS or not (bid and ask) or bid < ask
    assert [event.sequence for event in told] == list(range(1, state.sequence + 1))
    assert_followable(told, state.book)


def shown(book: OrderBook, side: Side) -> list[Any]:
    return [(price, list(level.items())) for price, level in book.levels(side)]


def displayed(side: BookSide) -> list[Any]:
    return [(price, [(order.order_id, order.shown) for order in queue]) for price, queue in side.levels()]


def assert_followable(told: list[PublicEvent], book: OrderBook) -> None:
    """Whoever keeps a book from the public events alone, both sides of an uncrossing reduced, keeps ours."""
    held: dict[int, tuple[int, int, int]] = {}
    for event in told:
        if event.type == EventType.OPEN:
            assert event.order_id not in held
            held[event.order_id] = (event.side, event.price, event.size)
        elif event.type == EventType.MATCH:
            for order_id in {event.maker_order_id, event.order_id} & held.keys():
                side, price, size = held[order_id]
                held[order_id] = (side, price, size - event.size)
        elif event.type == EventType.CHANGE and event.order_id in held:
            side, price, size = held[event.order_id]
            assert (event.side, event.price, event.old_size) == (side, price, size)
            held[event.order_id] = (side, price, event.new_size)
        elif event.type == EventType.DONE:
            held.pop(event.order_id, None)
        held = {order_id: row for order_id, row in held.items() if row[2]}
    ours = {
        order_id: (int(side), price, size)
        for side in Side
        for price, level in book.levels(side)
        for order_id, size in level.items()
    }
    assert held == ours
