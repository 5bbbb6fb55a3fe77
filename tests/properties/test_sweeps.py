"""However sweeps are cut short and fees move, what the ledger says lies at each place is there."""

from collections import Counter
from contextlib import suppress

from exchange.chains.departures import Purpose
from exchange.chains.model import Place, Token
from exchange.chains.paying import Payer
from exchange.chains.sweeping import ask_for_sweeps
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.paying import COIN, GOLD, HOT, LISTING, SWEPT, FakeChain, FakeDepartures, FakePayees, FakeWallet
from tests.fakes.wallets import CrashError, Cuts, FakeBooks, FakeClock

SHALLOW = LISTING.unlock_confirmations - 1
FUNDS = 10**9


class Sweeps(RuleBasedStateMachine):
    """Two addresses that coin and tokens come to, a sweeper, and the payer that sends them gas."""

    @initialize()
    def open(self) -> None:
        self.cuts, self.clock, self.highest = Cuts(), FakeClock(), 0
        self.chain = FakeChain(self.cuts)
        self.books = FakeBooks(FakePayees(self.cuts), self.cuts)
        self.departures = FakeDepartures(self.books, self.cuts)
        self.chain.funds[HOT, ""] = COIN.base_units(FUNDS)
        self.books.balances[LISTING.custody(Place.HOT), "ETH"] = -FUNDS
        self.books.balances["capital", "ETH"] = FUNDS

    @rule(
        address=st.sampled_from(SWEPT),
        token=st.sampled_from([COIN, GOLD]),
        units=st.sampled_from([1, 3_000, 10**6, 10**8]),
        dust=st.sampled_from([0, 7]),
    )
    def deposit(self, address: str, token: Token, units: int, dust: int) -> None:
        """As the watcher frees it; what is finer than our units is there and not in the ledger."""
        self.chain.funds[address, token.contract] += token.base_units(units) + (dust if token == COIN else 0)
        self.departures.may_be_swept[address, token.contract] += units
        self.books.balances[LISTING.custody(Place.ADDRESSES), token.asset] -= units
        self.books.balances["7", token.asset] += units

    @rule(crash=st.integers(0, 30), after=st.booleans(), place=st.sampled_from([Place.HOT, Place.ADDRESSES]))
    def run(self, crash: int, after: bool, place: Place) -> None:
        self.cuts.count, self.cuts.at, self.cuts.after = 0, crash, after
        self._run(place)
        self.cuts.at = 0

    @rule()
    def all_is_well_for_a_while(self) -> None:
        for _ in range(2):
            self._run(Place.ADDRESSES)
            self._run(Place.HOT)
            for _ in range(LISTING.unlock_confirmations):
                self.mine(10)

    @rule(room=st.integers(0, 2))
    def mine(self, room: int) -> None:
        self.chain.mine(room=room)
        self.highest = max(self.highest, len(self.chain.blocks))

    @rule(depth=st.integers(1, SHALLOW), forget=st.booleans())
    def reorganise(self, depth: int, forget: bool) -> None:
        self.chain.cut(min(depth, len(self.chain.blocks) - (self.highest - SHALLOW)))
        if forget:
            self.chain.forget()

    @rule(base_fee=st.sampled_from([10**8, 10**9, 4 * 10**9]), seconds=st.integers(0, 100))
    def time_passes_and_fees_move(self, base_fee: int, seconds: int) -> None:
        self.chain.base_fee = base_fee
        self.clock.at_ns += seconds * 10**9

    def _run(self, place: Place) -> None:
        payer = Payer(
            LISTING,
            place,
            carrier=self.chain,
            wallet=FakeWallet(self.chain),
            departures=self.departures,
            journal=self.books,
            clock=self.clock,
            pause=lambda _: None,
            note=lambda _: None,
        )
        with suppress(CrashError):
            if place is Place.ADDRESSES:
                ask_for_sweeps(
                    LISTING, carrier=self.chain, departures=self.departures, clock=self.clock, note=lambda _: None
                )
            payer.run()

    @invariant()
    def nothing_is_made_or_lost_and_nothing_swept_that_was_not_there(self) -> None:
        if not hasattr(self, "books"):
            return
        sums: Counter[str] = Counter()
        for (_, asset), units in self.books.balances.items():
            sums[asset] += units
        assert not any(sums.values()), sums
        assert all(units >= 0 for units in self.departures.may_be_swept.values())
        for address in SWEPT:
            for token in (COIN, GOLD):
                assert self.chain.has(address, token.contract) >= 0

    @invariant()
    def the_addresses_have_what_the_ledger_says(self) -> None:
        """What may be swept, and what sweeps have taken that are not final, is custody of the addresses."""
        if not hasattr(self, "books"):
            return
        for token in (COIN, GOLD):
            lying = sum(
                units for (_, contract), units in self.departures.may_be_swept.items() if contract == token.contract
            )
            for row in self.departures.rows.values():
                if row.purpose is Purpose.SWEEP and not row.posted:
                    lying += row.units if row.contract == token.contract else 0
                    lying += row.reserve_units if token == COIN else 0
            assert lying == -self.books.balances[LISTING.custody(Place.ADDRESSES), token.asset]

    def teardown(self) -> None:
        """Left in peace, all that is worth it is at the hot wallet, and each place has what the ledger says."""
        if not hasattr(self, "books"):
            return
        self.chain.base_fee = 10**8
        for _ in range(20):
            self.clock.at_ns += 61 * 10**9
            self.all_is_well_for_a_while()
        self.nothing_is_made_or_lost_and_nothing_swept_that_was_not_there()
        self.the_addresses_have_what_the_ledger_says()
        assert not [row for row in self.departures.rows.values() if not row.posted]
        for address in SWEPT:
            assert self.departures.may_be_swept[address, GOLD.contract] < GOLD.sweep_min_units
        for token in (COIN, GOLD):
            for place, addresses in ((Place.HOT, [HOT]), (Place.ADDRESSES, SWEPT)):
                booked = token.base_units(-self.books.balances[LISTING.custody(place), token.asset])
                there = sum(self.chain.has(address, token.contract) for address in addresses)
                spare = 0 if token == GOLD else (len(self.departures.rows) + 1) * token.base_units(1)
                assert booked <= there <= booked + spare, (place, token.asset, booked, there)


TestSweeps = Sweeps.TestCase
TestSweeps.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
