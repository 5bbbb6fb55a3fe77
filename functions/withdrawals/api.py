"""Money in and out over REST: the ways that there are, what may go through them, withdrawals and their cost."""

from functools import partial
from typing import Any, Literal

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.breaks.store import BreakItem, BreakStore
from exchange.chains.choosing import chosen
from exchange.chains.departure_store import DepartureStore
from exchange.chains.departures import network_fee_units
from exchange.chains.store import ChainItem, ChainStore
from exchange.clearance.stopping import refuse_withdrawal
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import Code, Refused
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.rest import Api, ApiRequest
from exchange.transfers.store import TransferItem, TransferStore
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.wallets.access import gatekeeper
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.model import BankProvider, PaymentMethod, payment_methods
from exchange.wallets.request import WithdrawalBody
from exchange.wallets.store import PostingStore
from exchange.wallets.views import limits_view, method_view, withdrawal_view
from exchange.wallets.withdrawing import new_withdrawal, request_withdrawal


class Settings(AccessSettings):
    """The environment of this function."""

    instruments_table: str
    balances_table: str
    transfers_table: str
    breaks_table: str
    withdrawal_machine_arn: str
    bank_provider: BankProvider
    stripe_rail: Literal["on", "off"]
    bank_files_rail: Literal["on", "off"]
    chains_table: str
    safeguards_table: str


settings = Settings.load()
app = Api("withdrawals", guard=partial(guard, settings))
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(TransferItem, settings.transfers_table)
bind(ChainItem, settings.chains_table)
bind(BreakItem, settings.breaks_table)
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
balances, breaks = BalanceStore(), BreakStore(connection())
chains, departures = ChainStore(), DepartureStore(connection())
transfers, postings = TransferStore(connection()), PostingStore(connection())
may_not = partial(refuse_withdrawal, balances=balances, breaks=breaks, transfers=transfers)
gate = gatekeeper(settings.safeguards_table, settings.secrets_key_id, catalogue.assets)
machine = StepFunctionsMachine(client("stepfunctions"), settings.withdrawal_machine_arn)

viewer, mover = (partial(access.authenticate, scope=scope) for scope in (Scope.VIEW, Scope.TRANSFER))


def _ways() -> list[PaymentMethod]:
    rails = {"stripe": settings.stripe_rail == "on", "bank_files": settings.bank_files_rail == "on"}
    return payment_methods(catalogue.assets(), settings.bank_provider, **rails)


@app.endpoint("POST", "/withdrawals/payment-method", caller=mover, body=WithdrawalBody)
def withdraw(_: ApiRequest, who: Principal, body: WithdrawalBody) -> Any:
    """Withdraw to the bank: answers with the transfer, its money held; its state machine does the rest."""
    refused = may_not(who.account_id, body.currency, body.client_transfer_id or "")
    if refused is not None:
        return refused
    wanted = new_withdrawal(body.withdrawal(), account_id=who.account_id, methods=_ways(), created_at_ns=clock.now_ns())
    if isinstance(wanted, Refused):
        return wanted
    permit = gate.permits(who.user_id, body.two_factor_code)
    tools: Any = {"permit": permit, "transfers": transfers, "postings": postings, "machine": machine}
    held = request_withdrawal(wanted, **tools, pause=jittered_pause, note=app.logger.warning)
    return held if isinstance(held, Refused) else withdrawal_view(held)


@app.endpoint("GET", "/payment-methods", caller=viewer)
def methods(_: ApiRequest, _who: Principal) -> Any:
    """The ways in and out that there are, the bank's first."""
    return [method_view(method) for method in _ways()]


@app.endpoint("GET", "/users/self/exchange-limits", caller=viewer)
def limits(_: ApiRequest, who: Principal) -> Any:
    """What one deposit or withdrawal of the customer may be now."""
    return limits_view(_ways(), gate.allowances(who.user_id, clock.now_ns()))


@app.endpoint("GET", "/withdrawals/fee-estimate", caller=viewer)
def estimate(asked: ApiRequest, _who: Principal) -> Any:
    """What a withdrawal of `currency` costs beside its amount; to a chain, if an address or a network is named."""
    currency = asked.query("currency")
    if currency is None:
        return Refused(Code.REQUEST_FIELD_INVALID, "currency: this parameter is required")
    asset = catalogue.assets().get(currency)
    if asset is None:
        return Refused(Code.CURRENCY_NOT_FOUND, "currency: no such currency; GET /currencies lists them")
    if not (asked.query("crypto_address") or asked.query("network")):
        return {"currency": asset.asset_id, "fee": asset.format(asset.withdrawal_fee_units)}
    listing = chosen(asset.asset_id, asked.query("network") or "", chains.listings())
    if isinstance(listing, Refused):
        return listing
    token = listing.listed(asset.asset_id)
    network = network_fee_units(token, listing, departures.quote(listing.chain), at_ns=clock.now_ns())
    fee = asset.format(asset.withdrawal_fee_units + network)
    return {"currency": asset.asset_id, "fee": fee, "network_fee": asset.format(network)}
