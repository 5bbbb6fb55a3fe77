"""The call auction: one price at which a crossed book uncrosses (rule 12)."""

from collections.abc import Mapping

from matcher.engine.book import BookSide
from matcher.engine.state import State


def uncross(state: State) -> None:
    """Trade a crossed book at its clearing price. Self-trade prevention does not act here, nor does the band."""
    if not state.book.is_crossed:
        return
    bids, asks = state.book.bids, state.book.asks
    price, volume = choose_price(_volumes(bids), _volumes(asks), state.reference)
    state.writer.auction(price, volume)
    while volume:
        bid, ask = bids.first, asks.first
        size = min(bid.shown, ask.shown, volume)
        maker, taker = (bid, ask) if bid.rank < ask.rank else (ask, bid)
        state.trade(maker, taker, price, size)
        state.after_fill(bid, size)
        state.after_fill(ask, size)
        volume -= size


def choose_price(
    bids: Mapping[int, int], asks: Mapping[int, int], reference: tuple[int, int] | None
) -> tuple[int, int]:
    """Choose the price at which a crossed book trades, and the volume that trades there.

    Among the prices of the book's orders: the most volume; then the least surplus; then the highest where every
    surplus left is of bids, the lowest where it is of asks; then the nearest to the reference; then the highest.
    Units:    bids and asks in lots at each price in ticks; reference in ticks as numerator and denominator.
    """
    candidates = _candidates(bids, asks)
    most = max(volume for _, volume, _ in candidates)
    candidates = [candidate for candidate in candidates if candidate[1] == most]
    least = min(abs(surplus) for _, _, surplus in candidates)
    candidates = [candidate for candidate in candidates if abs(candidate[2]) == least]
    prices = [price for price, _, _ in candidates]
    if all(surplus > 0 for _, _, surplus in candidates):
        return max(prices), most
    if all(surplus < 0 for _, _, surplus in candidates):
        return min(prices), most
    if reference is not None:
        numerator, denominator = reference
        nearest = min(abs(price * denominator - numerator) for price in prices)
        prices = [price for price in prices if abs(price * denominator - numerator) == nearest]
    return max(prices), most


def _candidates(bids: Mapping[int, int], asks: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Each price with the volume that would trade at it and the surplus: of bids positive, of asks negative."""
    demand, supply = sum(bids.values()), 0
    candidates = []
    for price in sorted(bids.keys() | asks.keys()):
        supply += asks.get(price, 0)
        candidates.append((price, min(demand, supply), demand - supply))
        demand -= bids.get(price, 0)
    return candidates


def _volumes(side: BookSide) -> dict[int, int]:
    """How many lots stand at each price; icebergs count in full."""
    return {price: sum(order.remaining for order in queue) for price, queue in side.levels()}
