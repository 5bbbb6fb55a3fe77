"""What must hold after every command, as a state machine: a failure shrinks to the few commands that show it.

Every engine there is answers the same commands; the audit follows the answers and the contract's list:

    never crossed in continuous             Audit, after every command
    traded + remaining + canceled = size    Audit, at every `done`
    sequence and trade_id without gaps      Audit, at every event
    no event after an order's `done`        Audit, at every event
    queues in order of time                 Audit, at every match: the maker is the first of its side
    no account trades with itself           Audit, at every match of the continuous phase
    snapshot + tail = full replay           the rule `resume` below: engines go on from snapshots, one never does

and of the fields beyond the contract: only one of a pair trades, what happens to one ends the other, and a stop runs if
and only if some match reached the price at which the matches before had left it.
"""

from exchange.messages import Command, Op, OrderType, Phase, SelfTradePrevention, Side, StopKind, TimeInForce
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from matcher.engine import ProductSpec
from tests.properties.engine_audit import Audit
from tests.properties.engine_flow import CENTRE, ODD_LOT_PRODUCT, PRODUCT
from tests.unit.engine.engines import ENGINES, EngineClass

ACCOUNTS = st.integers(1, 3)
SIDES = st.sampled_from([Side.BUY, Side.SELL])
PRICES = st.integers(CENTRE - 5, CENTRE + 5)
SIZES = st.integers(1, 20)
STOPS = st.sampled_from([StopKind.LOSS, StopKind.ENTRY])
MODES = st.sampled_from(list(SelfTradePrevention))
TRAILS = st.integers(0, 6)
# Counted back from the newest order: small numbers name orders that are likely to live.
BACK = st.integers(0, 12)


class EngineMachine(RuleBasedStateMachine):
    """A market that any command may reach at any time."""

    @initialize(product=st.sampled_from([PRODUCT, ODD_LOT_PRODUCT]))
    def open_market(self, product: ProductSpec) -> None:
        self.classes: list[EngineClass] = [*ENGINES, ENGINES[-1]]
        self.engines = [engine_class(product) for engine_class in self.classes]
        self.audit = Audit(product.funds_per_value)
        self.placed = self.time_ns = 0

    def _send(self, command: Command) -> None:
        first, *others = [engine.apply(command) for engine in self.engines]
        assert all(other == first for other in others)
        self.audit.follow(command, first)

    def _next(self) -> int:
        self.placed += 1
        return self.placed

    @rule(
        account=ACCOUNTS, side=SIDES, price=PRICES, size=SIZES, mode=MODES, post_only=st.booleans(),
        shown=st.integers(0, 20), lifetime=st.none() | st.integers(0, 5), other=st.none() | BACK,
    )  # fmt: skip
    def rest(
        self, account: int, side: int, price: int, size: int, mode: int, shown: int, other: int | None,
        lifetime: int | None, *, post_only: bool,
    ) -> None:  # fmt: skip
        number = self._next()
        self._send(
            Command(
                Op.PLACE, order_id=number, account_id=account, side=side, order_type=OrderType.LIMIT, price=price,
                size=size, self_trade_prevention=mode, post_only=post_only, display_size=min(shown, size),
                time_in_force=TimeInForce.GTC if lifetime is None else TimeInForce.GTT,
                expire_time_ns=0 if lifetime is None else self.time_ns + lifetime, time_ns=self.time_ns,
                oco_order_id=0 if other is None else max(1, number - other),
            )
        )  # fmt: skip

    @rule(
        account=ACCOUNTS, side=SIDES, size=SIZES, mode=MODES, price=st.none() | PRICES, by_funds=st.booleans(),
        time_in_force=st.sampled_from([TimeInForce.IOC, TimeInForce.FOK]),
    )  # fmt: skip
    def take(
        self, account: int, side: int, size: int, mode: int, price: int | None, time_in_force: int, *, by_funds: bool
    ) -> None:
        has_funds = by_funds and price is None
        self._send(
            Command(
                Op.PLACE, order_id=self._next(), account_id=account, side=side, price=price or 0,
                order_type=OrderType.MARKET if price is None else OrderType.LIMIT, size=0 if has_funds else size,
                funds=size * CENTRE if has_funds else 0, self_trade_prevention=mode, time_in_force=time_in_force,
                time_ns=self.time_ns,
            )
        )  # fmt: skip

    @rule(
        account=ACCOUNTS, side=SIDES, size=SIZES, stop=STOPS, stop_price=PRICES, price=st.none() | PRICES,
        trail=TRAILS, other=st.none() | BACK, lifetime=st.none() | st.integers(0, 5),
    )  # fmt: skip
    def wait(
        self, account: int, side: int, size: int, stop: int, stop_price: int, price: int | None, trail: int,
        other: int | None, lifetime: int | None,
    ) -> None:  # fmt: skip
        number = self._next()
        self._send(
            Command(
                Op.PLACE, order_id=number, account_id=account, side=side, price=price or 0, size=size, stop=stop,
                order_type=OrderType.MARKET if price is None else OrderType.LIMIT, stop_price=stop_price,
                trail_amount=trail, time_in_force=TimeInForce.GTC if lifetime is None else TimeInForce.GTT,
                expire_time_ns=0 if lifetime is None else self.time_ns + lifetime, time_ns=self.time_ns,
                oco_order_id=0 if other is None else max(1, number - other),
            )
        )  # fmt: skip

    @precondition(lambda self: self.placed)
    @rule(back=BACK)
    def cancel(self, back: int) -> None:
        self._send(Command(Op.CANCEL, order_id=max(1, self.placed - back), time_ns=self.time_ns))

    @precondition(lambda self: self.placed)
    @rule(back=BACK, size=SIZES, price=st.none() | PRICES)
    def amend(self, back: int, size: int, price: int | None) -> None:
        order_id = max(1, self.placed - back)
        self._send(Command(Op.AMEND, order_id=order_id, size=size, price=price or 0, time_ns=self.time_ns))

    @rule(account=ACCOUNTS)
    def cancel_all(self, account: int) -> None:
        self._send(Command(Op.CANCEL_ALL, account_id=account, time_ns=self.time_ns))

    @rule(phase=st.sampled_from([*[Phase.CONTINUOUS] * 3, Phase.AUCTION, Phase.AUCTION, Phase.HALTED, Phase.CLOSED]))
    def enter(self, phase: int) -> None:
        self._send(Command(Op.PHASE, phase=phase, time_ns=self.time_ns))

    @rule(later=st.integers(0, 3))
    def tick(self, later: int) -> None:
        self.time_ns += later
        self._send(Command(Op.TICK, time_ns=self.time_ns))

    @rule()
    def resume(self) -> None:
        """All but the last go on from a snapshot, each from another's."""
        snapshots = [engine.snapshot() for engine in self.engines]
        assert len(set(snapshots)) == 1
        restored = [engine_class.restore(snapshots[0]) for engine_class in self.classes[:-1]]
        self.engines = [*restored, self.engines[-1]]


EngineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestEngineMachine = EngineMachine.TestCase
