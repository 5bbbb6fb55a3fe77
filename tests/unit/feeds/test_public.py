"""The public messages, as the trading API's clients read them."""

from typing import Any

from exchange.feeds.public import (
    auction_message,
    full_message,
    snapshot_message,
    status_messages,
    ticker_message,
    update_messages,
)
from exchange.feeds.publishing import to_text
from exchange.instruments.model import Product
from exchange.kernel.ids import to_uuid
from exchange.market_data.checksum import checksum
from exchange.market_data.model import MarketState, PublicEvent
from exchange.market_data.ticker import Ticker
from exchange.messages import EventType, Phase, Side

from tests.fakes.market_data import ToyMarket

MOMENT = "2023-11-14T22:13:20.000000Z"


def told(market: ToyMarket, product: Product) -> list[dict[str, Any]]:
    state = MarketState.genesis(market.product_id)
    events = [event for record in market.records() for event in state.apply_record(record)]
    return [full_message(event, product) for event in events]


def head(kind: str, sequence: int) -> dict[str, Any]:
    return {"type": kind, "product_id": "ACME-USD", "sequence": sequence, "time": MOMENT}


def test_the_life_of_two_orders_on_full(product: Product) -> None:
    market = ToyMarket()
    maker = market.place(Side.SELL, 10_050, 1_500)
    taker = market.place(Side.BUY, 10_050, 500)
    market.cancel(maker)
    sell = {"order_id": to_uuid(maker), "side": "sell", "price": "100.5"}
    buy = {"order_id": to_uuid(taker), "side": "buy", "price": "100.5"}
    match = {"maker_order_id": to_uuid(maker), "taker_order_id": to_uuid(taker), "side": "sell"}
    assert told(market, product) == [
        head("received", 1) | sell | {"order_type": "limit", "size": "1.5"},
        head("open", 2) | sell | {"remaining_size": "1.5"},
        head("received", 3) | buy | {"order_type": "limit", "size": "0.5"},
        head("match", 4) | match | {"trade_id": 1, "price": "100.5", "size": "0.5"},
        head("done", 5) | buy | {"reason": "filled", "remaining_size": "0"},
        head("done", 6) | sell | {"reason": "canceled", "remaining_size": "1"},
    ]


def test_what_an_iceberg_hides_is_told_to_nobody(product: Product) -> None:
    market = ToyMarket()
    iceberg = market.place(Side.SELL, 10_000, 70_000, display=2_000)
    market.place(Side.BUY, 10_000, 2_000)
    market.reduce(market.resting[0], 65_000)
    market.cancel(iceberg)
    messages = told(market, product)
    own = [message for message in messages if message.get("order_id") == to_uuid(iceberg)]
    assert [message["type"] for message in own] == ["received", "open", "open", "change", "done"]
    sizes = [message.get("size") or message.get("remaining_size") or message.get("new_size") for message in own]
    assert sizes == ["2", "2", "2", "2", "2"]


def test_what_is_private_is_type_product_sequence_and_time_alone(product: Product) -> None:
    market = ToyMarket()
    stop = market.place_stop()
    market.cancel(77)
    market.trigger(stop, Side.BUY, 5, 5)
    messages = told(market, product)
    assert messages[:4] == [head("received", 1), head("activate", 2), head("rejected", 3), head("triggered", 4)]
    assert messages[4]["type"] == "open"


def test_an_amend_that_loses_its_place_leaves_and_opens_again(product: Product) -> None:
    market = ToyMarket()
    order_id = market.place(Side.BUY, 9_900, 1_000)
    market.amend(market.resting[0], 500, 9_900)
    market.amend(market.resting[0], 2_000, 9_900)
    order = {"order_id": to_uuid(order_id), "side": "buy", "price": "99"}
    assert told(market, product)[2:] == [
        head("change", 3) | order | {"reason": "amend", "old_size": "1", "new_size": "0.5"},
        head("done", 4) | order | {"reason": "canceled", "remaining_size": "0.5"},
        head("open", 5) | order | {"remaining_size": "2"},
    ]


def test_snapshot_update_and_ticker(product: Product) -> None:
    market = ToyMarket()
    market.place(Side.SELL, 10_100, 5)
    market.place(Side.SELL, 10_100, 4)
    market.place(Side.BUY, 9_900, 7)
    market.place(Side.BUY, 10_100, 5)
    market.enter(Phase.AUCTION)
    state = MarketState.genesis("ACME-USD")
    for record in market.records():
        state.apply_record(record)
    assert snapshot_message(state, product) == head("snapshot", 11) | {
        "bids": [["99", "0.007"]],
        "asks": [["101", "0.004"]],
        "checksum": checksum(state.book, product),
    }
    touched = {(Side.SELL, 10_100), (Side.BUY, 9_900), (Side.BUY, 9_800)}
    assert update_messages(state, touched, product) == [
        head("l2update", 11)
        | {
            "changes": [["buy", "98", "0"], ["buy", "99", "0.007"], ["sell", "101", "0.004"]],
            "checksum": checksum(state.book, product),
        }
    ]
    assert ticker_message(Ticker.of(state), product) == head("ticker", 8) | {
        "price": "101",
        "open_24h": "101",
        "volume_24h": "0.005",
        "low_24h": "101",
        "high_24h": "101",
        "best_bid": "99",
        "best_bid_size": "0.007",
        "best_ask": "101",
        "best_ask_size": "0.004",
        "side": "buy",
        "trade_id": 1,
        "last_size": "0.005",
    }


def test_an_uncrossing_completes_an_auction_whatever_phase_follows(product: Product) -> None:
    state = MarketState.genesis("ACME-USD")
    uncrossed = PublicEvent(EventType.AUCTION, 7, 1, price=10_000, size=3)
    for phase in (Phase.AUCTION, Phase.CONTINUOUS):
        state.phase = phase
        message = auction_message(state, product, uncrossed)
        assert (message["auction_state"], message["open_price"], message["open_size"]) == ("complete", "100", "0.003")


def test_the_largest_status_is_cut_into_messages_that_fit(product: Product) -> None:
    messages = status_messages([product] * 500, [product.base] * 100)
    assert sum(len(message["products"]) for message in messages) == 500
    assert sum(len(message["currencies"]) for message in messages) == 100
    assert max(len(to_text(message)) for message in messages) < 128 * 1024


def test_the_deepest_snapshot_and_the_longest_update_fit(product: Product) -> None:
    market = ToyMarket()
    widest = [(Side.SELL, 10**12 - number) for number in range(1_000)] + [
        (Side.BUY, 10**11 - number) for number in range(1_000)
    ]
    for side, price in widest:
        market.place(side, price, 10**12 - 1)
    state = MarketState.genesis("ACME-USD")
    for record in market.records():
        state.apply_record(record)
    assert len(to_text(snapshot_message(state, product))) < 128 * 1024
    updates = update_messages(state, set(widest), product)
    assert sum(len(update["changes"]) for update in updates) == len(widest)
    assert max(len(to_text(update)) for update in updates) < 128 * 1024
    assert ["checksum" in update for update in updates] == [False, True]
