"""A chain is listed by a file that is read strictly: every slip is named."""

from pathlib import Path

import pytest
from exchange.instruments.model import Asset

from infra.cli.chain_terms import ChainTermsError, read_terms

ASSETS = {"ETH": Asset("ETH", "Ether", 8, "crypto"), "USDC": Asset("USDC", "Dollar token", 6, "crypto")}
TERMS = """
chain = "ethereum"
chain_id = 1
confirmations = 12
unlock_confirmations = 32
cold_address = "0xC01dC01dC01dC01dC01dC01dC01dC01dC01dC01d"
fee_max_gwei = 300

[[tokens]]
asset = "ETH"
decimals = 18
hot_min = "5"
hot_max = "100"

[[tokens]]
asset = "USDC"
decimals = 6
contract = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
network_fee = "1.5"
gas = 65000
"""


def _read(tmp_path: Path, text: str) -> object:
    (tmp_path / "chain.toml").write_text(text)
    return read_terms(tmp_path / "chain.toml", ASSETS, hot_address="0x40")


def test_terms_become_a_listing_in_units(tmp_path: Path) -> None:
    listing = read_terms(_written(tmp_path), ASSETS, hot_address="0x40")
    assert (listing.coin.hot_max_units, listing.fee_max) == (100 * 10**8, 300 * 10**9)
    assert listing.cold_address == "0xc01dc01dc01dc01dc01dc01dc01dc01dc01dc01d"
    token = listing.token("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
    assert token is not None
    assert (token.asset, token.network_fee_units) == ("USDC", 1_500_000)


def _written(tmp_path: Path) -> Path:
    path = tmp_path / "chain.toml"
    path.write_text(TERMS)
    return path


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('chain = "ethereum"', 'chain = "Ether Eum"', "chain"),
        ("chain_id = 1", 'chain_id = "1"', "chain_id"),
        ("confirmations = 12", "confirmations = 40", "confirmations"),
        ("fee_max_gwei = 300", "", "fee_max_gwei"),
        ('hot_max = "100"', "hot_max = 100", "hot_max"),
        ('hot_max = "100"', 'hot_maxx = "100"', "hot_maxx"),
        ('network_fee = "1.5"', 'network_fee = "1.5000001"', "USDC"),
        ('asset = "USDC"', 'asset = "DOGE"', "DOGE is not listed"),
        ("decimals = 18\n", 'decimals = 18\ncontract = "0x' + "1" * 40 + '"\n', "own coin"),
        ("0xA0b8", "0xZZb8", "contract"),
        ("[[tokens]]", "[[tokens", "Expected"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, old: str, new: str, names: str) -> None:
    with pytest.raises(ChainTermsError, match=names):
        _read(tmp_path, TERMS.replace(old, new, 1))
