"""What the property can't show by chance: a chain that rethinks deeper than we remember, and two watchers at once."""

import subprocess
import sys
from dataclasses import replace

import pytest
from exchange.chains.addressing import deposit_address
from exchange.chains.evm import EvmNode
from exchange.chains.model import BLOCKS_KEPT, Payment, Stage, owed_account
from exchange.chains.service import Watcher
from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, InvariantError, Refused, UnavailableError

from tests.fakes.chains import LISTING, FakeChainLedger, FakeNode
from tests.fakes.wallets import Cuts, FakeClock

COIN = Payment("0xt1", 0, "0xa1", "", 10**18)


class World:
    """A chain, its ledger and its watcher."""

    def __init__(self) -> None:
        self.node, self.ledger = FakeNode(Cuts()), FakeChainLedger(Cuts())

    def watch(self, runs: int = 1) -> None:
        for _ in range(runs):
            Watcher(
                LISTING,
                node=self.node,
                ledger=self.ledger,
                journal=self.ledger,
                balances=self.ledger,
                postings=self.ledger,
                clock=FakeClock(),
                pause=lambda _: None,
            ).run()

    def mine(self, count: int) -> None:
        for _ in range(count):
            self.node.mine()


def test_deeper_than_we_remember_nothing_moves_until_somebody_looked() -> None:
    world = World()
    world.node.mine([COIN])
    world.mine(BLOCKS_KEPT + 10)
    world.watch(10)
    before = dict(world.ledger.rows)
    world.node.cut(BLOCKS_KEPT + 11)
    world.mine(BLOCKS_KEPT + 20)
    with pytest.raises(UnavailableError, match="deeper than we remember"):
        world.watch()
    assert world.ledger.rows == before


def test_what_was_spent_before_its_block_left_is_owed_to_us() -> None:
    world = World()
    world.node.mine([COIN])
    world.mine(4)
    world.watch(2)
    world.ledger.spend(7, "ETH", lambda had: had - 3)
    world.node.cut(5)
    world.mine(6)
    world.watch()
    (row,) = world.ledger.rows.values()
    assert row.stage is Stage.REVERSED
    assert world.ledger.available["7", "ETH"] == 0
    assert world.ledger.available[owed_account(LISTING.rail), "ETH"] == -(10**8 - 3)


def test_a_second_watcher_stops_instead_of_racing() -> None:
    world = World()
    world.mine(3)
    late = world.ledger.kept
    world.watch()
    assert not world.ledger.save_cursor(LISTING.chain, late.extended(world.node.blocks[1]))


def test_depths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvariantError):
        replace(LISTING, confirmations=5)
    with pytest.raises(InvariantError):
        replace(LISTING, unlock_confirmations=BLOCKS_KEPT)


def test_a_node_that_does_not_answer_is_an_outage() -> None:
    with pytest.raises(UnavailableError):
        EvmNode("http://127.0.0.1:9").height()


def test_speaking_to_a_chain_leaves_deep_json_an_error() -> None:
    """Nested a hundred thousand deep it must not end the process."""
    code = "import json, exchange.chains.evm\ntry: json.loads('[' * 200_000)\nexcept RecursionError: print('fine')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_an_asset_that_no_chain_has_gets_no_address() -> None:
    class Nobody:
        """No addresses at all."""

        def public_key(self, chain: str) -> str | None:
            return None

        def wallet_address(self, chain: str, account_id: int, asset: str) -> str | None:
            return None

        def next_index(self, chain: str) -> int:
            return 0

        def give_address(self, chain: str, account_id: int, asset: str, address: str, index: int) -> bool:
            return True

    said = deposit_address(7, Asset("USD", "US dollar", 6), listing=LISTING, addresses=Nobody())
    assert isinstance(said, Refused)
    assert said.code is Code.CHAIN_NOT_LISTED
    with pytest.raises(UnavailableError):
        deposit_address(7, Asset("ETH", "Ether", 8), listing=LISTING, addresses=Nobody())
