"""A withdrawal that is cleared or held back, or waits for operators, who may be faster than the machine that waits."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from exchange.clearance.service import Holds, Screened, Verdict, await_review, clear_withdrawal
from exchange.kernel.errors import UnavailableError
from exchange.transfers.model import Clearance, Transfer
from exchange.users.model import Customer, CustomerStatus

from tests.fakes.users import a_customer
from tests.fakes.wallets import a_withdrawal


@dataclass
class Reviewed:
    """One withdrawal, waiting for a decision or decided, and whoever waits behind a token."""

    row: Transfer
    decided: bool
    token: str = ""
    woken: list[tuple[str, str]] = field(default_factory=list)

    def transfer(self, transfer_id: str) -> Transfer | None:
        return self.row if transfer_id == self.row.transfer_id else None

    def send_to_review(self, transfer: Transfer, reason: str) -> bool:
        assert transfer == self.row
        self.row = replace(transfer, clearance=Clearance.REVIEW, review_reason=reason)
        return True

    def await_review(self, transfer_id: str, token: str) -> bool:
        if not self.decided:
            self.token = token
        return not self.decided

    def booked(self, task_token: str, transfer_id: str) -> bool:
        self.woken.append((task_token, transfer_id))
        return True


@pytest.mark.parametrize("decided", [False, True])
def test_a_decision_that_was_faster_than_the_question_goes_on_at_once(decided: bool) -> None:
    world = Reviewed(a_withdrawal(), decided)
    name = world.row.transfer_id
    for _ in range(2):  # Step Functions runs a step again where its answer got lost.
        assert await_review(name, "token", transfers=world, waiters=world) is world.row
    assert world.woken == ([("token", name)] * 2 if decided else [])
    assert world.token == ("" if decided else "token")


@dataclass
class Held(Reviewed):
    """A withdrawal that nobody has screened, of a customer whom operators freeze and an asset that is stopped."""

    owner: Customer | None = field(default_factory=a_customer)
    stop: bool = False
    raced: bool = False  # every write meets another one
    verdict: Verdict = Verdict.CLEAR
    meanwhile: list[Callable[[], None]] = field(default_factory=list)  # what happens between the look and the write

    def owner_of(self, account_id: int) -> Customer | None:
        assert account_id == self.row.account_id
        return self.owner

    def stopped(self, asset: str) -> bool:
        assert asset == self.row.asset
        return self.stop

    def screen(self, transfer: Transfer) -> Screened:
        assert transfer == self.row
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return Screened(self.verdict, "a list" if self.verdict is Verdict.HIT else "")

    def let_go(self, transfer: Transfer, user_id: str) -> bool:
        assert self.owner is not None
        assert user_id == self.owner.user_id
        if self.raced or transfer != self.row or self.stop or self.owner.status is not CustomerStatus.ACTIVE:
            return False
        self.row = replace(transfer, clearance=Clearance.CLEARED)
        return True

    def freeze(self) -> None:
        """An operator does."""
        self.owner = a_customer(status=CustomerStatus.FROZEN)

    def clear(self) -> str:
        """The step of the machine."""
        holds = Holds(breaks=self, owners=self, clearings=self)
        return clear_withdrawal(self.row.transfer_id, transfers=self, screening=self, holds=holds)[1]


def held(review_reason: str = "") -> Held:
    waiting = replace(a_withdrawal(), clearance=Clearance.WAITING, review_reason=review_reason)
    return Held(waiting, decided=False)


def test_what_nothing_holds_back_is_cleared_once() -> None:
    world = held()
    assert [world.clear() for _ in range(2)] == ["cleared"] * 2
    assert world.row.review_reason == ""


def test_of_an_asset_that_is_stopped_a_withdrawal_waits_and_can_be_called_off() -> None:
    world = held(review_reason="above 50")
    world.stop, world.verdict = True, Verdict.HIT
    world.freeze()
    assert [world.clear() for _ in range(3)] == ["waiting"] * 3
    assert world.row.cancelable
    world.stop = False
    assert world.clear() == "review"
    assert world.row.review_reason == "above 50; screening: a list; frozen"


def test_operators_look_at_what_a_frozen_customer_wants_out() -> None:
    world = held()
    world.freeze()
    assert [world.clear() for _ in range(2)] == ["review"] * 2
    assert world.row.review_reason == "frozen"
    assert world.row.cancelable


def test_who_is_frozen_between_the_look_and_the_write_is_looked_at_again() -> None:
    world = held()
    world.meanwhile = [world.freeze]
    assert world.clear() == "review"
    assert world.row.review_reason == "frozen"


def test_what_is_stopped_between_the_look_and_the_write_waits() -> None:
    world = held()
    world.meanwhile = [lambda: setattr(world, "stop", True)]
    assert world.clear() == "waiting"
    assert world.row.clearance is Clearance.WAITING


def test_an_account_whose_owner_is_not_found_yet_waits() -> None:
    world = held()
    world.owner = None
    assert world.clear() == "waiting"


def test_a_write_that_is_always_lost_is_an_outage_and_no_verdict() -> None:
    world = held()
    world.raced = True
    with pytest.raises(UnavailableError):
        world.clear()
    assert world.row.clearance is Clearance.WAITING
