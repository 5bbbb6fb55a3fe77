"""Stripe as the one who pays out to our own bank account."""

from typing import Any

import stripe

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.payments.payouts import Payout, Stage, Told
from exchange.stripe.provider import KEY_AGE_MAX_NS, PAGE_MAX, asking, minor_units

_STAGES = {
    "pending": Stage.SENT,
    "in_transit": Stage.SENT,
    "paid": Stage.PAID,
    "failed": Stage.FAILED,
    "canceled": Stage.CANCELED,
}


class StripePayouts:
    """Payouts at Stripe. Our payout's id is the idempotency key, and stands in each one's metadata."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._api = client.v1
        self._clock = clock

    def pay_out(self, payout: Payout) -> Told:
        """Ask for a payout, or where it was asked for, what became of it.

        What Stripe refuses to make, and has not made before, has failed: nothing of it ever leaves.

        Raises:   UnavailableError, OutcomeUnknownError; asking again is harmless.
        """
        if payout.stripe_id:
            return self._told(self._retrieve(payout.stripe_id), payout.payout_id)
        made = self._earlier(payout) if self._old(payout) else None
        made = made or asking(lambda: self._create(payout))
        if isinstance(made, Refused):
            refusal, made = made.message, self._earlier(payout)
            if made is None:
                return Told(payout.payout_id, Stage.FAILED, reason=refusal)
        return self._told(made, payout.payout_id)

    def said(self, stripe_id: str) -> Told | None:
        """What has become of a payout, by Stripe's name for it; None for one that is none of ours.

        Raises:   UnavailableError, and Stripe repeats the event.
        """
        found = self._retrieve(stripe_id)
        payout_id = _payout_id(found)
        return self._told(found, payout_id) if payout_id else None

    def _create(self, payout: Payout) -> Any:
        params = {
            "amount": minor_units(payout.amount, payout.asset),
            "currency": payout.asset.lower(),
            "statement_descriptor": payout.reference,
            "metadata": {"payout_id": payout.payout_id, "rail": payout.rail},
        }
        try:
            return self._api.payouts.create(params=params, options={"idempotency_key": payout.payout_id})
        except stripe.InvalidRequestError as error:
            said = error.code or error.user_message or error.http_status
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"refused by Stripe: {said}")

    def _old(self, payout: Payout) -> bool:
        """Whether Stripe may have forgotten the idempotency key by now."""
        return self._clock.now_ns() - payout.approved_at_ns >= KEY_AGE_MAX_NS

    def _earlier(self, payout: Payout) -> Any:
        """The payout that an earlier question made."""
        wanted = {"created": {"gte": payout.approved_at_ns // 1_000_000_000 - 60}, "limit": PAGE_MAX}
        found = asking(lambda: list(self._api.payouts.list(params=wanted).auto_paging_iter()))
        return next((each for each in found if _payout_id(each) == payout.payout_id), None)

    def _retrieve(self, stripe_id: str) -> Any:
        return asking(lambda: self._api.payouts.retrieve(stripe_id))

    @staticmethod
    def _told(found: Any, payout_id: str) -> Told:
        reason = str(getattr(found, "failure_message", None) or getattr(found, "failure_code", None) or "")
        return Told(payout_id, _STAGES[found.status], found.id, reason)


def _payout_id(found: Any) -> str:
    metadata = getattr(found, "metadata", None)
    return str(metadata["payout_id"]) if metadata and "payout_id" in metadata else ""
