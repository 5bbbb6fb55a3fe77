"""What a chain is to us: blocks, payments in them, and an arrival from its first sight to its end.

A chain is believed only as deep as it is buried. An arrival is seen, credited but locked after `confirmations` blocks,
free after `unlock_confirmations`; where its block leaves the chain it is orphaned, or reversed if it was credited.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from exchange.kernel.errors import require, unreachable
from exchange.kernel.ids import to_uuid
from exchange.kernel.money import divide_up
from exchange.ledger.model import capital_account, custody_account, customer_account

BLOCKS_KEPT = 128
BLOCKS_PER_RUN = 32
UNLOCK_CONFIRMATIONS_MAX = BLOCKS_KEPT - 2 * BLOCKS_PER_RUN


class Place(StrEnum):
    """Where what a chain holds for us lies."""

    ADDRESSES = "addresses"
    HOT = "hot"
    COLD = "cold"


# Whose addresses the hot and the cold one are: no customer has this account.
HOUSE = 0


@dataclass(frozen=True, slots=True)
class Token:
    """An asset as a chain has it; an empty contract is the chain's own coin.

    Units:    the chain counts in 10^-decimals, we in 10^-scale; all amounts here are in ours. `network_fee_units` is
              what a withdrawal of a token pays for the coin that it costs us; of the coin itself that is estimated.
              Above `hot_max_units` the excess goes to the cold address (0: never), below `hot_min_units` we are told;
              what lies at an address below `sweep_min_units` stays there.
    """

    asset: str
    scale: int
    decimals: int
    contract: str = ""
    deposit_min_units: int = 1
    withdrawal_min_units: int = 1
    network_fee_units: int = 0
    gas: int = 21_000  # what a withdrawal of it is quoted with; what one really needs, the node is asked
    hot_min_units: int = 0
    hot_max_units: int = 0
    sweep_min_units: int = 1

    def units(self, base_units: int) -> int:
        """What an amount of the chain's is in our units, what is finer left out."""
        return base_units * int(10**self.scale) // int(10**self.decimals)

    def units_up(self, base_units: int) -> int:
        """The same, what is finer counted as one more."""
        return divide_up(base_units * int(10**self.scale), int(10**self.decimals))

    def base_units(self, units: int) -> int:
        """What an amount of ours is on the chain. Raises InvariantError for one finer than the chain has."""
        whole, rest = divmod(units * int(10**self.decimals), int(10**self.scale))
        require(not rest, f"{units} units of {self.asset} are finer than its chain counts")
        return whole

    @property
    def step_units(self) -> int:
        """The least that the chain can move, in our units."""
        return int(10 ** max(0, self.scale - self.decimals))


@dataclass(frozen=True, slots=True)
class Listing:
    """A chain as an operator listed it."""

    chain: str
    chain_id: int
    confirmations: int
    unlock_confirmations: int
    tokens: tuple[Token, ...]
    hot_address: str = ""
    cold_address: str = ""
    raise_after_seconds: int = 180  # so long a payment of ours waits to be mined before it offers more
    fee_max: int = 0  # the most that a unit of gas may ever be offered, in the coin's base units; 0: no such limit

    def __post_init__(self) -> None:
        ordered = 1 <= self.confirmations <= self.unlock_confirmations <= UNLOCK_CONFIRMATIONS_MAX
        require(ordered, f"{self.chain}: 1 <= confirmations <= unlock_confirmations <= {UNLOCK_CONFIRMATIONS_MAX}")

    @property
    def rail(self) -> str:
        """Its name in the ledger and on transfers: what lies at the customers' addresses."""
        return rail_of(self.chain)

    @property
    def hot_rail(self) -> str:
        """What lies at the hot wallet, which withdrawals are paid from."""
        return f"{self.rail}:{Place.HOT}"

    @property
    def coin(self) -> Token:
        """The chain's own coin, which it takes its fees in. Raises InvariantError where it is not listed."""
        found = self.token("")
        if found is None:
            unreachable(f"{self.chain}: its own coin is not listed")
        return found

    def place_of(self, address: str) -> Place:
        """Where an address of ours is."""
        return {self.hot_address: Place.HOT, self.cold_address: Place.COLD}.get(address, Place.ADDRESSES)

    def custody(self, place: Place) -> str:
        """The ledger's account for what lies at a place."""
        return custody_account(self.rail if place is Place.ADDRESSES else f"{self.rail}:{place}")

    def token(self, contract: str) -> Token | None:
        """The listed token of a contract."""
        return next((token for token in self.tokens if token.contract == contract), None)

    def token_of(self, asset: str) -> Token | None:
        """How this chain has an asset."""
        return next((token for token in self.tokens if token.asset == asset), None)

    def listed(self, asset: str) -> Token:
        """How this chain has an asset that it is known to have. Raises InvariantError where it has not."""
        found = self.token_of(asset)
        if found is None:
            unreachable(f"{self.chain}: {asset} is not listed")
        return found


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
    sender: str = ""


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
MOVED = "moved between addresses of ours"
CREDITED = frozenset({Stage.LOCKED, Stage.FREE})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A payment to an address of ours, in one block. `round` counts how often that block came back to the chain.

    One at the hot or the cold address is nobody's deposit: it is credited to `giver`, an account of the house.
    """

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
    place: Place = Place.ADDRESSES
    giver: str = ""

    @property
    def credited_account(self) -> str:
        """Who has it once it is credited."""
        return self.giver or customer_account(self.account_id)

    @property
    def credited_stage(self) -> Stage:
        """What it is once it is credited: what came to the house itself is free at once, for nobody can spend it."""
        return Stage.FREE if self.giver else Stage.LOCKED

    @property
    def custody(self) -> str:
        """The ledger's account for where it lies."""
        rail = rail_of(self.chain)
        return custody_account(rail if self.place is Place.ADDRESSES else f"{rail}:{self.place}")

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


def arrival_of(payment: Payment, block: Block, *, owners: Mapping[str, int], listing: Listing) -> Arrival:
    """What a payment to us is, and why it is ignored where it is. `owners` are the accounts behind our addresses."""
    arrival = Arrival(
        chain=listing.chain,
        block_number=block.number,
        block_hash=block.hash,
        transaction=payment.transaction,
        position=payment.position,
        address=payment.address,
        account_id=owners[payment.address],
        contract=payment.contract,
        base_units=payment.base_units,
        place=listing.place_of(payment.address),
        giver=_giver(payment, owners[payment.address], listing),
    )
    token = listing.token(payment.contract)
    if payment.failed:
        return replace(arrival, stage=Stage.IGNORED, reason=FAILED)
    if payment.sender in owners and not (payment.sender == listing.cold_address and arrival.place is Place.HOT):
        return replace(arrival, stage=Stage.IGNORED, reason=MOVED)  # Posted with the departure that it is.
    if token is None:
        return replace(arrival, stage=Stage.IGNORED, reason="this token is not listed")
    units = token.units(payment.base_units)
    known = replace(arrival, asset=token.asset, scale=token.scale, units=units)
    if units < max(token.deposit_min_units, 1):
        return replace(known, stage=Stage.IGNORED, reason="less than the smallest deposit")
    return known


def _giver(payment: Payment, owner: int, listing: Listing) -> str:
    """Whose account of the house a payment to the house comes from: from the cold address it only changes places."""
    if owner != HOUSE:
        return ""
    return listing.custody(Place.COLD) if payment.sender == listing.cold_address else capital_account(listing.rail)
