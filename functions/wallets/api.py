"""A customer's balances, holds, deposits and transfers over REST."""

from functools import partial
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import connection
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.ledger.store import BalanceStore
from exchange.orders.store import OrderStore
from exchange.rest import Api, ApiRequest
from exchange.statements.store import StatementStore
from exchange.transfers.store import TransferStore
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.wallets.depositing import deposit_money
from exchange.wallets.history import show_past_balance
from exchange.wallets.holding import list_holds
from exchange.wallets.listing import list_account_transfers, list_transfers, show_account, show_transfer
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.model import payment_methods
from exchange.wallets.settings import WalletSettings
from exchange.wallets.statement import list_ledger
from exchange.wallets.views import account_views, wallet_views


class Settings(WalletSettings):
    """The environment of this function."""


settings = Settings.load()
app = Api("wallets", guard=partial(guard, settings))
handler = app
clock = SystemClock()
settings.bind_wallets()
access = authenticator(**settings.access())
catalogue = Catalogue(InstrumentStore(), clock)
balances, orders, statements = BalanceStore(), OrderStore(), StatementStore()
transfers = TransferStore(connection())
machine = StepFunctionsMachine(client("stepfunctions"), settings.deposit_machine_arn)

viewer = partial(access.authenticate, scope=Scope.VIEW)
mover = partial(access.authenticate, scope=Scope.TRANSFER)


@app.endpoint("GET", "/accounts", caller=viewer)
def accounts(_request: ApiRequest, who: Principal) -> Any:
    """Every asset of the catalogue with what the customer owns of it, zero included."""
    return account_views(who.account_id, catalogue.assets(), balances.balances(who.account_id))


@app.endpoint("GET", "/coinbase-accounts", caller=viewer)
def wallets(_request: ApiRequest, who: Principal) -> Any:
    """The customer's wallets of money and of coins."""
    return wallet_views(who.account_id, catalogue.assets(), balances.balances(who.account_id))


@app.endpoint("GET", "/accounts/{id}", caller=viewer)
def account(_request: ApiRequest, who: Principal, **path: str) -> Any:
    """One asset of the customer."""
    return show_account(who.account_id, path["id"], assets=catalogue.assets(), balances=balances)


@app.endpoint("GET", "/accounts/{id}/holds", caller=viewer)
def holds(request: ApiRequest, who: Principal, **path: str) -> Any:
    """What live orders and withdrawals hold of one asset, newest first."""
    return list_holds(who.account_id, path["id"], request, orders=orders, transfers=transfers, catalogue=catalogue)


@app.endpoint("GET", "/accounts/{id}/ledger", caller=viewer)
def ledger(request: ApiRequest, who: Principal, **path: str) -> Any:
    """What changed one balance, newest first, with what it was after each entry."""
    assets = catalogue.assets()
    return list_ledger(who.account_id, path["id"], request, statements=statements, orders=orders, assets=assets)


@app.endpoint("GET", "/accounts/{id}/balance", caller=viewer)
def past_balance(request: ApiRequest, who: Principal, **path: str) -> Any:
    """What one balance was `at` a past moment."""
    assets = catalogue.assets()
    return show_past_balance(who.account_id, path["id"], request, statements=statements, assets=assets, clock=clock)


@app.endpoint("GET", "/accounts/{id}/transfers", caller=viewer)
def account_transfers(request: ApiRequest, who: Principal, **path: str) -> Any:
    """The customer's deposits and withdrawals of one asset, newest first."""
    assets = catalogue.assets()
    return list_account_transfers(who.account_id, path["id"], request, transfers=transfers, assets=assets)


@app.endpoint("POST", "/deposits/payment-method", caller=mover)
def deposit(request: ApiRequest, who: Principal) -> Any:
    """Ask for a deposit: answers with the transfer, pending, and its state machine does the rest."""
    rails = {"stripe": settings.stripe_rail == "on", "bank_files": settings.bank_files_rail == "on"}
    ways = payment_methods(catalogue.assets(), settings.bank_provider, **rails)
    return deposit_money(who.account_id, request, methods=ways, transfers=transfers, machine=machine, clock=clock)


@app.endpoint("GET", "/transfers", caller=viewer)
def transfer_list(request: ApiRequest, who: Principal) -> Any:
    """The customer's deposits and withdrawals, newest first."""
    return list_transfers(who.account_id, request, transfers=transfers)


@app.endpoint("GET", "/transfers/{id}", caller=viewer)
def transfer(_request: ApiRequest, who: Principal, **path: str) -> Any:
    """One transfer of the customer; anybody else's is not found."""
    return show_transfer(who.account_id, path["id"], transfers=transfers)
