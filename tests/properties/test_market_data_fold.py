"""The fold against a market that keeps its book in a list, whatever happens and however the stream is cut."""

from typing import Any

from exchange.kernel.errors import UnavailableError
from exchange.market_data.bars import DAY_MINUTES, MINUTE_NS, Day
from exchange.market_data.book import OrderBook
from exchange.market_data.model import MarketState, PublicEvent
from exchange.market_data.service import BatchError, MarketFold, StreamRecord
from exchange.market_data.snapshot import decode_state, encode_state
from exchange.messages import EventType, Phase, Side
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.market_data import MemoryMarkets, RecordingFeed, ToyMarket

Move = tuple[str, Side, int, int, int]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "iceberg", "cancel", "amend", "reduce", "stop", "trigger", "wait"]),
        st.sampled_from(Side),
        st.integers(1, 9),
        st.integers(1, 12),
        st.integers(0, 30),
    ),
    max_size=60,
)
CUTS = st.lists(st.integers(1, 200), max_size=12)


def played(moves: list[Move]) -> ToyMarket:
    market = ToyMarket()
    for move in moves:
        play(market, move)
    return market


def play(market: ToyMarket, move: Move) -> None:
    kind, side, price, size, pick = move
    chosen = market.resting[pick % len(market.resting)] if market.resting else None
    if kind == "place":
        market.place(side, price, size)
    elif kind == "iceberg":
        market.place(side, price, size, display=1 + size // 4)
    elif kind == "cancel":
        market.cancel(chosen.order_id if chosen else pick + 1)
    elif kind == "amend" and chosen:
        market.amend(chosen, size, price if pick % 2 else chosen.price)
    elif kind == "reduce" and chosen and chosen.remaining > 1:
        market.reduce(chosen, 1 + pick % (chosen.remaining - 1))
    elif kind == "stop":
        market.place_stop()
    elif kind == "trigger" and market.stops:
        market.trigger(market.stops[pick % len(market.stops)], side, price, size)
    elif kind == "wait":
        market.wait(pick * price * MINUTE_NS)


def folded(market: ToyMarket, cuts: list[int] | None = None) -> tuple[MarketState, list[PublicEvent]]:
    state = MarketState.genesis(market.product_id)
    told = [event for record in market.records(cuts or []) for event in state.apply_record(record)]
    return state, told


def rows(book: OrderBook, side: Side) -> list[Any]:
    return [(price, list(level.items())) for price, level in book.levels(side)]


@given(MOVES)
def test_the_book_is_what_the_market_displays_in_time_order(moves: list[Move]) -> None:
    market = played(moves)
    state, _ = folded(market)
    assert rows(state.book, Side.BUY) == market.levels(Side.BUY)
    assert rows(state.book, Side.SELL) == market.levels(Side.SELL)
    assert state.waiting_stops == set(market.stops)


@given(MOVES)
def test_a_continuous_book_is_never_crossed(moves: list[Move]) -> None:
    state, _ = folded(played(moves))
    bid, ask = state.book.best(Side.BUY)[0], state.book.best(Side.SELL)[0]
    assert not (bid and ask) or bid < ask


@given(MOVES, CUTS)
def test_where_the_stream_is_cut_changes_nothing(moves: list[Move], cuts: list[int]) -> None:
    market = played(moves)
    state, _ = folded(market)
    cut, _ = folded(market, cuts)
    assert encode_state(cut) == encode_state(state)
    assert cut.bars == state.bars


@given(MOVES, CUTS, CUTS)
def test_what_comes_again_in_another_cut_changes_nothing(moves: list[Move], cuts: list[int], others: list[int]) -> None:
    market = played(moves)
    state, _ = folded(market, cuts)
    before = encode_state(state)
    assert [event for record in market.records(others) for event in state.apply_record(record)] == []
    assert encode_state(state) == before


@given(MOVES)
def test_stored_and_read_back_a_state_is_the_same(moves: list[Move]) -> None:
    state, _ = folded(played(moves))
    again = decode_state(encode_state(state))
    again.bars.minutes.keep(state.bars.minutes.pages)
    again.bars.hours.keep(state.bars.hours.pages)
    assert encode_state(again) == encode_state(state)
    assert again == state or again.book.touched != state.book.touched


@given(MOVES)
def test_every_event_is_told_once_and_in_sequence(moves: list[Move]) -> None:
    state, told = folded(played(moves))
    assert [event.sequence for event in told] == list(range(1, state.sequence + 1))


@given(MOVES)
def test_who_follows_the_public_events_alone_holds_the_same_book(moves: list[Move]) -> None:
    state, told = folded(played(moves))
    follower: dict[int, tuple[int, int, int]] = {}
    for event in told:
        follow(follower, event)
    resting = {
        order_id: (int(side), price, size)
        for side in Side
        for price, level in state.book.levels(side)
        for order_id, size in level.items()
    }
    assert follower == resting


def follow(follower: dict[int, tuple[int, int, int]], event: PublicEvent) -> None:
    if event.is_private:
        assert (event.order_id, event.size, event.price) == (0, 0, 0)
    elif event.type == EventType.OPEN:
        follower[event.order_id] = (event.side, event.price, event.size)
    elif event.type == EventType.MATCH:
        side, price, size = follower[event.maker_order_id]
        follower[event.maker_order_id] = (side, price, size - event.size)
        if size == event.size:
            del follower[event.maker_order_id]
    elif event.type == EventType.CHANGE:
        side, price, size = follower[event.order_id]
        assert (event.side, event.price, event.old_size) == (side, price, size)
        follower[event.order_id] = (side, price, event.new_size)
    elif event.type == EventType.DONE:
        follower.pop(event.order_id, None)


@given(MOVES)
def test_the_trailing_day_is_summed_from_its_trades(moves: list[Move]) -> None:
    market = played(moves)
    state, _ = folded(market)
    oldest = market.now_ns // MINUTE_NS - DAY_MINUTES
    trades = [trade for trade in market.trades if trade.time_ns // MINUTE_NS > oldest]
    prices = [trade.price for trade in trades]
    expected = Day(prices[0], max(prices), min(prices), sum(trade.size for trade in trades)) if trades else Day()
    assert state.bars.day(market.now_ns) == expected
    assert state.last_trade == (market.trades[-1] if market.trades else None)


@settings(max_examples=50)
@given(MOVES, st.lists(st.booleans(), min_size=40, max_size=40), st.integers(1, 5))
def test_failed_commits_and_lost_memories_end_in_the_same_tables(
    moves: list[Move], fates: list[bool], commands_per_record: int
) -> None:
    market = played(moves)
    calm, rough = MemoryMarkets(), MemoryMarkets()
    batches = [[StreamRecord(market.product_id, data)] for data in market.encoded(commands_per_record)]
    steady = MarketFold(calm, RecordingFeed())
    for batch in batches:
        steady.fold(batch)
    worker = MarketFold(rough, RecordingFeed())
    for batch, fails in zip(batches, fates * len(batches), strict=False):
        if fails:
            rough.failures.append(UnavailableError("torn"))
            try:
                worker.fold(batch)
            except BatchError:
                worker = MarketFold(rough, RecordingFeed()) if fates[len(batch)] else worker
        rough.failures.clear()
        worker.fold(batch)
        worker.fold(batch)
    assert (rough.books, rough.pages, rough.trade_rows) == (calm.books, calm.pages, calm.trade_rows)
    end = calm.sequence(market.product_id)
    told = calm.events(market.product_id, first=1, last=end)
    assert rough.events(market.product_id, first=1, last=end) == told
    assert [event.sequence for event in told] == list(range(1, end + 1))


def test_an_auction_shows_in_the_phase() -> None:
    market = ToyMarket()
    market.enter(Phase.AUCTION)
    assert folded(market)[0].phase is Phase.AUCTION
