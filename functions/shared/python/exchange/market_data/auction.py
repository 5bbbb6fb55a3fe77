"""What an auction would do if it ended now, as far as the public can see: from displayed sizes alone.

What icebergs hide counts in the uncrossing but never here, so the real size can only be larger; the price may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.instruments.model import Product
from exchange.market_data.book import OrderBook
from exchange.market_data.model import MarketState
from exchange.messages import Phase, Side


@dataclass(frozen=True, slots=True)
class Indication:
    """Where a crossed book would trade, in ticks, and how many lots; 0 and 0 where nothing would."""

    price: int = 0
    size: int = 0


def indication(state: MarketState, product: Product) -> Indication | None:
    """The indicative price and size; None outside of an auction."""
    if state.phase is not Phase.AUCTION:
        return None
    reference = state.last_trade.price if state.last_trade else product.reference_price_ticks
    return clear(_displayed(state.book, Side.BUY), _displayed(state.book, Side.SELL), reference)


def clear(bids: Mapping[int, int], asks: Mapping[int, int], reference: int) -> Indication:
    """Clear lots by price at one price: the most volume, the least surplus, then where that surplus presses, then
    nearest to the reference (0: there is none), then the highest.
    """
    demand, supply = sum(bids.values()), 0
    candidates: list[tuple[int, int, int]] = []  # volume, surplus, price
    for price in sorted(bids.keys() | asks.keys()):
        supply += asks.get(price, 0)
        candidates.append((min(demand, supply), demand - supply, price))
        demand -= bids.get(price, 0)
    most = max((volume for volume, _, _ in candidates), default=0)
    if not most:
        return Indication()
    least = min(abs(surplus) for volume, surplus, _ in candidates if volume == most)
    left = [(surplus, price) for volume, surplus, price in candidates if volume == most and abs(surplus) == least]
    prices = [price for _, price in left]
    if all(surplus < 0 for surplus, _ in left):
        return Indication(min(prices), most)
    if all(surplus > 0 for surplus, _ in left) or not reference:
        return Indication(max(prices), most)
    return Indication(max(prices, key=lambda price: (-abs(price - reference), price)), most)


def _displayed(book: OrderBook, side: Side) -> dict[int, int]:
    return {price: sum(level.values()) for price, level in book.levels(side)}
