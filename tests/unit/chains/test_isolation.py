"""One chain that fails stops no other: neither its watcher, nor its payer, nor what is audited of the others."""

from dataclasses import replace

import pytest
from exchange.audit.chain_checks import chains_have_what_came_and_stayed
from exchange.audit.model import ChainView, World
from exchange.chains.model import Block, Payment, Place, Stage
from exchange.chains.paying import Payer
from exchange.chains.service import Watcher
from exchange.kernel.errors import UnavailableError

from tests.fakes.chains import LISTING, FakeChainLedger, FakeNode
from tests.fakes.paying import COIN, HOT, FakeChain, FakeDepartures, FakePayees, FakeWallet
from tests.fakes.paying import LISTING as PAYING
from tests.fakes.wallets import Cuts, FakeBooks, FakeClock


class DeadNode(FakeNode):
    """It answers nothing."""

    def block(self, number: int) -> Block | None:
        raise UnavailableError("no node")


class DeadChain(FakeChain):
    """It answers nothing."""

    def height(self) -> int:
        raise UnavailableError("no node")

    def fees(self) -> object:  # type: ignore[override]
        raise UnavailableError("no node")


def test_a_dead_chains_watcher_fails_alone() -> None:
    for node in (DeadNode(Cuts()), FakeNode(Cuts())):
        node.mine([Payment("0xt1", 0, "0xa1", "", 10**18)])
        for _ in range(4):
            node.mine()
        ledger = FakeChainLedger(Cuts())
        watcher = Watcher(
            LISTING,
            node=node,
            ledger=ledger,
            journal=ledger,
            balances=ledger,
            postings=ledger,
            clock=FakeClock(),
            pause=lambda _: None,
        )
        if isinstance(node, DeadNode):
            with pytest.raises(UnavailableError):
                watcher.run()
            assert not ledger.rows
        else:
            watcher.run()
            assert [row.stage for row in ledger.rows.values()] == [Stage.LOCKED]


def test_a_dead_chains_payer_fails_alone() -> None:
    for chain in (DeadChain(), FakeChain()):
        chain.funds[HOT, ""] = COIN.base_units(10**9)
        departures = FakeDepartures(FakeBooks(FakePayees()))
        payer = Payer(
            PAYING,
            Place.HOT,
            carrier=chain,
            wallet=FakeWallet(chain),
            departures=departures,
            journal=departures.books,
            clock=FakeClock(),
            pause=lambda _: None,
            note=lambda _: None,
        )
        if isinstance(chain, DeadChain):
            with pytest.raises(UnavailableError):
                payer.run()
        else:
            assert payer.run() == 0


def test_a_chain_that_can_not_be_audited_is_named_and_the_others_are_looked_at() -> None:
    dead = ChainView(replace(LISTING, chain="deadchain"), (), {}, "its node does not answer")
    lying = ChainView(LISTING, (), {(Place.HOT, ""): 1})
    world = World({}, (), {}, (), (), (), {}, {}, {}, {}, chains=(dead, lying))
    found = chains_have_what_came_and_stayed(world)
    assert [breach.split()[0] for breach in found.breaches] == ["deadchain:", "testchain"]
