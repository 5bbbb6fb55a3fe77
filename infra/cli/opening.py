"""What a laptop's exchange opens with: products, the bank's accounts, a chain, and customers with money."""

from typing import Final

from infra.cli.bank import list_accounts
from infra.cli.chains import list_chain
from infra.cli.seed import list_products, seed
from infra.local.laptop import Opening

DEMO: Final = Opening(
    listings={
        "Listing products": list_products,
        "Listing the bank's accounts": list_accounts,
        "Listing the chain": list_chain,
    },
    customers=seed,
)
