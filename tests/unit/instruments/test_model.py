import pytest
from exchange.instruments.model import Asset, ListingError, list_product
from exchange.kernel.money import DecimalTooPreciseError

from tests.fakes.markets import ACME, USD, acme_usd


def test_text_becomes_ticks_and_lots_and_back() -> None:
    product = acme_usd()
    assert product.parse_price("100.01") == 10001
    assert product.parse_size("0.5") == 500
    assert product.format_price(10001) == "100.01"
    assert product.format_size(500) == "0.5"
    with pytest.raises(DecimalTooPreciseError):
        product.parse_price("100.001")


def test_a_trade_is_worth_a_whole_number_of_quote_units() -> None:
    product = acme_usd()
    assert USD.format(product.value_units(10001, 500)) == "50.005"
    assert product.size_units(500) == ACME.parse("0.5")


def test_a_listing_whose_tick_times_lot_is_no_whole_unit_is_refused() -> None:
    cents = Asset("USD", "US dollar", 2)
    with pytest.raises(ListingError, match="coarser"):
        list_product(
            "ACME-USD",
            base=ACME,
            quote=cents,
            base_increment="0.001",
            quote_increment="0.01",
            base_min_size="0.001",
            base_max_size="10",
            min_market_funds="1",
        )


def test_the_band_keeps_inside_its_edges() -> None:
    product = acme_usd(price_band="0.1")
    assert product.band_ticks(10_000) == (9_000, 11_000)
    assert product.band_ticks(33) == (30, 36)
    assert product.band_ticks(0) is None
    assert acme_usd().band_ticks(10_000) is None
