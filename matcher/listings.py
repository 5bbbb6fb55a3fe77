"""The terms on which each product is matched, written once, when its first record comes."""

import json
from dataclasses import asdict

from exchange.aws.dynamodb import error_code, outage
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore
from exchange.kernel.money import format_units
from exchange.messages import ProductParameters
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.models import Model

from matcher.markets import Listing

LISTING_PREFIX = "listing/"
_BAND_SCALE = 6


class ListingItem(Model):
    """`shard` is "listing/<product id>": an item of the table of leases."""

    class Meta:
        table_name = "leases"

    shard = UnicodeAttribute(hash_key=True)
    terms = UnicodeAttribute()
    first_record = UnicodeAttribute()


class ListingStore:
    """Listings beside the leases; a new one takes its terms from the catalogue."""

    def __init__(self, instruments: InstrumentStore) -> None:
        self._instruments = instruments

    def find_or_add(self, product_id: str, *, first_record: str) -> Listing | None:
        """The product's listing, made if it has none; None where the catalogue has no such product."""
        try:
            return self._find(product_id) or self._add(product_id, first_record)
        except PynamoDBException as error:
            raise outage(error) from error

    def _add(self, product_id: str, first_record: str) -> Listing | None:
        product = self._instruments.products().get(product_id)
        if product is None:
            return None
        terms = json.dumps(asdict(product_parameters(product)))
        item = ListingItem(LISTING_PREFIX + product_id, terms=terms, first_record=first_record)
        try:
            item.save(condition=ListingItem.shard.does_not_exist())
        except PynamoDBException as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
        return self._find(product_id)

    def _find(self, product_id: str) -> Listing | None:
        try:
            item = ListingItem.get(LISTING_PREFIX + product_id, consistent_read=True)
        except DoesNotExist:
            return None
        return Listing(ProductParameters(**json.loads(item.terms)), item.first_record)


def product_parameters(product: Product) -> ProductParameters:
    """A product of the catalogue in the words of the log."""
    reference = product.reference_price_ticks
    return ProductParameters(
        base_currency=product.base.asset_id,
        quote_currency=product.quote.asset_id,
        base_increment=product.format_size(1),
        quote_increment=product.format_price(1),
        base_min_size=product.format_size(product.size_min_lots),
        base_max_size=product.format_size(product.size_max_lots),
        min_market_funds=product.quote.format(product.market_funds_min_units),
        reference_price=product.format_price(reference) if reference else "",
        price_band=format_units(product.band_ppm, _BAND_SCALE) if product.band_ppm else "",
    )
