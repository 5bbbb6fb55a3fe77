"""Chains over REST: a wallet's address on one of them, and withdrawals to one."""

from functools import partial
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.breaks.store import BreakItem, BreakStore
from exchange.chains.addressing import deposit_address
from exchange.chains.choosing import chosen
from exchange.chains.departure_store import DepartureStore
from exchange.chains.store import ChainItem, ChainStore
from exchange.chains.withdrawal import ChainWithdrawalRequest, new_chain_withdrawal
from exchange.clearance.stopping import refuse_withdrawal
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.rest import Api, ApiRequest, read_body
from exchange.transfers.store import TransferItem, TransferStore
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.wallets.access import gatekeeper
from exchange.wallets.listing import NO_ACCOUNT
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.request import AddressBody, ChainWithdrawalBody
from exchange.wallets.store import PostingStore
from exchange.wallets.views import asset_of_account, withdrawal_view
from exchange.wallets.withdrawing import request_withdrawal


class Settings(AccessSettings):
    """The environment of this function."""

    instruments_table: str
    chains_table: str
    balances_table: str
    transfers_table: str
    breaks_table: str
    withdrawal_machine_arn: str
    safeguards_table: str


settings = Settings.load()
app = Api("chains", guard=partial(guard, settings))
handler = app
clock = SystemClock()
for model, table in (
    (InstrumentItem, settings.instruments_table),
    (ChainItem, settings.chains_table),
    (BalanceItem, settings.balances_table),
    (TransferItem, settings.transfers_table),
    (BreakItem, settings.breaks_table),
):
    bind(model, table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
chains, departures = ChainStore(), DepartureStore(connection())
balances, transfers, postings = BalanceStore(), TransferStore(connection()), PostingStore(connection())
may_not = partial(refuse_withdrawal, balances=balances, breaks=BreakStore(connection()), transfers=transfers)
gate = gatekeeper(settings.safeguards_table, settings.secrets_key_id, catalogue.assets)
machine = StepFunctionsMachine(client("stepfunctions"), settings.withdrawal_machine_arn)
mover = partial(access.authenticate, scope=Scope.TRANSFER)


@app.endpoint("POST", "/coinbase-accounts/{id}/addresses", caller=mover)
def address(asked: ApiRequest, who: Principal, **path: str) -> Any:
    """Where to send what this wallet is to have over a network; the same address at every time of asking."""
    body = read_body(AddressBody, asked.body or b"{}")
    if isinstance(body, Refused):
        return body
    asset = asset_of_account(who.account_id, path["id"], catalogue.assets())
    if asset is None:
        return NO_ACCOUNT
    listing = chosen(asset.asset_id, body.network or "", chains.listings())
    if isinstance(listing, Refused):
        return listing
    return deposit_address(who.account_id, asset, listing=listing, addresses=chains)


@app.endpoint("POST", "/withdrawals/crypto", caller=mover)
def withdraw(asked: ApiRequest, who: Principal) -> Any:
    """Withdraw to an address: answers with the transfer, its money held; the machine and the payer do the rest."""
    body = read_body(ChainWithdrawalBody, asked.body)
    if isinstance(body, Refused):
        return body
    key = body.client_transfer_id or ""
    refused = may_not(who.account_id, body.currency, key)
    if refused is not None:
        return refused
    listing = chosen(body.currency, body.network or "", chains.listings())
    if isinstance(listing, Refused):
        return listing
    wanted = new_chain_withdrawal(
        ChainWithdrawalRequest(body.amount, body.currency, body.crypto_address, listing.chain, key),
        account_id=who.account_id,
        assets=catalogue.assets(),
        listing=listing,
        owners=chains,
        quote=departures.quote(listing.chain),
        at_ns=clock.now_ns(),
    )
    if isinstance(wanted, Refused):
        return wanted
    permit = gate.permits(who.user_id, body.two_factor_code)
    tools: Any = {"permit": permit, "transfers": transfers, "postings": postings, "machine": machine}
    held = request_withdrawal(wanted, **tools, pause=jittered_pause, note=app.logger.warning)
    return held if isinstance(held, Refused) else withdrawal_view(held)
