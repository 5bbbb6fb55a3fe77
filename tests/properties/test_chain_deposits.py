"""However a chain thinks again, wherever a run is cut short: money is what the chain has, and none is made or lost."""

from collections import Counter
from contextlib import suppress

from exchange.chains.model import CREDITED, Payment, Stage, owed_account
from exchange.chains.service import Watcher
from exchange.ledger.model import custody_account, may_be_negative
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.chains import LISTING, OURS, TOKEN, FakeChainLedger, FakeNode
from tests.fakes.wallets import CrashError, Cuts, FakeClock

AMOUNTS = st.sampled_from([10**18, 123_456_789_012_345_678, 10**11, 5, 0])


class ChainDeposits(RuleBasedStateMachine):
    """Payments to two customers and to strangers, in blocks that come, go and come back."""

    @initialize()
    def open(self) -> None:
        self.cuts, self.sent = Cuts(), 0
        self.node, self.ledger = FakeNode(self.cuts), FakeChainLedger(self.cuts)
        self.dropped: list[Payment] = []

    @rule(address=st.sampled_from([*OURS]), contract=st.sampled_from(["", TOKEN]), position=st.integers(0, 1))
    def pay(self, address: str, contract: str, position: int) -> None:
        self._pay(address, contract, 10**18 + 7, failed=False, position=position)

    @rule(
        address=st.sampled_from([*OURS, "0xff"]),
        contract=st.sampled_from(["", TOKEN, "0xbad"]),
        units=AMOUNTS,
        failed=st.booleans(),
    )
    def pay_badly(self, address: str, contract: str, units: int, failed: bool) -> None:
        self._pay(address, contract, units, failed=failed, position=0)

    def _pay(self, address: str, contract: str, units: int, *, failed: bool, position: int) -> None:
        self.sent += 1
        self.node.mine([Payment(f"0xt{self.sent}", position, address, contract, units, failed=failed)])

    @rule(blocks=st.integers(1, 5))
    def mine(self, blocks: int) -> None:
        for _ in range(blocks):
            self.node.mine()

    @rule(depth=st.integers(1, 8), again=st.booleans())
    def reorganise(self, depth: int, again: bool) -> None:
        """The newest blocks go; what they paid is mined again in other blocks, or is not."""
        for block in self.node.cut(depth):
            self.node.mine(self.node.paid[block.hash] if again else [])

    @rule(depth=st.integers(1, 8))
    def there_and_back(self, depth: int) -> None:
        """The newest blocks go, a run sees others, and the very same blocks come back with one on top."""
        blocks = self.node.cut(depth)
        for _ in blocks:
            self.node.mine()
        self._run(0, after=False)
        self.node.cut(len(blocks))
        self.node.blocks.extend(blocks)
        self.node.mine()

    @rule()
    def follow(self) -> None:
        """Two runs that nothing disturbs: what is deep enough is credited, what is deeper is freed."""
        self._run(0, after=False)
        self._run(0, after=False)

    @rule(at=st.integers(1, 20), depth=st.integers(1, 8))
    def reorganise_during_a_run(self, at: int, depth: int) -> None:
        """The chain thinks again between two questions of one run."""
        self.node.mine()
        self.node.rethinks = (at, depth)
        self._run(0, after=False)
        self.node.rethinks = (0, 0)

    @rule(crash=st.integers(0, 25), after=st.booleans())
    def watch(self, crash: int, after: bool) -> None:
        self._run(crash, after=after)

    @rule(account_id=st.sampled_from([7, 8]), asset=st.sampled_from(["ETH", "BTC"]))
    def spend_half(self, account_id: int, asset: str) -> None:
        self.ledger.spend(account_id, asset, lambda had: had // 2)

    def _run(self, crash: int, *, after: bool) -> None:
        self.cuts.count, self.cuts.at, self.cuts.after = 0, crash, after
        watcher = Watcher(
            LISTING,
            node=self.node,
            ledger=self.ledger,
            journal=self.ledger,
            balances=self.ledger,
            postings=self.ledger,
            clock=FakeClock(),
            pause=lambda _: None,
        )
        with suppress(CrashError):
            watcher.run()
        self.cuts.at = 0

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if not hasattr(self, "ledger"):
            return
        sums: Counter[str] = Counter()
        for book in (self.ledger.available, self.ledger.held):
            for (account, asset), units in book.items():
                sums[asset] += units
                assert units >= 0 or may_be_negative(account), (account, asset, units)
        assert not any(sums.values())

    @invariant()
    def custody_is_what_was_credited_and_holds_are_what_is_locked(self) -> None:
        if not hasattr(self, "ledger"):
            return
        credited: Counter[str] = Counter()
        locked: Counter[tuple[str, str]] = Counter()
        for row in self.ledger.rows.values():
            credited[row.asset] += row.units if row.stage in CREDITED else 0
            locked[str(row.account_id), row.asset] += row.units if row.stage is Stage.LOCKED else 0
        for asset in ("ETH", "BTC"):
            assert self.ledger.available[custody_account(LISTING.rail), asset] == -credited[asset]
            assert self.ledger.available[owed_account(LISTING.rail), asset] <= 0
        for key, units in self.ledger.held.items():
            assert units == locked[key]
        held = sum(transfer.held_units for transfer in self.ledger.transfers.values())
        assert held == sum(self.ledger.held.values())

    def teardown(self) -> None:
        """Left in peace, the watcher ends with exactly what the chain has, each payment once."""
        if not hasattr(self, "ledger"):
            return
        for _ in range(LISTING.unlock_confirmations):
            self.node.mine()
        for _ in range(8):
            self._run(0, after=False)
        due: Counter[tuple[str, str]] = Counter()
        for block in self.node.blocks[1:]:
            for payment in self.node.paid[block.hash]:
                token = LISTING.token(payment.contract)
                if payment.address in OURS and token and not payment.failed:
                    units = token.units(payment.base_units)
                    due[payment.address, token.asset] += units if units >= token.deposit_min_units else 0
        found: Counter[tuple[str, str]] = Counter()
        for row in self.ledger.rows.values():
            assert row.stage not in CREDITED or self.node.canonical(row)
            found[row.address, row.asset] += row.units if row.stage is Stage.FREE else 0
        assert +found == +due
        self.nothing_is_made_or_lost()
        self.custody_is_what_was_credited_and_holds_are_what_is_locked()


TestChainDeposits = ChainDeposits.TestCase
TestChainDeposits.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
