"""Freeze, stop, unfreeze, call off, release in any order: no money is made or lost, none leaves that is held back.

The stores are the real ones, with the conditions of their real writes.
"""

from contextlib import ExitStack
from dataclasses import replace

from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import committed
from exchange.breaks.store import STOP, BreakItem, BreakStore
from exchange.clearance.reviewing import REVIEW_EFFECTS
from exchange.clearance.service import CANCELED_BY_OWNER, Holds, Screened, Verdict, cancel_withdrawal, clear_withdrawal
from exchange.clearance.store import ClearanceStore
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from exchange.transfers.model import BankAnswer, Clearance, PaymentState, Recorded, Transfer, TransferStatus
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore, transfer_item
from exchange.users.store import CustomerItem, CustomerStore, ProfileItem
from exchange.wallets.store import PostingStore
from exchange.wallets.withdrawing import post_withdrawal, return_withdrawal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.cloud.dynamodb import DynamoDb, served
from tests.fakes.users import a_customer
from tests.fakes.wallets import FakeClock, a_withdrawal

MODELS = (
    (BalanceItem, "balances"),
    (BankMarkItem, "transfers"),
    (BreakItem, "breaks"),
    (CustomerItem, "users"),
    (JournalItem, "journal"),
    (ProfileItem, "profiles"),
    (TransferItem, "transfers"),
)
FUNDS = 100_000_000
WHICH = st.integers(0, 20)
# What happens while the screening is asked, which is between the look and the write.
MEANWHILE = st.sampled_from(["", "", "freeze", "stop", "call off"])


class Clearing(RuleBasedStateMachine):
    """One customer's withdrawals of one asset."""

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        self.service = DynamoDb()
        connection = self.stack.enter_context(served(MODELS, self.service))
        self.connection, self.clock = connection, FakeClock()
        self.transfers, self.postings = TransferStore(connection), PostingStore(connection)
        self.holds = Holds(BreakStore(connection), CustomerStore(), ClearanceStore(connection))
        self.owner = a_customer(account_id=7)
        CustomerStore().create_once(self.owner)
        self.frozen = self.stopped = False
        self.verdict, self.meanwhile = Verdict.CLEAR, ""
        self.made: list[str] = []
        self.cleared: set[str] = set()
        self.paid = 0
        BalanceItem("7", "USD", available=FUNDS, held=0).save()
        for _ in range(3):  # so that most walks come to the race that is looked for
            self.hold("")

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(reason=st.sampled_from(["", "", "above 50"]))
    def hold(self, reason: str) -> None:
        made = replace(a_withdrawal("1", key=f"w{len(self.made)}"), clearance=Clearance.WAITING, review_reason=reason)
        balance = BalanceItem.get("7", "USD")
        transfer_item(made).save()
        BalanceItem(
            "7", "USD", available=balance.available - made.held_units, held=balance.held + made.held_units
        ).save()
        self.made.append(made.transfer_id)

    @rule(on=st.booleans())
    def freeze(self, on: bool) -> None:
        self.frozen = on
        CustomerItem(self.owner.user_id).update(actions=[CustomerItem.status.set("frozen" if on else "active")])

    @rule(on=st.booleans())
    def stop(self, on: bool) -> None:
        self.stopped = on
        BreakItem("USD", STOP).update(actions=[BreakItem.open_count.set(int(on))])

    @rule(which=WHICH, verdict=st.sampled_from([Verdict.CLEAR, Verdict.CLEAR, *Verdict]), meanwhile=MEANWHILE)
    def clear(self, which: int, verdict: Verdict, meanwhile: str) -> None:
        if not self.made:
            return
        self.verdict, self.meanwhile = verdict, meanwhile
        transfer_id = self.made[which % len(self.made)]
        said = clear_withdrawal(transfer_id, transfers=self.transfers, screening=self, holds=self.holds)[1]
        if said == Clearance.CLEARED and transfer_id not in self.cleared:
            assert not self.frozen
            assert not self.stopped
            assert self._now(transfer_id).review_reason == ""
            self.cleared.add(transfer_id)

    def screen(self, transfer: Transfer) -> Screened:
        """The screening; while it is asked, others act."""
        meanwhile, self.meanwhile = self.meanwhile, ""
        if meanwhile == "freeze":
            self.freeze(True)
        elif meanwhile == "stop":
            self.stop(True)
        elif meanwhile == "call off":
            self._call_off(transfer.transfer_id)
        return Screened(self.verdict)

    @rule(which=WHICH)
    def call_off(self, which: int) -> None:
        if self.made:
            self._call_off(self.made[which % len(self.made)])

    def _call_off(self, transfer_id: str) -> None:
        before = self._now(transfer_id)
        said = cancel_withdrawal(
            7,
            transfer_id,
            transfers=self.transfers,
            postings=self.postings,
            waiters=self,
            clock=self.clock,
            pause=lambda _: None,
        )
        assert isinstance(said, Transfer) is (before.cancelable or before.cancel_reason == CANCELED_BY_OWNER)

    def booked(self, task_token: str, transfer_id: str) -> bool:
        """Nobody waits behind a token here."""
        raise AssertionError((task_token, transfer_id))

    @rule(which=WHICH, kind=st.sampled_from(["withdrawal.release", "withdrawal.release", "withdrawal.refuse"]))
    def decide(self, which: int, kind: str) -> None:
        if not self.made:
            return
        transfer_id = self.made[which % len(self.made)]
        before = self._now(transfer_id)
        proposal = Proposal("p", kind, {"transfer_id": transfer_id}, "because", "olivia", 1, 2)
        held_back = kind == "withdrawal.release" and (self.frozen or self.stopped)
        try:
            done = committed(self.connection, lambda transaction: REVIEW_EFFECTS[kind](transaction, proposal))
        except UnfitError:
            assert held_back
            return
        assert not held_back
        in_review = before.status is TransferStatus.PENDING and before.clearance is Clearance.REVIEW
        assert done is in_review
        if done and kind == "withdrawal.release":
            self.cleared.add(transfer_id)

    @rule(which=WHICH, pays=st.booleans())
    def go_on(self, which: int, pays: bool) -> None:
        """The rest of the machine: the payer pays or declines, and refused money is given back."""
        if not self.made:
            return
        transfer = self._now(self.made[which % len(self.made)])
        if transfer.status is TransferStatus.PENDING and transfer.clearance is Clearance.CLEARED:
            self._ask(transfer, pays)
        if self._now(transfer.transfer_id).returnable:
            return_withdrawal(
                transfer.transfer_id,
                transfers=self.transfers,
                postings=self.postings,
                clock=self.clock,
                pause=lambda _: None,
            )

    def _ask(self, transfer: Transfer, pays: bool) -> None:
        name = transfer.transfer_id
        assert self.transfers.await_bank(name, "token")
        payment = PaymentState.BOOKED if pays else PaymentState.DECLINED
        answer = BankAnswer(f"e-{name}", payment, f"r-{name}", transfer.units if pays else 0, "" if pays else "no")
        assert self.transfers.record_answer(self._now(name), answer) is Recorded.DONE
        if pays:
            post_withdrawal(
                name,
                transfers=self.transfers,
                journal=JournalStore(),
                postings=self.postings,
                clock=self.clock,
                pause=lambda _: None,
            )
            self.paid += transfer.held_units

    def _now(self, transfer_id: str) -> Transfer:
        found = self.transfers.transfer(transfer_id)
        assert found is not None
        return found

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if not hasattr(self, "made"):
            return
        rows = [self._now(name) for name in self.made]
        mine = BalanceItem.get("7", "USD")
        assert mine.held == sum(row.held_units for row in rows)
        assert (mine.available or 0) + mine.held == FUNDS - self.paid
        every = self.service.tables["balances"].items.values()
        sums = [
            int(next(iter(item.get(part, {"N": "0"}).values()))) for item in every for part in ("available", "held")
        ]
        assert sum(sums) == FUNDS

    @invariant()
    def only_what_was_cleared_is_cleared(self) -> None:
        for name in getattr(self, "made", []):
            row = self._now(name)
            assert (row.clearance is Clearance.CLEARED) is (name in self.cleared)
            assert row.payment is PaymentState.NONE or name in self.cleared


TestClearing = Clearing.TestCase
TestClearing.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
