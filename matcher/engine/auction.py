"""The call auction: one price at which a crossed book uncrosses (rule 12)."""

from matcher.engine.book import Book, Order
from matcher.engine.state import State


def uncross(state: State) -> None:
    """Trade a crossed book at its clearing price. Self-trade prevention does not act here, nor does the band."""
    found = clearing_price(state.book, state.reference)
    if found is None:
        return
    price, volume = found
    state.writer.auction(price, volume)
    while volume:
        bid, ask = state.book.bids.first, state.book.asks.first
        size = min(bid.shown, ask.shown, volume)
        maker, taker = (bid, ask) if bid.rank < ask.rank else (ask, bid)
        state.trade(maker, taker, price, size)
        state.after_fill(bid, size)
        state.after_fill(ask, size)
        volume -= size


def clearing_price(book: Book, reference: tuple[int, int] | None) -> tuple[int, int] | None:
    """Choose the price and the volume that trades at it; None when the book is not crossed.

    Among the prices of the book's orders: the most volume; then the least surplus; then the highest where every
    surplus left is of bids, the lowest where it is of asks; then the nearest to the reference; then the highest.
    Units:    reference in ticks as numerator and denominator.
    """
    if not book.is_crossed:
        return None
    candidates = _candidates(book)
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


def _candidates(book: Book) -> list[tuple[int, int, int]]:
    """Each price of the book, the volume that would trade at it, and the surplus (of bids +, of asks -)."""
    bids = {price: _volume(queue) for price, queue in book.bids.levels()}
    asks = {price: _volume(queue) for price, queue in book.asks.levels()}
    prices = sorted(bids.keys() | asks.keys())
    demand, supply = sum(bids.values()), 0
    candidates = []
    for price in prices:
        supply += asks.get(price, 0)
        candidates.append((price, min(demand, supply), demand - supply))
        demand -= bids.get(price, 0)
    return candidates


def _volume(queue: list[Order]) -> int:
    return sum(order.remaining for order in queue)
