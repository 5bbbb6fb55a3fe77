"""A withdrawal to a chain: what is refused and why, what it costs, and that it is paid by one departure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from exchange.chains.departures import Fees, Quote, withdrawal_departure
from exchange.chains.model import Listing, Token
from exchange.chains.withdrawal import ChainWithdrawalRequest, new_chain_withdrawal
from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.transfers.model import Transfer

from tests.fakes.wallets import NOON_NS

ASSETS = {
    "ETH": Asset("ETH", "Ether", 8, "crypto", withdrawal_fee_units=5, withdrawal_min_units=100),
    "USDC": Asset("USDC", "Dollar token", 8, "crypto"),
}
GOOD = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
CONTRACT = "0xc0" + "0" * 37 + "1"
LISTING = Listing(
    "testchain",
    1,
    2,
    4,
    (Token("ETH", 8, 18), Token("USDC", 8, 6, CONTRACT, network_fee_units=30)),
    hot_address="0x40" + "0" * 38,
)
QUOTE = Quote(Fees(base=10**9, tip=10**8), NOON_NS)


class Owners:
    """The hot wallet and one customer's address."""

    def owners(self, chain: str, addresses: Iterable[str]) -> Mapping[str, int]:
        ours = {LISTING.hot_address: 0, "0xa1" + "0" * 38: 7}
        return {address: ours[address] for address in addresses if address in ours}


def ask(
    amount: str = "1", currency: str = "ETH", to: str = GOOD, network: str = "", quote: Quote | None = QUOTE
) -> Transfer | Refused:
    return new_chain_withdrawal(
        ChainWithdrawalRequest(amount, currency, to, network, "rent"),
        account_id=7,
        assets=ASSETS,
        listing=LISTING,
        owners=Owners(),
        quote=quote,
        at_ns=NOON_NS + 1,
    )


@pytest.mark.parametrize("to", [GOOD, GOOD.lower(), "0x" + GOOD[2:].upper()])
def test_an_address_is_taken_with_its_checksum_or_without_one(to: str) -> None:
    made = ask(to=to)
    assert isinstance(made, Transfer)
    assert made.crypto_address == GOOD


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (GOOD[:-1] + "D", "checksum"),
        (GOOD.swapcase().replace("0X", "0x"), "checksum"),
        (GOOD[:-1], "not an address"),
        (GOOD[2:], "not an address"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "not an address"),
        ("0x" + "g" * 40, "not an address"),
        ("", "not an address"),
        ("0x" + "0" * 40, "chain itself"),
        ("0x" + "0" * 39 + "9", "chain itself"),
        (CONTRACT, "token's own contract"),
        (LISTING.hot_address, "this exchange"),
        ("0xa1" + "0" * 38, "this exchange"),
        ("0xA1" + "0" * 38, "this exchange"),
    ],
)
def test_an_address_that_money_would_be_lost_at_is_refused(to: str, why: str) -> None:
    refused = ask(to=to)
    assert isinstance(refused, Refused)
    assert refused.code is Code.WITHDRAWAL_ADDRESS_INVALID
    assert refused.message.startswith("crypto_address: ")
    assert why in refused.message


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0", "ETH"),
        ("0.00000099", "ETH"),  # less than the least
        ("0.000000001", "ETH"),  # finer than the asset
        ("0.0000001", "USDC"),  # finer than the chain
        ("10000000001", "ETH"),
        ("-1", "ETH"),
        ("1e-05", "ETH"),  # as text; a number of JSON comes here as decimal text
    ],
)
def test_an_amount_that_can_not_be_paid_whole_is_refused(amount: str, currency: str) -> None:
    refused = ask(amount, currency)
    assert isinstance(refused, Refused)
    assert refused.code is Code.TRANSFER_AMOUNT_INVALID


@pytest.mark.parametrize(("currency", "network"), [("DOGE", ""), ("ETH", "bitcoin"), ("USD", "testchain")])
def test_what_the_chain_does_not_have_is_refused(currency: str, network: str) -> None:
    refused = ask(currency=currency, network=network)
    assert isinstance(refused, Refused)
    assert refused.code is Code.CHAIN_NOT_LISTED


def test_the_coin_pays_what_the_chain_takes_and_a_token_what_is_listed() -> None:
    coin, token = ask("1.5"), ask("1.5", "USDC", quote=None)
    assert isinstance(coin, Transfer)
    assert isinstance(token, Transfer)
    # 21,000 gas at 1.25 + 0.1 gwei, in units of 10 gwei, counted up; and the flat fee beside it.
    assert (coin.network_fee_units, coin.fee_units) == (2_835, 2_840)
    assert (token.network_fee_units, token.fee_units) == (30, 30)


@pytest.mark.parametrize("quote", [None, replace(QUOTE, at_ns=NOON_NS - 10**12)])
def test_where_nobody_knows_what_the_chain_takes_nothing_is_promised(quote: Quote | None) -> None:
    with pytest.raises(UnavailableError):
        ask(quote=quote)


def test_one_departure_pays_it_to_the_last_unit() -> None:
    made = ask("1.23456789")
    assert isinstance(made, Transfer)
    departure = withdrawal_departure(made, LISTING)
    assert (departure.base_units, departure.recipient) == (123456789 * 10**10, GOOD.lower())
    assert departure == withdrawal_departure(made, LISTING)
    assert departure == type(departure).parse(departure.text())
