"""A customer's profiles over REST, and moves of money between them."""

from functools import partial
from typing import Any

from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Code, Refused
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.referrals.store import ReferralItem
from exchange.rest import Api, ApiRequest, read_body
from exchange.transfers.store import TransferItem, TransferStore
from exchange.usage.gate import guard
from exchange.users import access, service
from exchange.users.model import Principal, Scope, profile_json
from exchange.users.request import ProfileBody
from exchange.users.store import CustomerStore
from exchange.wallets.moving import MoveRequest, move_money
from exchange.wallets.owing import refuse_debtor
from exchange.wallets.request import MoveBody
from exchange.wallets.store import PostingStore
from exchange.wallets.views import transfer_view


class Settings(AccessSettings):
    """The environment of this function."""

    profiles_table: str
    instruments_table: str
    balances_table: str
    transfers_table: str
    journal_table: str
    referrals_table: str


settings = Settings.load()
app = Api("profiles", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(TransferItem, settings.transfers_table)
bind(JournalItem, settings.journal_table)
bind(ReferralItem, settings.referrals_table)
authenticator = access.authenticator(**settings.access())
customers = CustomerStore()
profiles = access.profiles(settings.profiles_table)
catalogue = Catalogue(InstrumentStore(), clock)
balances = BalanceStore()
transfers, journal, moves = TransferStore(connection()), JournalStore(), PostingStore(connection())

viewer = partial(authenticator.authenticate, scope=Scope.VIEW)
mover = partial(authenticator.authenticate, scope=Scope.TRANSFER)


@app.endpoint("GET", "/profiles", caller=viewer)
def list_profiles(_: ApiRequest, who: Principal) -> Any:
    """The customer's profiles, the default one first."""
    found = service.list_profiles(customers, profiles, who.user_id)
    return found if isinstance(found, Refused) else [profile_json(profile) for profile in found]


@app.endpoint("GET", "/profiles/{id}", caller=viewer)
def show_profile(_: ApiRequest, who: Principal, **path: str) -> Any:
    """One profile of the customer; anybody else's is not found."""
    found = service.find_profile(customers, profiles, who.user_id, path["id"])
    return found if isinstance(found, Refused) else profile_json(found)


@app.endpoint("POST", "/profiles", caller=mover)
def create_profile(asked: ApiRequest, who: Principal) -> Any:
    """Make a profile, empty."""
    body = read_body(ProfileBody, asked.body)
    if isinstance(body, Refused):
        return body
    made = service.create_profile(customers, profiles, clock, user_id=who.user_id, name=body.name)
    return made if isinstance(made, Refused) else profile_json(made)


@app.endpoint("PUT", "/profiles/{id}", caller=mover)
def rename_profile(asked: ApiRequest, who: Principal, **path: str) -> Any:
    """Give a profile another name."""
    body = read_body(ProfileBody, asked.body)
    if isinstance(body, Refused):
        return body
    named = service.rename_profile(customers, profiles, user_id=who.user_id, wire_id=path["id"], name=body.name)
    return named if isinstance(named, Refused) else profile_json(named)


@app.endpoint("POST", "/profiles/transfer", caller=mover)
def transfer(asked: ApiRequest, who: Principal) -> Any:
    """Move money from one profile to another; an API key only out of its own."""
    body = read_body(MoveBody, asked.body)
    if isinstance(body, Refused):
        return body
    ends = [service.find_profile(customers, profiles, who.user_id, end) for end in (body.source, body.to)]
    for end in ends:
        if isinstance(end, Refused):
            return end
    source, target = [end.account_id for end in ends if not isinstance(end, Refused)]
    if who.key_id is not None and source != who.account_id:
        return Refused(Code.AUTH_SCOPE, "from: an API key moves money out of its own profile only")
    owes = refuse_debtor(source, body.client_transfer_id or "", balances=balances, transfers=transfers)
    if owes is not None:
        return owes
    moved = move_money(
        MoveRequest(source, target, body.currency, body.amount, body.client_transfer_id or ""),
        assets=catalogue.assets(),
        transfers=transfers,
        journal=journal,
        moves=moves,
        clock=clock,
        pause=jittered_pause,
    )
    return moved if isinstance(moved, Refused) else transfer_view(moved)
