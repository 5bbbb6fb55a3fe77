"""The bank's notification as it comes over HTTP."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.payments.model import Notification, Outcome
from exchange.rest.reading import Body

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
_Amount = Annotated[str, Field(min_length=1, max_length=40)]


class NotificationBody(Body):
    """One answer of the bank; `amount` is text, `bank_reference` is the bank's own name for the payment."""

    event_id: _Id
    transfer_id: _Id
    status: Literal["booked", "declined"]
    amount: _Amount
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    bank_reference: _Id
    reason: Annotated[str, Field(max_length=200)] = ""

    def notification(self) -> Notification:
        """The same, in our words."""
        return Notification(
            event_id=self.event_id,
            transfer_id=self.transfer_id,
            outcome=Outcome(self.status),
            amount=self.amount,
            currency=self.currency,
            bank_reference=self.bank_reference,
            reason=self.reason,
        )
