"""Whatever is deposited, spent, disputed, refunded and told in whatever order: nothing is made, lost or below zero."""

from contextlib import suppress
from typing import Any

from exchange.kernel.errors import UnavailableError
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from exchange.wallets.owing import Way
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.stripe_world import StripeWorld, stripe_deposit
from tests.fakes.wallets import CrashError, a_deposit, a_withdrawal

CENTS = st.integers(1, 5_000)


class Reversals(RuleBasedStateMachine):
    """Deposits by Stripe of two accounts, and all that can happen to them."""

    made = Bundle("made")

    @initialize()
    def open(self) -> None:
        self.world = StripeWorld()
        self.count = 0

    @rule(target=made, cents=CENTS, account_id=st.sampled_from([7, 8]))
    def deposit(self, cents: int, account_id: int) -> Transfer:
        self.count += 1
        wanted = stripe_deposit(f"{cents // 100}.{cents % 100:02d}", key=f"d{self.count}", account_id=account_id)
        self.world.request(wanted)
        self.world.step(wanted.transfer_id)
        self.world.pay(wanted, cents)
        return wanted

    @rule(deposit=made)
    def go_on(self, deposit: Transfer) -> None:
        self.world.step(deposit.transfer_id)

    @rule(cents=CENTS, account_id=st.sampled_from([7, 8]))
    def spend(self, cents: int, account_id: int) -> None:
        self.count += 1
        amount = f"{cents // 100}.{cents % 100:02d}"
        self.world.request(a_withdrawal(amount, account_id=account_id, key=f"w{self.count}"))

    @rule(cents=CENTS, account_id=st.sampled_from([7, 8]))
    def pay_in(self, cents: int, account_id: int) -> None:
        """By the bank: what is owed is settled first."""
        self.count += 1
        wanted = a_deposit(f"{cents // 100}.{cents % 100:02d}", account_id=account_id, key=f"b{self.count}")
        self.world.request(wanted)
        self.world.finish(wanted)

    @rule(which=st.integers(0, 50), crash=st.integers(0, 8), after=st.booleans())
    def return_at_the_bank(self, which: int, crash: int, after: bool) -> None:
        """The customer's bank takes back what it paid; told again, it is the same return."""
        rows = [row for row in self.world.transfers.rows.values() if row.rail == "sandbox-bank"]
        booked = [row for row in rows if row.kind is TransferKind.DEPOSIT and not row.reverses]
        if not booked:
            return
        back = booked[which % len(booked)]
        cuts = self.world.cuts
        cuts.at, cuts.after, cuts.count = crash, after, 0
        with suppress(CrashError, UnavailableError):
            changed = {"status": "returned", "bank_reference": f"SB-{back.transfer_id}"}
            self.world.receive(*self.world.answered(back, **changed))
        cuts.at = 0

    @rule(cents=CENTS, account_id=st.sampled_from([7, 8]), way=st.sampled_from(Way))
    def settle(self, cents: int, account_id: int, way: Way) -> None:
        self.count += 1
        self.world.settle(f"{cents // 100}.{cents % 100:02d}", way, f"s{self.count}", account_id=account_id)

    @rule(deposit=made, cents=CENTS)
    def refund(self, deposit: Transfer, cents: int) -> None:
        self.world.refund(deposit, cents)

    @rule(deposit=made, cents=CENTS, ending=st.sampled_from([0, 21, 22]))
    def send_back(self, deposit: Transfer, cents: int, ending: int) -> None:
        """Two operators want a part of a deposit sent back, if the customer still has it."""
        self.count += 1
        cents = cents // 100 * 100 + ending if ending else cents
        self.world.send_back(deposit, f"{cents // 100}.{cents % 100:02d}", proposal=f"p{self.count}")

    @rule(crash=st.integers(0, 12), after=st.booleans())
    def ask_refunds(self, crash: int, after: bool) -> None:
        cuts = self.world.cuts
        cuts.at, cuts.after, cuts.count = crash, after, 0
        with suppress(CrashError, UnavailableError):
            self.world.ask_refunds()
        cuts.at = 0

    @rule(deposit=made)
    def dispute(self, deposit: Transfer) -> None:
        self.world.outside(self.world.intent(deposit)["id"], "dispute")

    @rule(which=st.integers(0, 50), act=st.sampled_from(["win", "lose", "fail"]))
    def decide(self, which: int, act: str) -> None:
        names = [name for name, thing in self.world.sandbox.objects.items() if thing["object"] in {"dispute", "refund"}]
        if names:
            self.world.outside(names[which % len(names)], act)

    @rule(which=st.integers(0, 200), crash=st.integers(0, 8), after=st.booleans())
    def hear(self, which: int, crash: int, after: bool) -> None:
        if not self.world.events:
            return
        cuts = self.world.cuts
        cuts.at, cuts.after, cuts.count = crash, after, 0
        with suppress(CrashError, UnavailableError):
            self.world.hear(self.world.events[which % len(self.world.events)])
        cuts.at = 0

    @invariant()
    def the_books_are_sound(self) -> None:
        self.world.check()

    @invariant()
    def no_more_is_sent_back_than_came(self) -> None:
        """Of all that operators wanted and Stripe has not refused or given again."""
        rows = self.world.transfers.rows
        for deposit in [row for row in rows.values() if row.rail == "stripe" and not row.reverses]:
            wanted = [row for row in rows.values() if row.reverses == deposit.transfer_id and row.task_token]
            again = {row.reverses for row in rows.values()}
            kept = [row for row in wanted if row.status is not TransferStatus.CANCELED and row.transfer_id not in again]
            assert sum(row.units for row in kept) <= deposit.units

    def teardown(self) -> None:
        """Once everything was told, custody is what Stripe has."""
        if not hasattr(self, "world"):
            return
        for _ in range(2):
            self.world.ask_refunds()
            for body in list(self.world.events):
                with suppress(UnavailableError):
                    self.world.hear(body)
            for row in list(self.world.transfers.rows.values()):
                if row.rail == "stripe" and row.status is TransferStatus.PENDING:
                    self.world.step(row.transfer_id)
        self.world.check()
        assert self.world.files.refunds == set()
        kept = sum(row["amount"] for row in self._at("payment_intent"))
        kept -= sum(row["amount"] for row in self._at("refund") if row["status"] != "failed")
        kept += sum(moved["amount"] for row in self._at("dispute") for moved in row["balance_transactions"])
        assert self.world.books.balances["house:custody:stripe", "USD"] == -kept * 10_000

    def _at(self, kind: str) -> list[dict[str, Any]]:
        return [thing for thing in self.world.sandbox.objects.values() if thing["object"] == kind]


TestReversals = Reversals.TestCase
TestReversals.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
