"""A customer's safeguards on withdrawals over REST: second factor, list of destinations, calling one off."""

from functools import partial
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.clearance.service import cancel_withdrawal
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem
from exchange.payments.waiters import TaskTokens
from exchange.rest import Api, ApiRequest
from exchange.safeguards.service import Safeguarding, destination_view, destination_views, safeguards_view
from exchange.safeguards.store import SafeguardItem, SafeguardTable, destination_id_for
from exchange.safeguards.totp import TotpCodes
from exchange.transfers.store import TransferItem, TransferStore
from exchange.usage.gate import guard
from exchange.users.access import authenticator, stores
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.wallets.model import BankProvider, payment_methods
from exchange.wallets.request import CodeBody, DestinationBody, SafeguardsBody
from exchange.wallets.store import PostingStore
from exchange.wallets.views import transfer_view


class Settings(AccessSettings):
    """This function's environment."""

    instruments_table: str
    balances_table: str
    transfers_table: str
    safeguards_table: str
    bank_provider: BankProvider


settings = Settings.load()
app = Api("safeguards", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(TransferItem, settings.transfers_table)
bind(SafeguardItem, settings.safeguards_table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
customers, _, secrets = stores(settings.secrets_key_id)
transfers, holds, table = TransferStore(connection()), PostingStore(connection()), SafeguardTable(connection())
codes, waiters = TotpCodes(secrets), TaskTokens(client("stepfunctions"))
tools: Any = {"transfers": transfers, "postings": holds, "waiters": waiters, "clock": clock, "pause": jittered_pause}

viewer, person = partial(access.authenticate, scope=Scope.VIEW), access.authenticate_person
mover = partial(access.authenticate, scope=Scope.TRANSFER)


def _of(who: Principal) -> Safeguarding:
    return Safeguarding(who.user_id, clock.now_ns(), store=table, check_code=codes.step)


@app.endpoint("GET", "/v1/withdrawals/safeguards", caller=viewer)
def show(_: ApiRequest, who: Principal) -> Any:
    """What the customer set."""
    return safeguards_view(table.safeguards(who.user_id))


@app.endpoint("PUT", "/v1/withdrawals/safeguards", caller=person, body=SafeguardsBody)
def change(_: ApiRequest, who: Principal, body: SafeguardsBody) -> Any:
    """Take out to listed destinations only, or anywhere again."""
    return safeguards_view(_of(who).list_only(body.allow_list, body.two_factor_code))


@app.endpoint("POST", "/v1/withdrawals/totp", caller=person, body=CodeBody)
def begin_totp(_: ApiRequest, who: Principal, body: CodeBody) -> Any:
    """Make a secret for an authenticator, shown this once."""
    customer = customers.find(who.user_id)
    return _of(who).begin_totp(codes.new, customer.email if customer else who.user_id, body.two_factor_code)


@app.endpoint("POST", "/v1/withdrawals/totp/confirm", caller=person, body=CodeBody)
def confirm_totp(_: ApiRequest, who: Principal, body: CodeBody) -> Any:
    """Set the second factor by a code of it."""
    return safeguards_view(_of(who).confirm_totp(body.two_factor_code))


@app.endpoint("POST", "/v1/withdrawals/totp/remove", caller=person, body=CodeBody)
def remove_totp(_: ApiRequest, who: Principal, body: CodeBody) -> Any:
    """Ask for no code any more."""
    return safeguards_view(_of(who).remove_totp(body.two_factor_code))


@app.endpoint("GET", "/v1/withdrawals/destinations", caller=viewer)
def destinations(_: ApiRequest, who: Principal) -> Any:
    """The customer's list, the oldest first."""
    return destination_views(table.destinations(who.user_id))


@app.endpoint("POST", "/v1/withdrawals/destinations", caller=person, body=DestinationBody)
def add_destination(_: ApiRequest, who: Principal, body: DestinationBody) -> Any:
    """List a destination; it may be used a day later."""
    text = body.text(payment_methods(catalogue.assets(), settings.bank_provider))
    if isinstance(text, Refused):
        return text
    return destination_view(_of(who).list_destination(destination_id_for(text), text, body.label))


@app.endpoint("DELETE", "/v1/withdrawals/destinations/{id}", caller=person)
def remove_destination(_: ApiRequest, who: Principal, **path: str) -> Any:
    """Take a destination off the list; answers with its id."""
    return _of(who).unlist_destination(path["id"])


@app.endpoint("POST", "/v1/withdrawals/{id}/cancel", caller=mover)
def cancel(_: ApiRequest, who: Principal, **path: str) -> Any:
    """Call a withdrawal off while nobody can have been asked to pay it."""
    ended = cancel_withdrawal(who.account_id, path["id"], **tools)
    return ended if isinstance(ended, Refused) else transfer_view(ended)
