"""What an arrival posts: its credit, its unlocking, and its reversal where its block left the chain."""

from collections.abc import Mapping
from dataclasses import replace

from exchange.chains.model import Arrival, Stage, owed_account, rail_of
from exchange.ledger.model import Batch, Entry, EntryKind, Head, Movements, next_batch
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus


def credit_transfer(arrival: Arrival, *, at_ns: int) -> Transfer:
    """The deposit that an arrival is: complete, and locked; what came to the house itself is not."""
    transfer = _transfer(arrival, TransferKind.DEPOSIT, arrival.transfer_id, at_ns=at_ns)
    return transfer if arrival.giver else replace(transfer, locked_units=arrival.units)


def reversal_transfer(arrival: Arrival, *, at_ns: int) -> Transfer:
    """What takes a deposit back, complete from the start."""
    return _transfer(arrival, TransferKind.REVERSAL, arrival.reversal_id, at_ns=at_ns)


def _transfer(arrival: Arrival, kind: TransferKind, transfer_id: str, *, at_ns: int) -> Transfer:
    return Transfer(
        transfer_id=transfer_id,
        account_id=arrival.account_id,
        kind=kind,
        asset=arrival.asset,
        scale=arrival.scale,
        units=arrival.units,
        rail=rail_of(arrival.chain),
        payment_method_id=rail_of(arrival.chain),
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=arrival.units,
        completed_at_ns=at_ns,
        crypto_transaction=arrival.transaction,
        crypto_address=arrival.address,
    )


def credit_batch(arrival: Arrival, head: Head, *, at_ns: int) -> Batch:
    """The posting of a deposit: custody owes it, the customer has it."""
    shares = {arrival.custody: -arrival.units, arrival.credited_account: arrival.units}
    return _batch(arrival, head, shares, reference=arrival.transfer_id, at_ns=at_ns)


def reversal_batch(arrival: Arrival, head: Head, *, taken_units: int, at_ns: int) -> Batch:
    """The posting that undoes it: what the customer still has is taken, the rest is owed to us from now on."""
    rail = rail_of(arrival.chain)
    shares = {
        arrival.custody: arrival.units,
        arrival.credited_account: -taken_units,
        owed_account(rail): taken_units - arrival.units,
    }
    return _batch(arrival, head, shares, reference=arrival.reversal_id, at_ns=at_ns)


def _batch(arrival: Arrival, head: Head, shares: Mapping[str, int], *, reference: str, at_ns: int) -> Batch:
    entries = [
        Entry(account, arrival.asset, units, EntryKind.DEPOSIT, reference) for account, units in shares.items() if units
    ]
    partition = f"rail:{rail_of(arrival.chain)}"
    return next_batch(head, partition=partition, posted_at_ns=at_ns, reference=reference, entries=entries)


def credit_movements(arrival: Arrival) -> Movements:
    """A credit is held until it is unlocked: it can be seen, and not yet be spent. The house can't spend its own."""
    movements = Movements()
    movements.of(arrival.custody, arrival.asset).available = -arrival.units
    movement = movements.of(arrival.credited_account, arrival.asset)
    movement.available, movement.held = (arrival.units, 0) if arrival.giver else (0, arrival.units)
    return movements


def unlock_movements(arrival: Arrival) -> Movements:
    """What was held may be spent."""
    movements = Movements()
    movement = movements.of(arrival.credited_account, arrival.asset)
    movement.available, movement.held = arrival.units, -arrival.units
    return movements


def reversal_movements(arrival: Arrival, *, taken_units: int) -> Movements:
    """A locked deposit is whole where it was held; of a free one, what is left is taken."""
    rail, movements = rail_of(arrival.chain), Movements()
    movements.of(arrival.custody, arrival.asset).available = arrival.units
    movement = movements.of(arrival.credited_account, arrival.asset)
    if arrival.stage is Stage.LOCKED:
        movement.held = -taken_units
    else:
        movement.available = -taken_units
    movements.of(owed_account(rail), arrival.asset).available = taken_units - arrival.units
    return movements
