"""Moving money between two profiles of one customer: both sides, the journal and the balances in one write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError, require
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.kernel.money import DecimalError
from exchange.ledger.model import Batch, Entry, EntryKind, Head, customer_account, next_batch
from exchange.transfers.model import Transfer, TransferKind, TransferStatus, transfer_id_for

RAIL = "profiles"
AMOUNT_UNITS_MAX = 10**18
# Moves of one chain take turns at its end; so many turns outlast any burst that one chain bears.
ATTEMPTS_MAX = 32
_CHAINS = 16


class Moved(StrEnum):
    """What became of an attempt to move money."""

    DONE = "done"
    LOST = "lost"  # another move took the batch number, or somebody held a balance: nothing happened, try again
    KNOWN = "known"  # a transfer with this id is there
    POOR = "poor"  # not that much is available


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What a customer asks for. `source` and `target` are accounts of theirs."""

    source: int
    target: int
    currency: str
    amount: str
    client_transfer_id: str = ""


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Moves(Protocol):
    """The one write that moves money."""

    def post_move(self, sent: Transfer, received: Transfer, batch: Batch) -> Moved:
        """Both transfers, journal and balances, all or nothing."""
        ...


def move_money(
    request: MoveRequest,
    *,
    assets: Mapping[str, Asset],
    transfers: Transfers,
    journal: Journal,
    moves: Moves,
    clock: Clock,
    pause: Callable[[int], None],
) -> Transfer | Refused:
    """Move money between profiles. Repeating it under the same client id changes nothing.

    Refuses:  REQUEST_FIELD_INVALID, CURRENCY_NOT_FOUND, TRANSFER_AMOUNT_INVALID (in this order), TRANSFER_KEY_REUSED,
              RISK_INSUFFICIENT_FUNDS.
    Raises:   UnavailableError where others were faster at every attempt; OutcomeUnknownError: a repeat under the same
              client id tells.
    """
    wanted = new_move(request, assets=assets, created_at_ns=clock.now_ns())
    if isinstance(wanted, Refused):
        return wanted
    partition = journal_partition(wanted.account_id)
    for attempt in range(ATTEMPTS_MAX):
        batch = move_batch(wanted, journal.head(partition), posted_at_ns=clock.now_ns())
        moved = moves.post_move(wanted, other_side(wanted), batch)
        if moved is Moved.DONE:
            return wanted
        if moved is Moved.POOR:
            return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
        if moved is Moved.KNOWN:
            return known_move(transfers, wanted)
        pause(attempt)
    raise UnavailableError(f"the chain {partition} was busy {ATTEMPTS_MAX} times")


def known_move(transfers: Transfers, wanted: Transfer) -> Transfer | Refused:
    """The move that is there under this id, where it is the same. Refuses TRANSFER_KEY_REUSED."""
    known = transfers.transfer(wanted.transfer_id)
    require(known is not None, f"transfer {wanted.transfer_id} was there and is not")
    if known is None or not known.same_request(wanted):
        return Refused(
            Code.TRANSFER_KEY_REUSED, "client_transfer_id: already used for another transfer; take a new one"
        )
    return known


def new_move(request: MoveRequest, *, assets: Mapping[str, Asset], created_at_ns: int) -> Transfer | Refused:
    """A completed move as it is to be written.

    Refuses:  REQUEST_FIELD_INVALID, CURRENCY_NOT_FOUND, TRANSFER_AMOUNT_INVALID (in this order).
    """
    if request.source == request.target:
        return Refused(Code.REQUEST_FIELD_INVALID, "to: name another profile than from")
    asset = assets.get(request.currency)
    if asset is None:
        return Refused(Code.CURRENCY_NOT_FOUND, "currency: no such currency; GET /currencies lists them")
    try:
        units = asset.parse(request.amount)
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    if not 0 < units <= AMOUNT_UNITS_MAX:
        most = asset.format(AMOUNT_UNITS_MAX)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: must be above zero and at most {most}")
    return Transfer(
        transfer_id=transfer_id_for(request.source, request.client_transfer_id),
        account_id=request.source,
        kind=TransferKind.INTERNAL_WITHDRAW,
        asset=asset.asset_id,
        scale=asset.scale,
        units=units,
        rail=RAIL,
        payment_method_id=RAIL,
        created_at_ns=created_at_ns,
        client_transfer_id=request.client_transfer_id,
        status=TransferStatus.COMPLETED,
        completed_at_ns=created_at_ns,
        counterparty_id=request.target,
    )


def other_side(sent: Transfer) -> Transfer:
    """The same transfer as the receiving profile has it."""
    digest = command_id_for("received", sent.transfer_id)
    return replace(
        sent,
        transfer_id=to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1),
        account_id=sent.counterparty_id,
        kind=TransferKind.INTERNAL_DEPOSIT,
        client_transfer_id="",
        counterparty_id=sent.account_id,
    )


def journal_partition(account_id: int) -> str:
    """The journal's chain for moves out of an account: a fixed number of chains, so that statements name few."""
    return f"{RAIL}:{account_id % _CHAINS:02d}"


def move_batch(sent: Transfer, head: Head, *, posted_at_ns: int) -> Batch:
    """The posting: what one profile gives the other has."""
    source, target = customer_account(sent.account_id), customer_account(sent.counterparty_id)
    return next_batch(
        head,
        partition=journal_partition(sent.account_id),
        posted_at_ns=posted_at_ns,
        reference=sent.transfer_id,
        entries=(
            Entry(source, sent.asset, -sent.units, EntryKind.TRANSFER, sent.transfer_id),
            Entry(target, sent.asset, sent.units, EntryKind.TRANSFER, sent.transfer_id),
        ),
    )
