"""What a genuine notification does, and what it can't."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, InvariantError, Refused, UnavailableError
from exchange.payments.model import Notification
from exchange.payments.notification import NotificationBody
from exchange.payments.sandbox import SandboxBankError, answer, read_instruction
from exchange.payments.service import ask_bank, take_notification
from exchange.transfers.model import BankAnswer, PaymentState, Recorded, Transfer, TransferKind, TransferStatus

from tests.fakes.payments import FakeBankQueue, FakeMachine, TransferWorld
from tests.fakes.wallets import FakeTransfers, a_deposit


def asked(amount: str = "100.25", key: str = "rent") -> tuple[TransferWorld, Transfer]:
    """A world in which the bank has been asked for a deposit."""
    world = TransferWorld()
    made = a_deposit(amount, key=key)
    world.request(made)
    world.step(made.transfer_id)
    return world, made


def taken(world: TransferWorld, transfer: Transfer, **changed: Any) -> str | Code:
    """What the exchange says to the bank's answer with some fields changed."""
    said = world.receive(*world.answered(transfer, **changed))
    return said.code if isinstance(said, Refused) else said


def test_asking_notes_the_waiter_and_queues_an_instruction_under_our_id() -> None:
    world, made = asked()
    row = world.transfers.rows[made.transfer_id]
    assert (row.payment, row.task_token) == (PaymentState.REQUESTED, f"{made.transfer_id}/1")
    assert [json.loads(message) for message in world.queue.messages] == [
        {
            "instruction_id": made.transfer_id,
            "direction": "collect",
            "amount": "100.25",
            "currency": "USD",
            "payment_method_id": "sandbox-bank-USD",
        }
    ]


def test_a_closed_transfer_asks_nothing_of_the_bank() -> None:
    transfers, bank = FakeTransfers(), FakeBankQueue()
    made = replace(a_deposit(), status=TransferStatus.CANCELED)
    transfers.rows[made.transfer_id] = made
    ask_bank(made.transfer_id, "token", transfers=transfers, bank=bank, waiters=FakeMachine(), note=print)
    assert not bank.messages


@pytest.mark.parametrize("known", [False, True])
def test_only_what_the_bank_has_a_part_in_can_be_asked_for(known: bool) -> None:
    transfers = FakeTransfers()
    payout = replace(a_deposit(), kind=TransferKind.INTERNAL_WITHDRAW)
    if known:
        transfers.rows[payout.transfer_id] = payout
    bank, waiters = FakeBankQueue(), FakeMachine()
    with pytest.raises(InvariantError):
        ask_bank(payout.transfer_id, "token", transfers=transfers, bank=bank, waiters=waiters, note=print)


def test_a_booking_is_recorded_once_and_wakes_the_waiter() -> None:
    world, made = asked()
    assert taken(world, made) == "recorded"
    assert world.machine.executions[made.transfer_id].state == "Credit"
    assert [taken(world, made) for _ in range(3)] == ["repeated"] * 3
    world.step(made.transfer_id)
    assert taken(world, made) == "repeated"
    world.check()
    assert world.books.balances["7", "USD"] == 100_250_000


def test_a_repeat_wakes_the_newest_waiter() -> None:
    world, made = asked()
    world.machine.executions[made.transfer_id].token = "a try that crashed and was replaced"
    assert taken(world, made) == "recorded"
    assert world.machine.executions[made.transfer_id].state == "AskBank"
    assert world.notes
    world.step(made.transfer_id)
    assert taken(world, made) == "repeated"
    assert world.machine.executions[made.transfer_id].state == "Credit"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"transfer_id": "00000000-0000-0000-8000-000000000001"}, Code.TRANSFER_NOT_FOUND),
        ({"amount": "100.26"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "1002500"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "100.2500001"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "-100.25"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "1.0025e2"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": "NaN"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"currency": "EUR"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"currency": "usd"}, Code.PAYMENT_NOTIFICATION_INVALID),
        ({"amount": 100.25}, Code.REQUEST_FIELD_INVALID),
        ({"amount": None}, Code.REQUEST_FIELD_INVALID),
        ({"status": "settled"}, Code.REQUEST_FIELD_INVALID),
        ({"event_id": ""}, Code.REQUEST_FIELD_INVALID),
        ({"bank_reference": "a#b"}, Code.REQUEST_FIELD_INVALID),
        ({"account_id": 8}, Code.REQUEST_FIELD_UNKNOWN),
    ],
)
def test_a_genuine_notification_that_does_not_fit_changes_nothing(changed: dict[str, Any], code: Code) -> None:
    world, made = asked()
    before = dict(world.transfers.rows)
    assert taken(world, made, **changed) is code
    assert world.transfers.rows == before
    assert world.machine.executions[made.transfer_id].state == "AskBank"


def test_one_payment_pays_for_one_transfer() -> None:
    world, first = asked(key="first")
    second = a_deposit(key="second")
    world.request(second)
    world.step(second.transfer_id)
    paid = json.loads(world.answered(first)[1])
    assert taken(world, first) == "recorded"
    assert taken(world, second, bank_reference=paid["bank_reference"]) is Code.PAYMENT_NOTIFICATION_INVALID
    assert taken(world, second, event_id=paid["event_id"]) is Code.PAYMENT_NOTIFICATION_INVALID
    assert world.transfers.rows[second.transfer_id].payment is PaymentState.REQUESTED
    assert taken(world, second) == "recorded"


@pytest.mark.parametrize("order", list(itertools.permutations(("booked", "declined", "booked again"))))
def test_the_first_word_stands_and_no_later_one_turns_it_back(order: tuple[str, ...]) -> None:
    world, made = asked()
    words = {
        "booked": {},
        "declined": {"status": "declined", "event_id": "evt-no"},
        "booked again": {"event_id": "evt-2", "bank_reference": "SB-other"},
    }
    said = [taken(world, made, **words[word]) for word in order]
    assert said == ["recorded", Code.PAYMENT_NOTIFICATION_INVALID, Code.PAYMENT_NOTIFICATION_INVALID]
    world.step(made.transfer_id)
    world.check()
    credited = world.books.balances.get(("7", "USD"), 0)
    assert credited == (0 if order[0] == "declined" else made.units)


def test_what_was_never_asked_for_is_not_taken() -> None:
    world = TransferWorld()
    made = a_deposit()
    world.request(made)
    said = world.receive(*world.answered(made))
    assert said == Refused(Code.PAYMENT_NOTIFICATION_INVALID, "this payment was never asked for")


def test_a_booking_for_a_closed_transfer_is_not_taken() -> None:
    world, made = asked()
    row = world.transfers.rows[made.transfer_id]
    world.transfers.rows[made.transfer_id] = replace(row, status=TransferStatus.CANCELED)
    assert taken(world, made) is Code.PAYMENT_NOTIFICATION_INVALID


class RestlessTransfers(FakeTransfers):
    """Somebody else changes the transfer between every read and write."""

    def record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        row = self.rows[transfer.transfer_id]
        self.rows[transfer.transfer_id] = replace(row, task_token=row.task_token + "+")
        return Recorded.LOST


def test_a_race_lost_again_and_again_is_an_outage_and_the_bank_repeats() -> None:
    world, made = asked()
    restless = RestlessTransfers(rows=world.transfers.rows)
    notification = NotificationBody(**json.loads(world.answered(made)[1])).said()
    assert isinstance(notification, Notification)
    with pytest.raises(UnavailableError):
        take_notification(
            notification,
            transfers=restless,
            waiters=world.machine,
            note=world.notes.append,
        )


def test_the_sandbox_bank_answers_the_same_instruction_in_the_same_words() -> None:
    instruction = {
        "instruction_id": "t-1",
        "direction": "collect",
        "amount": "10",
        "currency": "USD",
        "payment_method_id": "m",
    }
    assert answer(instruction) == answer(instruction)
    assert json.loads(answer(instruction))["status"] == "booked"
    declined = json.loads(answer(instruction | {"amount": "10.666"}))
    assert (declined["status"], declined["reason"]) == ("declined", "insufficient funds")
    assert declined["event_id"] != json.loads(answer(instruction))["event_id"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"instruction_id":1,"direction":"pay","amount":"1","currency":"USD","payment_method_id":"m"}',
        "nonsense",
    ],
)
def test_the_sandbox_bank_refuses_what_is_no_instruction(text: str) -> None:
    with pytest.raises(SandboxBankError):
        read_instruction(text)
