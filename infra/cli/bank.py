"""`exchange bank`: the accounts of bank files, files that were refused, and money that is nobody's yet."""

from typing import Annotated, Any
from urllib.parse import urlencode

import typer
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.aws.dynamodb import bind, connection
from exchange.banking.model import Account, Case
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.banking.suspense import Suspense
from exchange.instruments.store import InstrumentStore
from exchange.iso20022.grammar import check_digits
from exchange.iso20022.statements import SCALE
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import OutageError, Refused
from exchange.kernel.money import format_units
from exchange.ledger.store import BalanceStore, JournalStore
from rich.console import Console
from rich.table import Table

from infra.cli.stack import StackError, StackOption, open_stack
from infra.local.clients import CREDENTIALS
from infra.local.laptop import Laptop

BANK_CODE, BIC, HOLDER = "99999999", "SANDDEFFXXX", "Laptop Exchange"
CURRENCIES = ("EUR", "USD")
console = Console(highlight=False)


def list_accounts(laptop: Laptop) -> dict[str, Any]:
    """Open an account a currency at the sandbox bank, and list each as ours. Again is harmless. Returns what stack.json
    says of them."""
    bind(BankFileItem, laptop.outputs["BankFilesTable"])
    meta: Any = BankFileItem.Meta
    meta.host = laptop.settings.endpoint_url
    meta.aws_access_key_id = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    meta.aws_secret_access_key = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    assets = InstrumentStore().assets()
    store = BankFileStore(connection())
    for number, currency in enumerate(CURRENCIES, 1):
        iban = iban_of(number)
        body = urlencode({"iban": iban, "currency": currency})
        urllib3.request("POST", f"{laptop.bank_url}/v1/files/open", body=body, timeout=10)
        store.list_account(Account(currency, iban, BIC, HOLDER, assets[currency].scale))
    return {"bank_accounts": {currency: iban_of(number) for number, currency in enumerate(CURRENCIES, 1)}}


def iban_of(number: int) -> str:
    """The n-th account of the laptop at its bank."""
    rest = f"{BANK_CODE}{number:010d}"
    return f"DE{check_digits('DE', rest)}{rest}"


def bank(
    case: Annotated[str, typer.Argument(help="A case of suspense, by its key; without one, all is shown.")] = "",
    *,
    currency: Annotated[str, typer.Option(help="Of the case.")] = "EUR",
    assign: Annotated[int, typer.Option(help="Credit the case to this account.")] = 0,
    send_back: Annotated[bool, typer.Option("--send-back", help="Order it back to where it came from.")] = False,
    charge: Annotated[bool, typer.Option("--charge", help="It was the bank's charge; the venue bears it.")] = False,
    stack: StackOption = "",
) -> None:
    """Show accounts, refused files and suspense, or decide a case."""
    try:
        tables = open_stack(stack).tables
        bind_tables(tables)
        bind(BankFileItem, tables["bank_files"])
        store = BankFileStore(connection())
        if case:
            decided = _decide(store, currency, case, assign, send_back=send_back, charge=charge)
            console.print(f"{decided.key}: {decided.amount} {decided.currency} {decided.state.value}")
        _show(store)
    except (BotoCoreError, ClientError, OutageError, StackError) as error:
        _stop(f"{type(error).__name__}: {error}")


def _decide(store: BankFileStore, currency: str, key: str, assign: int, *, send_back: bool, charge: bool) -> Case:
    suspense = Suspense(store, JournalStore(), BalanceStore(), SystemClock(), jittered_pause)
    if [bool(assign), send_back, charge].count(True) != 1:
        _stop("Say one of --assign ACCOUNT, --send-back and --charge.")
    if assign:
        decided = suspense.assign(currency, key, assign)
    else:
        decided = suspense.send_back(currency, key) if send_back else suspense.charge(currency, key)
    if isinstance(decided, Refused):
        _stop(f"{decided.code}: {decided.message}")
        raise typer.Exit(1)
    return decided


def _show(store: BankFileStore) -> None:
    accounts = Table("account", "currency", "statement", "closed at", "not on it yet", title="Accounts", box=None)
    cases = Table("case", "amount", "from", "words", "why", "state", title="Suspense", box=None)
    for account in store.accounts():
        standing = store.standing(account)
        closing, ahead = format_units(account.closing, SCALE), len(standing.unstated) + len(standing.paid)
        accounts.add_row(account.iban, account.currency, str(account.number), closing, str(ahead))
        for case in store.cases(account.currency):
            amount = f"{case.amount} {case.currency}"
            cases.add_row(case.key, amount, f"{case.name} {case.iban}", case.words, case.reason, case.state.value)
    console.print(accounts)
    console.print(cases)
    for name, outcome in store.received():
        if outcome.startswith("refused"):
            console.print(f"{name}: {outcome}", style="red", markup=False)


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False)
    raise typer.Exit(1)
