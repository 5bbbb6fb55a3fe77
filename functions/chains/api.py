"""A wallet's address on a chain, over REST."""

from functools import partial
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import AccessSettings
from exchange.chains.addressing import deposit_address
from exchange.chains.store import ChainItem, ChainStore
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.wallets.listing import NO_ACCOUNT
from exchange.wallets.views import asset_of_account


class Settings(AccessSettings):
    """The environment of this function."""

    instruments_table: str
    chains_table: str
    chain: str


settings = Settings.load()
app = Api("chains", guard=partial(guard, settings))
handler = app
bind(InstrumentItem, settings.instruments_table)
bind(ChainItem, settings.chains_table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), SystemClock())
chains = ChainStore()


@app.endpoint("POST", "/coinbase-accounts/{id}/addresses", caller=partial(access.authenticate, scope=Scope.TRANSFER))
def address(_request: ApiRequest, who: Principal, **path: str) -> Any:
    """Where to send what this wallet is to have; the same address at every time of asking."""
    asset = asset_of_account(who.account_id, path["id"], catalogue.assets())
    if asset is None:
        return NO_ACCOUNT
    return deposit_address(who.account_id, asset, listing=chains.listing(settings.chain), addresses=chains)
