"""POST /coinbase-accounts/{id}/addresses: the address of a wallet, made when it is first asked for."""

from typing import Protocol

from exchange.chains.keys import ExtendedPublicKey
from exchange.chains.model import Listing
from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.ids import account_uuid


class Addresses(Protocol):
    """Where addresses are kept."""

    def public_key(self, chain: str) -> str | None:
        """The extended public key that addresses come from."""
        ...

    def wallet_address(self, chain: str, account_id: int, asset: str) -> str | None:
        """The address that a wallet was given."""
        ...

    def next_index(self, chain: str) -> int:
        """A number that no address has yet."""
        ...

    def give_address(self, chain: str, account_id: int, asset: str, address: str, index: int) -> bool:
        """Give a wallet the address of a number, once; False where it has one."""
        ...


def deposit_address(
    account_id: int, asset: Asset, *, listing: Listing, addresses: Addresses
) -> dict[str, object] | Refused:
    """The wallet's address, the same at every time of asking.

    Refuses:  CHAIN_NOT_LISTED.
    Raises:   UnavailableError, OutcomeUnknownError; asking again is harmless.
    """
    token = listing.token_of(asset.asset_id)
    if token is None:
        return Refused(
            Code.CHAIN_NOT_LISTED,
            f"{asset.asset_id} can't be deposited over a chain here; GET /payment-methods lists the other ways",
        )
    address = _address(account_id, asset.asset_id, listing.chain, addresses)
    return {
        "id": account_uuid(account_id, f"{listing.chain}|{asset.asset_id}"),
        "address": address,
        "address_info": {"address": address, "destination_tag": ""},
        "destination_tag": "",
        "name": f"{asset.asset_id} on {listing.chain}",
        "currency": asset.asset_id,
        "network": listing.chain,
        "contract": token.contract,
        "network_confirmations": listing.confirmations,
        "unlock_confirmations": listing.unlock_confirmations,
        "min_deposit_amount": asset.format(max(token.deposit_min_units, 1)),
        "warnings": [
            {
                "title": f"Only {asset.asset_id} on {listing.chain}",
                "details": "Other tokens, and payments over other networks, are not credited.",
            }
        ],
    }


def _address(account_id: int, asset: str, chain: str, addresses: Addresses) -> str:
    known = addresses.wallet_address(chain, account_id, asset)
    if known is not None:
        return known
    key = addresses.public_key(chain)
    if key is None:
        raise UnavailableError(f"{chain} has no key yet")
    index = addresses.next_index(chain)
    fresh = ExtendedPublicKey.parse(key).child(index).address()
    if addresses.give_address(chain, account_id, asset, fresh, index):
        return fresh
    given = addresses.wallet_address(chain, account_id, asset)
    if given is None:
        raise UnavailableError(f"{chain}: the wallet's address can't be read")
    return given
