"""Whatever is paid out, told, lost, repeated and cut short in whatever order: nothing is made or lost."""

from contextlib import suppress

from exchange.banking.model import RAIL
from exchange.kernel.errors import UnavailableError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.payout_world import BANK, PayoutWorld
from tests.fakes.wallets import CrashError

CRASH, AFTER = st.integers(0, 12), st.booleans()


class Payouts(RuleBasedStateMachine):
    """Payouts to a bank with statements and to one without, of every ending that there is."""

    @initialize(cents=st.integers(5_000, 50_000))
    def open(self, cents: int) -> None:
        self.world = PayoutWorld(fee_ppm=5_000)
        self.world.hold(cents)

    @rule(euros=st.integers(1, 90), ending=st.integers(10, 16), rail=st.sampled_from([BANK, RAIL]))
    def approve(self, euros: int, ending: int, rail: str) -> None:
        self.world.approve(euros * 100 + ending, rail=rail)

    @rule(cents=st.integers(1, 5_000))
    def dispute(self, cents: int) -> None:
        """Stripe holds less than our books say: what is asked for then is refused by it."""
        self.world.sandbox.funds.move("adjustment", {"id": "du_none", "currency": "usd"}, -cents)
        self.world.books.balances["house:custody:stripe", "USD"] += cents * 10_000
        self.world.books.balances["house:receivable:7", "USD"] -= cents * 10_000

    @rule(crash=CRASH, after=AFTER)
    def run(self, crash: int, after: bool) -> None:
        self._cut(crash, after)
        with suppress(CrashError, UnavailableError):
            self.world.run()
        self.world.cuts.at = 0

    @rule(seconds=st.integers(0, 90), crash=CRASH, after=AFTER)
    def post_costs(self, seconds: int, crash: int, after: bool) -> None:
        self.world.clock.at_ns += seconds * 1_000_000_000
        self._cut(crash, after)
        with suppress(CrashError, UnavailableError):
            self.world.post_costs()
        self.world.cuts.at = 0

    @rule(cents=st.integers(1, 20_000), back=st.booleans())
    def charge(self, cents: int, back: bool) -> None:
        """Stripe takes something by itself, or gives a fee back."""
        funds, thing = self.world.sandbox.funds, {"id": "", "currency": "usd"}
        if back:
            funds.keep(
                "balance_transaction",
                "txn",
                type="adjustment",
                source="du",
                amount=0,
                fee=-cents,
                net=cents,
                currency="usd",
            )
        else:
            funds.move("stripe_fee", thing, -cents)

    @rule(which=st.integers(0, 200), crash=CRASH, after=AFTER)
    def hear(self, which: int, crash: int, after: bool) -> None:
        if not self.world.events:
            return
        self._cut(crash, after)
        with suppress(CrashError, UnavailableError):
            self.world.hear(self.world.events[which % len(self.world.events)])
        self.world.cuts.at = 0

    @rule(which=st.integers(0, 50), act=st.sampled_from(["pay", "fail", "cancel"]))
    def end(self, which: int, act: str) -> None:
        made = self.world.made()
        if made:
            payout = self.world.files.paid_out[made[which % len(made)]["metadata"]["payout_id"]]
            self.world.end(payout, act)

    @rule(crash=CRASH, after=AFTER)
    def take_files(self, crash: int, after: bool) -> None:
        waiting = list(self.world.inbox)
        self._cut(crash, after)
        with suppress(CrashError, UnavailableError):
            self.world.take_all()
        self.world.cuts.at = 0
        self.world.inbox = waiting

    def _cut(self, crash: int, after: bool) -> None:
        cuts = self.world.cuts
        cuts.at, cuts.after, cuts.count = crash, after, 0

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if hasattr(self, "world"):
            self.world.sound()

    def teardown(self) -> None:
        """Once everything was told, custody is what Stripe and the banks have."""
        if not hasattr(self, "world"):
            return
        for _ in range(2):
            self.world.run()
            for body in list(self.world.events):
                self.world.hear(body)
            self.world.take_all()
        for payout in self.world.files.open_payouts():
            self.world.end(payout, "pay")
        self.world.run()
        self.world.take_all()
        self.world.post_costs()
        assert self.world.post_costs() == 0
        came_back = [each for each in self.world.files.payouts() if each.over and each.arrived]
        assert all(each.rail == RAIL for each in came_back)  # Its bank has not taken it back by a line.
        if not came_back:
            self.world.at_rest()


TestPayouts = Payouts.TestCase
TestPayouts.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
