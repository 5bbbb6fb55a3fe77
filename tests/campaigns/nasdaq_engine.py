"""What our engine makes of a translated day: its fills by order, and the best level of each side."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.messages import (
    Command,
    EventType,
    Op,
    OrderType,
    ProductParameters,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

from infra.demo.lobster import Best
from infra.demo.nasdaq import Role, Step, Take, Withdraw
from matcher.engine import Engine, ProductSpec
from matcher.engine.reference import Engine as ReferenceEngine

GOOG = ProductSpec.from_parameters(
    "GOOG-USD", ProductParameters("GOOG", "USD", "1", "0.0001", "1", "1000000", "1", "580", "0.50")
)


@dataclass
class NasdaqEngine:
    """Carries steps out. `traded[number]` is what an order took, by price."""

    engine: Engine | ReferenceEngine = field(default_factory=lambda: Engine(GOOG))
    traded: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    resting: dict[int, tuple[bool, int, int]] = field(default_factory=dict)
    _time_ns: int = 0

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Apply every step as the matcher would, and keep what rests from the events alone."""
        for step in steps:
            self._time_ns += 1
            result = self.engine.apply(self._command(step))
            assert result is not None
            for event in result.events:
                if event.type == EventType.OPEN:
                    self.resting[event.order_id] = (event.side == Side.BUY, event.price, event.remaining_size)
                elif event.type == EventType.MATCH:
                    self.traded[event.order_id][event.price] += event.size
                    buying, price, size = self.resting[event.maker_order_id]
                    self.resting[event.maker_order_id] = (buying, price, size - event.size)
                elif event.type == EventType.DONE:
                    self.resting.pop(event.order_id, None)
                else:
                    assert event.type == EventType.RECEIVED, event

    def best(self, *, buying: bool) -> Best:
        """The best level of one side."""
        sizes: dict[int, int] = defaultdict(int)
        for side, price, size in self.resting.values():
            if side == buying:
                sizes[price] += size
        if not sizes:
            return Best(0, 0)
        price = max(sizes) if buying else min(sizes)
        return Best(price, sizes[price])

    def levels(self, *, buying: bool) -> int:
        """How many prices have orders on one side."""
        return len({price for side, price, _ in self.resting.values() if side == buying})

    def _command(self, step: Step) -> Command:
        account_id = list(Role).index(step.role) + 1
        command_id = self._time_ns.to_bytes(16, "big")
        if isinstance(step, Withdraw):
            return Command(
                Op.CANCEL, command_id=command_id, order_id=step.number, account_id=account_id, time_ns=self._time_ns
            )
        return Command(
            Op.PLACE,
            command_id=command_id,
            order_id=step.number,
            account_id=account_id,
            side=Side.BUY if step.buying else Side.SELL,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC if isinstance(step, Take) else TimeInForce.GTC,
            self_trade_prevention=SelfTradePrevention.DC,
            price=step.price,
            size=step.size,
            time_ns=self._time_ns,
        )
