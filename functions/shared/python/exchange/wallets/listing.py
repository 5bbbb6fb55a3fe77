"""What the routes answer: one thing of the owner's or a list of them, with filters, pages and cursors."""

from collections.abc import Callable, Mapping
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import from_uuid, to_uuid
from exchange.ledger.model import Balance
from exchange.rest import ApiRequest, Reply
from exchange.transfers.model import Page, Transfer, created_key
from exchange.wallets.request import LIMIT_MAX, read_kind, read_page
from exchange.wallets.views import account_view, asset_of_account, transfer_view

# A filter that matches little reads at most this many pages for one answer; the cursor leads on from there.
_PAGES_MAX = 10
NO_ACCOUNT = Refused(Code.ACCOUNT_NOT_FOUND, "account not found")
NO_TRANSFER = Refused(Code.TRANSFER_NOT_FOUND, "transfer not found")


class TransferPages(Protocol):
    """Where an account's transfers are listed."""

    def list_transfers(self, account_id: int, page: Page) -> list[Transfer]:
        """One page of an account's transfers, newest first."""
        ...


class Balances(Protocol):
    """Where balances are read."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance; zero where nothing was ever posted."""
        ...


class TransferReader(Protocol):
    """Where one transfer is read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer by id."""
        ...


def show_account(
    account_id: int, wire_id: str, *, assets: Mapping[str, Asset], balances: Balances
) -> dict[str, object] | Refused:
    """GET /accounts/{id}: one asset of the owner; anybody else's is not found.

    Refuses:  ACCOUNT_NOT_FOUND.
    """
    asset = asset_of_account(account_id, wire_id, assets)
    if asset is None:
        return NO_ACCOUNT
    return account_view(account_id, asset, balances.balance(account_id, asset.asset_id))


def show_transfer(account_id: int, wire_id: str, *, transfers: TransferReader) -> dict[str, object] | Refused:
    """GET /transfers/{id}: one transfer of the owner; anybody else's is not found.

    Refuses:  TRANSFER_NOT_FOUND.
    """
    number = from_uuid(wire_id)
    found = transfers.transfer(to_uuid(number)) if number is not None else None
    return transfer_view(found) if found and found.account_id == account_id else NO_TRANSFER


def list_transfers(
    account_id: int, request: ApiRequest, *, transfers: TransferPages, asset_id: str | None = None
) -> Reply | Refused:
    """GET /transfers: newest first; `type`, `limit`, `after`, `before`.

    Refuses:  REQUEST_FIELD_INVALID.
    """
    page, kind = read_page(request), read_kind(request)
    if isinstance(page, Refused):
        return page
    if isinstance(kind, Refused):
        return kind
    shown, more = _collect(
        account_id,
        page,
        wanted=lambda row: kind in {None, row.kind} and asset_id in {None, row.asset},
        transfers=transfers,
    )
    headers = {"CB-BEFORE": created_key(shown[0])} if shown else {}
    if more:
        headers["CB-AFTER"] = more
    return Reply([transfer_view(row) for row in shown], headers=headers)


def list_account_transfers(
    account_id: int, wire_id: str, request: ApiRequest, *, transfers: TransferPages, assets: Mapping[str, Asset]
) -> Reply | Refused:
    """GET /accounts/{id}/transfers: those of one asset of the owner.

    Refuses:  ACCOUNT_NOT_FOUND, REQUEST_FIELD_INVALID (in this order).
    """
    asset = asset_of_account(account_id, wire_id, assets)
    if asset is None:
        return NO_ACCOUNT
    return list_transfers(account_id, request, transfers=transfers, asset_id=asset.asset_id)


def _collect(
    account_id: int, page: Page, *, wanted: Callable[[Transfer], bool], transfers: TransferPages
) -> tuple[list[Transfer], str]:
    """Transfers that pass the filter, newest first, and the cursor to older ones; empty at the end of the list."""
    found: list[Transfer] = []
    cursor = page.before or page.after
    for _ in range(_PAGES_MAX):
        asked = Page(LIMIT_MAX, before=cursor) if page.before else Page(LIMIT_MAX, after=cursor)
        rows = transfers.list_transfers(account_id, asked)
        # Rows come newest first; going to newer ones, the next page starts at this one's head.
        for row in reversed(rows) if page.before else rows:
            cursor = created_key(row)
            if wanted(row):
                found.append(row)
                if len(found) == page.limit:
                    return (found[::-1], created_key(found[0])) if page.before else (found, cursor)
        if len(rows) < LIMIT_MAX:
            cursor = ""
            break
    if page.before:
        return found[::-1], created_key(found[0]) if found else ""
    return found, cursor
