"""Whatever a bank gives back or takes back, and however often it tells: each once, and custody is what the bank has."""

from contextlib import suppress

from exchange.audit.bank_checks import custody_is_what_was_confirmed
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.money import parse_decimal
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import CrashError, a_deposit, a_withdrawal
from tests.properties.test_transfers import as_audited

CUSTODY = ("house:custody:sandbox-bank", "USD")
AMOUNTS = st.sampled_from(["1", "0.5", "20", "7.25"])
ACCOUNTS = st.sampled_from([7, 8])
REFERENCES = st.sampled_from(["SB-back", "SB-again"])


class Returns(RuleBasedStateMachine):
    """Two customers whose bank changes its mind. What the bank has is counted by the test itself, in micro dollars."""

    @initialize()
    def open(self) -> None:
        self.world = TransferWorld()
        self.count = self.bank = 0
        self.told: dict[str, tuple[int, str]] = {}  # what came back or was taken back, and under which reference
        for account_id in (7, 8):
            self.deposit("20", account_id)

    def _new(self, wanted: Transfer, *, finish: bool) -> None:
        if isinstance(self.world.request(wanted), Refused):
            return
        if finish:
            self.world.finish(wanted)
            self.bank += wanted.units if wanted.kind is TransferKind.DEPOSIT else -wanted.units
        else:
            self.world.step(wanted.transfer_id)

    @rule(amount=AMOUNTS, account_id=ACCOUNTS)
    def deposit(self, amount: str, account_id: int) -> None:
        self.count += 1
        self._new(a_deposit(amount, account_id=account_id, key=f"d{self.count}"), finish=True)

    @rule(amount=AMOUNTS, account_id=ACCOUNTS, finish=st.sampled_from([True, True, True, False]))
    def withdraw(self, amount: str, account_id: int, finish: bool) -> None:
        self.count += 1
        self._new(a_withdrawal(amount, account_id=account_id, key=f"w{self.count}"), finish=finish)

    @rule(
        which=st.integers(0, 50),
        amount=st.sampled_from(["", "", "0.5", "1", "1000"]),
        reference=REFERENCES,
        crash=st.integers(0, 10),
        after=st.booleans(),
    )
    def give_back(self, which: int, amount: str, reference: str, crash: int, after: bool) -> None:
        rows = list(self.world.transfers.rows.values())
        row = rows[which % len(rows)]
        changed = {"amount": amount} if amount else {}
        said = self._told(row, reference, crash, after, **changed)
        units = parse_decimal(amount, row.scale) if amount else row.units
        if said is None:
            assert row.status is TransferStatus.PENDING
        elif self._fits(row, units, reference):
            assert said in {"recorded", "repeated"}
            if row.transfer_id not in self.told:
                self.told[row.transfer_id] = (units, reference)
                self.bank += units if row.kind is TransferKind.WITHDRAW else -units
        else:
            assert isinstance(said, Refused)
            assert said.code is Code.PAYMENT_NOTIFICATION_INVALID

    def _fits(self, row: Transfer, units: int, reference: str) -> bool:
        """A deposit is taken back whole, by whatever reference; a withdrawal comes back once, or less than it was."""
        if row.reverses or row.status is not TransferStatus.COMPLETED:
            return False
        if row.kind is TransferKind.DEPOSIT:
            return units == row.units
        return self.told.get(row.transfer_id, (units, reference)) == (units, reference) and units <= row.units

    def _told(self, row: Transfer, reference: str, crash: int, after: bool, **changed: str) -> str | Refused | None:
        """What the bank says, until it is answered; None where it is to come again."""
        words = self.world.answered(row, status="returned", bank_reference=reference, **changed)
        cuts = self.world.cuts
        cuts.at, cuts.after, cuts.count = crash, after, 0
        with suppress(CrashError, UnavailableError):
            self.world.receive(*words)
        cuts.at = 0
        try:
            return self.world.receive(*words)
        except UnavailableError:
            return None

    @invariant()
    def sound(self) -> None:
        """The books, custody by the test's own count, and B2 as it is run each night."""
        if not hasattr(self, "world"):
            return
        self.world.check()
        assert -self.world.books.balances[CUSTODY] == self.bank
        assert custody_is_what_was_confirmed(as_audited(self.world)).holds


TestReturns = Returns.TestCase
TestReturns.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
