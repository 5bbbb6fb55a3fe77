"""Money from one customer to another over REST."""

from functools import partial
from typing import Any

from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.breaks.store import BreakItem, BreakStore
from exchange.clearance.stopping import refuse_withdrawal
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.rest import Api, ApiRequest
from exchange.transfers.store import TransferItem, TransferStore
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.users.store import CustomerStore
from exchange.wallets.access import gatekeeper
from exchange.wallets.moving import MoveRequest
from exchange.wallets.request import SendBody
from exchange.wallets.sending import find_receiver, send_money
from exchange.wallets.store import PostingStore
from exchange.wallets.views import transfer_view


class Settings(AccessSettings):
    """The environment of this function."""

    instruments_table: str
    balances_table: str
    transfers_table: str
    journal_table: str
    safeguards_table: str
    breaks_table: str


settings = Settings.load()
app = Api("transfers", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(TransferItem, settings.transfers_table)
bind(JournalItem, settings.journal_table)
bind(BreakItem, settings.breaks_table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
gate = gatekeeper(settings.safeguards_table, settings.secrets_key_id, catalogue.assets)
transfers, journal, sends = TransferStore(connection()), JournalStore(), PostingStore(connection())
breaks, customers = BreakStore(connection()), CustomerStore()
may_not = partial(refuse_withdrawal, balances=BalanceStore(), breaks=breaks, transfers=transfers)


@app.endpoint("POST", "/v1/transfers", caller=partial(access.authenticate, scope=Scope.TRANSFER), body=SendBody)
def send(_: ApiRequest, who: Principal, body: SendBody) -> Any:
    """Send money to another customer: theirs at once, in both statements."""
    key = body.client_transfer_id or ""
    stopped = may_not(who.account_id, body.currency, key)
    target = stopped or find_receiver(body.to, directory=customers)
    if isinstance(target, Refused):
        return target
    sent = send_money(
        MoveRequest(who.account_id, target, body.currency, body.amount, key),
        permit=gate.permits(who.user_id, body.two_factor_code),
        assets=catalogue.assets(),
        transfers=transfers,
        journal=journal,
        sends=sends,
        clock=clock,
        pause=jittered_pause,
    )
    return sent if isinstance(sent, Refused) else transfer_view(sent)
