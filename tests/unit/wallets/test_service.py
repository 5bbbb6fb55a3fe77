"""Asking for a deposit, crediting it, closing it; and every one of them cut short anywhere and done again."""

from dataclasses import replace

import pytest
from exchange.kernel.errors import Code, InvariantError, OutcomeUnknownError, Refused, UnavailableError
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.wallets.service import ATTEMPTS_MAX, credit_deposit, fail_deposit, request_deposit

from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import CrashError, Cuts, a_deposit


def credit(world: TransferWorld, transfer: Transfer) -> Transfer:
    return credit_deposit(
        transfer.transfer_id,
        transfers=world.transfers,
        journal=world.books,
        postings=world.books,
        debts=world.books,
        clock=world.clock,
        pause=lambda _attempt: None,
    )


def booked(world: TransferWorld, transfer: Transfer) -> Transfer:
    """A transfer in the state that the bank's genuine answer leaves it in."""
    ready = replace(
        transfer, payment=PaymentState.BOOKED, received_units=transfer.units, bank_reference=transfer.transfer_id
    )
    world.transfers.rows[transfer.transfer_id] = ready
    return ready


def test_a_request_is_written_down_and_its_machine_started() -> None:
    world = TransferWorld()
    made = a_deposit(key="rent")
    assert world.request(made) == made
    assert list(world.machine.executions) == [made.transfer_id]
    world.check()


def test_a_repeated_request_is_the_same_deposit() -> None:
    world = TransferWorld()
    first = world.request(a_deposit(key="rent"))
    assert world.request(a_deposit(key="rent", at_ns=world.clock.now_ns() + 10**12)) == first
    assert len(world.transfers.rows) == len(world.machine.executions) == 1


def test_another_payload_under_a_used_client_id_is_refused_and_changes_nothing() -> None:
    world = TransferWorld()
    first = a_deposit("1", key="rent")
    world.request(first)
    refused = world.request(a_deposit("2", key="rent"))
    assert isinstance(refused, Refused)
    assert refused.code is Code.TRANSFER_KEY_REUSED
    assert list(world.transfers.rows.values()) == [first]


def test_a_repeat_of_a_finished_deposit_starts_nothing() -> None:
    world = TransferWorld()
    made = a_deposit(key="rent")
    world.request(made)
    world.finish(made)
    world.machine.executions.clear()
    again = world.request(made)
    assert isinstance(again, Transfer)
    assert again.status is TransferStatus.COMPLETED
    assert not world.machine.executions


class RefusingMachine:
    """A state machine service that takes nothing."""

    def start(self, transfer_id: str) -> None:
        raise UnavailableError("throttled")


@pytest.mark.parametrize(
    ("key", "status", "told"),
    [("", TransferStatus.CANCELED, UnavailableError), ("rent", TransferStatus.PENDING, OutcomeUnknownError)],
)
def test_a_deposit_that_never_started_waits_only_for_who_can_repeat_it(
    key: str, status: TransferStatus, told: type[Exception]
) -> None:
    world = TransferWorld()
    made = a_deposit(key=key)
    with pytest.raises(told):
        request_deposit(made, transfers=world.transfers, machine=RefusingMachine())
    assert world.transfers.rows[made.transfer_id].status is status
    world.check()


def test_a_deposit_that_met_its_own_first_try_and_cant_be_read_is_not_told_to_be_nothing() -> None:
    world = TransferWorld()
    made = a_deposit(key="rent")

    class LostAnswers:
        """Writes, loses the answer, finds the id taken at the second try, and then can't read."""

        def create(self, transfer: Transfer) -> bool:
            world.transfers.create(transfer)
            return False

        def transfer(self, transfer_id: str) -> Transfer | None:
            raise UnavailableError(transfer_id)

        def cancel(self, transfer_id: str, *, reason: str, canceled_at_ns: int) -> bool:
            raise AssertionError(f"{transfer_id} is called off")

    with pytest.raises(OutcomeUnknownError):
        request_deposit(made, transfers=LostAnswers(), machine=world.machine)
    assert made.transfer_id in world.transfers.rows


def test_a_credit_posts_once_however_often_it_runs() -> None:
    world = TransferWorld()
    ready = booked(world, a_deposit("5"))
    first = credit(world, ready)
    assert (first.status, first.completed_at_ns) == (TransferStatus.COMPLETED, world.clock.now_ns())
    assert credit(world, ready) == first
    assert world.books.balances["7", "USD"] == 5_000_000
    world.check()


@pytest.mark.parametrize("payment", [PaymentState.NONE, PaymentState.REQUESTED, PaymentState.DECLINED])
def test_nothing_is_credited_that_the_bank_has_not_booked(payment: PaymentState) -> None:
    world = TransferWorld()
    made = a_deposit()
    world.transfers.rows[made.transfer_id] = replace(made, payment=payment, received_units=made.units)
    with pytest.raises(InvariantError):
        credit(world, made)
    assert not world.books.balances


def test_nothing_is_credited_when_less_was_booked_than_asked() -> None:
    world = TransferWorld()
    ready = booked(world, a_deposit("5"))
    world.transfers.rows[ready.transfer_id] = replace(ready, received_units=ready.units - 1)
    with pytest.raises(InvariantError):
        credit(world, ready)
    assert not world.books.balances


def test_a_credit_takes_the_next_number_when_another_deposit_was_faster() -> None:
    world = TransferWorld()
    ready = booked(world, a_deposit("5"))
    world.books.overtaken = ATTEMPTS_MAX - 1
    assert credit(world, ready).status is TransferStatus.COMPLETED
    world.check()


def test_a_credit_that_never_gets_its_turn_is_an_outage_and_not_a_loss() -> None:
    world = TransferWorld()
    ready = booked(world, a_deposit("5"))
    world.books.overtaken = ATTEMPTS_MAX
    with pytest.raises(UnavailableError):
        credit(world, ready)
    assert not world.books.balances
    assert credit(world, ready).status is TransferStatus.COMPLETED


def test_a_declined_deposit_is_canceled_with_the_banks_reason() -> None:
    world = TransferWorld()
    made = a_deposit("10.666")
    world.finish(made)
    row = world.transfers.rows[made.transfer_id]
    assert (row.status, row.cancel_reason) == (TransferStatus.CANCELED, "declined by the bank: insufficient funds")
    assert not world.books.balances
    assert fail_deposit(made.transfer_id, transfers=world.transfers, clock=world.clock) == row


@pytest.mark.parametrize("payment", [PaymentState.NONE, PaymentState.REQUESTED, PaymentState.BOOKED])
def test_only_the_banks_own_word_cancels(payment: PaymentState) -> None:
    world = TransferWorld()
    made = a_deposit()
    world.transfers.rows[made.transfer_id] = replace(made, payment=payment)
    with pytest.raises(InvariantError):
        fail_deposit(made.transfer_id, transfers=world.transfers, clock=world.clock)
    assert world.transfers.rows[made.transfer_id].status is TransferStatus.PENDING


def reaches(transfer: Transfer) -> int:
    """How often a whole deposit reaches outside."""
    world = TransferWorld()
    world.finish(transfer)
    return world.cuts.count


@pytest.mark.parametrize("amount", ["100.25", "100.666"])
@pytest.mark.parametrize("after", [False, True])
def test_a_deposit_cut_short_anywhere_comes_to_the_same_end(amount: str, after: bool) -> None:
    made = a_deposit(amount, key="rent")
    for cut in range(1, reaches(made) + 1):
        world = TransferWorld(Cuts(at=cut, after=after))
        world.finish(made)
        world.check()
        declined = amount.endswith("666")
        row = world.transfers.rows[made.transfer_id]
        assert row.status is (TransferStatus.CANCELED if declined else TransferStatus.COMPLETED), f"cut {cut}"
        assert world.books.balances.get(("7", "USD"), 0) == (0 if declined else 100_250_000), f"cut {cut}"


def test_a_crash_before_anything_leaves_nothing() -> None:
    world = TransferWorld(Cuts(at=1))
    with pytest.raises(CrashError):
        world.request(a_deposit())
    assert not world.transfers.rows
