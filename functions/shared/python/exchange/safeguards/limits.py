"""What a customer may take out: by how well we know them and by asset, a transfer and in any 24 hours."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.instruments.model import Asset
from exchange.users.model import KycLevel

DAY_NS = 24 * 3600 * 1_000_000_000
# So many withdrawals of an asset in 24 hours are remembered; beyond them the sum could not be told.
USES_MAX = 200
NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one level and asset. None: no limit.

    Units:    of the asset. What is above `review_above_units` waits for two operators.
    """

    per_transfer_units: int | None = None
    per_day_units: int | None = None
    review_above_units: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What was taken out of one asset in the last 24 hours. `version` counts its changes."""

    entries: tuple[tuple[int, int], ...] = ()
    version: int = 0

    def used_units(self, now_ns: int) -> int:
        """The sum of what counts now."""
        return sum(units for at_ns, units in self.entries if at_ns > now_ns - DAY_NS)

    def with_entry(self, now_ns: int, units: int) -> "Use":
        """With one more, without those that no longer count."""
        kept = tuple(entry for entry in self.entries if entry[0] > now_ns - DAY_NS)
        return Use((*kept, (now_ns, units)), self.version + 1)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a customer may take out of an asset now: their limits, and what is left of 24 hours (None: no limit)."""

    limits: Limits
    left_units: int | None


def allowance(limits: Limits, use: Use, now_ns: int) -> Allowance:
    """What is left after what was used."""
    if limits.per_day_units is None:
        return Allowance(limits, None)
    return Allowance(limits, max(0, limits.per_day_units - use.used_units(now_ns)))


# A transfer, a day, and from where on operators look at it; decimal text. Operators set others by asset.
_DEFAULTS: Mapping[KycLevel, Mapping[str, tuple[str, str, str]]] = {
    KycLevel.UNVERIFIED: {
        "fiat": ("1000", "2000", NONE),
        "crypto": ("0.1", "0.2", NONE),
        "stock": ("100", "200", NONE),
    },
    KycLevel.VERIFIED: {
        "fiat": ("25000", "50000", "10000"),
        "crypto": ("2", "5", "1"),
        "stock": ("1000", "5000", "500"),
    },
    KycLevel.ENHANCED: {
        "fiat": ("500000", "1000000", "100000"),
        "crypto": ("50", "100", "10"),
        "stock": ("50000", "100000", "10000"),
    },
    KycLevel.INSTITUTIONAL: {},
}
# After a key was made or rotated, or the second factor changed: whoever stole a session must wait, and be seen.
COOL_DOWN_NS: Mapping[KycLevel, int] = {
    KycLevel.UNVERIFIED: DAY_NS,
    KycLevel.VERIFIED: DAY_NS,
    KycLevel.ENHANCED: DAY_NS,
    KycLevel.INSTITUTIONAL: 0,
}


def default_limits(level: KycLevel, asset: Asset) -> Limits:
    """Those that hold where operators have set none. An asset of a kind that no row names can't be taken out."""
    if level is KycLevel.INSTITUTIONAL:
        return Limits()
    row = _DEFAULTS[level].get(asset.kind)
    return limits_from(row, asset) if row else Limits(0, 0, 0)


def limits_from(row: tuple[str, str, str], asset: Asset) -> Limits:
    """Limits from decimal texts; `none` is no limit. Raises DecimalError."""
    return Limits(*(None if text == NONE else asset.parse(_cut(text, asset)) for text in row))


def _cut(text: str, asset: Asset) -> str:
    """A text of more digits than the asset has, rounded down: a limit is never rounded in anybody's favour."""
    whole, _, digits = text.partition(".")
    kept = digits[: asset.scale].rstrip("0")
    return f"{whole}.{kept}" if kept else whole
