"""Payments by file: every way that money takes, and what becomes of what does not fit."""

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from exchange.banking.model import CaseState, Taking
from exchange.iso20022.grammar import FileRefusedError
from exchange.kernel.errors import Refused, UnavailableError
from exchange.payments.references import reference_of
from exchange.transfers.model import Transfer, TransferStatus

from infra.local.bank_messages import Booking, Told, notification, statement, status_report
from tests.fakes.bank_files import OURS, THEIRS, FileWorld
from tests.fakes.wallets import CrashError

CUSTOMER, SUSPENSE, OWES = ("7", "USD"), ("house:suspense:bank-files", "USD"), ("house:receivable:7", "USD")
AT = "2026-01-02T03:04:05Z"


@pytest.fixture
def world() -> FileWorld:
    return FileWorld()


def known(world: FileWorld, account_id: int = 7, name: str = "Dora") -> None:
    """A customer who has paid in 100.00 under their reference, after asking for it once."""
    world.asked("3", account_id=account_id, key=f"first-{account_id}")
    world.pay_in(account_id, "100", name=name)
    world.take_all()
    world.agree()


def close(world: FileWorld) -> None:
    """The bank's day ends, and all is taken."""
    world.bank.close_day("USD")
    world.take_all()
    world.at_rest()


def test_a_credit_that_was_asked_for_completes_the_deposit_and_wakes_its_machine(world: FileWorld) -> None:
    made = world.asked("25.50")
    assert world.row(made).provider_reference == reference_of(7)
    assert THEIRS not in world.row(made).funding
    assert OURS in world.row(made).funding
    world.pay_in(7, "25.50", "thank you")
    world.take_all()
    assert (world.row(made).status, world.books.balances[CUSTOMER]) == (TransferStatus.COMPLETED, 25_500_000)
    assert world.machine.executions[made.transfer_id].state == "Credit"
    world.step(made.transfer_id)
    close(world)
    assert world.books.balances[CUSTOMER] == 25_500_000


def test_any_other_amount_under_the_reference_is_a_deposit_of_its_own(world: FileWorld) -> None:
    made = world.asked("25.50")
    world.pay_in(7, "25.49")
    world.pay_in(7, "0.01", "twice")
    close(world)
    assert world.row(made).status is TransferStatus.PENDING
    assert world.books.balances[CUSTOMER] == 25_500_000
    world.pay_in(7, "25.50")
    world.pay_in(7, "25.50")
    close(world)
    assert world.row(made).status is TransferStatus.COMPLETED
    assert world.books.balances[CUSTOMER] == 76_500_000


@pytest.mark.parametrize("words", ["silent", "twice", "late", "recalled", ""])
def test_however_a_credit_is_told_it_counts_once(world: FileWorld, words: str) -> None:
    world.asked("1")
    world.pay_in(7, "10", words)
    for _ in range(2):
        files = list(world.inbox)
        close(world)
        for _, content in files:
            world.reader.take(content)
        assert world.books.balances[CUSTOMER] == (0 if words == "recalled" else 10_000_000)


@pytest.mark.parametrize(
    "written",
    ["rf{rest}", "Invoice RF{rest} of May", "RF {spaced}", "RF{rest}RF{rest}"],
)
def test_a_reference_is_found_however_it_is_written(world: FileWorld, written: str) -> None:
    world.asked("1")
    reference = reference_of(7)
    text = written.format(rest=reference[2:], spaced=" ".join(reference[2:]))
    world.bank.transfer("USD", "10", text, name="Dora", iban=THEIRS)
    close(world)
    assert world.books.balances[CUSTOMER] == 10_000_000


def test_money_without_a_customer_waits_in_suspense_until_an_operator_says_whose_it_is(world: FileWorld) -> None:
    known(world)
    wrong = reference_of(7)[:-1] + ("1" if reference_of(7)[-1] != "1" else "2")
    for words in ("no reference", wrong, reference_of(99)):
        world.bank.transfer("USD", "10", words, name="Eve", iban=THEIRS)
    close(world)
    assert (world.books.balances[SUSPENSE], len(world.alarms)) == (30_000_000, 3)
    first, second, third = [key for _, key in world.files.found]
    for _ in range(2):
        world.suspense.assign("USD", first, 7)
    assert (world.books.balances[SUSPENSE], world.books.balances[CUSTOMER]) == (20_000_000, 110_000_000)
    assert isinstance(world.suspense.charge("USD", second), Refused)
    sent = world.suspense.send_back("USD", second)
    assert not isinstance(sent, Refused)
    assert isinstance(world.suspense.assign("USD", second, 7), Refused)
    assert world.file() == 1
    close(world)
    assert (world.books.balances[SUSPENSE], world.files.found["USD", second].state) == (10_000_000, CaseState.RETURNED)
    assert world.files.found["USD", third].state is CaseState.OPEN
    assert isinstance(world.suspense.assign("USD", "unknown", 7), Refused)


def test_what_can_not_go_back_is_open_again_and_goes_by_a_new_order(world: FileWorld) -> None:
    world.bank.transfer("USD", "10", "who knows", name="Eve rejected", iban=THEIRS)
    close(world)
    ((_, key),) = world.files.found
    for _ in range(2):
        world.clock.at_ns += 1
        sent = world.suspense.send_back("USD", key)
        assert not isinstance(sent, Refused)
        world.file()
        close(world)
        assert world.files.found["USD", key].state is CaseState.OPEN
    assert world.books.balances[SUSPENSE] == 10_000_000
    world.suspense.assign("USD", key, 7)
    close(world)
    assert world.books.balances[CUSTOMER] == 10_000_000


def test_an_assigned_case_settles_what_the_customer_owes_first(world: FileWorld) -> None:
    known(world)
    world.withdraw("50")
    world.bank.recall("USD", next(iter(world.files.lines))[1])
    world.take_all()
    assert world.books.balances[OWES] == -50_250_000
    world.bank.transfer("USD", "60", "who knows", name="Eve", iban=THEIRS)
    world.take_all()
    world.suspense.assign("USD", next(key for _, key in world.files.found), 7)
    close_without_orders = world.books.balances[CUSTOMER], world.books.balances[OWES]
    assert close_without_orders == (9_750_000, 0)
    world.sound()


def test_a_withdrawal_goes_to_the_account_that_paid_in_last_and_is_posted_when_the_bank_has_paid(
    world: FileWorld,
) -> None:
    known(world)
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    assert (world.file(), world.file()) == (1, 0)
    (name, content), *_ = world.outbox.items()
    assert name == "EXUSD0000000001.xml"
    assert THEIRS.encode() in content
    close(world)
    assert world.row(gone).status is TransferStatus.COMPLETED
    assert (world.books.balances[CUSTOMER], world.books.held[CUSTOMER]) == (59_750_000, 0)
    world.step(gone.transfer_id)
    close(world)


def test_who_never_paid_in_has_no_account_to_be_paid_to_and_keeps_the_money(world: FileWorld) -> None:
    world.bank.transfer("USD", "50", "who knows", name="Eve", iban=THEIRS)
    world.take_all()
    world.suspense.assign("USD", next(key for _, key in world.files.found), 7)
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    for _ in range(2):
        world.step(gone.transfer_id)
    assert (world.row(gone).status, world.books.balances[CUSTOMER]) == (TransferStatus.CANCELED, 50_000_000)
    assert "pay in from it first" in world.row(gone).cancel_reason
    known(world)
    world.step(gone.transfer_id)
    assert world.file() == 0


@pytest.mark.parametrize("words", ["", "silent", "pending"])
def test_however_a_payment_is_told_it_is_posted_once(world: FileWorld, words: str) -> None:
    known(world, name=f"Dora {words}")
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    world.file()
    files = list(world.inbox)
    world.take_all()
    world.agree()
    assert (world.row(gone).status is TransferStatus.COMPLETED) == (words == "")
    close(world)
    for _, content in [*files, *files]:
        world.reader.take(content)
    world.at_rest()
    assert world.row(gone).status is TransferStatus.COMPLETED


def test_between_a_status_and_its_line_the_ledger_is_ahead_of_the_bank_by_just_that(world: FileWorld) -> None:
    known(world)
    gone = world.withdraw("40")
    world.file()
    status, line = [content for _, content in world.inbox]
    world.inbox.clear()
    for content in (status, status, line, status):
        world.reader.take(content)
        world.agree()
        assert isinstance(gone, Transfer)
        assert (world.row(gone).status, world.custody()) == (TransferStatus.COMPLETED, 60_000_000)
    close(world)


def test_a_line_that_two_statements_lack_is_no_longer_believed_to_be_at_the_bank(world: FileWorld) -> None:
    known(world)
    close(world)
    world.reader.take(notification(OURS, "USD", "forged", [paid("forged", 700_000)], at=AT))
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    world.file()
    world.inbox.clear()  # Of the real answer nothing comes; somebody else's says that it was paid.
    told = Told(gone.transfer_id.replace("-", ""), "ACSC")
    world.reader.take(status_report("S", "EXUSD0000000001", "EXUSD0000000001-1", [told], at=AT))
    world.bank.accounts["USD"].bookings.clear()
    world.agree()
    for late in (True, False):
        world.bank.close_day("USD")
        world.take_all()
        standing = world.files.standing(world.files.account("USD"))
        assert (standing.expected_units == world.custody()) == late
    assert (world.custody(), standing.expected_units) == (67_000_000, 100_000_000)


def test_a_rejected_payment_gives_the_money_back_and_only_its_own_status_does(world: FileWorld) -> None:
    known(world, name="Dora rejected")
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    world.file()
    (status,) = [content for name, content in world.inbox if name.startswith("pain.002")]
    world.inbox.clear()
    message = "EXUSD0000000001"
    world.reader.take(status_report("G", message, "", [], at=AT, group=("RJCT", "DU01")))
    world.step(gone.transfer_id)
    assert (world.row(gone).status, len(world.alarms)) == (TransferStatus.PENDING, 1)
    for _ in range(2):
        world.reader.take(status)
    world.step(gone.transfer_id)
    assert (world.row(gone).status, world.books.balances[CUSTOMER]) == (TransferStatus.CANCELED, 100_000_000)
    close(world)


def test_a_withdrawal_that_comes_back_is_reversed_once_and_its_fee_stays(world: FileWorld) -> None:
    known(world, name="Dora returned")
    gone = world.withdraw("40")
    assert isinstance(gone, Transfer)
    world.file()
    close(world)
    assert (world.row(gone).status, world.books.balances[CUSTOMER]) == (TransferStatus.COMPLETED, 99_750_000)
    back = next(row for row in world.transfers.rows.values() if row.reverses)
    assert (back.reverses, back.cancel_reason) == (gone.transfer_id, "returned by the bank: AC04")
    assert world.row(gone).reversed_by == back.transfer_id


def test_a_deposit_that_is_recalled_after_it_was_spent_is_owed_and_the_next_one_settles_it(world: FileWorld) -> None:
    known(world)
    world.withdraw("80")
    world.file()
    world.take_all()
    world.bank.recall("USD", next(iter(world.files.lines))[1])
    close(world)
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (0, -80_250_000)
    world.pay_in(7, "81")
    close(world)
    assert (world.books.balances[CUSTOMER], world.books.balances[OWES]) == (750_000, 0)


def test_money_in_suspense_that_is_recalled_closes_its_case(world: FileWorld) -> None:
    reference = world.bank.transfer("USD", "10", "who knows", name="Eve", iban=THEIRS)
    world.take_all()
    world.bank.recall("USD", reference)
    close(world)
    assert (world.books.balances[SUSPENSE], world.files.found["USD", reference].state) == (0, CaseState.RETURNED)


def test_what_leaves_without_our_order_is_below_zero_in_suspense_and_can_be_a_charge(world: FileWorld) -> None:
    known(world, name="Dora doubled")
    world.bank.charge("USD", "2.50")
    world.withdraw("40")
    world.file()
    close(world)
    assert world.books.balances[SUSPENSE] == -42_500_000
    charge = next(case for case in world.files.found.values() if case.units == -2_500_000)
    for _ in range(2):
        world.suspense.charge("USD", charge.key)
    assert (world.books.balances[SUSPENSE], world.books.balances["house:losses:bank-files", "USD"]) == (
        -40_000_000, -2_500_000,
    )  # fmt: skip
    assert isinstance(world.suspense.send_back("USD", charge.key), Refused)
    world.at_rest()


def day(number: int, opening: int, *bookings: Booking, iban: str = OURS, currency: str = "USD") -> bytes:
    """A statement as the bank might send it."""
    return statement(iban, currency, number, opening, bookings, at=AT)


def paid(key: str, units: int, words: str = "who knows") -> Booking:
    """A movement of an account."""
    return Booking(key, units, words, "Eve", THEIRS)


def test_statements_are_taken_in_their_order_and_an_early_one_waits(world: FileWorld) -> None:
    first, second, third = (day(n, (n - 1) * 500_000, paid(f"k{n}", 500_000)) for n in (1, 2, 3))
    for early in (second, third):
        with pytest.raises(UnavailableError, match="waits for 1"):
            world.reader.take(early)
    for content in (first, second, first, third, second):
        world.reader.take(content)
    world.agree()
    assert world.custody() == 15_000_000


@pytest.mark.parametrize(
    ("content", "element"),
    [
        (day(2, 1_000, paid("b", 1_000)), "Bal"),
        (day(1, 0, paid("a", 200_000)), "ElctrncSeqNb"),
        (day(1, 0, paid("b", 500_000)), "ElctrncSeqNb"),
        (day(2, 500_000, paid("a", 500_000)), "AcctSvcrRef"),
        (day(2, 500_000, paid("a", 400_000)), "Amt"),
        (day(2, 500_000, paid("b", 1_000), iban=THEIRS), "Acct/Id"),
        (day(2, 500_000, paid("b", 1_000), currency="EUR"), "Acct/Id"),
        (notification(OURS, "USD", "n", [paid("a", 1_000)], at=AT), "Amt"),
        (notification(THEIRS, "USD", "n", [paid("z", 1_000)], at=AT), "Acct/Id"),
        (status_report("s", "M", "M-1", [Told("f" * 32, "RJCT")], at=AT), "OrgnlEndToEndId"),
        (status_report("s", "M", "M-1", [Told("who?", "ACSC")], at=AT), "OrgnlEndToEndId"),
    ],
)
def test_a_file_that_contradicts_what_is_known_is_refused_whole(world: FileWorld, content: bytes, element: str) -> None:
    world.reader.take(day(1, 0, paid("a", 500_000)))
    before = dict(world.books.balances)
    with pytest.raises(FileRefusedError) as refused:
        world.reader.take(content)
    assert element in refused.value.element
    assert dict(world.books.balances) == before
    world.agree()


def test_an_amount_finer_than_the_asset_is_refused(world: FileWorld) -> None:
    world.files.accounts["USD"] = replace(world.files.accounts["USD"], scale=2)
    with pytest.raises(FileRefusedError, match="more than 2 digits"):
        world.reader.take(notification(OURS, "USD", "n", [paid("a", 1_000)], at=AT).replace(b">0.01<", b">0.001<"))


def test_a_payment_in_parts_of_a_cent_is_refused_before_it_is_held(world: FileWorld) -> None:
    with pytest.raises(AssertionError, match="multiples of 0\\.01"):
        world.withdraw("40.001")


def scenes(world: FileWorld) -> Iterator[None]:
    """A day with all of it; after each part, files wait."""
    world.asked("30", key="a")
    world.pay_in(7, "100")
    world.take_all()
    world.withdraw("40")
    world.pay_in(7, "30", "twice")
    world.bank.transfer("USD", "10", "who knows", name="Eve", iban=THEIRS)
    yield
    world.pay_in(7, "5", "recalled")
    yield


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut", range(1, 60, 2))
def test_a_crash_at_any_reach_outside_loses_and_doubles_nothing(cut: int, after: bool) -> None:
    world = FileWorld()
    seen: list[bytes] = []
    for _ in scenes(world):
        world.file()
        seen += [content for _, content in world.inbox]
        world.inbox.clear()
    seen.append(world.bank.close_day("USD"))
    world.cuts.at, world.cuts.after, world.cuts.count = cut, after, 0
    with suppress(CrashError):
        for content in seen:
            world.reader.take(content)
    world.cuts.at = 0
    world.sound()
    if not world.files.takings():
        world.agree()  # Whatever is half taken is noted as such.
    for content in seen:
        world.reader.take(content)
    world.at_rest()
    assert (world.books.balances[CUSTOMER], world.books.balances[SUSPENSE]) == (89_750_000, 10_000_000)


def test_a_file_is_under_way_from_before_its_first_entry_until_behind_its_last(world: FileWorld) -> None:
    """Killed anywhere between, it stays so since the first time, until it comes again."""
    world.pay_in(7, "30", "silent")
    content = world.bank.close_day("USD")
    for cut in itertools.count(1):
        world.cuts.at, world.cuts.after, world.cuts.count = cut, True, 0
        try:
            world.reader.take(content, name="inbox/day.xml")
            break
        except CrashError:
            noted = world.files.takings()
            assert noted in ([], [Taking("USD", "inbox/day.xml", noted[0].since_ns if noted else 0)])
            assert noted or not world.files.lines or world.files.accounts["USD"].number == 1
            if noted:
                world.clock.at_ns += 1
    world.cuts.at = 0
    assert cut > 3
    world.at_rest()


def test_a_file_that_is_refused_when_it_comes_again_is_not_under_way_any_more(world: FileWorld) -> None:
    world.pay_in(7, "30", "silent")
    content = world.bank.close_day("USD")
    world.files.begin("USD", hashlib.sha256(content).hexdigest(), name="inbox/day.xml", at_ns=1)
    world.files.accounts["USD"] = replace(world.files.accounts["USD"], closing=1)
    with pytest.raises(FileRefusedError):
        world.reader.take(content)
    assert world.files.takings() == []


def test_each_order_of_five_files_comes_to_the_same(world: FileWorld) -> None:
    made = FileWorld()
    made.asked("30", key="a")
    for words in ("", "silent", "late"):
        made.pay_in(7, "30", words)
    made.bank.transfer("USD", "10", "who knows", name="Eve", iban=THEIRS)
    made.bank.close_day("USD")
    made.pay_in(7, "1")
    made.bank.close_day("USD")
    files = [content for _, content in made.inbox]
    assert len(files) == 6
    for order in itertools.islice(itertools.permutations(files), 0, None, 7):
        world = FileWorld()
        world.asked("30", key="a")
        waiting = list(order)
        while waiting:
            content = waiting.pop(0)
            try:
                world.reader.take(content)
            except UnavailableError:
                waiting.append(content)
            world.sound()
        world.agree()
        assert (world.books.balances[CUSTOMER], world.books.balances[SUSPENSE]) == (91_000_000, 10_000_000)
