"""Which chain a customer means: the one that is named, else the only one that has the asset."""

from collections.abc import Sequence

from exchange.chains.model import Listing
from exchange.kernel.errors import Code, Refused


def chosen(asset: str, network: str, listings: Sequence[Listing]) -> Listing | Refused:
    """The chain that moves an asset. An empty `network` names none.

    Refuses:  CHAIN_NOT_LISTED; REQUEST_FIELD_INVALID where several chains have the asset and none is named.
    """
    having = {listing.chain: listing for listing in listings if listing.token_of(asset)}
    if not having:
        told = "is on no chain here; GET /payment-methods lists the other ways"
        return Refused(Code.CHAIN_NOT_LISTED, f"currency: {asset} {told}")
    names = ", ".join(sorted(having))
    if network:
        named = having.get(network)
        return named or Refused(Code.CHAIN_NOT_LISTED, f"network: {asset} is not on this one; it is on {names}")
    if len(having) > 1:
        return Refused(Code.REQUEST_FIELD_INVALID, f"network: {asset} is on several, name one of {names}")
    return next(iter(having.values()))
