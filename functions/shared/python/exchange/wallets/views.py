"""What a customer sees of wallets and transfers, in the trading API's words; money leaves as text."""

import json
from collections.abc import Callable, Mapping, Sequence

from exchange.instruments.model import Asset
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import account_uuid, to_uuid
from exchange.kernel.money import format_units
from exchange.ledger.model import Balance
from exchange.orders.model import Order
from exchange.safeguards.limits import Allowance
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from exchange.wallets.model import WITHDRAWAL_UNITS_MAX, PaymentMethod

View = dict[str, object]
LIMIT_CURRENCY = "USD"


def account_view(account_id: int, asset: Asset, balance: Balance | None) -> View:
    """One asset of a profile; zero where nothing was ever posted."""
    available, held = (balance.available, balance.held) if balance else (0, 0)
    return {
        "id": account_uuid(account_id, asset.asset_id),
        "currency": asset.asset_id,
        "balance": asset.format(available + held),
        "available": asset.format(available),
        "hold": asset.format(held),
        "profile_id": to_uuid(account_id),
        "trading_enabled": True,
    }


def account_views(account_id: int, assets: Mapping[str, Asset], balances: Sequence[Balance]) -> list[View]:
    """One row for each asset of the catalogue, in the order of their ids."""
    found = {balance.asset: balance for balance in balances}
    return [account_view(account_id, assets[asset_id], found.get(asset_id)) for asset_id in sorted(assets)]


def wallet_views(account_id: int, assets: Mapping[str, Asset], balances: Sequence[Balance]) -> list[View]:
    """The profile's wallets: what money and coins it has, under the ids that its accounts have too."""
    kinds = {"fiat": "fiat", "crypto": "wallet"}
    return [
        {
            "id": row["id"],
            "name": f"{row['currency']} Wallet",
            "balance": row["balance"],
            "currency": row["currency"],
            "type": kinds[assets[str(row["currency"])].kind],
            "primary": row["currency"] == LIMIT_CURRENCY,
            "active": True,
        }
        for row in account_views(account_id, assets, balances)
        if assets[str(row["currency"])].kind in kinds
    ]


def limits_view(methods: Sequence[PaymentMethod], allowances: Callable[[Asset], Allowance]) -> View:
    """What one transfer may be, by way and currency, and what is left of 24 hours; what there is not is absent."""
    limits: dict[str, dict[str, View]] = {}
    for method in methods:
        asset = method.asset
        told: View = {"deposit_max": asset.format(method.deposit_units_max)}
        if method.allow_withdraw:
            told["withdraw_min"] = asset.format(max(asset.withdrawal_min_units, 1))
            told |= _withdrawal_limits(asset, allowances(asset))
        limits.setdefault(method.rail, {})[asset.asset_id] = told
    return {"limit_currency": LIMIT_CURRENCY, "transfer_limits": limits}


def _withdrawal_limits(asset: Asset, allowed: Allowance) -> View:
    limits = allowed.limits
    caps = (WITHDRAWAL_UNITS_MAX, limits.per_transfer_units, allowed.left_units)
    told: View = {"withdraw_max": asset.format(min(cap for cap in caps if cap is not None))}
    named = (
        ("withdraw_per_transfer", limits.per_transfer_units),
        ("withdraw_per_24_hours", limits.per_day_units),
        ("withdraw_left", allowed.left_units),
        ("withdraw_review_above", limits.review_above_units),
    )
    return told | {name: asset.format(units) for name, units in named if units is not None}


def asset_of_account(account_id: int, wire_id: str, assets: Mapping[str, Asset]) -> Asset | None:
    """The asset behind an id that `account_view` showed to this customer; None for anybody else's."""
    wanted = wire_id.lower()
    return next((asset for asset in assets.values() if account_uuid(account_id, asset.asset_id) == wanted), None)


def method_view(method: PaymentMethod) -> View:
    """A payment method."""
    return {
        "id": method.method_id,
        "type": method.rail,
        "name": method.name,
        "currency": method.asset.asset_id,
        "primary_buy": method.allow_withdraw,
        "primary_sell": method.allow_withdraw,
        "allow_deposit": True,
        "allow_withdraw": method.allow_withdraw,
    }


def deposit_view(transfer: Transfer) -> View:
    """The answer to a request for a deposit."""
    return {
        "id": transfer.transfer_id,
        "amount": transfer.amount,
        "currency": transfer.asset,
        "status": transfer.status.value,
        "created_at": iso_utc(transfer.created_at_ns),
    }


def withdrawal_view(transfer: Transfer) -> View:
    """The answer to a request for a withdrawal; `fee` is beside the amount."""
    fee = format_units(transfer.fee_units, transfer.scale)
    view = {**deposit_view(transfer), "fee": fee, "payment_method_id": transfer.payment_method_id}
    if transfer.crypto_address:
        network_fee = format_units(transfer.network_fee_units, transfer.scale)
        view |= {"crypto_address": transfer.crypto_address, "network_fee": network_fee}
    return view


def transfer_view(transfer: Transfer) -> View:
    """A transfer; moments that have not come are absent.

    `amount` is what the account gives or gets. A withdrawal's fee is in it, as in the API that clients know: they take
    `details.fee` off it to tell what arrives.
    """
    details: View = {
        "payment_method_id": transfer.payment_method_id,
        "client_transfer_id": transfer.client_transfer_id,
        "bank_reference": transfer.bank_reference,
        "cancel_reason": transfer.cancel_reason,
        "reverses": transfer.reverses,
        "crypto_transaction_hash": transfer.crypto_transaction,
        "crypto_address": transfer.crypto_address if transfer.kind is not TransferKind.WITHDRAW else "",
        "sent_to_address": transfer.crypto_address if transfer.kind is TransferKind.WITHDRAW else "",
        "reversed_by": transfer.reversed_by,
    }
    if transfer.kind is TransferKind.WITHDRAW:
        details["stage"] = transfer.stage.value
    if transfer.locked_units:
        details["locked"] = format_units(transfer.locked_units, transfer.scale)
    if transfer.settled_units:
        details["settled"] = format_units(transfer.settled_units, transfer.scale)
    if transfer.counterparty_id:
        ends = to_uuid(transfer.account_id), to_uuid(transfer.counterparty_id)
        details["from"], details["to"] = ends if transfer.kind is TransferKind.INTERNAL_WITHDRAW else ends[::-1]
    if transfer.funding and transfer.status is TransferStatus.PENDING:
        details["funding"] = json.loads(transfer.funding)  # Where the customer is to send the money.
    if transfer.fee_units:
        details["fee"] = format_units(transfer.fee_units, transfer.scale)
    if transfer.network_fee_units:
        details["network_fee"] = format_units(transfer.network_fee_units, transfer.scale)
    view: View = {
        "id": transfer.transfer_id,
        "type": transfer.kind.value,
        "amount": format_units(transfer.units + transfer.fee_units, transfer.scale),
        "currency": transfer.asset,
        "account_id": account_uuid(transfer.account_id, transfer.asset),
        "status": transfer.status.value,
        "created_at": iso_utc(transfer.created_at_ns),
        "details": {name: value for name, value in details.items() if value},
    }
    if transfer.completed_at_ns:
        view["completed_at"] = view["processed_at"] = iso_utc(transfer.completed_at_ns)
    if transfer.canceled_at_ns:
        view["canceled_at"] = iso_utc(transfer.canceled_at_ns)
    return view


def transfer_hold_view(transfer: Transfer) -> View:
    """What one pending withdrawal holds: the amount and the fee."""
    return {
        "id": transfer.transfer_id,
        "account_id": account_uuid(transfer.account_id, transfer.asset),
        "amount": format_units(transfer.held_units, transfer.scale),
        "type": "transfer",
        "ref": transfer.transfer_id,
        "created_at": iso_utc(transfer.created_at_ns),
    }


def order_hold_view(account_id: int, asset: Asset, order: Order) -> View:
    """What one live order holds."""
    return {
        "id": to_uuid(order.order_id),
        "account_id": account_uuid(account_id, asset.asset_id),
        "amount": asset.format(order.hold_units),
        "type": "order",
        "ref": to_uuid(order.order_id),
        "created_at": iso_utc(order.created_at_ns),
    }
