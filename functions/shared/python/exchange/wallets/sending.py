"""Moving money to another customer: judged as a withdrawal is, written as a move between profiles is."""

from collections.abc import Callable, Mapping
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.ids import from_uuid
from exchange.ledger.model import Batch
from exchange.safeguards.model import Permit
from exchange.transfers.model import Transfer
from exchange.users.model import Customer, CustomerStatus
from exchange.wallets.moving import (
    ATTEMPTS_MAX,
    Journal,
    Moved,
    MoveRequest,
    Transfers,
    journal_partition,
    known_move,
    move_batch,
    new_move,
    other_side,
)

_NOBODY = Refused(Code.ACCOUNT_NOT_FOUND, "to: no customer has this e-mail address or default profile")


class Directory(Protocol):
    """How customers are found by others."""

    def by_email(self, email: str) -> Customer | None:
        """A customer by their address."""
        ...

    def by_account(self, account_id: int) -> Customer | None:
        """A customer by their default profile."""
        ...


class Sends(Protocol):
    """The one write that moves money."""

    def post_move(self, sent: Transfer, received: Transfer, batch: Batch, permit: Permit | None = None) -> Moved:
        """Both transfers, journal and balances, while what was judged is still so; all or nothing."""
        ...


def find_receiver(text: str, *, directory: Directory) -> int | Refused:
    """The account of whoever `text` names: an e-mail address, or the id of a default profile.

    Refuses:  ACCOUNT_NOT_FOUND, also for whoever is frozen.
    Raises:   UnavailableError.
    """
    account_id = from_uuid(text)
    found = directory.by_email(text.lower()) if account_id is None else directory.by_account(account_id)
    return found.account_id if found is not None and found.status is CustomerStatus.ACTIVE else _NOBODY


def send_money(
    request: MoveRequest,
    *,
    permit: Callable[[Transfer], Permit | Refused],
    assets: Mapping[str, Asset],
    transfers: Transfers,
    journal: Journal,
    sends: Sends,
    clock: Clock,
    pause: Callable[[int], None],
) -> Transfer | Refused:
    """Move money to another customer's account. Repeating it under the same client id changes nothing.

    Refuses:  REQUEST_FIELD_INVALID, CURRENCY_NOT_FOUND, TRANSFER_AMOUNT_INVALID (in this order), TRANSFER_KEY_REUSED,
              what `permit` refuses, RISK_INSUFFICIENT_FUNDS.
    Raises:   UnavailableError where others were faster at every attempt; OutcomeUnknownError: a repeat under the same
              client id tells.
    """
    wanted = new_move(request, assets=assets, created_at_ns=clock.now_ns())
    if isinstance(wanted, Refused):
        return wanted
    if wanted.client_transfer_id and transfers.transfer(wanted.transfer_id) is not None:
        return known_move(transfers, wanted)
    partition = journal_partition(wanted.account_id)
    for attempt in range(ATTEMPTS_MAX):
        permitted = permit(wanted)
        if isinstance(permitted, Refused):
            return permitted
        batch = move_batch(wanted, journal.head(partition), posted_at_ns=clock.now_ns())
        moved = sends.post_move(wanted, other_side(wanted), batch, permitted)
        if moved is Moved.DONE:
            return wanted
        if moved is Moved.POOR:
            return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
        if moved is Moved.KNOWN:
            return known_move(transfers, wanted)
        pause(attempt)
    raise UnavailableError(f"the chain {partition} was busy {ATTEMPTS_MAX} times")
