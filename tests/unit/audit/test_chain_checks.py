"""D8, D9 and D10 hold for an honest chain, and each lie is found."""

from dataclasses import replace

import pytest
from exchange.audit.chain_checks import (
    chains_have_what_came_and_stayed,
    custody_is_what_was_moved,
    nonces_are_used_once,
)
from exchange.audit.model import ChainView, TransferRow, World
from exchange.chains.departures import Departure, Mined, Progress, Purpose
from exchange.chains.model import FAILED, Arrival, Block, Place, Stage
from exchange.ledger.model import Balance, custody_account

from tests.fakes.chains import LISTING, TOKEN

ARRIVAL = Arrival("testchain", 5, "0xb5", "0xt1", 0, "0xa1", 7, "", 10**18 + 3, "ETH", 8, 10**8, Stage.LOCKED)
FAULTY = replace(ARRIVAL, transaction="0xt2", stage=Stage.IGNORED, reason=FAILED)
DUST = replace(ARRIVAL, transaction="0xt3", contract=TOKEN, base_units=2, stage=Stage.IGNORED, reason="small")
GONE = replace(ARRIVAL, transaction="0xt4", stage=Stage.REVERSED)
AT = Place.ADDRESSES
VIEW = ChainView(LISTING, (ARRIVAL, FAULTY, DUST, GONE), {(AT, ""): 10**18 + 3, (AT, TOKEN): 2})
SWEEP = Departure(
    "testchain", "sweep:0xa1:0", Purpose.SWEEP, "0xa1", "0x40", "ETH", "", 9 * 10**7, 9 * 10**17, 1,
    progress=Progress.PAID, nonce=0, cost_base_units=10**10 + 1, cost_units=2, posted=True,
)  # fmt: skip
SWEPT = replace(
    VIEW,
    departures=(SWEEP,),
    left=((SWEEP, Mined("0xd1", Block(6, "0xb6"), paid=True, cost_base_units=10**10 + 1)),),
    arrivals=(
        *VIEW.arrivals,
        replace(ARRIVAL, transaction="0xd1", base_units=9 * 10**17, place=Place.HOT, stage=Stage.IGNORED),
    ),
    on_chain={(AT, ""): 10**17 + 2 - 10**10, (AT, TOKEN): 2, (Place.HOT, ""): 9 * 10**17},
)


def _world(view: ChainView = VIEW, *, custody: int = -(10**8), hot: int = 0) -> World:
    balances = (
        Balance(custody_account(LISTING.rail), "ETH", custody, 0),
        Balance(LISTING.custody(Place.HOT), "ETH", hot, 0),
    )
    return World({}, balances, {}, (), (), (), {}, {}, {}, {}, chains=(view,))


def test_an_honest_chain_holds() -> None:
    assert custody_is_what_was_moved(_world()).holds
    assert chains_have_what_came_and_stayed(_world()).holds


def test_custody_that_nothing_explains_is_found() -> None:
    assert (
        "has 100000001, its payments come to 100000000"
        in custody_is_what_was_moved(_world(custody=-(10**8) - 1)).breaches[0]
    )


def test_a_payment_credited_in_two_blocks_is_found() -> None:
    twice = replace(VIEW, arrivals=(*VIEW.arrivals, replace(ARRIVAL, block_number=6, block_hash="0xb6")))
    found = custody_is_what_was_moved(_world(twice, custody=-2 * 10**8))
    assert "credited 2 times" in found.breaches[0]


@pytest.mark.parametrize(
    "on_chain", [{(AT, ""): 10**18 + 2, (AT, TOKEN): 2}, {(AT, ""): 10**18 + 3, (AT, TOKEN): 3}, {}]
)
def test_a_node_that_has_less_or_more_is_found(on_chain: dict[tuple[Place, str], int]) -> None:
    assert chains_have_what_came_and_stayed(_world(replace(VIEW, on_chain=on_chain))).breaches


def test_a_node_that_is_elsewhere_proves_nothing() -> None:
    assert not chains_have_what_came_and_stayed(_world(replace(VIEW, reason="behind"))).holds


def test_a_sweep_moves_custody_and_costs_what_the_chain_took_counted_up() -> None:
    world = _world(SWEPT, custody=-(10**7) + 2, hot=-9 * 10**7)
    assert custody_is_what_was_moved(world).holds
    assert chains_have_what_came_and_stayed(world).holds
    assert not custody_is_what_was_moved(_world(SWEPT, custody=-(10**7), hot=-9 * 10**7)).holds
    stolen = replace(SWEPT, on_chain={**SWEPT.on_chain, (Place.HOT, ""): 9 * 10**17 - 1})
    assert not chains_have_what_came_and_stayed(_world(stolen)).holds


def test_a_withdrawal_leaves_the_hot_place_when_its_transfer_is_complete() -> None:
    paid = replace(SWEEP, departure_id="withdrawal:t", purpose=Purpose.WITHDRAWAL, sender="0x40", transfer_id="t")
    view = replace(VIEW, departures=(paid,))
    before, after = _world(view, hot=2), _world(view, hot=9 * 10**7 + 2)
    assert custody_is_what_was_moved(before).holds
    done = replace(after, transfers=(TransferRow("t", 7, "ETH", 9 * 10**7, completed=True),))
    assert custody_is_what_was_moved(done).holds
    assert not custody_is_what_was_moved(replace(done, balances=before.balances)).holds


def test_a_nonce_of_two_payments_and_a_gap_are_found() -> None:
    assert nonces_are_used_once(_world(SWEPT)).holds
    again = replace(SWEEP, departure_id="sweep:0xa1:again")
    assert not nonces_are_used_once(_world(replace(SWEPT, departures=(SWEEP, again)))).holds
    assert not nonces_are_used_once(_world(replace(SWEPT, departures=(SWEEP, replace(again, nonce=2))))).holds


def test_a_withdrawal_paid_twice_is_found() -> None:
    once = replace(SWEEP, transfer_id="t")
    twice = replace(once, departure_id="withdrawal:t:again", nonce=1)
    assert "paid 2 times" in nonces_are_used_once(_world(replace(VIEW, departures=(once, twice)))).breaches[0]
