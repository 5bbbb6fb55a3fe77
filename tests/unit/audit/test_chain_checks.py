"""D8 and D9 hold for an honest chain, and each lie is found."""

from dataclasses import replace

import pytest
from exchange.audit.chain_checks import chains_have_what_arrived, custody_is_what_was_credited
from exchange.audit.model import ChainView, World
from exchange.chains.model import FAILED, Arrival, Stage
from exchange.ledger.model import Balance, custody_account

from tests.fakes.chains import LISTING, TOKEN

ARRIVAL = Arrival("testchain", 5, "0xb5", "0xt1", 0, "0xa1", 7, "", 10**18 + 3, "ETH", 8, 10**8, Stage.LOCKED)
FAULTY = replace(ARRIVAL, transaction="0xt2", stage=Stage.IGNORED, reason=FAILED)
DUST = replace(ARRIVAL, transaction="0xt3", contract=TOKEN, base_units=2, stage=Stage.IGNORED, reason="small")
GONE = replace(ARRIVAL, transaction="0xt4", stage=Stage.REVERSED)
VIEW = ChainView(LISTING, (ARRIVAL, FAULTY, DUST, GONE), {"": 10**18 + 3, TOKEN: 2})


def _world(view: ChainView = VIEW, *, custody: int = -(10**8)) -> World:
    balances = (Balance(custody_account(LISTING.rail), "ETH", custody, 0),)
    return World({}, balances, {}, (), (), (), {}, {}, {}, {}, chains=(view,))


def test_an_honest_chain_holds() -> None:
    assert custody_is_what_was_credited(_world()).holds
    assert chains_have_what_arrived(_world()).holds


def test_custody_that_nothing_explains_is_found() -> None:
    assert (
        "custody 100000001, credited 100000000"
        in custody_is_what_was_credited(_world(custody=-(10**8) - 1)).breaches[0]
    )


def test_a_payment_credited_in_two_blocks_is_found() -> None:
    twice = replace(VIEW, arrivals=(*VIEW.arrivals, replace(ARRIVAL, block_number=6, block_hash="0xb6")))
    found = custody_is_what_was_credited(_world(twice, custody=-2 * 10**8))
    assert "credited 2 times" in found.breaches[0]


@pytest.mark.parametrize("on_chain", [{"": 10**18 + 2, TOKEN: 2}, {"": 10**18 + 3, TOKEN: 3}, {}])
def test_a_node_that_has_less_or_more_is_found(on_chain: dict[str, int]) -> None:
    assert chains_have_what_arrived(_world(replace(VIEW, on_chain=on_chain))).breaches


def test_a_node_that_is_elsewhere_proves_nothing() -> None:
    assert not chains_have_what_arrived(_world(replace(VIEW, reason="behind"))).holds
