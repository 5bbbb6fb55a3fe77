"""The tables of the market_data tests serve here too."""

from tests.unit.market_data.conftest import product, tables

__all__ = ["product", "tables"]
