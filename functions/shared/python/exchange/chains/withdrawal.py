"""A withdrawal to a chain: what is asked for, where it may go, what it costs, and the step that has it paid."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from eth_utils.address import to_checksum_address

from exchange.chains.departures import Departure, Quote, Unswept, network_fee_units, withdrawal_departure
from exchange.chains.model import Listing, Token
from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, Refused, require
from exchange.kernel.money import DecimalError
from exchange.transfers.model import PaymentState, Transfer, TransferKind, transfer_id_for
from exchange.transfers.waiting import Waiters, let_go, wake

UNITS_MAX = 10**18
# Below this stand the contracts that are part of the chain itself, and the address of nobody.
RESERVED_BELOW = 1 << 16
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChainWithdrawalRequest:
    """What a customer asks for, as it came."""

    amount: str
    currency: str
    crypto_address: str
    network: str = ""
    client_transfer_id: str = ""


class Owners(Protocol):
    """Whose addresses are whose."""

    def owners(self, chain: str, addresses: Iterable[str]) -> Mapping[str, int]:
        """The accounts behind those of the addresses that are ours."""
        ...


class Transfers(Protocol):
    """Where withdrawals are kept."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def await_bank(self, transfer_id: str, task_token: str) -> bool:
        """Note who waits for the answer; False where the transfer is closed and nobody needs to wait."""
        ...


class Departures(Protocol):
    """Where payments are asked for."""

    def ask(self, departure: Departure, unswept: Unswept) -> bool:
        """Put a departure that is due; False where there is one of its name."""
        ...


def new_chain_withdrawal(
    request: ChainWithdrawalRequest,
    *,
    account_id: int,
    assets: Mapping[str, Asset],
    listing: Listing | None,
    owners: Owners,
    quote: Quote | None,
    at_ns: int,
) -> Transfer | Refused:
    """Turn a request into a pending transfer, its network fee quoted.

    Refuses:  CHAIN_NOT_LISTED, WITHDRAWAL_ADDRESS_INVALID, TRANSFER_AMOUNT_INVALID (in this order).
    Raises:   UnavailableError where nobody knows what the chain takes now.
    """
    asset, token = assets.get(request.currency), listing.token_of(request.currency) if listing else None
    if listing is None or token is None or asset is None or request.network not in {"", listing.chain}:
        return Refused(
            Code.CHAIN_NOT_LISTED,
            "currency, network: not withdrawn over such a chain here",
        )
    address = destination(request.crypto_address, listing, owners)
    if isinstance(address, Refused):
        return address
    units = _units(request.amount, asset, token)
    if isinstance(units, Refused):
        return units
    network_fee = network_fee_units(token, listing, quote, at_ns=at_ns)
    return Transfer(
        transfer_id=transfer_id_for(account_id, request.client_transfer_id),
        account_id=account_id,
        kind=TransferKind.WITHDRAW,
        asset=asset.asset_id,
        scale=asset.scale,
        units=units,
        rail=listing.hot_rail,
        payment_method_id=f"{listing.rail}-{asset.asset_id}",
        created_at_ns=at_ns,
        client_transfer_id=request.client_transfer_id,
        fee_units=asset.withdrawal_fee_units + network_fee,
        network_fee_units=network_fee,
        crypto_address=address,
    )


def destination(text: str, listing: Listing, owners: Owners) -> str | Refused:
    """An address that may be paid, with its checksum.

    An address of our own is refused, and not made a transfer between customers: nobody there has agreed to one, and
    what was meant for a chain would never be seen on it.

    Refuses:  WITHDRAWAL_ADDRESS_INVALID.
    """
    refused = _unusable(text, listing)
    if not refused and owners.owners(listing.chain, [text.lower()]):
        refused = "an address of this exchange; give one of your own elsewhere, or move money with /profiles/transfer"
    if refused:
        return Refused(Code.WITHDRAWAL_ADDRESS_INVALID, f"crypto_address: {refused}")
    return str(to_checksum_address(text))


def _unusable(text: str, listing: Listing) -> str:
    """Why an address can't be paid; empty where it can."""
    if not _ADDRESS.fullmatch(text):
        return f"not an address of {listing.chain}: those are 0x and 40 hexadecimal digits"
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and text != to_checksum_address(text):
        return "its capital letters are a checksum, and it does not fit: a character is wrong; copy the address anew"
    if int(digits, 16) < RESERVED_BELOW:
        return "belongs to the chain itself: what is sent there is lost"
    if listing.token(text.lower()) is not None:
        return "a token's own contract: what is sent there is lost; give the address of a wallet"
    return ""


def _units(amount: str, asset: Asset, token: Token) -> int | Refused:
    try:
        units = asset.parse(amount)
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    least = max(asset.withdrawal_min_units, token.withdrawal_min_units, 1)
    if not least <= units <= UNITS_MAX:
        return Refused(
            Code.TRANSFER_AMOUNT_INVALID,
            f"amount: must be at least {asset.format(least)} and at most {asset.format(UNITS_MAX)}",
        )
    if units % token.step_units:
        step = asset.format(token.step_units)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: the chain moves multiples of {step}")
    return units


def pay_on_chain(
    transfer_id: str,
    task_token: str,
    *,
    listings: Callable[[str], Listing | None],
    transfers: Transfers,
    departures: Departures,
    waiters: Waiters,
    note: Callable[[str], None],
) -> None:
    """Have a withdrawal paid over its chain. The waiter is noted first, so that no answer can come too early.

    Asking again is harmless: the departure has the transfer's name, and an answer that is there already is told again.

    Raises:   InvariantError for what is no such withdrawal; OutageError.
    """
    transfer = transfers.transfer(transfer_id)
    require(transfer is not None and transfer.crypto_address, f"{transfer_id} is nothing to pay over a chain")
    if transfer is None:
        return
    if not transfers.await_bank(transfer_id, task_token):
        let_go(transfers.transfer(transfer_id) or transfer, task_token, waiters=waiters)
        return
    listing = listings(transfer.rail.removeprefix("chain-").removesuffix(":hot"))
    require(listing is not None, f"{transfer_id}: {transfer.rail} is not listed")
    if listing is not None:
        departures.ask(withdrawal_departure(transfer, listing), {})
    now = transfers.transfer(transfer_id)
    if now is not None and now.payment in {PaymentState.BOOKED, PaymentState.DECLINED}:
        wake(now, waiters=waiters, note=note)
