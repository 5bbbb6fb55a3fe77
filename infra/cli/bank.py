"""`exchange bank`: the accounts of bank files, files that were refused, and money that is nobody's yet."""

from typing import Any
from urllib.parse import urlencode

import typer
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from exchange.audit.store import bind_tables
from exchange.aws.dynamodb import bind, connection
from exchange.banking.model import Account
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.instruments.store import InstrumentStore
from exchange.iso20022.grammar import check_digits
from exchange.iso20022.statements import SCALE
from exchange.kernel.errors import OutageError
from exchange.kernel.money import format_units
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


def bank(stack: StackOption = "") -> None:
    """Show accounts, refused files and suspense. Two operators decide a case: `exchange operator propose`."""
    try:
        tables = open_stack(stack).tables
        bind_tables(tables)
        bind(BankFileItem, tables["bank_files"])
        _show(BankFileStore(connection()))
    except (BotoCoreError, ClientError, OutageError, StackError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


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
            console.print(f"{name}: {outcome}", style="red", markup=False, soft_wrap=True)
