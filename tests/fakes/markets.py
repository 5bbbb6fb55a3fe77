"""Assets and products that tests trade."""

from exchange.instruments.model import Asset, Product, list_product

USD = Asset("USD", "US dollar", 6)
ACME = Asset("ACME", "Acme Corporation", 4, "stock")


def acme_usd(
    *, price_band: str | None = None, reference_price: str | None = "100", open_orders_max: int = 500
) -> Product:
    """ACME-USD: tick 0.01, lot 0.001."""
    return list_product(
        "ACME-USD",
        base=ACME,
        quote=USD,
        base_increment="0.001",
        quote_increment="0.01",
        base_min_size="0.001",
        base_max_size="1000",
        min_market_funds="1",
        reference_price=reference_price,
        price_band=price_band,
        open_orders_max=open_orders_max,
    )
