"""The checksum of a book: what a client compares with its own book to know that it has missed nothing.

CRC-32 (the polynomial of zlib, PNG and Ethernet, unsigned) over ASCII text: the ten best levels of both sides,
alternating, best first: `bid:size:ask:size:bid:size:ask:size:...` with prices and sizes as the messages write them.
Where one side has fewer levels, only the other's go on. An empty book's is 0.
"""

import zlib
from itertools import islice, zip_longest
from typing import Final

from exchange.instruments.model import Product
from exchange.market_data.book import OrderBook
from exchange.messages import Side

CHECKSUM_LEVELS: Final = 10


def checksum(book: OrderBook, product: Product) -> int:
    """The checksum of the book as it is displayed."""
    bids, asks = (_best(book, side, product) for side in (Side.BUY, Side.SELL))
    rows = [row for pair in zip_longest(bids, asks) for row in pair if row is not None]
    return zlib.crc32(":".join(rows).encode("ascii"))


def _best(book: OrderBook, side: Side, product: Product) -> list[str]:
    return [
        f"{product.format_price(price)}:{product.format_size(sum(level.values()))}"
        for price, level in islice(book.levels(side), CHECKSUM_LEVELS)
    ]
