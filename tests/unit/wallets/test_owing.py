"""What a customer owes: settled by their next deposit, or by an operator, once, and never beyond what is owed."""

from contextlib import suppress

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.transfers.model import Transfer, TransferStatus
from exchange.wallets.owing import Way
from exchange.wallets.views import transfer_view

from tests.fakes.payments import TransferWorld
from tests.fakes.stripe_world import StripeWorld, stripe_deposit
from tests.fakes.wallets import CrashError, Cuts, a_deposit, a_withdrawal

CUSTOMER, OWES, LOSSES = ("7", "USD"), ("house:receivable:7", "USD"), ("house:losses:debts", "USD")


def in_debt() -> tuple[StripeWorld, Transfer]:
    """25.50 came by Stripe, 20.25 were spent, and all of it was disputed: 20.25 are owed."""
    world, made = StripeWorld(), stripe_deposit()
    world.request(made)
    world.step(made.transfer_id)
    world.pay(made, 2550)
    world.through(made)
    world.request(a_withdrawal("20", key="spent", at_ns=world.clock.at_ns))
    world.outside(world.intent(made)["id"], "dispute")
    for body in list(world.events):
        world.hear(body)
    world.check()
    assert world.books.balances[OWES] == -20_250_000
    return world, made


def pay_in(world: TransferWorld, amount: str, key: str) -> Transfer:
    """A deposit by the bank, to its end."""
    made = a_deposit(amount, key=key, at_ns=world.clock.at_ns)
    world.request(made)
    world.finish(made)
    world.check()
    return world.transfers.rows[made.transfer_id]


def settle(world: TransferWorld, amount: str, way: Way, name: str = "case 1") -> Transfer | Refused:
    """What two operators want."""
    return world.settle(amount, way, name)


def test_the_next_deposit_settles_first_and_says_so() -> None:
    world, _ = in_debt()
    first = pay_in(world, "5", "a")
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, -15_250_000)
    assert transfer_view(first)["details"]["settled"] == "5"  # type: ignore[index]
    second = pay_in(world, "20", "b")
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (4_750_000, 0)
    assert (second.status, second.settled_units) == (TransferStatus.COMPLETED, 15_250_000)
    third = pay_in(world, "1", "c")
    assert (third.settled_units, world.books.balances[CUSTOMER]) == (0, 5_750_000)


def test_a_dispute_won_after_its_debt_was_settled_gives_the_customer_all_of_it() -> None:
    world, _ = in_debt()
    pay_in(world, "30", "a")
    world.events.clear()
    dispute = next(thing for thing in world.sandbox.objects.values() if thing["object"] == "dispute")
    world.outside(dispute["id"], "win")
    for body in [*world.events, *world.events]:
        world.hear(body)
    world.check()
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (9_750_000 + 25_500_000, 0)


def test_operators_take_it_from_the_balance_or_let_the_venue_bear_it_each_once() -> None:
    world, _ = in_debt()
    assert settle(world, "1", Way.FROM_BALANCE) == Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    done = settle(world, "0.5", Way.WRITE_OFF), settle(world, "0.5", Way.WRITE_OFF)
    assert [isinstance(each, Transfer) for each in done] == [True, False]
    for _ in range(2):  # The second time more is wanted than is owed by then.
        settle(world, "19.5", Way.WRITE_OFF, "case 2")
        world.check()
        assert (world.books.balances[LOSSES], world.books.balances[OWES]) == (-20_000_000, -250_000)
    world.books.balances[CUSTOMER] += 1_000_000  # Bought on the market, say.
    world.books.balances["9", "USD"] -= 1_000_000
    settle(world, "0.25", Way.FROM_BALANCE, "case 3")
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (750_000, 0)


@pytest.mark.parametrize("amount", ["20.250001", "0", "-1", "x", "1e1"])
def test_nobody_settles_more_than_is_owed(amount: str) -> None:
    world, _ = in_debt()
    refused = settle(world, amount, Way.WRITE_OFF)
    assert isinstance(refused, Refused)
    assert refused.code is Code.TRANSFER_AMOUNT_INVALID
    world.check()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut", range(1, 7))
def test_a_crash_anywhere_settles_once(cut: int, after: bool) -> None:
    world, _ = in_debt()
    world.cuts.at, world.cuts.after, world.cuts.count = cut, after, 0
    with suppress(CrashError):
        settle(world, "3", Way.WRITE_OFF)
    world.cuts.at = 0
    settle(world, "3", Way.WRITE_OFF)
    world.check()
    assert world.books.balances[OWES] == -17_250_000


def test_a_world_without_debts_settles_nothing() -> None:
    world = TransferWorld(Cuts())
    assert pay_in(world, "5", "a").settled_units == 0
