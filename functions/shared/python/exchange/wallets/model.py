"""Payment methods, what makes a good deposit, and what a deposit posts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import DecimalError
from exchange.ledger.debts import money_in
from exchange.ledger.model import (
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    custody_account,
    next_batch,
)
from exchange.transfers.model import Transfer, TransferKind, transfer_id_for

DEPOSIT_UNITS_MAX = 10**18
WITHDRAWAL_UNITS_MAX = 10**18
_CLIENT_TRANSFER_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


class BankProvider(StrEnum):
    """Who stands outside. The sandbox holds every kind of asset and says so in its name; a real bank holds money."""

    SANDBOX = "sandbox"
    EXTERNAL = "external"


# By provider and kind of asset: the rail, and how customers read it.
_RAILS: Mapping[BankProvider, Mapping[str, tuple[str, str]]] = {
    BankProvider.SANDBOX: {
        "fiat": ("sandbox-bank", "Sandbox Bank"),
        "crypto": ("sandbox-custodian", "Sandbox Custodian"),
        "stock": ("sandbox-custodian", "Sandbox Custodian"),
    },
    BankProvider.EXTERNAL: {"fiat": ("bank", "Bank")},
}


# Digits after the point that Stripe moves, in the currencies of its bank transfers.
_STRIPE_DIGITS = {"EUR": 2, "GBP": 2, "JPY": 0, "MXN": 2, "USD": 2}
_STRIPE_MINOR_UNITS_MAX = 99_999_999  # An amount of Stripe's has at most eight digits.


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A way in for one asset, and mostly out again; `rail` names who holds it for us outside.

    Units:    amounts are multiples of `step_units`, the least that the rail can move.
    """

    method_id: str
    rail: str
    name: str
    asset: Asset
    step_units: int = 1
    deposit_units_max: int = DEPOSIT_UNITS_MAX
    allow_withdraw: bool = True


@dataclass(frozen=True, slots=True)
class DepositRequest:
    """What a customer asks for, as it came."""

    amount: str
    currency: str
    payment_method_id: str
    client_transfer_id: str = ""


class Credit(StrEnum):
    """What became of an attempt to post a deposit."""

    DONE = "done"
    LOST = "lost"  # another deposit took the batch number, or this one was posted or closed meanwhile


# Digits after the point that banks move by file; what is not here has two.
_BANK_DIGITS = {"BHD": 3, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "KWD": 3, "TND": 3, "VND": 0}
_BANK_DIGITS_USUAL = 2


def payment_methods(
    assets: Mapping[str, Asset], provider: BankProvider, *, stripe: bool = False, bank_files: bool = False
) -> list[PaymentMethod]:
    """The ways in that this deployment has: the bank's, at most one an asset in the order of their ids; then files,
    then Stripe's.

    Stripe's way goes in only: it pays out to a bank account that it knows, and customers have none there.
    """
    methods = []
    for asset in sorted(assets.values(), key=lambda asset: asset.asset_id):
        if asset.kind in _RAILS[provider]:
            rail, name = _RAILS[provider][asset.kind]
            methods.append(PaymentMethod(f"{rail}-{asset.asset_id}", rail, f"{name} {asset.asset_id}", asset))
    methods += _file_methods(assets) if bank_files else []
    return methods + (_stripe_methods(assets) if stripe else [])


def places(assets: Mapping[str, Asset], provider: BankProvider) -> dict[tuple[str, str], Asset]:
    """Where money leaves us, by asset and rail: what has a bank of ours behind it."""
    ways = payment_methods(assets, provider, bank_files=True)
    return {(way.asset.asset_id, way.rail): way.asset for way in ways if way.asset.kind == "fiat"}


def _file_methods(assets: Mapping[str, Asset]) -> list[PaymentMethod]:
    """Bank transfers that go and come as files, in whole cents."""
    methods = []
    for asset in sorted(assets.values(), key=lambda asset: asset.asset_id):
        digits = _BANK_DIGITS.get(asset.asset_id, _BANK_DIGITS_USUAL)
        if asset.kind == "fiat" and asset.scale >= digits:
            name = f"Bank transfer {asset.asset_id}"
            methods.append(
                PaymentMethod(f"bank-files-{asset.asset_id}", "bank-files", name, asset, 10 ** (asset.scale - digits))
            )
    return methods


def _stripe_methods(assets: Mapping[str, Asset]) -> list[PaymentMethod]:
    """Bank transfers through Stripe, for the currencies that it gives customers an account number in."""
    methods = []
    for asset_id, digits in sorted(_STRIPE_DIGITS.items()):
        asset = assets.get(asset_id)
        if asset is not None and asset.kind == "fiat" and asset.scale >= digits:
            name, step = f"Bank transfer {asset_id} (Stripe)", 10 ** (asset.scale - digits)
            most = _STRIPE_MINOR_UNITS_MAX * step
            methods.append(PaymentMethod(f"stripe-{asset_id}", "stripe", name, asset, step, most, allow_withdraw=False))
    return methods


def new_deposit(
    request: DepositRequest, *, account_id: int, methods: list[PaymentMethod], created_at_ns: int
) -> Transfer | Refused:
    """Turn a request into a pending transfer.

    Refuses:  PAYMENT_METHOD_NOT_FOUND, TRANSFER_AMOUNT_INVALID, REQUEST_FIELD_INVALID (in this order).
    """
    wanted = (request.payment_method_id, request.currency)
    method = next((method for method in methods if (method.method_id, method.asset.asset_id) == wanted), None)
    if method is None:
        return Refused(
            Code.PAYMENT_METHOD_NOT_FOUND,
            "payment_method_id: no such payment method for this currency; GET /payment-methods lists them",
        )
    try:
        units = method.asset.parse(request.amount)
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    if not 0 < units <= method.deposit_units_max:
        most = method.asset.format(method.deposit_units_max)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: must be above zero and at most {most}")
    if units % method.step_units:
        step = method.asset.format(method.step_units)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: this way moves multiples of {step}")
    if request.client_transfer_id and not _CLIENT_TRANSFER_ID.fullmatch(request.client_transfer_id):
        return Refused(Code.REQUEST_FIELD_INVALID, "client_transfer_id: use 1 to 64 letters, digits or any of _.:-")
    return Transfer(
        transfer_id=transfer_id_for(account_id, request.client_transfer_id),
        account_id=account_id,
        kind=TransferKind.DEPOSIT,
        asset=method.asset.asset_id,
        scale=method.asset.scale,
        units=units,
        rail=method.rail,
        payment_method_id=method.method_id,
        created_at_ns=created_at_ns,
        client_transfer_id=request.client_transfer_id,
    )


def journal_partition(rail: str) -> str:
    """The journal's chain of a rail."""
    return f"rail:{rail}"


def deposit_batch(transfer: Transfer, head: Head, *, posted_at_ns: int) -> Batch:
    """The posting of a deposit: custody owes it, the customer has it, but for what it settles of a debt."""
    units, reference = transfer.received_units, transfer.transfer_id
    customers = money_in(transfer.account_id, units, settled=transfer.settled_units)
    entries = (
        Entry(account, transfer.asset, part, EntryKind.DEPOSIT, reference)
        for account, part in [(custody_account(transfer.rail), -units), *customers]
    )
    return next_batch(
        head,
        partition=journal_partition(transfer.rail),
        posted_at_ns=posted_at_ns,
        reference=transfer.transfer_id,
        entries=entries,
    )


def movements_of(batch: Batch) -> Movements:
    """What a batch does to balances, all of it available at once."""
    movements = Movements()
    for entry in batch.entries:
        movements.of(entry.account, entry.asset).available += entry.units
    return movements


def cancel_reason(transfer: Transfer) -> str:
    """Why a deposit ends without money, for the customer."""
    return f"declined by the bank: {transfer.decline_reason or 'no reason given'}"
