"""What the bank and Stripe tell us, over HTTP: signed notifications, each about one payment."""

from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.payments.bank import SharedSecret
from exchange.payments.model import BANK, Notification, TakenBack
from exchange.payments.notification import NotificationBody
from exchange.payments.refunding import Books
from exchange.payments.returning import take_return
from exchange.payments.reversing import take_back
from exchange.payments.service import take_notification
from exchange.payments.signature import verify
from exchange.payments.store import ReversalStore
from exchange.payments.waiters import TaskTokens
from exchange.rest import Api, ApiRequest, read_body
from exchange.stripe.events import read_event
from exchange.stripe.hearing import hear_event
from exchange.stripe.payouts import StripePayouts
from exchange.stripe.provider import StripeProvider, stripe_client
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from exchange.wallets.ending import endings
from exchange.wallets.store import PostingStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    transfers_table: str
    journal_table: str
    balances_table: str
    bank_files_table: str
    bank_webhook_secret_arn: str
    stripe_webhook_secret_arn: str
    stripe_api_key_arn: str
    stripe_api_base: str


settings = Settings.load()
app = Api("payments")
handler = app
clock = SystemClock()
bind(TransferItem, settings.transfers_table)
bind(BankMarkItem, settings.transfers_table)
bind(JournalItem, settings.journal_table)
bind(BalanceItem, settings.balances_table)
bind(BankFileItem, settings.bank_files_table)
transfers, reversals = TransferStore(connection()), ReversalStore(connection())
journal, balances, files = JournalStore(), BalanceStore(), BankFileStore(connection())
waiters = TaskTokens(client("stepfunctions"))
secret = SharedSecret(client("secretsmanager"), settings.bank_webhook_secret_arn, clock)
stripe_secret = SharedSecret(client("secretsmanager"), settings.stripe_webhook_secret_arn, clock)
post, give_back = endings(transfers, journal, PostingStore(connection()), clock=clock, pause=jittered_pause)
books = Books(transfers, journal, balances, reversals, post, give_back, clock, jittered_pause, app.logger.error)
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)


@app.endpoint("POST", "/v1/payments/bank/notifications")
def notify(request: ApiRequest) -> Any:
    """Take one notification. Nothing in it is read before its signature over the raw bytes is found good."""
    now_seconds = clock.now_ns() // 1_000_000_000
    forged = verify(secret.value(), headers=request.headers, body=request.body, now_seconds=now_seconds)
    if forged is not None:
        app.logger.warning("a notification is not the bank's", code=forged.code, request_id=request.request_id)
        return forged
    body = read_body(NotificationBody, request.body)
    return body if isinstance(body, Refused) else _hear(body.said())


@app.endpoint("POST", "/v1/payments/stripe/events")
def stripe_event(request: ApiRequest) -> Any:
    """Take one event of Stripe's. It only names a payment; what became of that one, Stripe's API is asked."""
    event = read_event(stripe_secret.value(), headers=request.headers, body=request.body)
    if isinstance(event, Refused):
        app.logger.warning("an event is not Stripe's", code=event.code, request_id=request.request_id)
        return event
    if not event.kind:
        return {"status": "ignored"}
    at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
    provider, paying_out = StripeProvider(at_stripe, customers=transfers, clock=clock), StripePayouts(at_stripe, clock)
    said = hear_event(event, provider=provider, paying_out=paying_out, payouts=files, books=books)
    if isinstance(said, Notification | TakenBack):
        return _hear(said)
    return said if isinstance(said, Refused) else {"status": said}


def _hear(said: Notification | TakenBack) -> Any:
    named = said.bank_reference if isinstance(said, Notification) else said.reversal_id
    about: dict[str, Any] = {"transfer_id": said.transfer_id, "reference": named}
    about |= {"amount": said.amount, "currency": said.currency}
    if isinstance(said, Notification):
        taken = take_notification(said, transfers=transfers, waiters=waiters, note=app.logger.warning)
    else:
        take = take_return if said.provider == BANK else take_back
        taken = take(
            said,
            transfers=transfers,
            journal=journal,
            balances=balances,
            reversals=reversals,
            clock=clock,
            pause=jittered_pause,
        )
    if isinstance(taken, Refused):
        app.logger.error("a genuine notification does not fit", **about, reason=taken.message)  # It raises an alarm.
        return taken
    if isinstance(said, TakenBack):
        app.logger.warning("a payment came back or was taken back", **about)
    return {"status": taken}
