"""A restored table may have a part of a transaction. Whatever part, the audit names a breach before trading opens.

On AWS tables are restored one by one, each to a second; what one transaction wrote to several may then be there in some
of them only.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from exchange.audit import World, check
from exchange.fees.model import Rates
from exchange.messages import OrderType, Side
from exchange.risk.model import OrderTerms

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue

PRODUCT = "ACME-USD"
TRADES = f"product:{PRODUCT}"


@pytest.fixture(scope="module")
def settled() -> tuple[World, World]:
    """A world before and after one part was settled: a trade, and an order that stays."""
    venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**8)
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "2"))
    venue.match()
    venue.settle()
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1"))
    venue.match()
    before = deepcopy(venue.world())
    venue.settle()
    return before, venue.world()


def torn(before: World, after: World) -> Iterator[tuple[str, World]]:
    """The world after, with one item of each kind as it was before."""
    kept = {(balance.account, balance.asset): balance for balance in before.balances}
    for number, balance in enumerate(after.balances):
        old = kept.get((balance.account, balance.asset))
        if old != balance:
            restored = [*after.balances[:number], *([old] if old else []), *after.balances[number + 1 :]]
            yield f"balance {balance.account} {balance.asset}", replace(after, balances=restored)
    orders = {order.order_id: order for order in before.orders}
    for number, order in enumerate(after.orders):
        if orders.get(order.order_id, order) != order:
            restored_orders = [*after.orders[:number], orders[order.order_id], *after.orders[number + 1 :]]
            yield f"order {order.order_id}", replace(after, orders=restored_orders)
    for number in range(len(before.fills), len(after.fills)):
        yield f"fill {number}", replace(after, fills=[*after.fills[:number], *after.fills[number + 1 :]])
    yield "the journal", replace(after, batches={**after.batches, TRADES: before.batches[TRADES]})
    yield "the cursor", replace(after, cursors=before.cursors)


def test_before_and_after_are_sound_but_for_what_waits(settled: tuple[World, World]) -> None:
    assert [breach for finding in check(settled[1]) for breach in finding.breaches] == []


def test_no_part_of_a_settlement_can_be_missing_unnoticed(settled: tuple[World, World]) -> None:
    cases = dict(torn(*settled))
    assert len(cases) >= 9
    unnoticed = [name for name, world in cases.items() if all(finding.holds for finding in check(world))]
    assert unnoticed == []


def test_nor_can_two_parts(settled: tuple[World, World]) -> None:
    """Two tables torn at the same transaction, each table restored whole: all its items as they were before."""
    before, after = settled
    tables: dict[str, dict[str, Any]] = {
        "balances": {"balances": before.balances},
        "orders": {"orders": before.orders},
        "fills": {"fills": before.fills},
        "journal": {"batches": before.batches},
        "checkpoints": {"cursors": before.cursors},
    }
    names = list(tables)
    for chosen in range(1, 2 ** len(names) - 1):
        picked = [name for place, name in enumerate(names) if chosen >> place & 1]
        world = replace(after, **{key: value for name in picked for key, value in tables[name].items()})
        assert any(not finding.holds for finding in check(world)), picked
