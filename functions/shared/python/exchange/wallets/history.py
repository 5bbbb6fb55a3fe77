"""GET /accounts/{id}/balance: what a balance was at a past moment."""

from collections.abc import Mapping

from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock, iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.ledger.model import customer_account
from exchange.rest import ApiRequest, read_last_moment
from exchange.statements.moments import Pages, balance_at
from exchange.wallets.listing import NO_ACCOUNT
from exchange.wallets.views import View, asset_of_account

# Statements may be as far behind the journal as this, as for a closing of the books.
KNOWN_AFTER_NS = 10 * 1_000_000_000


def show_past_balance(
    account_id: int,
    wire_id: str,
    request: ApiRequest,
    *,
    statements: Pages,
    assets: Mapping[str, Asset],
    clock: Clock,
) -> View | Refused:
    """What was owned `at` a moment, held or not: of what was held nobody keeps a history.

    Refuses:  ACCOUNT_NOT_FOUND, REQUEST_FIELD_INVALID (in this order).
    Raises:   UnavailableError.
    """
    asset = asset_of_account(account_id, wire_id, assets)
    if asset is None:
        return NO_ACCOUNT
    at_ns = read_last_moment(request, "at")
    if isinstance(at_ns, Refused):
        return at_ns
    if at_ns is None:
        return Refused(Code.REQUEST_FIELD_INVALID, "at: give an ISO date or time, like 2026-01-31T12:00:00Z")
    if at_ns < 0:
        return Refused(Code.REQUEST_FIELD_INVALID, "at: nothing is known of moments before 1970")
    if at_ns > clock.now_ns() - KNOWN_AFTER_NS:
        told = "at: a balance is known ten seconds after its moment; GET /accounts/{id} has the one of now"
        return Refused(Code.REQUEST_FIELD_INVALID, told)
    return {
        "id": wire_id.lower(),
        "currency": asset.asset_id,
        "balance": asset.format(balance_at(customer_account(account_id), asset.asset_id, at_ns, statements)),
        "at": iso_utc(at_ns),
        "profile_id": to_uuid(account_id),
    }
