"""Files that a bank sends, booked: each line once, in whatever file and however often it comes.

A file is read and held against all that is known before any of it counts: refused whole, or booked whole. A crash in
between is made good for by the file's next delivery, because what was booked says so itself.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from exchange.banking.entries import (
    deposit_posting,
    payout_posting,
    return_posting,
    sent_back_posting,
    suspense_posting,
)
from exchange.banking.model import (
    PARTITION,
    RAIL,
    Account,
    Booked,
    Case,
    CaseState,
    Expected,
    Order,
    Outcome,
    Posted,
    Posting,
    asset_units,
    message_id,
    references_in,
)
from exchange.iso20022.credit_transfers import instruction_id, transfer_id_of
from exchange.iso20022.grammar import FileRefusedError, read_message
from exchange.iso20022.schemas import INCOMING
from exchange.iso20022.statements import SCALE, Line, Report, read_reports
from exchange.iso20022.statuses import Verdict, read_statuses
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused, UnavailableError
from exchange.kernel.money import format_units
from exchange.ledger.debts import Debts
from exchange.ledger.model import Balance, Head
from exchange.payments.model import Notification, TakenBack
from exchange.payments.model import Outcome as Answer
from exchange.payments.payouts import Payout, payout_id_of
from exchange.payments.references import HOUSE_ACCOUNT_ID
from exchange.transfers.model import Transfer, TransferKind, TransferStatus

ATTEMPTS_MAX = 32


class Files(Protocol):
    """What is kept of payments by file."""

    def account(self, currency: str) -> Account | None:
        """Our account in a currency."""
        ...

    def statement_digest(self, currency: str, number: int) -> str:
        """The digest of a statement that was taken; empty where none was."""
        ...

    def advance(self, account: Account, digest: str) -> bool:
        """Note a statement as taken whole, after the one before it; False where it is noted already."""
        ...

    def begin(self, currency: str, digest: str, *, name: str, at_ns: int) -> None:
        """Note that a file is being taken; again, it is since the first time."""
        ...

    def end(self, currency: str, digest: str) -> None:
        """Note that nothing more of a file is to be booked; again is harmless."""
        ...

    def booked(self, currency: str, key: str) -> Booked | None:
        """A line that was booked."""
        ...

    def note(self, booked: Booked) -> bool:
        """Note a line that was booked elsewhere; False where it is noted already."""
        ...

    def state(self, booked: Booked, statement: int) -> None:
        """Note which statement has a line."""
        ...

    def order(self, transfer_id: str) -> Order | None:
        """One order."""
        ...

    def claim_line(self, order: Order, key: str) -> bool:
        """Note which line pays an order; False where it was another."""
        ...

    def note_paid(self, order: Order, *, after: int) -> None:
        """The bank said that it settled a payment, after a statement; where its line was seen, nothing is noted."""
        ...

    def reopen(self, case: Case, transfer: Transfer, *, reason: str, at_ns: int) -> None:
        """What should go back to its sender was rejected: the case is open again. Again is harmless."""
        ...

    def account_of_reference(self, reference: str) -> int | None:
        """Whose a reference is."""
        ...

    def expected(self, account_id: int, currency: str, units: int) -> Expected | None:
        """The oldest deposit of just that amount that a customer said would come."""
        ...

    def credit_of(self, currency: str, transaction_id: str) -> Booked | None:
        """The credit that a bank's transaction was booked as."""
        ...

    def case(self, currency: str, key: str) -> Case | None:
        """A case of suspense."""
        ...

    def payout(self, payout_id: str) -> Payout | None:
        """One payout of Stripe's."""
        ...

    def post(self, posting: Posting, *, transaction_id: str) -> Posted:
        """Write all that a line changes, or nothing."""
        ...


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...


class Books(Protocol):
    """The journal's ends, and what customers have."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, as it is now."""
        ...


@dataclass(frozen=True, slots=True)
class Effects:
    """What is done elsewhere, each by its own key and as often as one likes."""

    notify: Callable[[Notification], str | Refused]  # the bank's word about a withdrawal
    post_withdrawal: Callable[[str], object]  # of one whose payment is booked
    take_back: Callable[[TakenBack], str | Refused]
    wake: Callable[[Transfer], object]  # whoever waits for a deposit
    alarm: Callable[[str], None]
    pause: Callable[[int], None]


class Inbox:
    """Takes files."""

    def __init__(
        self, files: Files, transfers: Transfers, *, books: Books, debts: Debts, effects: Effects, clock: Clock
    ) -> None:
        self._files = files
        self._transfers = transfers
        self._books = books
        self._debts = debts
        self._effects = effects
        self._clock = clock

    def take(self, content: bytes, *, name: str = "") -> str:
        """Book a file and return what it was. Again, and after any crash, it books nothing twice.

        Its currencies are noted as being taken, by `name`, from before its first entry until behind its last. A taking
        that was killed leaves the note, and the file's next delivery ends it.

        Raises:   FileRefusedError, naming the element, and nothing was booked; UnavailableError where an earlier
                  statement is missing still, or others were faster at every attempt; OutcomeUnknownError.
        """
        message = read_message(content, INCOMING)
        digest, name = hashlib.sha256(content).hexdigest(), name or message.name
        if message.name.startswith("pain.002."):
            self._take_statuses(content, digest, name)
            return message.name
        reports = read_reports(message)
        currencies = {report.currency for report in reports}
        try:
            fresh = self._checked(reports)
        except FileRefusedError:
            self._end(currencies, digest)  # Whatever an earlier delivery booked of it, no more will be.
            raise
        self._begin({report.currency for report, _ in fresh}, digest, name)
        for report, account in fresh:
            for line in report.lines:
                self._book(line, account, statement=report.number)
            if report.number:
                self._files.advance(replace(account, number=report.number, closing=report.closing), digest_of(report))
        self._end(currencies, digest)
        return message.name

    def _begin(self, currencies: set[str], digest: str, name: str) -> None:
        for currency in sorted(currencies):
            self._files.begin(currency, digest, name=name, at_ns=self._clock.now_ns())

    def _end(self, currencies: set[str], digest: str) -> None:
        for currency in sorted(currencies):
            self._files.end(currency, digest)

    # What is known already --------------------------------------------------------------------------------------------

    def _checked(self, reports: list[Report]) -> list[tuple[Report, Account]]:
        """The reports that are to be booked, each with its account as it is before. Raises as `take`."""
        accounts: dict[str, Account] = {}
        fresh = []
        for report in reports:
            account = accounts.get(report.currency) or self._files.account(report.currency)
            if account is None or account.iban != report.iban:
                raise FileRefusedError("Acct/Id", f"{report.iban} in {report.currency} is no account of ours")
            if report.number and not self._follows(report, account):
                continue
            for line in report.lines:
                self._check_line(line, report, account)
            fresh.append((report, account))
            if report.number:
                account = replace(account, number=report.number, closing=report.closing)
            accounts[report.currency] = account
        return fresh

    def _follows(self, report: Report, account: Account) -> bool:
        """Whether a statement is the next one; False for one that was taken."""
        if report.number <= account.number:
            known = self._files.statement_digest(report.currency, report.number)
            if known != digest_of(report):
                raise FileRefusedError("ElctrncSeqNb", f"statement {report.number} was taken, and said something else")
            return False
        if report.number != account.number + 1:
            raise UnavailableError(f"statement {report.number} of {report.currency} waits for {account.number + 1}")
        if report.opening != account.closing:
            told, known = format_units(report.opening, SCALE), format_units(account.closing, SCALE)
            raise FileRefusedError("Bal", f"opens at {told}, the statement before closed at {known}")
        return True

    def _check_line(self, line: Line, report: Report, account: Account) -> None:
        try:
            asset_units(line.units, account.scale)
        except ValueError as error:
            raise FileRefusedError(f"{line.path}/Amt", str(error)) from error
        known = self._files.booked(report.currency, line.key)
        if known is None:
            return
        if known.units != line.units:
            told = format_units(known.units, SCALE)
            raise FileRefusedError(f"{line.path}/Amt", f"{line.key} was booked before, as {told}")
        if report.number and known.statement not in {0, report.number}:
            raise FileRefusedError(f"{line.path}/AcctSvcrRef", f"{line.key} stands on statement {known.statement}")

    # Lines ------------------------------------------------------------------------------------------------------------

    def _book(self, line: Line, account: Account, *, statement: int) -> None:
        for attempt in range(ATTEMPTS_MAX):
            known = self._files.booked(account.currency, line.key)
            if known is not None:
                self._seen_again(known, statement)
                return
            if self._elsewhere(line, account, statement):
                return
            posting = self._decide(line, account, statement)
            if self._files.post(posting, transaction_id=line.transaction_id if line.units > 0 else "") is Posted.DONE:
                self._after(posting)
                return
            self._effects.pause(attempt)
        raise UnavailableError(f"{line.key}: the chain of {RAIL} was busy {ATTEMPTS_MAX} times")

    def _seen_again(self, known: Booked, statement: int) -> None:
        if statement and not known.statement:
            self._files.state(known, statement)
        transfer = self._transfers.transfer(known.transfer_id)
        if known.outcome is Outcome.DEPOSIT and transfer is not None and transfer.task_token:
            self._effects.wake(transfer)

    def _after(self, posting: Posting) -> None:
        if posting.completes and posting.transfer.task_token:
            self._effects.wake(posting.transfer)
        if posting.case is not None and posting.case.state is CaseState.OPEN:
            case = posting.case
            self._effects.alarm(f"{case.amount} {case.currency} as {case.key} are in suspense: {case.reason}")

    def _elsewhere(self, line: Line, account: Account, statement: int) -> bool:
        """Book what has a way of its own: a withdrawal that was paid, a deposit that was taken back."""
        if line.units > 0:
            return False
        done = self._paid(line, account) or self._taken_back(line, account)
        if done is None:
            return False
        outcome, transfer_id = done
        booked = Booked(account.currency, line.key, line.units, outcome, transfer_id, statement, account.number)
        self._files.note(booked)
        return True

    def _paid(self, line: Line, account: Account) -> tuple[Outcome, str] | None:
        order = self._order_of(line, account)
        transfer = self._transfers.transfer(order.transfer_id) if order else None
        if order is None or transfer is None or transfer.account_id == HOUSE_ACCOUNT_ID:
            return None
        # Which line pays an order is noted before it counts; a second one is money that nobody asked for.
        if not self._files.claim_line(order, line.key) or not self._settle(transfer):
            return None
        return Outcome.WITHDRAWAL, order.transfer_id

    def _order_of(self, line: Line, account: Account) -> Order | None:
        """The order that a debit of ours pays, whole."""
        if line.return_reason or line.reverses:
            return None
        transfer_id = transfer_id_of(line.end_to_end_id)
        order = self._files.order(transfer_id) if transfer_id else None
        fits = order is not None and order.currency == account.currency
        whole = order is not None and -asset_units(line.units, account.scale) == order.units
        return order if fits and whole else None

    def _settle(self, transfer: Transfer) -> bool:
        """The bank has paid; False where that does not fit what is known."""
        said = self._effects.notify(_answer(transfer, Answer.BOOKED))
        if isinstance(said, Refused):
            self._effects.alarm(f"payment {transfer.transfer_id} was made and does not fit: {said.message}")
            return False
        self._effects.post_withdrawal(transfer.transfer_id)
        return True

    def _taken_back(self, line: Line, account: Account) -> tuple[Outcome, str] | None:
        if not (line.return_reason or line.reverses):
            return None
        credit = self._files.credit_of(account.currency, line.transaction_id) if line.transaction_id else None
        if credit is None or credit.outcome is not Outcome.DEPOSIT:
            return None
        amount = format_units(asset_units(-line.units, account.scale), account.scale)
        reason = f"returned by the bank: {line.return_reason or 'reversed'}"
        said = self._effects.take_back(
            TakenBack(line.key, credit.transfer_id, amount, account.currency, gone=True, reason=reason, provider=RAIL)
        )
        return None if isinstance(said, Refused) else (Outcome.TAKEN_BACK, credit.transfer_id)

    def _decide(self, line: Line, account: Account, statement: int) -> Posting:
        """What a line is, posted as one write."""
        now_ns = self._clock.now_ns()
        payout = self._payout_of(line, account)
        if payout is not None:
            return payout_posting(line, account, statement, payout, self._head(), at_ns=now_ns)
        if line.units < 0:
            order = self._order_of(line, account)
            house = self._transfers.transfer(order.transfer_id) if order else None
            if house is not None and house.account_id == HOUSE_ACCOUNT_ID and house.status is TransferStatus.PENDING:
                case = self._files.case(account.currency, house.provider_reference)
                if case is not None:
                    return sent_back_posting(line, account, statement, case, self._head(), house=house, at_ns=now_ns)
            case = self._recalled(line, account)
            if case is not None:
                return sent_back_posting(line, account, statement, case, self._head(), at_ns=now_ns)
            return suspense_posting(line, account, statement, self._head(), at_ns=now_ns, reason="nobody asked for it")
        withdrawal = self._returned(line, account)
        if withdrawal is not None:
            return return_posting(line, account, statement, withdrawal, self._head(), debts=self._debts, at_ns=now_ns)
        owners = {self._files.account_of_reference(each) for each in references_in(line)} - {None}
        if len(owners) != 1 or line.return_reason or line.reverses:
            return suspense_posting(line, account, statement, self._head(), at_ns=now_ns, reason=_reason(line, owners))
        owner = owners.pop()
        expected = self._files.expected(owner or 0, account.currency, asset_units(line.units, account.scale))
        pending = self._transfers.transfer(expected.transfer_id) if expected else None
        return deposit_posting(
            line, account, statement, owner or 0, self._head(),
            debts=self._debts, at_ns=now_ns, expected=expected, pending=pending,
        )  # fmt: skip

    def _payout_of(self, line: Line, account: Account) -> Payout | None:
        """What Stripe paid out and this line brings, or what this line takes back of it; whole."""
        named = {payout_id_of(each) for each in references_in(line)}
        credit = self._files.credit_of(account.currency, line.transaction_id) if line.transaction_id else None
        if line.units < 0 and credit is not None and credit.outcome is Outcome.PAYOUT:
            named.add(self._transfers_payout(credit))
        found = [payout for each in named if each and (payout := self._files.payout(each)) is not None]
        if len(found) != 1:
            return None
        (payout,) = found
        whole = abs(asset_units(line.units, account.scale)) == payout.units
        fits = (payout.rail, payout.asset) == (RAIL, account.currency) and payout.arrived == (line.units < 0)
        return payout if whole and fits else None

    def _transfers_payout(self, credit: Booked) -> str:
        transfer = self._transfers.transfer(credit.transfer_id)
        return transfer.provider_reference if transfer else ""

    def _recalled(self, line: Line, account: Account) -> Case | None:
        """The open case whose money the bank takes back."""
        if not (line.return_reason or line.reverses) or not line.transaction_id:
            return None
        credit = self._files.credit_of(account.currency, line.transaction_id)
        case = self._files.case(account.currency, credit.key) if credit else None
        whole = case is not None and case.units == -asset_units(line.units, account.scale)
        return case if case is not None and whole and case.state is CaseState.OPEN else None

    def _returned(self, line: Line, account: Account) -> Transfer | None:
        """The withdrawal that comes back by a line, whole or in part."""
        if not (line.return_reason or line.reverses):
            return None
        transfer = self._transfers.transfer(transfer_id_of(line.end_to_end_id) or "#")
        fits = (
            transfer is not None
            and (transfer.kind, transfer.status) == (TransferKind.WITHDRAW, TransferStatus.COMPLETED)
            and (transfer.rail, transfer.asset) == (RAIL, account.currency)
            and transfer.account_id != HOUSE_ACCOUNT_ID
            and not (transfer.reverses or transfer.reversed_by)
            and asset_units(line.units, account.scale) <= transfer.units
        )
        return transfer if fits else None

    def _head(self) -> Head:
        return self._books.head(PARTITION)

    # Statuses ---------------------------------------------------------------------------------------------------------

    def _take_statuses(self, content: bytes, digest: str, name: str) -> None:
        report = read_statuses(read_message(content, INCOMING))
        if report.group_refused and not any(each.verdict is Verdict.REFUSED for each in report.payments):
            said = f"{report.message_id} is said to be rejected ({report.group_refused})"
            self._effects.alarm(f"{said}, and none of its payments: ask the bank")
        currencies = set()
        for status in report.payments:
            order = self._files.order(transfer_id_of(status.payment_id) or "#")
            if order is None or message_id(order.currency, order.batch) != status.message_id:
                raise FileRefusedError(
                    f"{status.path}/OrgnlEndToEndId", f"{status.payment_id} is no payment of {status.message_id}"
                )
            currencies.add(order.currency)
        self._begin(currencies, digest, name)
        for status in report.payments:
            order = self._files.order(transfer_id_of(status.payment_id))
            transfer = self._transfers.transfer(order.transfer_id) if order else None
            if order is not None and transfer is not None:
                self._take_status(order, transfer, status.verdict, status.reason or status.code)
        self._end(currencies, digest)

    def _take_status(self, order: Order, transfer: Transfer, verdict: Verdict, reason: str) -> None:
        if transfer.account_id == HOUSE_ACCOUNT_ID:
            case = self._files.case(order.currency, transfer.provider_reference)
            if verdict is Verdict.REFUSED and case is not None:  # What goes back is booked by its line alone.
                self._files.reopen(case, transfer, reason=reason, at_ns=self._clock.now_ns())
        elif verdict is Verdict.PAID:
            if self._settle(transfer):
                account = self._files.account(order.currency)
                self._files.note_paid(order, after=account.number if account else 0)
        elif verdict is Verdict.REFUSED:
            said = self._effects.notify(_answer(transfer, Answer.DECLINED, reason))
            if isinstance(said, Refused):
                self._effects.alarm(f"payment {transfer.transfer_id} was rejected and does not fit: {said.message}")


def _answer(transfer: Transfer, outcome: Answer, reason: str = "") -> Notification:
    """The bank's word about a withdrawal; the same one, whether a status or a line says it."""
    return Notification(
        event_id=f"{outcome.value}-{transfer.transfer_id}",
        transfer_id=transfer.transfer_id,
        outcome=outcome,
        amount=transfer.amount,
        currency=transfer.asset,
        bank_reference=instruction_id(transfer.transfer_id),
        reason=reason,
        provider=RAIL,
    )


def _reason(line: Line, owners: set[int | None]) -> str:
    if line.return_reason or line.reverses:
        return f"it gives back ({line.return_reason or 'reversed'}) what is not known as paid"
    return "it names several customers" if owners else "it names no customer"


def digest_of(report: Report) -> str:
    """What a statement says, whatever file it comes in."""
    said = [report.iban, report.currency, report.number, report.opening, report.closing]
    lines = [[line.key, line.units] for line in report.lines]
    return hashlib.sha256(json.dumps([said, lines]).encode()).hexdigest()
