"""A customer's balances, holds, deposits and transfers over REST."""

from collections.abc import Callable
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.ledger.store import BalanceItem, BalanceStore
from exchange.orders.store import OrderItem, OrderStore
from exchange.rest import Api, ApiRequest
from exchange.transfers.store import TransferItem, TransferStore
from exchange.users.access import authenticator
from exchange.users.model import Scope
from exchange.wallets.depositing import deposit_money
from exchange.wallets.listing import list_holds, list_transfers, show_account, show_transfer
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.model import BankProvider, payment_methods
from exchange.wallets.views import account_views, method_view


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    balances_table: str
    orders_table: str
    transfers_table: str
    api_keys_table: str
    users_table: str
    secrets_key_id: str
    user_pool_id: str
    user_pool_client_id: str
    deposit_machine_arn: str
    bank_provider: BankProvider


settings = Settings.load()
app = Api("wallets")
handler = app
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(BalanceItem, settings.balances_table)
bind(OrderItem, settings.orders_table)
bind(TransferItem, settings.transfers_table)
access = authenticator(
    api_keys_table=settings.api_keys_table,
    users_table=settings.users_table,
    secrets_key_id=settings.secrets_key_id,
    user_pool_id=settings.user_pool_id,
    user_pool_client_id=settings.user_pool_client_id,
)
catalogue = Catalogue(InstrumentStore(), clock)
balances = BalanceStore()
orders = OrderStore()
transfers = TransferStore(connection())
machine = StepFunctionsMachine(client("stepfunctions"), settings.deposit_machine_arn)


def private(method: str, path: str, scope: Scope = Scope.VIEW) -> Callable[[Callable[..., Any]], object]:
    """Serve `view(account_id, request, **path variables)` to whoever proves to be the account's owner."""

    def register(view: Callable[..., Any]) -> object:
        def served(request: ApiRequest, **variables: str) -> Any:
            who = access.authenticate(request, scope)
            return who if isinstance(who, Refused) else view(who.account_id, request, *variables.values())

        return app.endpoint(method, path)(served)

    return register


@private("GET", "/accounts")
def accounts(owner: int, _request: ApiRequest) -> Any:
    """Every asset of the catalogue with what the customer owns of it, zero included."""
    return account_views(owner, catalogue.assets(), balances.balances(owner))


@private("GET", "/accounts/{id}")
def account(owner: int, _request: ApiRequest, wire_id: str) -> Any:
    """One asset of the customer."""
    return show_account(owner, wire_id, assets=catalogue.assets(), balances=balances)


@private("GET", "/accounts/{id}/holds")
def holds(owner: int, request: ApiRequest, wire_id: str) -> Any:
    """What live orders hold of one asset, newest first."""
    products, assets = catalogue.products(), catalogue.assets()
    return list_holds(owner, wire_id, request, orders=orders, assets=assets, products=products)


@private("GET", "/payment-methods")
def methods(_owner: int, _request: ApiRequest) -> Any:
    """The ways in that there are, one an asset."""
    return [method_view(method) for method in payment_methods(catalogue.assets(), settings.bank_provider)]


@private("POST", "/deposits/payment-method", Scope.TRANSFER)
def deposit(owner: int, request: ApiRequest) -> Any:
    """Ask for a deposit: answers with the transfer, pending, and its state machine does the rest."""
    methods = payment_methods(catalogue.assets(), settings.bank_provider)
    return deposit_money(owner, request, methods=methods, transfers=transfers, machine=machine, clock=clock)


@private("GET", "/transfers")
def transfer_list(owner: int, request: ApiRequest) -> Any:
    """The customer's deposits and withdrawals, newest first."""
    return list_transfers(owner, request, transfers=transfers)


@private("GET", "/transfers/{id}")
def transfer(owner: int, _request: ApiRequest, wire_id: str) -> Any:
    """One transfer of the customer; anybody else's is not found."""
    return show_transfer(owner, wire_id, transfers=transfers)
