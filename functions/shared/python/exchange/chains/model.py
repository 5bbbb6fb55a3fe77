"""What a chain is to us: blocks, payments in them, and an arrival from its first sight to its end.

A chain is believed only as deep as it is buried. An arrival is seen, credited but locked after `confirmations` blocks,
free after `unlock_confirmations`; where its block leaves the chain it is orphaned, or reversed if it was credited.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from exchange.kernel.errors import require
from exchange.kernel.ids import to_uuid
from exchange.ledger.model import (
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    custody_account,
    customer_account,
    next_batch,
)
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

BLOCKS_KEPT = 128
BLOCKS_PER_RUN = 32
UNLOCK_CONFIRMATIONS_MAX = BLOCKS_KEPT - 2 * BLOCKS_PER_RUN


@dataclass(frozen=True, slots=True)
class Token:
    """An asset as a chain has it; an empty contract is the chain's own coin.

    Units:    the chain counts in 10^-decimals, we in 10^-scale; `deposit_min_units` is in ours.
    """

    asset: str
    scale: int
    decimals: int
    contract: str = ""
    deposit_min_units: int = 1

    def units(self, base_units: int) -> int:
        """What an amount of the chain's is in our units, what is finer left out."""
        return base_units * int(10**self.scale) // int(10**self.decimals)


@dataclass(frozen=True, slots=True)
class Listing:
    """A chain as an operator listed it."""

    chain: str
    chain_id: int
    confirmations: int
    unlock_confirmations: int
    tokens: tuple[Token, ...]

    def __post_init__(self) -> None:
        ordered = 1 <= self.confirmations <= self.unlock_confirmations <= UNLOCK_CONFIRMATIONS_MAX
        require(ordered, f"{self.chain}: 1 <= confirmations <= unlock_confirmations <= {UNLOCK_CONFIRMATIONS_MAX}")

    @property
    def rail(self) -> str:
        """Its name in the ledger and on transfers."""
        return rail_of(self.chain)

    def token(self, contract: str) -> Token | None:
        """The listed token of a contract."""
        return next((token for token in self.tokens if token.contract == contract), None)

    def token_of(self, asset: str) -> Token | None:
        """How this chain has an asset."""
        return next((token for token in self.tokens if token.asset == asset), None)


@dataclass(frozen=True, slots=True)
class Block:
    """A block, and the one it stands on."""

    number: int
    hash: str
    parent_hash: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """Something that a block pays to an address; `position` tells apart what one transaction pays."""

    transaction: str
    position: int
    address: str
    contract: str
    base_units: int
    failed: bool = False


class Node(Protocol):
    """All that is asked of a chain to take deposits; raises UnavailableError where it does not answer."""

    def height(self) -> int:
        """The number of its newest block."""
        ...

    def block(self, number: int) -> Block | None:
        """The block that it has at a height now."""
        ...

    def payments(self, block: Block) -> Sequence[Payment]:
        """What that very block pays to anybody, in its order."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """The newest blocks that were read, oldest first, without a gap; `version` rises with every change."""

    blocks: tuple[Block, ...]
    version: int = 0

    @property
    def tip(self) -> Block:
        """The newest of them."""
        return self.blocks[-1]

    def extended(self, block: Block) -> "Cursor":
        """With one more block on top."""
        return Cursor((*self.blocks, block)[-BLOCKS_KEPT:], self.version + 1)

    def rewound(self, count: int) -> "Cursor":
        """With the first `count` blocks only."""
        return Cursor(self.blocks[:count], self.version + 1)

    def has(self, number: int, block_hash: str) -> bool:
        """Whether a block is among them."""
        at = number - self.blocks[0].number
        return 0 <= at < len(self.blocks) and self.blocks[at].hash == block_hash


class Stage(StrEnum):
    """Where an arrival is. Ignored ones are kept with their reason; orphaned and reversed ones may be seen again."""

    SEEN = "seen"
    IGNORED = "ignored"
    LOCKED = "locked"
    FREE = "free"
    ORPHANED = "orphaned"
    REVERSED = "reversed"


GONE = frozenset({Stage.ORPHANED, Stage.REVERSED})
FAILED = "the transaction failed"
CREDITED = frozenset({Stage.LOCKED, Stage.FREE})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A payment to an address of ours, in one block. `round` counts how often that block came back to the chain."""

    chain: str
    block_number: int
    block_hash: str
    transaction: str
    position: int
    address: str
    account_id: int
    contract: str
    base_units: int
    asset: str = ""
    scale: int = 0
    units: int = 0
    stage: Stage = Stage.SEEN
    reason: str = ""
    round: int = 1

    @property
    def key(self) -> str:
        """Sorts arrivals by block."""
        return f"{arrivals_from(self.block_number)}{self.block_hash}#{self.transaction}#{self.position:06d}"

    @property
    def mark(self) -> str:
        """The payment itself, in whatever block: credited at most once at any time."""
        return f"credit#{self.transaction}#{self.position:06d}"

    @property
    def transfer_id(self) -> str:
        """The transfer that credits it."""
        return self._id("credit")

    @property
    def reversal_id(self) -> str:
        """The transfer that takes it back."""
        return self._id("reversal")

    def _id(self, what: str) -> str:
        digest = hashlib.sha256(f"{what}|{self.chain}|{self.key}|{self.round}".encode()).digest()
        return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)

    def again(self) -> "Arrival":
        """Seen anew, for its block is back in the chain."""
        return replace(self, round=self.round + 1)


def rail_of(chain: str) -> str:
    """A chain's name in the ledger and on transfers."""
    return f"chain-{chain}"


def owed_account(rail: str) -> str:
    """What customers owe us: credited, spent, and then gone from the chain. Outside of the house, like custody."""
    return custody_account(f"{rail}:owed")


def arrivals_from(block_number: int) -> str:
    """The first key of a block's arrivals."""
    return f"arrival#{block_number:012d}#"


def arrival_of(payment: Payment, block: Block, *, account_id: int, listing: Listing) -> Arrival:
    """What a payment to us is, and why it is ignored where it is."""
    arrival = Arrival(
        chain=listing.chain,
        block_number=block.number,
        block_hash=block.hash,
        transaction=payment.transaction,
        position=payment.position,
        address=payment.address,
        account_id=account_id,
        contract=payment.contract,
        base_units=payment.base_units,
    )
    token = listing.token(payment.contract)
    if payment.failed:
        return replace(arrival, stage=Stage.IGNORED, reason=FAILED)
    if token is None:
        return replace(arrival, stage=Stage.IGNORED, reason="this token is not listed")
    units = token.units(payment.base_units)
    known = replace(arrival, asset=token.asset, scale=token.scale, units=units)
    if units < max(token.deposit_min_units, 1):
        return replace(known, stage=Stage.IGNORED, reason="less than the smallest deposit")
    return known


def credit_transfer(arrival: Arrival, *, at_ns: int) -> Transfer:
    """The deposit that an arrival is: complete, and locked."""
    return replace(
        _transfer(arrival, TransferKind.DEPOSIT, arrival.transfer_id, at_ns=at_ns), locked_units=arrival.units
    )


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
    shares = {custody_account(rail_of(arrival.chain)): -arrival.units, _customer(arrival): arrival.units}
    return _batch(arrival, head, shares, reference=arrival.transfer_id, at_ns=at_ns)


def reversal_batch(arrival: Arrival, head: Head, *, taken_units: int, at_ns: int) -> Batch:
    """The posting that undoes it: what the customer still has is taken, the rest is owed to us from now on."""
    rail = rail_of(arrival.chain)
    shares = {
        custody_account(rail): arrival.units,
        _customer(arrival): -taken_units,
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
    """A credit is held until it is unlocked: it can be seen, and not yet be spent."""
    movements = Movements()
    movements.of(custody_account(rail_of(arrival.chain)), arrival.asset).available = -arrival.units
    movements.of(_customer(arrival), arrival.asset).held = arrival.units
    return movements


def unlock_movements(arrival: Arrival) -> Movements:
    """What was held may be spent."""
    movements = Movements()
    movement = movements.of(_customer(arrival), arrival.asset)
    movement.available, movement.held = arrival.units, -arrival.units
    return movements


def reversal_movements(arrival: Arrival, *, taken_units: int) -> Movements:
    """A locked deposit is whole where it was held; of a free one, what is left is taken."""
    rail, movements = rail_of(arrival.chain), Movements()
    movements.of(custody_account(rail), arrival.asset).available = arrival.units
    movement = movements.of(_customer(arrival), arrival.asset)
    if arrival.stage is Stage.LOCKED:
        movement.held = -taken_units
    else:
        movement.available = -taken_units
    movements.of(owed_account(rail), arrival.asset).available = taken_units - arrival.units
    return movements


def _customer(arrival: Arrival) -> str:
    return customer_account(arrival.account_id)
