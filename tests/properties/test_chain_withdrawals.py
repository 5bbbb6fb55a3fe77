"""Whatever a chain does and wherever a run ends: each withdrawal is paid once or given back whole, and nothing else."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from exchange.chains.answering import Answers
from exchange.chains.model import Place, Token
from exchange.chains.paying import Payer
from exchange.chains.withdrawal import pay_on_chain
from exchange.ledger.model import capital_account, may_be_negative
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from exchange.wallets.withdrawing import post_withdrawal, request_withdrawal, return_withdrawal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.paying import COIN, COLD, GOLD, HOT, LISTING, FakeChain, FakeDepartures, FakePayees, FakeWallet, Sent
from tests.fakes.safeguards import permit_all
from tests.fakes.wallets import NOON_NS, CrashError, Cuts, FakeBooks, FakeClock

SHALLOW = LISTING.unlock_confirmations - 1  # deeper than that no chain thinks again here
FUNDS = 10**9
TO = ["0xe1", "0xe2", "0xe3"]


@dataclass
class Turns(Cuts):
    """Also lets another run happen whole, between two reaches of this one."""

    other_at: int = 0
    other: Callable[[], object] = field(default=lambda: None)

    def reach(self, effect):  # type: ignore[no-untyped-def]
        """Do an effect, unless this is where the process ends; before it, perhaps, let the other run."""
        if self.other_at and self.count + 1 == self.other_at:
            self.other_at, at, self.at = 0, self.at, 0
            self.other()
            self.at = at
        return super().reach(effect)


@dataclass
class Waiters:
    """The machines: what each transfer's newest token was answered."""

    told: dict[str, str] = field(default_factory=dict)

    def booked(self, task_token: str, transfer_id: str) -> bool:
        self.told[transfer_id] = "booked"
        return True

    def declined(self, task_token: str, reason: str) -> bool:
        self.told[task_token.partition("|")[0]] = "declined"
        return True


class NoMachine:
    """Whoever starts machines; here each rule advances one by hand."""

    def start(self, transfer_id: str, rail: str) -> None:
        return None


class ChainWithdrawals(RuleBasedStateMachine):
    """One customer, three addresses, one hot wallet with a cold one behind it."""

    @initialize()
    def open(self) -> None:
        self.cuts, self.clock, self.waiters = Turns(), FakeClock(), Waiters()
        self.chain = FakeChain(self.cuts)
        self.transfers = FakePayees(self.cuts)
        self.books = FakeBooks(self.transfers, self.cuts)
        self.departures = FakeDepartures(self.books, self.cuts)
        self.asked, self.highest, self.foreign = 0, 0, 0
        for token in (COIN, GOLD):
            self.chain.funds[HOT, token.contract] = token.base_units(FUNDS)
            self.books.balances[LISTING.custody(Place.HOT), token.asset] = -FUNDS
            self.books.balances["7", token.asset] = FUNDS

    @rule(
        units=st.sampled_from([1, 10**6, FUNDS // 4, FUNDS // 2]),
        token=st.sampled_from([COIN, GOLD]),
        to=st.sampled_from(TO),
    )
    def withdraw(self, units: int, token: Token, to: str) -> None:
        self.asked += 1
        wanted = Transfer(
            transfer_id=f"t{self.asked}",
            account_id=7,
            kind=TransferKind.WITHDRAW,
            asset=token.asset,
            scale=token.scale,
            units=units,
            rail=LISTING.hot_rail,
            payment_method_id=LISTING.rail,
            created_at_ns=NOON_NS + self.asked,
            fee_units=12,
            network_fee_units=7,
            crypto_address=to,
        )
        request_withdrawal(
            wanted,
            permit=permit_all,
            transfers=self.transfers,
            postings=self.books,
            machine=NoMachine(),
            pause=lambda _: None,
            note=lambda _: None,
        )

    @rule(crash=st.integers(0, 6), after=st.booleans(), which=st.integers(0, 9))
    def advance(self, crash: int, after: bool, which: int) -> None:
        """A step of one machine."""
        pending = [row for row in self.transfers.rows.values() if row.status is TransferStatus.PENDING]
        if pending:
            self._cut(crash, after=after)
            self._step(pending[which % len(pending)].transfer_id)
            self.cuts.at = 0

    @rule(crash=st.integers(0, 30), after=st.booleans(), other_at=st.integers(0, 25))
    def pay(self, crash: int, after: bool, other_at: int) -> None:
        """A run of the payer, cut short somewhere, another one in its middle."""
        self._cut(crash, after=after)
        self.cuts.other_at, self.cuts.other = other_at, self._run_when_all_has_changed
        self._run()
        self.cuts.at = self.cuts.other_at = 0

    @rule()
    def all_is_well_for_a_while(self) -> None:
        for transfer_id in list(self.transfers.rows):
            self._step(transfer_id)
        for _ in range(2):
            self._run()
            for _ in range(LISTING.unlock_confirmations):
                self.mine(10)

    @rule(room=st.integers(0, 3))
    def mine(self, room: int) -> None:
        self.chain.mine(room=room)
        self.highest = max(self.highest, len(self.chain.blocks))

    @rule(depth=st.integers(1, SHALLOW))
    def reorganise(self, depth: int) -> None:
        self.chain.cut(min(depth, len(self.chain.blocks) - (self.highest - SHALLOW)))

    @rule()
    def forget(self) -> None:
        self.chain.forget()

    @rule(base_fee=st.sampled_from([10**9, 10**10, 10**11]), seconds=st.integers(0, 100))
    def time_passes_and_fees_move(self, base_fee: int, seconds: int) -> None:
        self.chain.base_fee = base_fee
        self.clock.at_ns += seconds * 10**9

    @rule(to=st.sampled_from(TO))
    def turn_against_us(self, to: str) -> None:
        self.chain.refuses.symmetric_difference_update({to})

    @rule()
    def stuck_and_raised(self) -> None:
        """What waits is too cheap all of a sudden."""
        for transfer_id in list(self.transfers.rows):
            self._step(transfer_id)
        self._run()
        self.chain.base_fee *= 3
        for _ in range(2):
            self.clock.at_ns += 61 * 10**9
            self._run()
            self.mine(10)
        self.chain.base_fee = 10**9

    @rule(to=st.sampled_from(TO))
    def mined_and_failed(self, to: str) -> None:
        """What is sent to an address fails when it is mined, though it would have worked a moment ago."""
        for transfer_id in list(self.transfers.rows):
            self._step(transfer_id)
        self._run()
        self.chain.rejects.add(to)
        self.mine(10)
        self.chain.rejects.discard(to)

    @rule(token=st.sampled_from([COIN, GOLD]), units=st.sampled_from([10**6, FUNDS]))
    def the_house_puts_in(self, token: Token, units: int) -> None:
        """As the watcher books it."""
        self.chain.funds[HOT, token.contract] += token.base_units(units)
        self.books.balances[LISTING.custody(Place.HOT), token.asset] -= units
        self.books.balances[capital_account(LISTING.rail), token.asset] += units

    @rule()
    def somebody_uses_the_key_by_hand(self) -> None:
        """An operator cancels what waits first, by a payment of nothing to ourselves with its nonce."""
        self.foreign += 1
        sent = Sent(f"0xf{self.foreign}", HOT, self.chain.used(HOT), HOT, "", 0, 10**13)
        self.chain.known[sent.name] = sent
        self.chain._take(sent)

    def _cut(self, crash: int, *, after: bool) -> None:
        self.cuts.count, self.cuts.at, self.cuts.after = 0, crash, after

    def _run(self) -> None:
        payer = Payer(
            LISTING,
            Place.HOT,
            carrier=self.chain,
            wallet=FakeWallet(self.chain),
            departures=self.departures,
            journal=self.books,
            clock=self.clock,
            pause=lambda _: None,
            note=lambda _: None,
            answers=Answers(self.transfers, self.waiters, note=lambda _: None),
        )
        with suppress(CrashError):
            payer.run()

    def _run_when_all_has_changed(self) -> None:
        """Another run to which the node says otherwise: who refused takes payments, and the fees are others."""
        self.chain.refuses.symmetric_difference_update(TO)
        self.chain.base_fee = 10**9 if self.chain.base_fee > 10**9 else 3 * 10**9
        self._run()

    def _step(self, transfer_id: str) -> None:
        reach = {"transfers": self.transfers, "postings": self.books, "clock": self.clock, "pause": lambda _: None}
        with suppress(CrashError):
            told = self.waiters.told.get(transfer_id)
            if told == "booked":
                post_withdrawal(transfer_id, journal=self.books, **reach)  # type: ignore[arg-type]
            elif told == "declined":
                return_withdrawal(transfer_id, **reach)  # type: ignore[arg-type]
            else:
                pay_on_chain(
                    transfer_id,
                    f"{transfer_id}|{self.cuts.count}",
                    listings=lambda _: LISTING,
                    transfers=self.transfers,
                    departures=self.departures,
                    waiters=self.waiters,
                    note=lambda _: None,
                )

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if not hasattr(self, "books"):
            return
        sums: Counter[str] = Counter()
        for book in (self.books.balances, self.books.held):
            for (account, asset), units in book.items():
                sums[asset] += units
                assert units >= 0 or may_be_negative(account), (account, asset, units)
        assert not any(sums.values()), sums
        held = sum(row.held_units for row in self.transfers.rows.values())
        assert held == sum(self.books.held.values())

    @invariant()
    def each_is_paid_once_or_never(self) -> None:
        if not hasattr(self, "books"):
            return
        for row in self.departures.rows.values():
            names = {version.hash for version in row.versions}
            said = {
                (known.nonce, known.recipient, known.base_units) for known in map(self.chain.known.get, names) if known
            }
            assert len(said) <= 1, "versions of one payment say different things"
            there = [sent for _, payments in self.chain.blocks for sent in payments if sent.name in names]
            assert len(there) <= 1
            paid = [sent for sent in there if not sent.refused]
            transfer = self.transfers.rows.get(row.transfer_id)
            if transfer is not None and transfer.status is TransferStatus.COMPLETED:
                assert len(paid) == 1, "completed, and not on the chain"
            if transfer is not None and transfer.status is TransferStatus.CANCELED:
                assert not paid, "given back, and on the chain"

    @invariant()
    def nonces_are_gapless(self) -> None:
        if hasattr(self, "books"):
            bound = sorted(row.nonce for row in self.departures.rows.values() if row.nonce >= 0)
            assert bound == list(range(self.departures.nonces[HOT]))

    def teardown(self) -> None:
        """Left in peace, with money, every withdrawal ends, and the ledger has what the chain has."""
        if not hasattr(self, "books"):
            return
        self.chain.base_fee = 10**9
        self.chain.refuses.clear()
        self.chain.rejects.clear()
        more = 10 * FUNDS  # what an operator puts in where the wallet ran dry
        for token in (COIN, GOLD):
            self.chain.funds[HOT, token.contract] += token.base_units(more)
        for _ in range(2 * len(self.departures.rows) + 12):
            self.clock.at_ns += 61 * 10**9
            self.all_is_well_for_a_while()
            ended = all(row.status is not TransferStatus.PENDING for row in self.transfers.rows.values())
            if ended and all(row.posted for row in self.departures.rows.values()):
                break
        left = [row for row in self.transfers.rows.values() if row.status is TransferStatus.PENDING]
        assert not left, (left, [self.departures.rows.get(f"withdrawal:{row.transfer_id}") for row in left])
        self.nothing_is_made_or_lost()
        self.each_is_paid_once_or_never()
        self.nonces_are_gapless()
        assert not [row for row in self.departures.rows.values() if not row.posted]
        for token in (COIN, GOLD):
            booked = -self.books.balances[LISTING.custody(Place.HOT), token.asset] + more
            there = self.chain.has(HOT, token.contract)
            # Each payment's cost is counted up to a whole unit; of nobody's costs by hand do our books know.
            spare = 0 if token is GOLD else len(self.departures.rows) * token.base_units(1)
            by_hand = self.foreign * self.chain.cost(self.chain.known["0xf1"]) if self.foreign and token is COIN else 0
            assert token.base_units(booked) - by_hand <= there <= token.base_units(booked) + spare
            assert self.chain.has(COLD, token.contract) == token.base_units(
                -self.books.balances[LISTING.custody(Place.COLD), token.asset]
            )


TestChainWithdrawals = ChainWithdrawals.TestCase
TestChainWithdrawals.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
