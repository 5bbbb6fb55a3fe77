"""Listings in memory, over a catalogue that a test may change."""

from dataclasses import dataclass, field

from exchange.messages import ProductParameters

from matcher.markets import Listing


def parameters(base: str = "ACME", quote: str = "USD") -> ProductParameters:
    """Terms that let small orders through."""
    return ProductParameters(base, quote, "0.001", "0.01", "0.001", "1000000", "1", "100", "0.5")


@dataclass
class FakeListings:
    """The catalogue, and the listings made from it."""

    catalogue: dict[str, ProductParameters] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)

    def find_or_add(self, product_id: str, *, first_record: str) -> Listing | None:
        """The product's listing."""
        if product_id not in self.listings and product_id in self.catalogue:
            self.listings[product_id] = Listing(self.catalogue[product_id], first_record)
        return self.listings.get(product_id)
