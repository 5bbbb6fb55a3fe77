"""Awards and referrals as their own customer sees them: sums alone, nobody else's name, account or trade."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from exchange.awards.model import Award
from exchange.fees.model import Commission, format_rate
from exchange.fees.sharing import ShareKind
from exchange.instruments.model import Asset
from exchange.referrals.model import CodeOwner
from exchange.rest import Reply

CLOSINGS_SHOWN_MAX = 100


def award_page(awards: Iterable[Award], limit: int, assets: Mapping[str, Asset]) -> Reply:
    """At least `limit` awards where there are so many, to the end of a closing."""
    shown: list[Award] = []
    for closing, rows in groupby(awards, key=attrgetter("closing")):
        if len(shown) >= limit:
            more = {"CB-AFTER": str(closing + 1)}
            return Reply([_award(award, assets) for award in shown], headers=more)
        shown += rows
    return Reply([_award(award, assets) for award in shown])


def referral_view(
    code: str, owner: CodeOwner, commission: Commission | None, awards: Iterable[Award], assets: Mapping[str, Asset]
) -> dict[str, Any]:
    """The own code, how many came with it, what is promised now, and what was paid by closing and currency."""
    paid: Counter[tuple[int, str]] = Counter()
    for closing, rows in groupby(awards, key=attrgetter("closing")):
        for award in rows:
            if award.key.kind is ShareKind.COMMISSION:
                paid[closing, award.asset] += award.units
        if len({number for number, _ in paid}) == CLOSINGS_SHOWN_MAX:
            break
    return {
        "referral_code": code,
        "referred": owner.referred,
        "commission_share": format_rate(commission.share_ppm) if commission else "0",
        "commission_days": commission.days if commission else 0,
        "commissions": [
            {"closing": closing, "currency": asset, "amount": assets[asset].format(units)}
            for (closing, asset), units in paid.items()
        ],
    }


def _award(award: Award, assets: Mapping[str, Asset]) -> dict[str, Any]:
    asset = assets[award.asset]
    return {
        "closing": award.closing,
        "type": award.key.kind.value,
        "product_id": award.key.product_id,
        "currency": award.asset,
        "due": asset.format(award.due_units),
        "amount": asset.format(award.units),
    }
