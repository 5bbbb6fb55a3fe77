"""What accounts traded in a period, from the journal: the exact values of their trades, in cents of one asset."""

from collections import Counter
from collections.abc import Iterable, Mapping

from exchange.fees.model import VOLUME_ASSET, VOLUME_SCALE
from exchange.instruments.model import Product
from exchange.kernel.money import divide_down
from exchange.ledger.model import HOUSE_PREFIX, Batch, EntryKind

_PRODUCT, _BUSTS = "product:", "busts:"


def traded_volumes(batches: Iterable[Batch], products: Mapping[str, Product]) -> dict[int, int]:
    """By account, what the trades in these batches were worth; both sides of a trade count its whole value.

    A trade that was undone counts off, in the period in which it was undone; so an account's volume may be below zero.

    A quote asset other than VOLUME_ASSET is worth what it traded for on average in the same batches, else the reference
    price of its own product; where there is neither, its trades count nothing.
    """
    bought: Counter[str] = Counter()  # units of base and of quote that moved, by product
    paid: Counter[str] = Counter()
    values: Counter[tuple[str, str]] = Counter()
    for batch in batches:
        chain, _, product_id = batch.partition.partition(":")
        product = products.get(product_id)
        if product is None or f"{chain}:" not in {_PRODUCT, _BUSTS}:
            continue
        if f"{chain}:" == _BUSTS:
            values.subtract(_undone(batch, product))
            continue
        for entry in batch.entries:
            if entry.kind is not EntryKind.MATCH or entry.account.startswith(HOUSE_PREFIX):
                continue
            if entry.asset == product.quote.asset_id:
                values[product.product_id, entry.account] += abs(entry.units)
                paid[product.product_id] += abs(entry.units)
            else:
                bought[product.product_id] += abs(entry.units)
    volumes: Counter[int] = Counter()
    for (product_id, account), units in values.items():
        volumes[int(account)] += _worth(units, products[product_id], products, bought, paid)
    return dict(volumes)


def _undone(batch: Batch, product: Product) -> dict[tuple[str, str], int]:
    """The value of the trade that a bust undoes, for each side: the seller gives it back, the buyer what was bought."""
    lost = [entry for entry in batch.entries if entry.units < 0 and not entry.account.startswith(HOUSE_PREFIX)]
    value = sum(-entry.units for entry in lost if entry.asset == product.quote.asset_id)
    return {(product.product_id, entry.account): value for entry in lost}


def _worth(
    units: int, product: Product, products: Mapping[str, Product], bought: Mapping[str, int], paid: Mapping[str, int]
) -> int:
    """Cents of VOLUME_ASSET, rounded down; of what is below zero, as of what it takes off."""
    if units < 0:
        return -_worth(-units, product, products, bought, paid)
    quote = product.quote
    if quote.asset_id == VOLUME_ASSET:
        return divide_down(units * 10**VOLUME_SCALE, 10**quote.scale)
    pair = products.get(f"{quote.asset_id}-{VOLUME_ASSET}")
    if pair is None:
        return 0
    if bought.get(pair.product_id):
        dollars, per = units * paid[pair.product_id], bought[pair.product_id]
    else:
        dollars, per = units * pair.reference_price_ticks * pair.tick_units, 10**quote.scale
    return divide_down(dollars * 10**VOLUME_SCALE, per * 10**pair.quote.scale)
