"""A withdrawal that waits for operators, who may be faster than the machine that is to wait for them."""

from dataclasses import dataclass, field

import pytest
from exchange.clearance.service import await_review
from exchange.transfers.model import Clearance, Transfer

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

    def clear(self, transfer: Transfer, clearance: Clearance, reason: str) -> bool:
        return False

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
