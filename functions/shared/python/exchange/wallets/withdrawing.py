"""Withdrawals: held at once, paid by a bank or over a chain, then posted; or given back when that is declined.

The money is taken from `available` in the same write that makes the transfer, so no two requests can spend it. Nothing
but the payer's own word, already noted on the transfer, ever posts it or gives it back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, OutageError, Refused, UnavailableError, require, unreachable
from exchange.kernel.money import DecimalError
from exchange.ledger.model import (
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    custody_account,
    customer_account,
    fee_account,
    next_batch,
)
from exchange.safeguards.model import Permit
from exchange.transfers.model import Clearance, PaymentState, Transfer, TransferKind, TransferStatus, transfer_id_for
from exchange.wallets.model import WITHDRAWAL_UNITS_MAX, Credit, PaymentMethod, journal_partition

ATTEMPTS_MAX = 32
UNSTARTED_AGE_NS = 60 * 1_000_000_000
SWEPT_MAX = 100
FEES, NETWORK_FEES = "withdrawals", "network"


class Held(StrEnum):
    """What became of an attempt to hold a withdrawal."""

    DONE = "done"
    KNOWN = "known"  # a transfer with this id is there
    POOR = "poor"  # not that much is available
    LOST = "lost"  # the balance, or what it was judged by, changed at that moment: nothing happened, try again


@dataclass(frozen=True, slots=True)
class WithdrawalRequest:
    """What a customer asks for, as it came."""

    amount: str
    currency: str
    payment_method_id: str
    client_transfer_id: str = ""


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def unstarted(self, *, before_ns: int, limit: int) -> Sequence[Transfer]:
        """The oldest transfers made before a moment that the bank was never asked about."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Postings(Protocol):
    """The writes that hold, post and give back."""

    def hold_withdrawal(self, permit: Permit, movements: Movements) -> Held:
        """Put the permitted transfer and hold its money while all that it was judged by is still so, or nothing."""
        ...

    def post_withdrawal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Credit:
        """Complete the transfer, append the batch, take the held money, all or nothing."""
        ...

    def return_withdrawal(self, transfer: Transfer, movements: Movements, *, reason: str, at_ns: int) -> Credit:
        """Cancel the transfer and give its money back, or nothing."""
        ...


class WithdrawalMachine(Protocol):
    """The state machine that sees a withdrawal through."""

    def start(self, transfer_id: str, rail: str) -> None:
        """Start it for a transfer, to be paid over that rail; starting it again changes nothing."""
        ...


def new_withdrawal(
    request: WithdrawalRequest, *, account_id: int, methods: list[PaymentMethod], created_at_ns: int
) -> Transfer | Refused:
    """Turn a request into a pending transfer.

    Refuses:  PAYMENT_METHOD_NOT_FOUND, TRANSFER_AMOUNT_INVALID (in this order).
    """
    wanted = (request.payment_method_id, request.currency)
    ways_out = [method for method in methods if method.allow_withdraw]
    method = next((method for method in ways_out if (method.method_id, method.asset.asset_id) == wanted), None)
    if method is None:
        return Refused(
            Code.PAYMENT_METHOD_NOT_FOUND,
            "payment_method_id: no such payment method for this currency; GET /payment-methods lists them",
        )
    asset = method.asset
    try:
        units = asset.parse(request.amount)
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    if not max(asset.withdrawal_min_units, 1) <= units <= WITHDRAWAL_UNITS_MAX:
        least, most = asset.format(asset.withdrawal_min_units), asset.format(WITHDRAWAL_UNITS_MAX)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: must be at least {least} and at most {most}")
    if units % method.step_units:
        step = asset.format(method.step_units)
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: this way moves multiples of {step}")
    return Transfer(
        transfer_id=transfer_id_for(account_id, request.client_transfer_id),
        account_id=account_id,
        kind=TransferKind.WITHDRAW,
        asset=asset.asset_id,
        scale=asset.scale,
        units=units,
        rail=method.rail,
        payment_method_id=method.method_id,
        created_at_ns=created_at_ns,
        client_transfer_id=request.client_transfer_id,
        fee_units=asset.withdrawal_fee_units,
    )


def request_withdrawal(
    wanted: Transfer,
    *,
    permit: Callable[[Transfer], Permit | Refused],
    transfers: Transfers,
    postings: Postings,
    machine: WithdrawalMachine,
    pause: Callable[[int], None],
    note: Callable[[str], None],
) -> Transfer | Refused:
    """Hold a withdrawal's money and set its state machine going. A repeat under the same client id changes nothing.

    Once the money is held the withdrawal is accepted: a machine that could not be started is started by the sweeper.

    Refuses:  TRANSFER_KEY_REUSED, what `permit` refuses, RISK_INSUFFICIENT_FUNDS (in this order).
    Raises:   UnavailableError; OutcomeUnknownError: a repeat under the same client id tells.
    """
    known = _held(wanted, permit=permit, transfers=transfers, postings=postings, pause=pause)
    if isinstance(known, Transfer) and known.status is TransferStatus.PENDING:
        try:
            machine.start(known.transfer_id, known.rail)
        except OutageError as error:
            note(f"withdrawal {known.transfer_id} waits for the sweeper: {error}")
    return known


def _held(
    wanted: Transfer,
    *,
    permit: Callable[[Transfer], Permit | Refused],
    transfers: Transfers,
    postings: Postings,
    pause: Callable[[int], None],
) -> Transfer | Refused:
    # A repeat is not judged again: what it asks for is done, and its code is spent.
    known = transfers.transfer(wanted.transfer_id) if wanted.client_transfer_id else None
    if known is not None:
        return _repeated(known, wanted)
    for attempt in range(ATTEMPTS_MAX):
        permitted = permit(wanted)
        if isinstance(permitted, Refused):
            return permitted
        held = postings.hold_withdrawal(permitted, hold_movements(wanted))
        if held is Held.DONE:
            return permitted.transfer
        if held is Held.POOR:
            return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
        if held is Held.KNOWN:
            return _repeated(_existing(transfers, wanted.transfer_id), wanted)
        pause(attempt)
    raise UnavailableError(f"the balance of {wanted.asset} was busy {ATTEMPTS_MAX} times")


def _repeated(known: Transfer, wanted: Transfer) -> Transfer | Refused:
    if known.same_request(wanted):
        return known
    return Refused(Code.TRANSFER_KEY_REUSED, "client_transfer_id: already used for another transfer; take a new one")


def post_withdrawal(
    transfer_id: str,
    *,
    transfers: Transfers,
    journal: Journal,
    postings: Postings,
    clock: Clock,
    pause: Callable[[int], None],
) -> Transfer:
    """Post a withdrawal that the bank has paid: the transfer, the journal and the balances in one write, once.

    Raises:   InvariantError where the bank has not booked the whole amount; UnavailableError where other postings were
              faster at every attempt; OutcomeUnknownError; run it again then.
    """
    for attempt in range(ATTEMPTS_MAX):
        transfer = _existing(transfers, transfer_id)
        if transfer.status is TransferStatus.COMPLETED:
            return transfer
        require(transfer.payable, f"withdrawal {transfer_id} is {transfer.status} and its payment {transfer.payment}")
        head = journal.head(journal_partition(transfer.rail))
        batch = withdrawal_batch(transfer, head, posted_at_ns=clock.now_ns())
        if postings.post_withdrawal(transfer, batch, post_movements(transfer)) is Credit.LOST:
            pause(attempt)
    transfer = _existing(transfers, transfer_id)
    if transfer.status is TransferStatus.COMPLETED:
        return transfer
    raise UnavailableError(f"withdrawal {transfer_id}: the chain of {transfer.rail} was busy {ATTEMPTS_MAX} times")


def return_withdrawal(
    transfer_id: str, *, transfers: Transfers, postings: Postings, clock: Clock, pause: Callable[[int], None]
) -> Transfer:
    """Give back the money of a withdrawal that the bank declined, once.

    Raises:   InvariantError where the bank has not declined; UnavailableError, OutcomeUnknownError; run it again then.
    """
    for attempt in range(ATTEMPTS_MAX):
        transfer = _existing(transfers, transfer_id)
        if transfer.status is TransferStatus.CANCELED:
            return transfer
        require(
            transfer.returnable, f"withdrawal {transfer_id} is {transfer.status} and its payment {transfer.payment}"
        )
        reason = _return_reason(transfer)
        returned = postings.return_withdrawal(transfer, return_movements(transfer), reason=reason, at_ns=clock.now_ns())
        if returned is Credit.LOST:
            pause(attempt)
    transfer = _existing(transfers, transfer_id)
    if transfer.status is TransferStatus.CANCELED:
        return transfer
    raise UnavailableError(f"withdrawal {transfer_id}: its balance was busy {ATTEMPTS_MAX} times")


def _return_reason(transfer: Transfer) -> str:
    if transfer.clearance is Clearance.REFUSED:
        return "refused in review"
    payer = "chain" if transfer.crypto_address else "bank"
    return f"declined by the {payer}: {transfer.decline_reason or 'no reason given'}"


def hold_movements(transfer: Transfer) -> Movements:
    """What a withdrawal takes from what may be spent."""
    movements = Movements()
    movement = movements.of(customer_account(transfer.account_id), transfer.asset)
    movement.available, movement.held = -transfer.held_units, transfer.held_units
    return movements


def return_movements(transfer: Transfer) -> Movements:
    """The same, backwards."""
    movements = Movements()
    movement = movements.of(customer_account(transfer.account_id), transfer.asset)
    movement.available, movement.held = transfer.held_units, -transfer.held_units
    return movements


def post_movements(transfer: Transfer) -> Movements:
    """What is held goes: the amount out of the house, the fee to the house."""
    movements = Movements()
    movements.of(customer_account(transfer.account_id), transfer.asset).held = -transfer.held_units
    movements.of(custody_account(transfer.rail), transfer.asset).available = transfer.units
    for account, units in _fees(transfer):
        movements.of(account, transfer.asset).available = units
    return movements


def _fees(transfer: Transfer) -> Iterator[tuple[str, int]]:
    """Its fees and who earns them, each a posting of its own: ours, and the one that the network's costs are met by."""
    if transfer.fee_units > transfer.network_fee_units:
        yield fee_account(FEES), transfer.fee_units - transfer.network_fee_units
    if transfer.network_fee_units:
        yield fee_account(NETWORK_FEES), transfer.network_fee_units


def withdrawal_batch(transfer: Transfer, head: Head, *, posted_at_ns: int) -> Batch:
    """The posting of a withdrawal: the customer gives, custody owes that much less; each fee is an entry of its own."""
    customer, reference = customer_account(transfer.account_id), transfer.transfer_id
    entries = [
        Entry(customer, transfer.asset, -transfer.units, EntryKind.WITHDRAWAL, reference),
        Entry(custody_account(transfer.rail), transfer.asset, transfer.units, EntryKind.WITHDRAWAL, reference),
    ]
    for account, units in _fees(transfer):
        entries.append(Entry(customer, transfer.asset, -units, EntryKind.FEE, reference))
        entries.append(Entry(account, transfer.asset, units, EntryKind.FEE, reference))
    return next_batch(
        head,
        partition=journal_partition(transfer.rail),
        posted_at_ns=posted_at_ns,
        reference=reference,
        entries=entries,
    )


def start_forgotten(
    *, transfers: Transfers, start: Callable[[Transfer], None], clock: Clock, note: Callable[[str], None]
) -> int:
    """Start what waits longer than a minute without the bank having been asked; return how many were started.

    Only a crash between a transfer's write and its machine's start, or a bank that was out of reach, leaves such.

    Raises:   UnavailableError where the list can't be read.
    """
    started = 0
    for transfer in transfers.unstarted(before_ns=clock.now_ns() - UNSTARTED_AGE_NS, limit=SWEPT_MAX):
        if transfer.status is not TransferStatus.PENDING or transfer.payment is not PaymentState.NONE:
            continue
        try:
            start(transfer)
        except OutageError as error:
            note(f"{transfer.kind} {transfer.transfer_id} could not be started: {error}")
            continue
        started += 1
    return started


def _existing(transfers: Transfers, transfer_id: str) -> Transfer:
    transfer = transfers.transfer(transfer_id)
    if transfer is None:
        unreachable(f"transfer {transfer_id} does not exist")
    return transfer
