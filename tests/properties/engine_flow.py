"""Random flow that visits every corner of the engine: small prices, few accounts, every op, and some nonsense."""

from random import Random

from exchange.messages import Command, Op, OrderType, Phase, ProductParameters, SelfTradePrevention, Side, TimeInForce

from matcher.engine import ProductSpec

CENTRE = 1000
PRODUCT = ProductSpec.from_parameters(
    "ACME-USD", ProductParameters("ACME", "USD", "0.1", "0.01", "0.1", "1000", "1", "10.00", "0.30")
)
# Nothing but a lot that is no 1/n of the base makes funds count in parts of a tick-lot.
ODD_LOT_PRODUCT = ProductSpec.from_parameters(
    "ODD-USD", ProductParameters("ODD", "USD", "0.3", "0.01", "0.3", "1000", "1", "", "0.25")
)
_NONSENSE = (-1, 0, -(2**63), 2**63 - 1, 10**12 + 1, 10**18)


class Flow:
    """An endless flow of commands from one seed."""

    def __init__(self, random: Random, *, hostile: bool = True, is_deep: bool = False) -> None:
        """`hostile` adds nonsense; `is_deep` builds a book of hundreds of prices instead of trading it away."""
        self._random = random
        self._hostile = hostile
        self._is_deep = is_deep
        self._time_ns = 1
        self._next_id = 1
        self._auction = False
        self._placed: list[tuple[int, int]] = []

    def command(self) -> Command:
        """The next command."""
        random = self._random
        self._time_ns += random.choice((0, 0, 1, 1, 2, 5, -3))
        time_ns = max(self._time_ns, 0)
        draw = random.random()
        if self._is_deep:
            # Hardly ever a command that empties the book.
            draw = draw * 0.9 if random.random() < 0.999 else draw
        if draw < 0.62:
            return self._place(time_ns)
        if draw < 0.76:
            return Command(Op.CANCEL, order_id=self._some_id(), time_ns=time_ns)
        if draw < 0.90:
            price = self._price() if random.random() < 0.5 else 0
            return Command(
                Op.AMEND,
                order_id=self._some_id(),
                size=self._size(),
                price=price,
                expire_time_ns=max(0, time_ns + random.randint(-1, 9)) if random.random() < 0.3 else 0,
                time_ns=time_ns,
            )
        if draw < 0.93:
            return Command(Op.TICK, time_ns=time_ns)
        if draw < 0.945:
            return Command(Op.CANCEL_ALL, account_id=random.randint(1, 5), time_ns=time_ns)
        if draw < 0.97:
            return self._phase(time_ns)
        if draw < 0.985:
            return Command(Op.CANCEL_IF_UNSEEN, order_id=self._some_id() + random.randint(0, 3), time_ns=time_ns)
        if self._hostile:
            return self._nonsense(time_ns)
        return Command(Op.TICK, time_ns=time_ns)

    def _phase(self, time_ns: int) -> Command:
        """Mostly to and fro between continuous and auction."""
        phase = Phase.CONTINUOUS if self._auction else Phase.AUCTION
        self._auction = not self._auction
        if self._random.random() < 0.15:
            phase = self._random.choice((Phase.HALTED, Phase.CLOSED, Phase.CONTINUOUS, Phase.AUCTION))
        return Command(Op.PHASE, phase=phase, time_ns=time_ns)

    def _some_id(self) -> int:
        """Mostly an id placed lately."""
        return max(1, self._next_id - int(self._random.expovariate(1 / 8)) - 1)

    def _price(self) -> int:
        random = self._random
        if random.random() < 0.03:
            return random.choice((CENTRE * 2, 1, CENTRE // 2))
        return CENTRE + int(random.gauss(0, 150 if self._is_deep else 6))

    def _side_and_price(self) -> tuple[int, int]:
        """In a deep book most orders stand away from the other side."""
        side, price = self._random.randint(1, 2), self._price()
        if self._is_deep and self._random.random() < 0.9:
            side = Side.BUY if price < CENTRE else Side.SELL
        return side, price

    def _size(self) -> int:
        return self._random.randint(1, 30)

    def _place(self, time_ns: int) -> Command:
        random = self._random
        if random.random() < 0.97:
            order_id, self._next_id = self._next_id, self._next_id + 1
        else:
            order_id = self._some_id()
        side, price = self._side_and_price()
        is_limit = random.random() < (0.97 if self._is_deep else 0.8)
        time_in_force = random.choices(list(TimeInForce), weights=(60, 15, 12, 13))[0]
        may_rest = is_limit and time_in_force in (TimeInForce.GTC, TimeInForce.GTT)
        has_stop = random.random() < 0.25
        by_funds = not is_limit and random.random() < 0.5
        is_iceberg = may_rest and random.random() < 0.2
        is_paired = (may_rest or has_stop) and random.random() < 0.25
        stop_price = self._price() if has_stop else 0
        is_trailing = has_stop and random.random() < 0.6
        size = 0 if by_funds else self._size()
        account_id = random.randint(1, 5)
        partner = self._some_id_of(account_id) if is_paired else 0
        self._placed = [*self._placed[-30:], (order_id, account_id)]
        return Command(
            Op.PLACE,
            order_id=order_id,
            account_id=account_id,
            side=side,
            order_type=OrderType.LIMIT if is_limit else OrderType.MARKET,
            time_in_force=time_in_force,
            stop=random.randint(1, 2) if has_stop else 0,
            self_trade_prevention=random.choice(list(SelfTradePrevention)),
            post_only=may_rest and not has_stop and random.random() < 0.1,
            price=price if is_limit else 0,
            size=size,
            funds=random.randint(1_000, 40_000) if by_funds else 0,
            stop_price=stop_price,
            cap_price=self._price() if not is_limit and random.random() < 0.3 else 0,
            expire_time_ns=max(0, time_ns + random.randint(-1, 60)) if time_in_force == TimeInForce.GTT else 0,
            display_size=random.randint(1, size) if is_iceberg else 0,
            time_ns=time_ns,
            oco_order_id=partner,
            trail_amount=self._trail() if is_trailing else 0,
        )

    def _some_id_of(self, account_id: int) -> int:
        """Mostly an order of the same account."""
        own = [order_id for order_id, account in self._placed if account == account_id]
        if self._random.random() < 0.05:
            return self._some_id()
        return self._random.choice(own[-4:]) if own else 0

    def _trail(self) -> int:
        """Mostly small enough to follow and to fire."""
        return self._random.choice((1, 2, 3, 5, 8, 13, CENTRE - 1, 2 * CENTRE))

    def _nonsense(self, time_ns: int) -> Command:
        """A command that no gateway would send."""
        random = self._random

        def value() -> int:
            return random.choice(_NONSENSE) if random.random() < 0.4 else random.randint(0, 2000)

        return Command(
            random.choice((0, 1, 1, 1, 2, 4, 4, 5, 7, 12, 255)),
            order_id=random.choice((value(), self._some_id())),
            account_id=value(),
            side=random.randint(0, 3),
            order_type=random.randint(0, 3),
            time_in_force=random.randint(0, 5),
            stop=random.randint(0, 3),
            self_trade_prevention=random.randint(0, 5),
            post_only=random.random() < 0.3,
            price=value(),
            size=value(),
            funds=value(),
            stop_price=value(),
            cap_price=value(),
            expire_time_ns=value(),
            display_size=value(),
            phase=random.choice((0, 5, 255)),
            time_ns=time_ns,
            oco_order_id=random.choice((0, value(), self._some_id())),
            trail_amount=random.choice((0, value())),
        )
