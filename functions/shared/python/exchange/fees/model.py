"""Fee schedules and the fee of a fill.

Rates count millionths (ppm): 6000 is 0.6 %. A fee rounds up, against the payer, but on an order's fills together: an
order in a thousand pieces costs what it costs whole.
"""

from dataclasses import dataclass

from exchange.kernel.errors import require
from exchange.kernel.money import divide_up, format_units

PPM = 1_000_000
DEFAULT_SCHEDULE = "default"
_RATE_SCALE = 6


class FeeScheduleError(ValueError):
    """A fee schedule can't be like this; the message says why."""


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """The two rates of one account, or of all that have none of their own.

    Raises:   FeeScheduleError unless 0 <= maker <= taker < 100 %.
    """

    schedule_id: str
    maker_ppm: int
    taker_ppm: int

    def __post_init__(self) -> None:
        # Holds are made at the taker's rate, so no fill may ever cost more than that.
        if not 0 <= self.maker_ppm <= self.taker_ppm < PPM:
            raise FeeScheduleError(
                f"{self.schedule_id}: rates must be 0 <= maker <= taker < {PPM} ppm, "
                f"not {self.maker_ppm} and {self.taker_ppm}"
            )


@dataclass(frozen=True, slots=True)
class FeeState:
    """What an order's fills have cost so far: `numerator` is the sum of rate x value, in ppm of quote units."""

    numerator: int = 0

    @property
    def charged_units(self) -> int:
        """The fees of all fills so far, in quote units."""
        return fee_units(self.numerator)

    def fill(self, *, rate_ppm: int, value_units: int) -> tuple["FeeState", int]:
        """The state after a fill of `value_units` at `rate_ppm`, and the fee of that fill in quote units."""
        require(rate_ppm >= 0 and value_units >= 0, "a fill has no negative rate or value")
        after = FeeState(self.numerator + rate_ppm * value_units)
        return after, after.charged_units - self.charged_units


def fee_units(fee_numerator: int) -> int:
    """The fee, in quote units, of a sum of rate x value: rounded up, against the payer."""
    return divide_up(fee_numerator, PPM)


def format_rate(rate_ppm: int) -> str:
    """A rate as decimal text: 6000 ppm is "0.006"."""
    return format_units(rate_ppm, _RATE_SCALE)
