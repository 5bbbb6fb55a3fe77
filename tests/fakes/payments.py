"""Deposits and withdrawals from end to end in memory: machines, the bank's queue, the bank; each may repeat itself."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import (
    custody_account,
    customer_account,
    fee_account,
    losses_account,
    may_be_negative,
    receivable_account,
    sum_by_asset,
)
from exchange.payments.bank import message
from exchange.payments.model import BANK, Asked, Instruction, Notification, TakenBack
from exchange.payments.notification import NotificationBody
from exchange.payments.returning import take_return
from exchange.payments.reversing import take_back
from exchange.payments.sandbox import answer, read_instruction
from exchange.payments.service import PaymentProvider, ask_bank, take_notification
from exchange.payments.signature import signed_headers, verify
from exchange.payments.waiters import REFUSED_BY_BANK
from exchange.rest import read_body
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from exchange.wallets.model import Credit
from exchange.wallets.owing import RAIL as DEBTS
from exchange.wallets.owing import Way, new_settlement
from exchange.wallets.service import credit_deposit, fail_deposit, request_deposit
from exchange.wallets.withdrawing import (
    FEES,
    UNSTARTED_AGE_NS,
    post_withdrawal,
    request_withdrawal,
    return_withdrawal,
    start_forgotten,
)

from tests.fakes.safeguards import permit_all
from tests.fakes.wallets import ASSETS, CrashError, Cuts, FakeBooks, FakeClock, FakeTransfers

SECRET = "the bank and we know this"


def _nonzero(balances: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: units for key, units in balances.items() if units}


def _no_pause(_attempt: int) -> None:
    pass


@dataclass
class FakeBankQueue:
    """The bank's queue: what it was given stays, so that it can be delivered again."""

    cuts: Cuts = field(default_factory=Cuts)
    messages: list[str] = field(default_factory=list)

    def instruct(self, instruction: Instruction) -> Asked:
        """Queue an instruction."""
        self.cuts.reach(lambda: self.messages.append(message(instruction)))
        return Asked()


@dataclass
class Execution:
    """Where a deposit's state machine stands."""

    state: str = "AskBank"
    token: str = ""
    tries: int = 0


@dataclass
class FakeMachine:
    """The state machines of both, step by step; a step that crashed is done again with a fresh token."""

    cuts: Cuts = field(default_factory=Cuts)
    executions: dict[str, Execution] = field(default_factory=dict)

    def start(self, transfer_id: str, rail: str = "") -> None:
        """Start once; again is success."""
        self.cuts.reach(lambda: self.executions.setdefault(transfer_id, Execution()))

    def booked(self, task_token: str, transfer_id: str) -> bool:
        """SendTaskSuccess."""
        return self.cuts.reach(lambda: self._answer(task_token, "Credit"))

    def declined(self, task_token: str, reason: str) -> bool:
        """SendTaskFailure with the bank's refusal."""
        return self.cuts.reach(lambda: self._answer(task_token, "Fail"))

    def _answer(self, task_token: str, state: str) -> bool:
        for execution in self.executions.values():
            if execution.state == "AskBank" and execution.token == task_token:
                execution.state = state
                return True
        return False


class TransferWorld:
    """Everything a deposit or a withdrawal touches, and what must hold of it at every moment."""

    def __init__(self, cuts: Cuts | None = None) -> None:
        self.cuts = cuts or Cuts()
        self.clock = FakeClock()
        self.transfers = FakeTransfers(self.cuts)
        self.books = FakeBooks(self.transfers, self.cuts)
        self.queue = FakeBankQueue(self.cuts)
        self.provider: PaymentProvider = self.queue
        self.machine = FakeMachine(self.cuts)
        self.notes: list[str] = []

    def request(self, transfer: Transfer) -> Transfer | Refused:
        """POST /deposits/payment-method, or /withdrawals/payment-method."""
        if transfer.kind is TransferKind.DEPOSIT:
            return request_deposit(transfer, transfers=self.transfers, machine=self.machine)
        return request_withdrawal(
            transfer,
            permit=permit_all,
            transfers=self.transfers,
            postings=self.books,
            machine=self.machine,
            pause=_no_pause,
            note=self.notes.append,
        )

    def sweep(self) -> int:
        """The sweeper, a minute later."""
        self.clock.at_ns += UNSTARTED_AGE_NS + 1
        return start_forgotten(
            transfers=self.transfers,
            start=lambda transfer: self.machine.start(transfer.transfer_id, transfer.rail),
            clock=self.clock,
            note=self.notes.append,
        )

    def step(self, transfer_id: str) -> None:
        """One try of the state that a deposit's execution is in."""
        execution = self.machine.executions[transfer_id]
        if execution.state == "AskBank":
            execution.tries += 1
            execution.token = f"{transfer_id}/{execution.tries}"
            ask_bank(
                transfer_id,
                execution.token,
                transfers=self.transfers,
                bank=self.provider,
                waiters=self.machine,
                note=self.notes.append,
            )
        elif execution.state in {"Credit", "Fail"}:
            booked, is_deposit = (
                execution.state == "Credit",
                self.transfers.rows[transfer_id].kind is TransferKind.DEPOSIT,
            )
            end = {(True, True): self._credit, (True, False): self._post, (False, True): self._fail}
            end.get((booked, is_deposit), self._give_back)(transfer_id)
            execution.state = "Done" if booked else REFUSED_BY_BANK

    def _credit(self, transfer_id: str) -> None:
        credit_deposit(
            transfer_id,
            transfers=self.transfers,
            journal=self.books,
            postings=self.books,
            debts=self.books,
            clock=self.clock,
            pause=_no_pause,
        )

    def _fail(self, transfer_id: str) -> None:
        fail_deposit(transfer_id, transfers=self.transfers, clock=self.clock)

    def _post(self, transfer_id: str) -> None:
        post_withdrawal(
            transfer_id,
            transfers=self.transfers,
            journal=self.books,
            postings=self.books,
            clock=self.clock,
            pause=_no_pause,
        )

    def _give_back(self, transfer_id: str) -> None:
        return_withdrawal(transfer_id, transfers=self.transfers, postings=self.books, clock=self.clock, pause=_no_pause)

    def receive(self, headers: Mapping[str, str], body: bytes) -> str | Refused:
        """POST /v1/payments/bank/notifications."""
        lower = {name.lower(): value for name, value in headers.items()}
        forged = verify(SECRET, headers=lower, body=body, now_seconds=self.now_seconds())
        if forged is not None:
            return forged
        read = read_body(NotificationBody, body)
        if isinstance(read, Refused):
            return read
        return self.hear_said(read.said())

    def hear_said(self, said: Notification | TakenBack) -> str | Refused:
        """What a provider said, once it is known to be genuine."""
        if isinstance(said, TakenBack):
            take = take_return if said.provider == BANK else take_back
            return take(
                said,
                transfers=self.transfers,
                journal=self.books,
                balances=self.books,
                reversals=self.books,
                clock=self.clock,
                pause=_no_pause,
            )
        return take_notification(said, transfers=self.transfers, waiters=self.machine, note=self.notes.append)

    def settle(self, amount: str, way: Way, name: str, *, account_id: int = 7) -> Transfer | Refused:
        """What two operators say of a debt, in the one write of their approval."""
        made = new_settlement(
            name, account_id, amount, asset=ASSETS["USD"], way=way,
            balances=self.books, journal=self.books, clock=self.clock,
        )  # fmt: skip
        if isinstance(made, Refused) or self.books.post_settlement(*made) is Credit.DONE:
            return made if isinstance(made, Refused) else made[0]
        return Refused(Code.PROPOSAL_OUTDATED, "look again")

    def now_seconds(self) -> int:
        """The world's time."""
        return self.clock.now_ns() // 1_000_000_000

    def signed(self, body: bytes) -> tuple[dict[str, str], bytes]:
        """A body as the bank sends it now."""
        return signed_headers(SECRET, now_seconds=self.now_seconds(), body=body), body

    def answered(self, transfer: Transfer, **changed: Any) -> tuple[dict[str, str], bytes]:
        """The sandbox bank's answer to a transfer, with fields changed, signed by the bank."""
        text = message(Instruction(transfer.transfer_id, "pay", transfer.amount, transfer.asset, "any"))
        return self.signed(json.dumps(json.loads(answer(read_instruction(text))) | changed).encode())

    def finish(self, transfer: Transfer) -> None:
        """Try everything again until nothing is left to do: what state machine, queue and customer do by themselves."""
        for _ in range(12):
            try:
                self.request(transfer)
                self.step(transfer.transfer_id)
                for text in list(self.queue.messages):
                    self.receive(*self.signed(answer(read_instruction(text))))
                self.step(transfer.transfer_id)
            except CrashError:
                continue
            if self.transfers.rows[transfer.transfer_id].status is not TransferStatus.PENDING:
                return
        raise AssertionError(f"{transfer.transfer_id} never came to an end")

    def check(self) -> None:
        """Balances are what completed and pending transfers say, each once; chains are whole; all sums to zero."""
        batches = [batch for chain in self.books.chains.values() for batch in chain]
        completed = {row.transfer_id: row for row in self.transfers.rows.values() if row.completed_at_ns}
        assert sorted(batch.reference for batch in batches) == sorted(completed)
        available: Counter[tuple[str, str]] = Counter()
        held: Counter[tuple[str, str]] = Counter()
        for row in self.transfers.rows.values():
            customer, custody = (customer_account(row.account_id), row.asset), (custody_account(row.rail), row.asset)
            available[customer] -= row.held_units
            held[customer] += row.held_units
            if row.rail == DEBTS:
                bearer = (
                    customer_account(row.account_id) if row.kind is TransferKind.WITHDRAW else losses_account(DEBTS)
                )
                available[bearer, row.asset] -= row.units
                available[receivable_account(row.account_id), row.asset] += row.units
            elif row.reverses and row.completed_at_ns:
                sign = 1 if row.kind is TransferKind.WITHDRAW else -1
                available[customer] -= sign * row.received_units
                available[custody] += sign * row.units
                available[receivable_account(row.account_id), row.asset] -= sign * (row.units - row.received_units)
            elif row.status is TransferStatus.COMPLETED:
                assert row.received_units == row.units
                sign = 1 if row.kind is TransferKind.DEPOSIT else -1
                available[customer] += sign * row.units - row.fee_units - row.settled_units
                available[receivable_account(row.account_id), row.asset] += row.settled_units
                available[custody] -= sign * row.units
                available[fee_account(FEES), row.asset] += row.fee_units
        assert _nonzero(self.books.balances) == _nonzero(available)
        assert _nonzero(self.books.held) == _nonzero(held)
        assert all(units >= 0 for (name, _), units in available.items() if not may_be_negative(name))
        assert not any(sum_by_asset(entry for batch in batches for entry in batch.entries).values())
        for chain in self.books.chains.values():
            assert [batch.number for batch in chain] == list(range(1, len(chain) + 1))
            assert [batch.previous_hash for batch in chain[1:]] == [batch.hash() for batch in chain[:-1]]
