"""Sweeping on the laptop cloud: a token's address is given gas first, and all of it ends at the hot wallet."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cli.chains import TOKEN_DECIMALS, UNLOCK_CONFIRMATIONS
from infra.local import chain_node
from infra.local.settings import ROOT
from tests.integration.conftest import RunningLaptop
from tests.integration.test_chains import ETHER, Chain, Make, address_of, assert_all_holds, chain
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud

Eventually = Callable[[Callable[[], Any]], Any]
BITCOIN = 10**TOKEN_DECIMALS

__all__ = ["chain"]


def token_balance(chain: Chain, address: str) -> int:
    """What an address has of the token."""
    at = chain.web3.to_checksum_address(chain.laptop.stack["chain"]["tokens"]["BTC"])
    token = chain.web3.eth.contract(address=at, abi=chain_node.token_contract()["abi"])
    return int(token.functions.balanceOf(chain.web3.to_checksum_address(address)).call())


def everybody_runs(chain: Chain) -> None:
    """What the schedules do in a few minutes, and blocks meanwhile."""
    chain.watch()
    chain.sweep()
    chain.pay()
    chain.mine(UNLOCK_CONFIRMATIONS)


def test_coin_and_token_are_swept_and_the_audit_finds_each_unit_at_its_place(
    laptop: RunningLaptop, chain: Chain, newcomer: Make, eventually: Eventually
) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("swept"))
    of_coin, of_token = (address_of(customer, asset)["address"] for asset in ("ETH", "BTC"))
    hot = laptop.stack["chain"]["hot_address"]
    had = token_balance(chain, hot)
    chain.send(of_coin, 2 * ETHER)
    chain.send_token(of_token, BITCOIN // 4)
    chain.mine(UNLOCK_CONFIRMATIONS)

    def swept() -> bool:
        everybody_runs(chain)
        coin = chain.web3.eth.get_balance(chain.web3.to_checksum_address(of_coin))
        return bool(token_balance(chain, of_token) == 0 and coin < ETHER // 100)

    eventually(swept)
    assert token_balance(chain, hot) == had + BITCOIN // 4
    for _ in range(3):  # Until what was swept is final, posted, and seen by the watcher.
        everybody_runs(chain)
    chain.watch()
    assert_all_holds(laptop)


def test_what_is_too_much_goes_to_the_cold_address(laptop: RunningLaptop, chain: Chain, eventually: Eventually) -> None:
    cold = laptop.stack["chain"]["cold_address"]
    had = token_balance(chain, cold)
    chain.send_token(chain.web3.to_checksum_address(laptop.stack["chain"]["hot_address"]), 60 * BITCOIN)
    chain.mine(UNLOCK_CONFIRMATIONS)

    def arrived() -> bool:
        everybody_runs(chain)
        return token_balance(chain, cold) > had

    eventually(arrived)
    for _ in range(3):
        everybody_runs(chain)
    chain.watch()
    assert token_balance(chain, laptop.stack["chain"]["hot_address"]) == 50 * BITCOIN
    assert_all_holds(laptop)


def told(laptop: RunningLaptop, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `exchange chains` says."""
    command = [sys.executable, "-m", "infra.cli.main", "chains", *arguments]
    home = {"EXCHANGE_HOME": str(laptop.settings.home), "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **home}, capture_output=True, text=True, check=False)


def test_the_command_shows_each_place_and_lists_a_chain_by_one_name_only(laptop: RunningLaptop, tmp_path: Path) -> None:
    shown = told(laptop, "--mine", "1")
    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert {(row[0], row[1]) for row in rows if len(row) > 3} >= {
        (place, asset) for place in ("addresses", "hot", "cold") for asset in ("ETH", "BTC")
    }
    assert laptop.stack["chain"]["hot_address"] in shown.stdout

    terms = tmp_path / "second.toml"
    terms.write_text(
        'chain = "second"\nchain_id = 31337\nconfirmations = 2\nunlock_confirmations = 4\nfee_max_gwei = 300\n'
        '[[tokens]]\nasset = "ETH"\ndecimals = 18\n'
    )
    assert "is not listed" in told(laptop, "--chain", "second").stdout
    assert "second has no node" in told(laptop, "--list", str(terms)).stdout
    again = told(laptop, "--list", str(terms), "--node-url", laptop.stack["chain"]["node_url"])
    assert (again.returncode, "31337 is listed already, as ethereum" in again.stdout) == (1, True)
    assert "is not listed" in told(laptop, "--chain", "second").stdout
    terms.write_text("chain = 5\n")
    wrong = told(laptop, "--list", str(terms))
    assert (wrong.returncode, "chain: " in wrong.stdout) == (1, True)
