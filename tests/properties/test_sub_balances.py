"""Whatever is earned where and asked on however stale a reading: no sub-balance makes or loses money."""

from collections import Counter

from exchange.ledger.model import Movements, asset_and_product, sub_balance
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

ACCOUNT = "7"
PLACES = ["USD", *(sub_balance("USD", f"P{number}-USD") for number in range(5))]
places = st.sampled_from(PLACES)
units = st.integers(min_value=1, max_value=1_000)


class Spending(RuleBasedStateMachine):
    """One account's dollars in a main balance and five sub-balances, each written only under its own condition."""

    def __init__(self) -> None:
        super().__init__()
        self.available: Counter[str] = Counter()
        self.shifted: Counter[str] = Counter()
        self.read: dict[str, int] = {}
        self.owned = 0

    @rule(place=places, earned=units)
    def earn(self, place: str, earned: int) -> None:
        self.available[place] += earned
        self.owned += earned

    @rule()
    def read_now(self) -> None:
        """What a process remembers; it grows stale with all that follows."""
        self.read = dict(self.available)

    @rule(place=places, asked=units, fresh=st.booleans())
    def spend(self, place: str, asked: int, fresh: bool) -> None:
        movements = Movements()
        movements.debit(ACCOUNT, place, asked, dict(self.available) if fresh else self.read)
        moving = movements.moving()
        fits = all(self.available[where] >= -min(move.available, 0) for _, where, move in moving)
        if fresh:
            assert fits == (asked <= self.owned)
        if fits:
            for _, where, move in moving:
                self.available[where] += move.available
                self.shifted[where] += move.shifted
            self.owned -= asked

    @rule(place=places, asked=units)
    def own_money_is_taken_first(self, place: str, asked: int) -> None:
        movements = Movements()
        movements.debit(ACCOUNT, place, asked, dict(self.available))
        if asked <= self.available[place]:
            assert [where for _, where, _ in movements.moving()] == [place]

    @rule(place=places, asked=units, most=st.integers(min_value=1, max_value=4))
    def never_from_more_places_than_there_is_room_for(self, place: str, asked: int, most: int) -> None:
        movements = Movements()
        movements.debit(ACCOUNT, place, asked, dict(self.available), places_max=most)
        assert len(movements.moving()) <= most

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        assert sum(self.available.values()) == self.owned
        assert sum(self.shifted.values()) == 0
        assert min(self.available.values(), default=0) >= 0


TestSpending = Spending.TestCase


def test_a_place_says_its_asset_and_its_product() -> None:
    assert [asset_and_product(place) for place in ("USD", "USD#ACME-USD")] == [("USD", ""), ("USD", "ACME-USD")]
    assert sub_balance("USD", "") == "USD"
