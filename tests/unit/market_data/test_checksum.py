"""The book's checksum, from texts written by hand, and what an auction is said to do."""

import zlib

import pytest
from exchange.instruments.model import Product
from exchange.market_data.auction import Indication, clear
from exchange.market_data.book import OrderBook, Resting
from exchange.market_data.checksum import checksum
from exchange.market_data.model import MarketState
from exchange.market_data.views import book_view
from exchange.messages import Phase, Side


def book(*rows: tuple[Side, int, int]) -> OrderBook:
    made = OrderBook()
    for order_id, (side, price, size) in enumerate(rows, 1):
        made.add(Resting(order_id, side, price, size))
    return made


def test_the_checksum_is_over_both_sides_alternating_best_first(product: Product) -> None:
    rows = [(Side.BUY, 9_900, 1_000), (Side.BUY, 9_850, 500), (Side.BUY, 9_900, 250), (Side.SELL, 10_100, 3)]
    assert checksum(book(*rows), product) == zlib.crc32(b"99:1.25:101:0.003:98.5:0.5")


def test_an_eleventh_level_does_not_count_and_the_tenth_does(product: Product) -> None:
    ten = [(Side.SELL, 10_000 + step, 5) for step in range(10)]
    assert checksum(book(*ten, (Side.SELL, 10_010, 7)), product) == checksum(book(*ten), product)
    assert checksum(book(*ten[:-1]), product) != checksum(book(*ten), product)


def test_an_empty_books_checksum_is_zero(product: Product) -> None:
    assert checksum(OrderBook(), product) == 0


# bids, asks, reference -> price, size
CLEARINGS = [
    ({}, {}, 0, Indication()),
    ({99: 5}, {101: 5}, 100, Indication()),
    ({101: 5}, {99: 5}, 100, Indication(101, 5)),  # no order stands at 100; 99 is as near, the higher wins
    ({101: 5}, {99: 5}, 90, Indication(99, 5)),
    ({101: 5}, {99: 5}, 0, Indication(101, 5)),
    ({101: 9}, {99: 5}, 90, Indication(101, 5)),  # the surplus is of bids: as high as it goes
    ({101: 5}, {99: 9}, 200, Indication(99, 5)),
    ({103: 2, 101: 3, 100: 4}, {99: 4, 100: 3, 102: 5}, 101, Indication(100, 7)),
]


@pytest.mark.parametrize(("bids", "asks", "reference", "expected"), CLEARINGS)
def test_an_auction_clears_where_most_trades(
    bids: dict[int, int], asks: dict[int, int], reference: int, expected: Indication
) -> None:
    assert clear(bids, asks, reference) == expected


def test_a_book_in_an_auction_tells_where_it_would_open(product: Product) -> None:
    state = MarketState.genesis("ACME-USD")
    state.book = book((Side.BUY, 10_200, 3_000), (Side.SELL, 10_000, 1_000))
    assert "auction" not in book_view(state, product, depth=3, time_ns=0)
    state.phase = Phase.AUCTION
    view = book_view(state, product, depth=2, time_ns=0)
    assert view["auction_mode"] is True
    assert view["auction"] == {
        "auction_state": "collection",
        "can_open": "yes",
        "open_price": "102",
        "open_size": "1",
        "best_bid_price": "102",
        "best_bid_size": "3",
        "best_ask_price": "100",
        "best_ask_size": "1",
        "timestamp": "1970-01-01T00:00:00.000000Z",
    }
    state.book = book((Side.BUY, 9_900, 3_000))
    assert book_view(state, product, depth=2, time_ns=0)["auction"] == {
        "auction_state": "collection",
        "can_open": "no",
        "best_bid_price": "99",
        "best_bid_size": "3",
        "timestamp": "1970-01-01T00:00:00.000000Z",
    }
