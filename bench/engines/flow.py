"""The command flow that the engines are measured with: everything the contract has, in the shares a real market sends.

Ids are 63 random bits, as in real life. Prices walk; most orders rest near the middle and are canceled again.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Final

from exchange.messages import (
    Command,
    Op,
    OrderType,
    ProductParameters,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)
from exchange.messages.commands import COMMAND_HEADER, COMMANDS_MAGIC, COMMANDS_VERSION, pack_command, pack_product_id

from matcher.engine import ProductSpec

PRODUCT_ID: Final = "ACME-USD"
PARAMETERS: Final = ProductParameters("ACME", "USD", "0.001", "0.01", "0.001", "1000000", "1", "100.00", "0.90")
PRODUCT: Final = ProductSpec.from_parameters(PRODUCT_ID, PARAMETERS)
MIDDLE: Final = 10_000
ACCOUNTS: Final = 200
# So many orders may rest; beyond, the flow cancels.
RESTING: Final = 8_000
# What a command is, in a thousand: the rest are plain limit orders that rest or trade.
SHARES: Final = (
    ("cancel", 370),
    ("amend", 90),
    ("ioc", 40),
    ("fok", 20),
    ("gtt", 30),
    ("post_only", 40),
    ("iceberg", 20),
    ("stop", 20),
    ("market", 20),
    ("funds", 15),
    ("cancel_all", 1),
    ("tick", 4),
)
_KINDS: Final = [kind for kind, share in (*SHARES, ("limit", 1000 - sum(dict(SHARES).values()))) for _ in range(share)]
_PASSING: Final = ("ioc", "fok", "market", "funds")
_PREVENTIONS: Final = tuple(SelfTradePrevention)


class Mix:
    """An endless flow from one seed."""

    def __init__(self, seed: int, *, resting: int = RESTING) -> None:
        """`resting` is how many orders may rest at a time."""
        self._random = Random(seed)
        self._resting = resting
        self._middle = float(MIDDLE)
        self._time_ns = 0
        self._placed: list[int] = []
        self._accounts = [self._id() for _ in range(ACCOUNTS)]

    def commands(self) -> Iterator[Command]:
        """Each command."""
        choose = self._random.choice
        while True:
            self._time_ns += 1_000
            yield self._command(choose(_KINDS))

    def book(self, count: int) -> Iterator[Command]:
        """Orders that fill the book: they rest at some thousand prices, and the flow cancels and amends them later."""
        random = self._random
        for _ in range(count):
            self._time_ns += 1_000
            side, order_id = random.choice((Side.BUY, Side.SELL)), self._id()
            away = 30 + int(random.expovariate(1 / 1_000))
            self._placed.append(order_id)
            yield Command(
                Op.PLACE,
                order_id=order_id,
                account_id=random.choice(self._accounts),
                side=side,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                self_trade_prevention=SelfTradePrevention.DC,
                price=max(1_001, MIDDLE - away) if side == Side.BUY else min(18_999, MIDDLE + away),
                size=self._size(),
                time_ns=self._time_ns,
            )

    def _id(self) -> int:
        return self._random.getrandbits(63) or 1

    def _command(self, kind: str) -> Command:
        now = self._time_ns
        if len(self._placed) > self._resting:
            kind = "cancel"
        match kind:
            case "cancel":
                return Command(Op.CANCEL, order_id=self._some_id(), time_ns=now)
            case "amend":
                price = self._price(self._random.choice((1, 2)), -6) if self._random.random() < 0.5 else 0
                return Command(Op.AMEND, order_id=self._some_id(keep=True), size=self._size(), price=price, time_ns=now)
            case "cancel_all":
                return Command(Op.CANCEL_ALL, account_id=self._random.choice(self._accounts), time_ns=now)
            case "tick":
                return Command(Op.TICK, time_ns=now)
            case _:
                return self._place(kind, now)

    def _place(self, kind: str, now: int) -> Command:
        random = self._random
        self._middle += random.gauss(0, 0.3) + (MIDDLE - self._middle) * 1e-4
        side = random.choice((Side.BUY, Side.SELL))
        order_id = self._id()
        if kind not in _PASSING:
            self._placed.append(order_id)
        is_market = kind in ("market", "funds")
        size = 0 if kind == "funds" else self._size()
        stop = random.choice((StopKind.LOSS, StopKind.ENTRY)) if kind == "stop" else StopKind.NONE
        return Command(
            Op.PLACE,
            order_id=order_id,
            account_id=random.choice(self._accounts),
            side=side,
            order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
            time_in_force=_times_in_force(kind),
            stop=stop,
            self_trade_prevention=random.choice(_PREVENTIONS),
            post_only=kind == "post_only",
            price=0 if is_market else self._price(side, 6 if kind in ("ioc", "fok") else 0),
            size=size,
            funds=random.randint(1, 40) * 1_000_000 if kind == "funds" else 0,
            stop_price=self._stop_price(stop) if stop else 0,
            expire_time_ns=now + random.randint(1, 20_000) * 1_000 if kind == "gtt" else 0,
            display_size=max(1, size // 5) if kind == "iceberg" else 0,
            time_ns=now,
        )

    def _some_id(self, *, keep: bool = False) -> int:
        """An order that may live; one in fifty never did."""
        placed = self._placed
        if not placed or self._random.random() < 0.02:
            return self._id()
        place = self._random.randrange(len(placed))
        order_id = placed[place]
        if not keep:
            placed[place] = placed[-1]
            placed.pop()
        return order_id

    def _size(self) -> int:
        return 100 * self._random.randint(1, 50)

    def _price(self, side: int, aggression: int) -> int:
        away = int(self._random.expovariate(1 / 12)) + 1 - aggression
        middle = int(self._middle)
        return middle - away if side == Side.BUY else middle + away

    def _stop_price(self, stop: int) -> int:
        away = 5 + int(self._random.expovariate(1 / 20))
        return int(self._middle) + (away if stop == StopKind.ENTRY else -away)


def _times_in_force(kind: str) -> TimeInForce:
    return {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK, "gtt": TimeInForce.GTT}.get(kind, TimeInForce.GTC)


def mix(seed: int, count: int) -> list[Command]:
    """The first `count` commands of a seed."""
    return list(islice(Mix(seed).commands(), count))


def records_of(commands: Sequence[Command], size: int, product_id: str = PRODUCT_ID) -> list[bytes]:
    """The commands as stream records of `size`."""
    product = pack_product_id(product_id)
    packed = [pack_command(command) for command in commands]
    return [
        COMMAND_HEADER.pack(COMMANDS_MAGIC, COMMANDS_VERSION, len(part), product) + b"".join(part)
        for part in (packed[start : start + size] for start in range(0, len(packed), size))
    ]
