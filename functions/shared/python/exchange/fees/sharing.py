"""What of a trade's fees goes on to others: a rebate to its maker, a commission to whoever brought a payer.

No trade gives away more than its own two fees: commissions are shares of them, and a rebate is cut to what they leave.
So nobody can earn, by trading with an account that pays nothing, what others have paid. Units are millionths of a
quote unit; they become whole where a period is added up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from exchange.fees.model import PPM, FeeSchedule
from exchange.referrals.model import Referral


class ShareKind(StrEnum):
    """Why somebody is paid out of fees."""

    COMMISSION = "commission"
    REBATE = "rebate"


@dataclass(frozen=True, slots=True)
class ChargedTrade:
    """A trade with what each side paid. Units: of the quote asset."""

    product_id: str
    maker_id: int
    taker_id: int
    value_units: int
    maker_fee_units: int
    taker_fee_units: int
    traded_at_ns: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one account has of a trade's fees. Units: `micro_units` are millionths of a quote unit."""

    kind: ShareKind
    payee_id: int
    micro_units: int


def split_fees(
    trade: ChargedTrade, version: FeeSchedule, referral_of: Callable[[int], Referral | None]
) -> Iterator[Share]:
    """The shares of a trade's fees under a version, none of them empty; together at most the fees."""
    left = (trade.maker_fee_units + trade.taker_fee_units) * PPM
    if version.commission:
        sides = ((trade.maker_id, trade.maker_fee_units), (trade.taker_id, trade.taker_fee_units))
        for payer_id, fee_units in sides:
            referral = referral_of(payer_id) if fee_units else None
            if referral and version.commission.covers(referral.since_ns, trade.traded_at_ns):
                share = fee_units * version.commission.share_ppm
                left -= share
                yield Share(ShareKind.COMMISSION, referral.referrer_id, share)
    rebate = min(trade.value_units * version.rebate_ppm(trade.product_id), left)
    if rebate:
        yield Share(ShareKind.REBATE, trade.maker_id, rebate)
