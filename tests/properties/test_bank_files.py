"""Whatever files arrive, twice, reordered or damaged: no money is made or lost, and custody is what the bank has."""

from contextlib import suppress

from exchange.banking.model import CaseState
from exchange.iso20022.grammar import FileRefusedError
from exchange.kernel.errors import UnavailableError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.bank_files import THEIRS, FileWorld
from tests.fakes.wallets import CrashError

CENTS = st.integers(1, 5_000)
ACCOUNTS = st.sampled_from([7, 8])
SENT = st.sampled_from(["", "silent", "twice", "late", "recalled"])
PAID = st.sampled_from(["", "rejected", "pending", "returned", "silent", "doubled"])


def text(cents: int) -> str:
    """Cents as decimal text."""
    return f"{cents // 100}.{cents % 100:02d}"


class Files(RuleBasedStateMachine):
    """Two customers, one bank, and files that take their own ways."""

    @initialize(first=PAID, second=PAID)
    def open(self, first: str, second: str) -> None:
        """Both have paid in, from accounts that behave as their names say."""
        self.world = FileWorld()
        for account_id, word in ((7, first), (8, second)):
            self.world.asked("1", account_id=account_id, key=f"first-{account_id}")
            self.world.pay_in(account_id, "50", name=f"Dora {word}".strip())
        self.world.take_all()
        self.sent: list[bytes] = []
        self.count = 0
        self.forged = False

    @rule(cents=CENTS, account_id=ACCOUNTS)
    def ask(self, cents: int, account_id: int) -> None:
        self.count += 1
        self.world.asked(text(cents), account_id=account_id, key=f"d{self.count}")

    @rule(cents=CENTS, account_id=ACCOUNTS, words=SENT, paid=PAID)
    def pay_in(self, cents: int, account_id: int, words: str, paid: str) -> None:
        self.world.pay_in(account_id, text(cents), words, name=f"Dora {paid}".strip())

    @rule(cents=CENTS, paid=PAID)
    def pay_in_unknown(self, cents: int, paid: str) -> None:
        self.world.bank.transfer("USD", text(cents), "who knows", name=f"Eve {paid}".strip(), iban=THEIRS)

    @rule(cents=CENTS, account_id=ACCOUNTS)
    def withdraw(self, cents: int, account_id: int) -> None:
        self.count += 1
        self.world.withdraw(text(cents), account_id=account_id, key=f"w{self.count}")

    @rule()
    def file(self) -> None:
        self.world.file()

    @rule(cents=st.integers(1, 50))
    def charge(self, cents: int) -> None:
        self.world.bank.charge("USD", text(cents))

    @rule()
    def end_the_day(self) -> None:
        self.world.bank.close_day("USD")

    @rule(which=st.integers(0, 50), account_id=ACCOUNTS, word=st.sampled_from(["assign", "back", "charge"]))
    def decide(self, which: int, account_id: int, word: str) -> None:
        cases = [case for case in self.world.files.found.values() if case.state is CaseState.OPEN]
        if not cases:
            return
        key = cases[which % len(cases)].key
        self.world.clock.at_ns += 1
        if word == "assign":
            self.world.suspense.assign("USD", key, account_id)
        elif word == "back":
            self.world.suspense.send_back("USD", key)
        else:
            self.world.suspense.charge("USD", key)

    @rule(which=st.integers(0, 200), crash=st.integers(0, 14), after=st.booleans())
    def take(self, which: int, crash: int, after: bool) -> None:
        """Any file that was ever sent, in any order, perhaps to a crash."""
        self.sent += [content for _, content in self.world.inbox]
        self.world.inbox.clear()
        if self.sent:
            cuts = self.world.cuts
            cuts.at, cuts.after, cuts.count = crash, after, 0
            with suppress(CrashError, UnavailableError):
                self.world.reader.take(self.sent[which % len(self.sent)])
            cuts.at = 0

    @rule(which=st.integers(0, 200), at=st.integers(0, 3_000), put_in=st.binary(max_size=2))
    def take_damaged(self, which: int, at: int, put_in: bytes) -> None:
        """A file with some bytes lost is refused whole; what still has its structure was changed by somebody."""
        if not self.sent:
            return
        content = self.sent[which % len(self.sent)]
        damaged = content[: at % len(content)] + put_in + content[at % len(content) + 30 :]
        before = dict(self.world.books.balances)
        try:
            self.world.reader.take(damaged)
            self.forged = True
        except (FileRefusedError, UnavailableError):
            assert dict(self.world.books.balances) == before

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        self.world.sound()

    def teardown(self) -> None:
        """Once every file was taken, the ledger has what the bank has."""
        if not hasattr(self, "world"):
            return
        for _ in range(2):
            self.world.file()
            self.world.bank.close_day("USD")
        waiting = self.sent + [content for _, content in self.world.inbox]
        for _ in range(3):
            for content in waiting:
                with suppress(UnavailableError):
                    self.world.reader.take(content)
        self.world.sound()
        if not self.forged:
            self.world.at_rest()


TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
