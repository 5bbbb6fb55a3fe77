"""A seeded generator of order flow with the habits that real flow has.

Arrivals excite one another (a Hawkes process), sides and senders persist, prices lie near the touch with a power-law
tail, sizes are lopsided, most orders are cancelled, few are market orders. A hundredth are a trader's mistakes,
and some are the same request sent twice, as a client does whose answer was lost.
"""

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.demo.market import Market

# Each order brings on 0.7 more on average; their echo dies away within a few orders' time.
BRANCHING = 0.7
ECHO_ORDERS = 4.0
SIDE_PERSISTENCE = 0.7
SENDER_PERSISTENCE = 0.5
# The distance from the touch falls off with this exponent, as measured on stock markets (about 1.5).
DISTANCE_EXPONENT = 1.5
DISTANCE_MAX_PPM = 40_000
HALF_SPREAD_PPM = 300
CANCELLED_PART = 0.85
# In orders: how long a resting order that will be cancelled lives, at the least and typically.
LIFETIME_ORDERS_MIN = 4.0
LIFETIME_EXPONENT = 1.2
TYPICAL_PART_OF_BALANCE = 5_000
SIZE_SPREAD = 0.9


@dataclass(frozen=True, slots=True)
class Place:
    """Send this order. `number` names it within its flow."""

    at_seconds: float
    trader: int
    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel that order."""

    at_seconds: float
    trader: int
    number: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send that order once more, as a client does whose answer was lost."""

    at_seconds: float
    trader: int
    number: int
    fields: Mapping[str, Any]


Action = Place | Cancel | Repeat


@dataclass(slots=True)
class _Opinion:
    """What the flow believes of a market: the price it moves around and the size its orders typically have."""

    market: Market
    fair_ticks: int
    typical_lots: int
    buying: bool = True
    sender: int = 0

    @property
    def half_spread_ticks(self) -> int:
        return max(1, self.fair_ticks * HALF_SPREAD_PPM // 1_000_000)

    @property
    def distance_max_ticks(self) -> int:
        return max(2, self.fair_ticks * DISTANCE_MAX_PPM // 1_000_000)


class Flow:
    """The flow of `orders` orders: the same seed and the same markets give the same orders."""

    def __init__(
        self,
        seed: int,
        markets: Sequence[Market],
        *,
        orders: int,
        traders: int,
        rate: float,
        balances: Mapping[str, str],
    ) -> None:
        """`rate` is the mean number of orders a second; `balances` is what the poorest trader has of each asset."""
        self._random = random.Random(seed)  # noqa: S311 - a repeatable flow, not a secret.
        self._orders = orders
        self._traders = traders
        self._rate = rate
        self._opinions = [_opinion(market, balances) for market in markets]
        # Some markets are busier than others.
        self._weights = [1 / (rank + 1) for rank in range(len(markets))]

    def actions(self) -> Iterator[Action]:
        """All that happens, in the order of time."""
        later: list[tuple[float, int, Action]] = []
        for number, at_seconds in enumerate(self._arrivals()):
            while later and later[0][0] <= at_seconds:
                yield heapq.heappop(later)[2]
            place = self._place(number, at_seconds)
            yield place
            for action in self._sequels(place):
                heapq.heappush(later, (action.at_seconds, number, action))
        # Those whose time would come after the last order have outlived the flow: the end cancels or leaves them.

    def _arrivals(self) -> Iterator[float]:
        """A self-exciting process, thinned: quiet times and bursts, `rate` a second in the mean."""
        base = self._rate * (1 - BRANCHING)
        decay = self._rate / ECHO_ORDERS
        now, excitement = 0.0, 0.0
        for _ in range(self._orders):
            while True:
                ceiling = base + excitement
                wait = self._random.expovariate(ceiling)
                now += wait
                excitement *= math.exp(-decay * wait)
                if self._random.random() * ceiling <= base + excitement:
                    break
            excitement += BRANCHING * decay
            yield now

    def _place(self, number: int, at_seconds: float) -> Place:
        dice = self._random
        opinion = dice.choices(self._opinions, self._weights)[0]
        if dice.random() > SIDE_PERSISTENCE:
            opinion.buying = not opinion.buying
        if dice.random() > SENDER_PERSISTENCE:
            opinion.sender = dice.randrange(self._traders)
        fields: dict[str, Any] = {"product_id": opinion.market.product_id, "side": "buy" if opinion.buying else "sell"}
        kind = dice.random()
        if kind < 0.01:
            fields |= self._mistake(opinion)
        elif kind < 0.06:
            fields |= self._market_order(opinion)
        elif kind < 0.18:
            fields |= self._crossing(opinion)
        else:
            fields |= self._resting(opinion)
        return Place(at_seconds, opinion.sender, number, fields)

    def _resting(self, opinion: _Opinion) -> dict[str, Any]:
        distance = min(self._distance(opinion), opinion.distance_max_ticks)
        away = opinion.half_spread_ticks + distance
        ticks = max(1, opinion.fair_ticks - away if opinion.buying else opinion.fair_ticks + away)
        fields: dict[str, Any] = {"type": "limit", "price": opinion.market.price(ticks), "size": self._size(opinion)}
        chance = self._random.random()
        if chance < 0.15:
            fields["post_only"] = True
        elif chance < 0.20:
            fields |= {"time_in_force": "GTT", "cancel_after": "hour"}
        return fields

    def _distance(self, opinion: _Opinion) -> int:
        """Pareto, from the touch outwards; a fifth improve on it."""
        if self._random.random() < 0.2:
            return -self._random.randint(0, opinion.half_spread_ticks // 2)
        return int((self._random.paretovariate(DISTANCE_EXPONENT) - 1) * opinion.half_spread_ticks)

    def _crossing(self, opinion: _Opinion) -> dict[str, Any]:
        """A limit order that takes what lies within a few spreads, and moves the price."""
        reach = opinion.half_spread_ticks * self._random.randint(2, 5)
        ticks = max(1, opinion.fair_ticks + reach if opinion.buying else opinion.fair_ticks - reach)
        fields: dict[str, Any] = {"type": "limit", "price": opinion.market.price(ticks), "size": self._size(opinion)}
        chance = self._random.random()
        if chance < 0.5:
            fields["time_in_force"] = "IOC"
        elif chance < 0.6:
            fields["time_in_force"] = "FOK"
        self._move(opinion)
        return fields

    def _market_order(self, opinion: _Opinion) -> dict[str, Any]:
        self._move(opinion)
        if opinion.buying and self._random.random() < 0.4:
            market = opinion.market
            funds = opinion.fair_ticks * market.tick_fine * opinion.typical_lots * market.lot_fine // 10**18
            return {"type": "market", "funds": market.price(max(1, funds // market.tick_fine))}
        return {"type": "market", "size": self._size(opinion)}

    def _move(self, opinion: _Opinion) -> None:
        """Who takes, moves the price; a little pulls it back to where it began."""
        step = self._random.randint(0, opinion.half_spread_ticks)
        opinion.fair_ticks += step if opinion.buying else -step
        opinion.fair_ticks += (opinion.market.start_ticks - opinion.fair_ticks) // 50
        opinion.fair_ticks = max(2, opinion.fair_ticks)

    def _size(self, opinion: _Opinion) -> str:
        lots = int(opinion.typical_lots * self._random.lognormvariate(0, SIZE_SPREAD))
        return opinion.market.size(max(opinion.market.size_min_lots, lots))

    def _mistake(self, opinion: _Opinion) -> dict[str, Any]:
        """What goes wrong at a desk; each is refused with a code of its own and changes nothing."""
        market = opinion.market
        price, size = market.price(opinion.fair_ticks), market.size(opinion.typical_lots)
        return self._random.choice(
            (
                {"type": "limit", "price": market.price_between(opinion.fair_ticks), "size": size},
                {"type": "limit", "price": "0", "size": size},
                {"type": "limit", "price": price, "size": "0"},
                {"type": "limit", "price": market.price(opinion.fair_ticks * 10), "size": size},
                {"type": "limit", "price": price, "size": market.size(opinion.typical_lots * 50_000)},
                {"type": "market", "price": price, "size": size},
            )
        )

    def _sequels(self, place: Place) -> Iterator[Action]:
        dice = self._random
        if dice.random() < 0.005:
            yield Repeat(place.at_seconds + 1 / self._rate, place.trader, place.number, place.fields)
        rests = place.fields["type"] == "limit" and place.fields.get("time_in_force", "GTT") == "GTT"
        if rests and dice.random() < CANCELLED_PART:
            lifetime = LIFETIME_ORDERS_MIN * dice.paretovariate(LIFETIME_EXPONENT) / self._rate
            yield Cancel(place.at_seconds + lifetime, place.trader, place.number)


def _opinion(market: Market, balances: Mapping[str, str]) -> _Opinion:
    """A typical order is a small part of what a trader has, on whichever side that is less."""
    base_lots = market.lots(balances[market.base]) // TYPICAL_PART_OF_BALANCE
    lot_cost_fine = max(1, market.start_ticks * market.tick_fine * market.lot_fine // 10**18)
    quote_fine = market.ticks(balances[market.quote]) * market.tick_fine
    quote_lots = quote_fine // lot_cost_fine // TYPICAL_PART_OF_BALANCE
    return _Opinion(market, market.start_ticks, max(market.size_min_lots, min(base_lots, quote_lots)))
