"""Withdrawals that the bank gives back after it paid them: undone once, by postings, and nothing else moves."""

import itertools
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.ledger.model import EntryKind
from exchange.payments.model import BANK, TakenBack, provider_of
from exchange.payments.sandbox import SandboxBankError, afterwards, answer, read_instruction
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus
from exchange.wallets.owing import Way

from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import CrashError, Cuts, a_deposit, a_withdrawal

CUSTOMER, OWES = ("7", "USD"), ("house:receivable:7", "USD")
CUSTODY, FEES = ("house:custody:sandbox-bank", "USD"), ("house:fees:withdrawals", "USD")


def paid(amount: str = "40", cuts: Cuts | None = None) -> tuple[TransferWorld, Transfer]:
    """100 came, and some of it went."""
    world = TransferWorld(cuts)
    for each in (a_deposit("100"), made := a_withdrawal(amount, key="rent")):
        world.request(each)
        world.finish(each)
    return world, made


def told(world: TransferWorld, made: Transfer, **changed: Any) -> str | Refused:
    """The bank says that a payment came back."""
    said = {"status": "returned", "bank_reference": "SB-back", "event_id": "evt-back", "reason": "account closed"}
    return world.receive(*world.answered(made, **(said | changed)))


def stands(world: TransferWorld) -> tuple[int, int, int]:
    """What the customer has, what custody holds, and the fees; the books are sound."""
    world.check()
    return world.books.balances[CUSTOMER], world.books.balances[CUSTODY], world.books.balances[FEES]


def test_a_returned_withdrawal_is_the_customers_again_and_its_fee_stays() -> None:
    world, made = paid()
    assert stands(world) == (59_750_000, -60_000_000, 250_000)
    assert told(world, made) == "recorded"
    assert stands(world) == (99_750_000, -100_000_000, 250_000)
    (back,) = [row for row in world.transfers.rows.values() if row.reverses]
    assert (back.reverses, back.kind, back.status, back.units) == (
        made.transfer_id, TransferKind.DEPOSIT, TransferStatus.COMPLETED, 40_000_000,
    )  # fmt: skip
    assert (back.bank_reference, back.cancel_reason) == ("SB-back", "returned by the bank: account closed")
    assert world.transfers.rows[made.transfer_id].reversed_by == back.transfer_id
    batch = world.books.chains["rail:sandbox-bank"][-1]
    assert {entry.kind for entry in batch.entries} == {EntryKind.REVERSAL}


def test_a_return_less_what_a_bank_on_the_way_kept_gives_what_came() -> None:
    world, made = paid()
    assert told(world, made, amount="35.50") == "recorded"
    assert stands(world) == (95_250_000, -95_500_000, 250_000)


def test_a_return_told_again_is_one_and_told_otherwise_is_an_error() -> None:
    world, made = paid()
    assert [told(world, made) for _ in range(3)] == ["recorded", "repeated", "repeated"]
    assert told(world, made, event_id="evt-other", reason="otherwise worded") == "repeated"
    before = stands(world)
    for changed in ({"bank_reference": "SB-another"}, {"amount": "39.99"}, {"amount": "40.01"}):
        said = told(world, made, **changed)
        assert isinstance(said, Refused), changed
        assert said.code is Code.PAYMENT_NOTIFICATION_INVALID
    assert stands(world) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": "40.000001"}, {"amount": "0"}, {"amount": "-40"}, {"amount": "NaN"}, {"amount": "4e1"},
        {"amount": "0.0000001"}, {"currency": "EUR"}, {"currency": "BTC"},
    ],
)  # fmt: skip
def test_a_return_that_does_not_fit_its_withdrawal_moves_nothing(changed: dict[str, str]) -> None:
    world, made = paid()
    before = stands(world)
    said = told(world, made, **changed)
    assert isinstance(said, Refused)
    assert said.code is Code.PAYMENT_NOTIFICATION_INVALID
    assert stands(world) == before
    assert told(world, made) == "recorded"


def test_a_return_of_what_nobody_knows_is_refused() -> None:
    world, made = paid()
    said = told(world, made, transfer_id="00000000-0000-0000-0000-000000000000")
    assert isinstance(said, Refused)
    assert said.code is Code.TRANSFER_NOT_FOUND


def test_a_return_before_its_payment_is_posted_waits_for_it() -> None:
    world, made = TransferWorld(), a_withdrawal("40", key="rent")
    world.request(deposit := a_deposit("100"))
    world.finish(deposit)
    world.request(made)
    unasked = told(world, made)
    assert isinstance(unasked, Refused)  # Nobody was asked to pay it, so nobody can have it returned.
    world.step(made.transfer_id)
    for word in (lambda: None, lambda: world.receive(*world.answered(made))):
        word()
        with pytest.raises(UnavailableError):
            told(world, made)
        world.check()
    assert world.transfers.rows[made.transfer_id].payment is PaymentState.BOOKED
    world.step(made.transfer_id)
    assert told(world, made) == "recorded"
    assert world.receive(*world.answered(made)) == "repeated"  # The word that it was paid, late once more.
    assert stands(world) == (99_750_000, -100_000_000, 250_000)


def test_a_withdrawal_that_was_declined_never_comes_back() -> None:
    world, made = paid("10.666")
    assert world.transfers.rows[made.transfer_id].status is TransferStatus.CANCELED
    before = stands(world)
    said = told(world, made)
    assert isinstance(said, Refused)
    assert "never paid" in said.message
    assert stands(world) == before


def test_a_return_is_not_returned_nor_taken_back_again() -> None:
    world, made = paid()
    told(world, made)
    (back,) = [row for row in world.transfers.rows.values() if row.reverses]
    before = stands(world)
    assert isinstance(told(world, back), Refused)
    assert stands(world) == before


def test_words_of_a_payment_in_any_order_twice_end_alike() -> None:
    ends = set()
    for order in itertools.permutations(("booked", "booked", "returned", "returned")):
        world, made = TransferWorld(), a_withdrawal("40", key="rent")
        world.request(deposit := a_deposit("100"))
        world.finish(deposit)
        world.request(made)
        world.step(made.transfer_id)
        waiting = list(order)
        for _ in range(4):  # What is answered 503 the bank says again.
            waiting = [word for word in waiting if not said_and_taken(world, made, word)]
            world.step(made.transfer_id)
        assert waiting == []
        ends.add(stands(world))
    assert ends == {(99_750_000, -100_000_000, 250_000)}


def said_and_taken(world: TransferWorld, made: Transfer, word: str) -> bool:
    """Whether the bank need not say it again."""
    try:
        answer_ = told(world, made) if word == "returned" else world.receive(*world.answered(made))
    except UnavailableError:
        return False
    assert answer_ in {"recorded", "repeated"}
    return True


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_crash_anywhere_returns_once(at: int, after: bool) -> None:
    cuts = Cuts()
    world, made = paid(cuts=cuts)
    cuts.at, cuts.after, cuts.count = at, after, 0
    for _ in range(3):
        try:
            told(world, made)
        except CrashError:
            continue
    cuts.at = 0
    assert stands(world) == (99_750_000, -100_000_000, 250_000)


def test_what_comes_back_settles_first_what_its_customer_owes() -> None:
    world, made = paid()
    deposit = next(row for row in world.transfers.rows.values() if row.kind is TransferKind.DEPOSIT)
    told(world, deposit)  # The customer's bank has its 100 again: 59.75 were there, 40.25 are owed.
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, -40_250_000)
    assert told(world, made) == "recorded"
    world.check()
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, -250_000)
    back = next(row for row in world.transfers.rows.values() if row.reverses == made.transfer_id)
    assert (back.received_units, back.settled_units) == (0, 40_000_000)


def test_nobody_but_its_own_bank_returns_a_withdrawal() -> None:
    world, made = paid()
    for rail in ("chain-ethereum", "bank-files", "stripe", "stripe-payouts", "debts", "profiles", "internal"):
        assert provider_of(rail) != BANK
        row = world.transfers.rows[made.transfer_id]
        object.__setattr__(row, "rail", rail)
        said = world.hear_said(TakenBack("SB-1", made.transfer_id, "40", "USD", gone=True, reason="x", provider=BANK))
        assert isinstance(said, Refused), rail
        object.__setattr__(row, "rail", "sandbox-bank")
    assert told(world, made) == "recorded"


def test_what_an_operator_settled_is_no_payment_of_a_bank() -> None:
    world, made = paid()
    deposit = next(row for row in world.transfers.rows.values() if row.kind is TransferKind.DEPOSIT)
    told(world, deposit)
    world.request(more := a_deposit("1", key="more"))
    world.finish(more)  # It settles 1 by itself.
    settled = world.settle("1", Way.WRITE_OFF, "case")
    assert isinstance(settled, Transfer)
    before = dict(world.books.balances)
    assert isinstance(told(world, settled), Refused)
    assert world.books.balances == before
    assert told(world, made) == "recorded"


def instruction(amount: str, direction: str = "pay") -> dict[str, str]:
    """What the sandbox bank was asked."""
    return {
        "instruction_id": "t-1", "direction": direction, "amount": amount, "currency": "USD",
        "payment_method_id": "sandbox-bank-USD",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "direction", "back"),
    [
        ("25.777", "pay", '"amount":"25.777"'), ("25.777", "collect", '"amount":"25.777"'),
        ("25.778", "pay", '"amount":"25"'), ("25.778", "collect", ""), ("0.778", "pay", ""), (".778", "pay", ""),
        ("25.77", "pay", ""), ("25.7770", "pay", ""), ("778", "pay", ""),
    ],
)  # fmt: skip
def test_the_sandbox_returns_what_it_is_told_to_by_the_amount(amount: str, direction: str, back: str) -> None:
    said = afterwards(instruction(amount, direction))
    assert (said is None) == (not back)
    assert said is None or (back in said.decode() and '"status":"returned"' in said.decode())
    assert '"status":"booked"' in answer(instruction(amount, direction)).decode()


def test_the_sandbox_reads_only_instructions() -> None:
    with pytest.raises(SandboxBankError):
        read_instruction("{}")
