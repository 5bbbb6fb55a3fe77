"""Assets and products in DynamoDB."""

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, reading
from exchange.instruments.model import Asset, Product, ProductStatus


class InstrumentItem(Model):
    """An asset (kind "asset") or a product (kind "product"); a product's numbers are ticks, lots and units."""

    class Meta:
        table_name = "instruments"

    kind = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute(null=True)
    asset_kind = UnicodeAttribute(null=True)
    scale = UnitsAttribute(null=True)
    withdrawal_fee_units = UnitsAttribute(null=True)
    withdrawal_min_units = UnitsAttribute(null=True)
    base = UnicodeAttribute(null=True)
    quote = UnicodeAttribute(null=True)
    tick_units = UnitsAttribute(null=True)
    lot_units = UnitsAttribute(null=True)
    size_min_lots = UnitsAttribute(null=True)
    size_max_lots = UnitsAttribute(null=True)
    market_funds_min_units = UnitsAttribute(null=True)
    reference_price_ticks = UnitsAttribute(null=True)
    band_ppm = UnitsAttribute(null=True)
    open_orders_max = UnitsAttribute(null=True)
    status = UnicodeAttribute(null=True)


def _asset(item: InstrumentItem) -> Asset:
    return Asset(
        item.id,
        item.name or item.id,
        item.scale or 0,
        item.asset_kind or "fiat",
        item.withdrawal_fee_units or 0,
        item.withdrawal_min_units or 1,
    )


class InstrumentStore:
    """Reads the whole catalogue at once: it is small, and every service caches it."""

    def save_asset(self, asset: Asset) -> None:
        """List or change an asset."""
        InstrumentItem(
            kind="asset",
            id=asset.asset_id,
            name=asset.name,
            asset_kind=asset.kind,
            scale=asset.scale,
            withdrawal_fee_units=asset.withdrawal_fee_units,
            withdrawal_min_units=asset.withdrawal_min_units,
        ).save()

    def save_product(self, product: Product) -> None:
        """List or change a product."""
        InstrumentItem(
            kind="product",
            id=product.product_id,
            base=product.base.asset_id,
            quote=product.quote.asset_id,
            tick_units=product.tick_units,
            lot_units=product.lot_units,
            size_min_lots=product.size_min_lots,
            size_max_lots=product.size_max_lots,
            market_funds_min_units=product.market_funds_min_units,
            reference_price_ticks=product.reference_price_ticks,
            band_ppm=product.band_ppm,
            open_orders_max=product.open_orders_max,
            status=product.status.value,
        ).save()

    def assets(self) -> dict[str, Asset]:
        """Every asset by id. Raises UnavailableError."""
        with reading():
            items = list(InstrumentItem.query("asset"))
        return {item.id: _asset(item) for item in items}

    def products(self) -> dict[str, Product]:
        """Every product by id. Raises UnavailableError."""
        assets = self.assets()
        with reading():
            items = list(InstrumentItem.query("product"))
        return {item.id: _product(item, assets) for item in items}


def _product(item: InstrumentItem, assets: dict[str, Asset]) -> Product:
    return Product(
        product_id=item.id,
        base=assets[item.base or ""],
        quote=assets[item.quote or ""],
        tick_units=item.tick_units or 0,
        lot_units=item.lot_units or 0,
        size_min_lots=item.size_min_lots or 0,
        size_max_lots=item.size_max_lots or 0,
        market_funds_min_units=item.market_funds_min_units or 0,
        reference_price_ticks=item.reference_price_ticks or 0,
        band_ppm=item.band_ppm or 0,
        open_orders_max=item.open_orders_max or 0,
        status=ProductStatus(item.status or "online"),
    )
