"""An event of Stripe's, from the name of what changed to what is done about it."""

from exchange.banking.paying_out import Payouts, hear
from exchange.kernel.errors import Refused
from exchange.payments.model import Notification, TakenBack
from exchange.payments.payouts import Stage
from exchange.payments.refunding import Books, take_refund
from exchange.stripe.events import PAYOUT, REFUND, Event
from exchange.stripe.payouts import StripePayouts
from exchange.stripe.provider import StripeProvider


def hear_event(
    event: Event, *, provider: StripeProvider, paying_out: StripePayouts, payouts: Payouts, books: Books
) -> str | Refused | Notification | TakenBack:
    """Do what follows of a payout or of a refund that we asked for; of a payment, say what it came to.

    Refuses:  as `paying_out.hear` and `refunding.take_refund`.
    Raises:   OutageError, and Stripe repeats the event.
    """
    if event.kind == PAYOUT:
        told = paying_out.said(event.object_id)
        if told is None:
            return "ignored"
        if told.stage in {Stage.FAILED, Stage.CANCELED}:
            books.note(f"payout {told.payout_id} did not reach the bank: {told.reason or told.stage.value}")
        return hear(told, payouts=payouts, journal=books.journal, clock=books.clock, pause=books.pause)
    refunded = provider.refunded(event.object_id) if event.kind == REFUND else None
    if refunded is not None:
        return take_refund(refunded, books=books)
    return provider.said(event) or "ignored"
