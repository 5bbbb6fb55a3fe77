"""Whatever orders arrive, in whatever order and however often their records are delivered: nothing is made or lost."""

from dataclasses import replace

from exchange.audit import check
from exchange.fees.model import Rates
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce, decode_events
from exchange.orders.model import Order
from exchange.risk.model import OrderTerms
from exchange.trading.service import sweep
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue

ACCOUNTS = (1, 2, 3)
accounts = st.sampled_from(ACCOUNTS)
sides = st.sampled_from(Side)
prices = st.integers(min_value=98, max_value=102).map(str)
names = st.sampled_from(["", "", "a", "b", "c"])
sizes = st.integers(min_value=1, max_value=900).map(lambda lots: f"{lots // 1000}.{lots % 1000:03d}")


class TradingDay(RuleBasedStateMachine):
    """Customers trade; streams fail, repeat and deliver late; the audit looks after every settlement."""

    @initialize(maker=st.integers(0, 5_000), extra=st.integers(0, 10_000))
    def open(self, maker: int, extra: int) -> None:
        fees = Rates(maker_ppm=maker, taker_ppm=maker + extra)
        self.venue = Venue(acme_usd(price_band="0.2"), fees)
        self.orders: list[Order] = []
        for account in ACCOUNTS:
            self.venue.deposit(account, "USD", 2_000_000_000)
            self.venue.deposit(account, "ACME", 400_000)

    def _keep(self, placed: object) -> None:
        if isinstance(placed, Order):
            self.orders.append(placed)

    @rule(
        account=accounts,
        side=sides,
        price=prices,
        size=sizes,
        force=st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        prevention=st.sampled_from(SelfTradePrevention),
    )
    def limit(
        self,
        account: int,
        side: Side,
        price: str,
        size: str,
        force: TimeInForce,
        prevention: SelfTradePrevention,
    ) -> None:
        terms = OrderTerms(side, OrderType.LIMIT, price, size, time_in_force=force, self_trade_prevention=prevention)
        self._keep(self.venue.place(account, terms))

    @rule(orders=st.lists(st.tuples(accounts, sides, prices, sizes), min_size=4, max_size=16))
    def burst(self, orders: list[tuple[int, Side, str, str]]) -> None:
        self.venue.stream.failing = False
        for account, side, price, size in orders:
            self._keep(self.venue.place(account, OrderTerms(side, OrderType.LIMIT, price, size)))
        self.venue.match()

    @rule(account=accounts, side=sides, size=sizes)
    def market_by_size(self, account: int, side: Side, size: str) -> None:
        self._keep(self.venue.place(account, OrderTerms(side, OrderType.MARKET, size=size)))

    @rule(account=accounts, cents=st.integers(min_value=100, max_value=100_000))
    def market_by_funds(self, account: int, cents: int) -> None:
        terms = OrderTerms(Side.BUY, OrderType.MARKET, funds=f"{cents // 100}.{cents % 100:02d}")
        self._keep(self.venue.place(account, terms))

    @rule(
        account=accounts, side=sides, price=prices, stop_price=prices, size=sizes,
        trail=st.sampled_from(["", "", "0.5", "2"]), partner=st.none() | st.integers(1, 4),
    )  # fmt: skip
    def stop(
        self, account: int, side: Side, price: str, stop_price: str, size: str, trail: str, partner: int | None
    ) -> None:
        """A stop, perhaps trailing, perhaps one of two with an order placed lately."""
        kind = StopKind.ENTRY if side is Side.BUY else StopKind.LOSS
        terms = OrderTerms(side, OrderType.LIMIT, price, size, "", kind, stop_price, trail_amount=trail)
        own = [order for order in self.orders if order.account_id == account]
        if partner is not None and len(own) >= partner:
            terms = replace(terms, oco_order=to_uuid(own[-partner].order_id))
        self._keep(self.venue.place(account, terms))

    @rule(account=accounts, whole=st.booleans(), orders=st.lists(st.tuples(sides, prices, sizes, names), max_size=6))
    def batch(self, account: int, whole: bool, orders: list[tuple[Side, str, str, str]]) -> None:
        asked = [(OrderTerms(side, OrderType.LIMIT, price, size), name) for side, price, size, name in orders]
        placed = self.venue.place_batch(account, asked, whole=whole)
        for order in () if isinstance(placed, Refused) else placed:
            self._keep(order)

    @rule(data=st.data(), size=sizes, price=st.one_of(st.just(""), prices), token=names)
    def amend(self, data: st.DataObject, size: str, price: str, token: str) -> None:
        if self.orders:
            order = data.draw(st.sampled_from(self.orders))
            self.venue.amend(order.account_id, to_uuid(order.order_id), size, price, token)

    @rule(data=st.data(), amends=st.lists(st.tuples(sizes, prices), min_size=2, max_size=9), reverse=st.booleans())
    def amend_again_and_again(self, data: st.DataObject, amends: list[tuple[str, str]], reverse: bool) -> None:
        """Several amends are under way at once, and reach the market in another order than they were held in."""
        if self.orders:
            order = data.draw(st.sampled_from(self.orders))
            before = len(self.venue.stream.records)
            for size, price in amends:
                self.venue.amend(order.account_id, to_uuid(order.order_id), size, price)
            if reverse and not self.venue.stream.doubling:
                self.venue.stream.records[before:] = self.venue.stream.records[before:][::-1]

    @rule(data=st.data())
    def cancel_some(self, data: st.DataObject) -> None:
        if self.orders and not self.venue.stream.failing:
            orders = data.draw(st.lists(st.sampled_from(self.orders), min_size=1, max_size=4))
            self.venue.cancel_named(orders[0].account_id, [to_uuid(order.order_id) for order in orders])

    @rule(data=st.data())
    def cancel_one(self, data: st.DataObject) -> None:
        if self.orders and not self.venue.stream.failing:
            order = data.draw(st.sampled_from(self.orders))
            self.venue.cancel(order.account_id, to_uuid(order.order_id))

    @rule(account=accounts)
    def cancel_all(self, account: int) -> None:
        if not self.venue.stream.failing:
            self.venue.cancel_all(account)

    @rule(failing=st.booleans(), doubling=st.booleans())
    def change_the_weather(self, failing: bool, doubling: bool) -> None:
        self.venue.stream.failing, self.venue.stream.doubling = failing, doubling

    @rule(old=st.booleans())
    def release(self, old: bool) -> None:
        """Orders are accepted by a release that holds in the main balance, or by one that holds in the sub-balance."""
        self.venue.tables.old_release = old

    @rule(
        conflicts=st.integers(min_value=0, max_value=3),
        data=st.data(),
        amended=st.booleans(),
        size=sizes,
        price=prices,
    )
    def settle_some(self, conflicts: int, data: st.DataObject, amended: bool, size: str, price: str) -> None:
        self.venue.match()
        if self.orders and amended:
            order = data.draw(st.sampled_from(self.orders))
            name = to_uuid(order.order_id)
            self.venue.tables.interruption = lambda: self.venue.amend(order.account_id, name, size, price)
        self.venue.tables.conflicts = conflicts
        settled = self.venue.tables.cursor("ACME-USD").sequence
        first = data.draw(st.integers(min_value=0, max_value=len(self.venue.executions)))
        records = self.venue.executions
        reaches = [i for i, _ in enumerate(records[: first + 1]) if self._starts_at(i) <= settled + 1]
        self.venue.settle(reaches[-1] if reaches else 0)
        self.venue.tables.conflicts = 0
        self.venue.tables.interruption = None

    def _starts_at(self, index: int) -> int:
        return decode_events(self.venue.executions[index]).first_sequence

    @rule()
    def end_the_day(self) -> None:
        """Faults stop, the sweeper heals, everything settles, and every invariant holds."""
        self.venue.stream.failing = self.venue.stream.doubling = False
        self.venue.clock.time_ns += 10_000_000_000
        sweep(self.venue.tables, self.venue.stream, self.venue.clock)
        self.venue.match()
        self.venue.settle()
        breaches = [breach for finding in check(self.venue.world()) for breach in finding.breaches]
        assert breaches == []

    @invariant()
    def no_balance_is_negative(self) -> None:
        if hasattr(self, "venue"):
            for balance in self.venue.tables.balances.values():
                custody = balance.account.startswith("house:custody")
                assert custody or min(balance.available, balance.held, balance.open_orders) >= 0

    def teardown(self) -> None:
        if hasattr(self, "venue"):
            self.end_the_day()


TradingDay.TestCase.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
TestTradingDay = TradingDay.TestCase
