"""The bank's notification as it comes over HTTP."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.payments.model import BANK, Notification, Outcome, TakenBack
from exchange.rest.reading import Body

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
_Amount = Annotated[str, Field(min_length=1, max_length=40)]


class NotificationBody(Body):
    """One answer of the bank; `amount` is text, `bank_reference` is the bank's own name for the payment."""

    event_id: _Id
    transfer_id: _Id
    status: Literal["booked", "declined", "returned"]
    amount: _Amount
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    bank_reference: _Id
    reason: Annotated[str, Field(max_length=200)] = ""

    def said(self) -> Notification | TakenBack:
        """The same, in our words. What is returned was booked before: a deposit or a withdrawal."""
        if self.status == "returned":
            return TakenBack(
                reversal_id=self.bank_reference,
                transfer_id=self.transfer_id,
                amount=self.amount,
                currency=self.currency,
                gone=True,
                reason=self.reason,
                provider=BANK,
            )
        return Notification(
            event_id=self.event_id,
            transfer_id=self.transfer_id,
            outcome=Outcome(self.status),
            amount=self.amount,
            currency=self.currency,
            bank_reference=self.bank_reference,
            reason=self.reason,
        )
