"""What Stripe holds for us, and what it took for itself: its balance, and the movements behind that."""

from collections.abc import Mapping
from typing import Any

from exchange.payments.costs import Cost
from exchange.stripe.provider import PAGE_MAX, asking

# Movements that are a charge altogether; of all others the fee is.
_CHARGES = frozenset({"stripe_fee", "stripe_fx_fee", "network_cost", "tax_fee"})


class StripeFunds:
    """Our balance at Stripe."""

    def __init__(self, client: Any) -> None:
        self._api = client.v1

    def balance(self) -> Mapping[str, int]:
        """What Stripe holds for us by currency, what is not available yet included.

        Units:    as Stripe counts: cents, yen.
        Raises:   UnavailableError, OutcomeUnknownError.
        """
        told = asking(self._api.balance.retrieve)
        held: dict[str, int] = {}
        for part in (*told.available, *told.pending):
            currency = str(part.currency).upper()
            held[currency] = held.get(currency, 0) + int(part.amount)
        return held

    def costs(self, since_seconds: int) -> list[Cost]:
        """What Stripe took since a moment, oldest first. Raises UnavailableError, OutcomeUnknownError."""
        wanted = {"created": {"gte": since_seconds}, "limit": PAGE_MAX}
        moved = asking(lambda: list(self._api.balance_transactions.list(params=wanted).auto_paging_iter()))
        found = [
            Cost(each.id, str(each.currency).upper(), minor, f"{each.type} {each.source or ''}".strip(), each.created)
            for each in moved
            if (minor := int(each.fee) - (int(each.amount) if each.type in _CHARGES else 0))
        ]
        return sorted(found, key=lambda cost: (cost.at_seconds, cost.cost_id))
