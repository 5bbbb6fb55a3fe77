"""Stripe as the one who sends a deposit back to where it came from."""

from typing import Any

import stripe

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.payments.model import STRIPE, Notification, Outcome
from exchange.stripe.provider import KEY_AGE_MAX_NS, PAGE_MAX, asking, minor_units, named_transfer, refund_said
from exchange.transfers.model import Transfer


class StripeRefunds:
    """Refunds at Stripe. Our transfer's id is the idempotency key, and stands in each one's metadata."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._api = client.v1
        self._clock = clock

    def refund(self, refund: Transfer, payment: str) -> Notification:
        """Ask for a refund of a payment, or where it was asked for, what became of it.

        What Stripe refuses to make, and has not made before, is declined: nothing of it ever leaves.

        Raises:   UnavailableError, OutcomeUnknownError; asking again is harmless.
        """
        old = self._clock.now_ns() - refund.created_at_ns >= KEY_AGE_MAX_NS
        made = self._earlier(refund, payment) if old else None
        made = made or asking(lambda: self._create(refund, payment))
        if isinstance(made, Refused):
            refusal, made = made.message, self._earlier(refund, payment)
            if made is None:
                return _declined(refund, refusal)
        # A repeated question is answered as it was at first; what became of it since is told by its name.
        return refund_said(asking(lambda: self._api.refunds.retrieve(made.id)))

    def _create(self, refund: Transfer, payment: str) -> Any:
        params = {
            "payment_intent": payment,
            "amount": minor_units(refund.amount, refund.asset),
            "metadata": {"transfer_id": refund.transfer_id},
        }
        try:
            return self._api.refunds.create(params=params, options={"idempotency_key": refund.transfer_id})
        except stripe.InvalidRequestError as error:
            said = error.code or error.user_message or error.http_status
            return Refused(Code.TRANSFER_AMOUNT_INVALID, f"refused by Stripe: {said}")

    def _earlier(self, refund: Transfer, payment: str) -> Any:
        """The refund that an earlier question made."""
        wanted = {"payment_intent": payment, "limit": PAGE_MAX}
        found = asking(lambda: list(self._api.refunds.list(params=wanted).auto_paging_iter()))
        return next((each for each in found if named_transfer(each) == refund.transfer_id), None)


def _declined(refund: Transfer, reason: str) -> Notification:
    return Notification(
        event_id=f"{refund.transfer_id}-refused",
        transfer_id=refund.transfer_id,
        outcome=Outcome.DECLINED,
        amount=refund.amount,
        currency=refund.asset,
        bank_reference=refund.transfer_id,
        reason=reason,
        provider=STRIPE,
    )
