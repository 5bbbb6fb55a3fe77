"""Whatever the bank, the network and the crashes do: balances are what the transfers say, and all sums to zero."""

from collections.abc import Callable
from contextlib import suppress

from exchange.audit.bank_checks import custody_is_what_was_confirmed
from exchange.audit.model import World
from exchange.audit.store import transfer_row
from exchange.kernel.errors import Refused
from exchange.ledger.model import Balance
from exchange.transfers.model import Transfer, TransferStatus
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import CrashError, a_deposit, a_withdrawal

AMOUNTS = st.sampled_from(["1", "0.5", "100.25", "7.666", "0.000001"])
KEYS = st.sampled_from(["", "rent", "food"])
FORGERIES = st.sampled_from(["flip", "truncate", "stale", "future", "unsigned", "other secret"])
LIES = st.sampled_from(
    [
        {},
        {"amount": "1000000"},
        {"amount": "0"},
        {"currency": "EUR"},
        {"status": "declined", "event_id": "evt-no"},
        {"status": "booked", "event_id": "evt-yes"},
        {"event_id": "evt-used"},
        {"bank_reference": "SB-used"},
        {"event_id": "evt-again"},
        {"reason": "because"},
    ]
)


class Transfers(RuleBasedStateMachine):
    """Deposits and withdrawals of two accounts, and everything that can be done to them in any order."""

    made = Bundle("made")

    @initialize()
    def open(self) -> None:
        self.world = TransferWorld()
        self.first_credits: dict[str, int] = {}

    @rule(target=made, amount=AMOUNTS, key=KEYS, account_id=st.sampled_from([7, 8]))
    def request(self, amount: str, key: str, account_id: int) -> Transfer:
        self.world.clock.at_ns += 1
        wanted = a_deposit(amount, account_id=account_id, key=key, at_ns=self.world.clock.at_ns)
        said = self.world.request(wanted)
        return wanted if isinstance(said, Refused) else said

    @rule(
        target=made,
        amount=AMOUNTS,
        key=KEYS,
        account_id=st.sampled_from([7, 8]),
        crash=st.integers(0, 4),
        after=st.booleans(),
    )
    def withdraw(self, amount: str, key: str, account_id: int, crash: int, after: bool) -> Transfer:
        self.world.clock.at_ns += 1
        wanted = a_withdrawal(amount, account_id=account_id, key=key, at_ns=self.world.clock.at_ns)
        self._crashing(crash, after, lambda: self.world.request(wanted))
        return wanted

    @rule()
    def sweep(self) -> None:
        self.world.sweep()
        for row in self.world.transfers.rows.values():
            assert row.status is not TransferStatus.PENDING or row.transfer_id in self.world.machine.executions

    @rule(transfer=made, crash=st.integers(0, 6), after=st.booleans())
    def step(self, transfer: Transfer, crash: int, after: bool) -> None:
        if transfer.transfer_id in self.world.machine.executions:
            self._crashing(crash, after, lambda: self.world.step(transfer.transfer_id))

    @rule(transfer=made, changed=LIES, crash=st.integers(0, 6), after=st.booleans())
    def notify(self, transfer: Transfer, changed: dict[str, str], crash: int, after: bool) -> None:
        headers, body = self.world.answered(transfer, **changed)
        self._crashing(crash, after, lambda: self.world.receive(headers, body))

    @rule(transfer=made, forgery=FORGERIES, position=st.integers(0, 10_000))
    def forge(self, transfer: Transfer, forgery: str, position: int) -> None:
        headers, body = self.world.answered(transfer)
        if forgery == "flip":
            at = position % len(body)
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        elif forgery == "truncate":
            body = body[: position % len(body)]
        elif forgery in {"stale", "future"}:
            away = 301 if forgery == "stale" else -301
            self.world.clock.at_ns += away * 1_000_000_000
        elif forgery == "unsigned":
            headers = {}
        else:
            headers["Bank-Signature"] = headers["Bank-Signature"][::-1]
        before = dict(self.world.transfers.rows)
        assert isinstance(self.world.receive(headers, body), Refused)
        assert self.world.transfers.rows == before

    @precondition(lambda self: self.world.queue.messages)
    @rule()
    def overtake(self) -> None:
        self.world.books.overtaken = 2

    def _crashing(self, crash: int, after: bool, work: Callable[[], object]) -> None:
        cuts = self.world.cuts
        cuts.count, cuts.at, cuts.after = 0, crash, after
        with suppress(CrashError):
            work()
        cuts.at = 0

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    @invariant()
    def reconciled(self) -> None:
        """B2, as it is run each night."""
        if hasattr(self, "world"):
            assert custody_is_what_was_confirmed(as_audited(self.world)).holds

    @invariant()
    def completed_stays_completed(self) -> None:
        if not hasattr(self, "world"):
            return
        for row in self.world.transfers.rows.values():
            if row.status is TransferStatus.COMPLETED:
                assert self.first_credits.setdefault(row.transfer_id, row.completed_at_ns) == row.completed_at_ns
            else:
                assert row.transfer_id not in self.first_credits


def as_audited(world: TransferWorld) -> World:
    """The part of the world that the audit holds against the bank's word."""
    return World(
        products={},
        balances=[Balance(account, asset, units, 0) for (account, asset), units in world.books.balances.items()],
        batches={},
        orders=(),
        fills=(),
        transfers=[transfer_row(row) for row in world.transfers.rows.values()],
        cursors={},
        executions={},
        commands={},
        replayed={},
    )


TestTransfers = Transfers.TestCase
TestTransfers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
