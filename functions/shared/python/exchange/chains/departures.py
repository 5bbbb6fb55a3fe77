"""A departure: a payment of ours that leaves an address of ours, from when it is asked for to when it is final.

It is due until a nonce of its sender is bound to it; from then on only what carries that nonce can pay it, and a chain
takes each nonce once. Every version of it that is signed has the same nonce, recipient and amount, and differs in what
it offers the chain: so of all versions one is mined, at most. It ends when a block deep enough has decided its nonce.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from exchange.chains.model import Block, Listing, Place, Token
from exchange.kernel.errors import UnavailableError, require, unreachable
from exchange.kernel.money import divide_up
from exchange.ledger.model import Batch, Entry, EntryKind, Head, Movements, costs_account, next_batch
from exchange.transfers.model import Transfer

# A node takes another version for the same nonce only where it offers a tenth more; an eighth is over that for certain.
RAISE_NUMERATOR, RAISE_DENOMINATOR = 9, 8
QUOTE_AGE_NS_MAX = 15 * 60 * 1_000_000_000
# What a node says is needed, and a fifth: it was asked a moment earlier than the payment runs.
GAS_NUMERATOR, GAS_DENOMINATOR = 6, 5

Unswept = Mapping[tuple[str, str], int]  # by address and contract, in our units


class Purpose(StrEnum):
    """Why it leaves."""

    WITHDRAWAL = "withdrawal"
    GAS = "gas"  # coin for an address that has tokens, so that they can be swept
    COLD = "cold"  # what the hot wallet has too much of
    SWEEP = "sweep"


class Progress(StrEnum):
    """How far it is. The last three are final."""

    DUE = "due"
    SIGNED = "signed"
    PAID = "paid"
    FAILED = "failed"  # mined, and refused by whom it was for: the nonce and the fee are gone, the amount is not
    VOID = "void"  # it can never be mined: it was never signed, or something else of ours used its nonce


FINAL = frozenset({Progress.PAID, Progress.FAILED, Progress.VOID})
PLACES: Mapping[Purpose, tuple[Place, Place]] = {
    Purpose.GAS: (Place.HOT, Place.ADDRESSES),
    Purpose.COLD: (Place.HOT, Place.COLD),
    Purpose.SWEEP: (Place.ADDRESSES, Place.HOT),
}


@dataclass(frozen=True, slots=True)
class Fees:
    """What a chain takes for a unit of gas now, in its coin's base units: the block's own fee, and the miner's tip."""

    base: int
    tip: int

    @property
    def likely(self) -> int:
        """What a customer is quoted: a quarter more than now."""
        return divide_up(self.base * 5, 4) + self.tip

    @property
    def most(self) -> int:
        """What is offered: enough for six full blocks in a row, each an eighth dearer than the one before."""
        return self.base * 2 + self.tip


@dataclass(frozen=True, slots=True)
class Quote:
    """What a chain took for a unit of gas when it was last asked."""

    fees: Fees
    at_ns: int


@dataclass(frozen=True, slots=True)
class Version:
    """A signed form of a departure: its bytes, and what it offers at most for a unit of gas."""

    hash: str
    raw: str
    fee: int
    tip: int
    signed_at_ns: int


@dataclass(frozen=True, slots=True)
class Mined:
    """Something of ours in a block: whether it did what it was for, and what it cost in the coin's base units."""

    hash: str
    block: Block
    paid: bool
    cost_base_units: int


@dataclass(frozen=True, slots=True)
class Departure:
    """A payment of ours out of an address of ours.

    Units:    `units` in the asset's, `base_units` in the chain's; `reserve_units` (of a sweep) and `cost_units` in the
              coin's units: the most that its fee may be, and what it was, counted up.
    """

    chain: str
    departure_id: str
    purpose: Purpose
    sender: str
    recipient: str
    asset: str
    contract: str
    units: int
    base_units: int
    asked_at_ns: int
    transfer_id: str = ""
    reserve_units: int = 0
    progress: Progress = Progress.DUE
    nonce: int = -1
    gas: int = 0
    versions: tuple[Version, ...] = ()
    mined_hash: str = ""
    mined_in: int = 0
    cost_base_units: int = 0
    cost_units: int = 0
    reason: str = ""
    posted: bool = False  # final, told to whoever waits, and in the journal

    @property
    def newest(self) -> Version:
        """The version that offers most."""
        require(self.versions, f"{self.departure_id} was never signed")
        return self.versions[-1]

    @property
    def place(self) -> Place:
        """Where its sender is."""
        return Place.ADDRESSES if self.purpose is Purpose.SWEEP else Place.HOT

    def closed(self) -> "Departure":
        """It, with nothing left to do about it."""
        return replace(self, posted=True)

    def text(self) -> str:
        """As JSON; amounts are text."""
        values = asdict(self)
        for name in ("units", "base_units", "reserve_units", "cost_base_units", "cost_units"):
            values[name] = str(values[name])
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Departure":
        """Read back what `text` wrote."""
        values = json.loads(text)
        for name in ("units", "base_units", "reserve_units", "cost_base_units", "cost_units"):
            values[name] = int(values[name])
        values["versions"] = tuple(Version(**version) for version in values["versions"])
        values["purpose"], values["progress"] = Purpose(values["purpose"]), Progress(values["progress"])
        return cls(**values)


def withdrawal_departure(transfer: Transfer, listing: Listing) -> Departure:
    """The departure that pays a withdrawal: one a transfer, whoever asks for it and how often."""
    token = _token(listing, transfer.asset)
    require(transfer.rail == listing.hot_rail, f"transfer {transfer.transfer_id} is not paid by {listing.chain}")
    return Departure(
        chain=listing.chain,
        departure_id=f"withdrawal:{transfer.transfer_id}",
        purpose=Purpose.WITHDRAWAL,
        sender=listing.hot_address,
        recipient=transfer.crypto_address.lower(),
        asset=transfer.asset,
        contract=token.contract,
        units=transfer.units,
        base_units=token.base_units(transfer.units),
        asked_at_ns=transfer.created_at_ns,
        transfer_id=transfer.transfer_id,
    )


def house_departure(
    listing: Listing,
    purpose: Purpose,
    token: Token,
    *,
    name: str,
    sender: str,
    recipient: str,
    units: int,
    at_ns: int,
    reserve_units: int = 0,
) -> Departure:
    """A departure from one address of ours to another."""
    return Departure(
        chain=listing.chain,
        departure_id=f"{purpose}:{name}",
        purpose=purpose,
        sender=sender,
        recipient=recipient,
        asset=token.asset,
        contract=token.contract,
        units=units,
        base_units=token.base_units(units),
        asked_at_ns=at_ns,
        reserve_units=reserve_units,
    )


def first_offer(departure: Departure, fees: Fees, listing: Listing) -> tuple[int, int]:
    """What its first version offers for a unit of gas, at most, and as the tip."""
    fee = min(fees.most, _ceiling(departure, listing) or fees.most)
    return fee, min(fees.tip, fee)


def raised_offer(departure: Departure, fees: Fees, listing: Listing) -> tuple[int, int] | None:
    """What a version that replaces the newest has to offer; None where that is more than may be offered."""
    last = departure.newest
    fee = max(fees.most, _raised(last.fee))
    ceiling = _ceiling(departure, listing)
    if ceiling:
        fee = min(fee, ceiling)
    tip = min(max(fees.tip, _raised(last.tip)), fee)
    return (fee, tip) if fee >= _raised(last.fee) and tip >= _raised(last.tip) else None


def _raised(offered: int) -> int:
    return divide_up(offered * RAISE_NUMERATOR, RAISE_DENOMINATOR)


def _ceiling(departure: Departure, listing: Listing) -> int:
    """The most that may be offered for a unit of gas: a sweep pays from what was set aside at its address."""
    if departure.reserve_units:
        return listing.coin.base_units(departure.reserve_units) // departure.gas
    return listing.fee_max


def network_fee_units(token: Token, listing: Listing, quote: Quote | None, *, at_ns: int) -> int:
    """What a withdrawal pays for the network: of the coin by what the chain takes now, of a token as it is listed.

    Raises:   UnavailableError where that is not known of late.
    """
    if token.contract:
        return token.network_fee_units
    if quote is None or at_ns - quote.at_ns > QUOTE_AGE_NS_MAX:
        raise UnavailableError(f"{listing.chain} did not say of late what it takes")
    return token.units_up(token.gas * quote.fees.likely)


def reserve_for(gas: int, fees: Fees, listing: Listing) -> int:
    """What is set aside for the fee of a sweep, in the coin's units: twice the first offer."""
    return listing.coin.units_up(2 * gas * fees.most)


def ended(departure: Departure, progress: Progress, mined: Mined | None, listing: Listing, *, reason: str) -> Departure:
    """A departure that is decided: this is stored before anything is done about it, so nobody decides it otherwise."""
    require(progress in FINAL and departure.progress not in FINAL, f"{departure.departure_id} can't end as {progress}")
    cost = mined.cost_base_units if mined else 0
    return replace(
        departure,
        progress=progress,
        mined_hash=mined.hash if mined else "",
        mined_in=mined.block.number if mined else 0,
        cost_base_units=cost,
        cost_units=listing.coin.units_up(cost),
        reason=reason,
    )


def asked_unswept(departure: Departure) -> Unswept:
    """What a sweep takes from what may be swept, its fee included, when it is asked for."""
    if departure.purpose is not Purpose.SWEEP:
        return {}
    return _at_sender(departure, -departure.units, -departure.reserve_units)


def ended_unswept(departure: Departure) -> Unswept:
    """What its end gives back: what the fee did not take; all, where it did not happen; and gas where it arrived."""
    if departure.purpose is Purpose.GAS and departure.progress is Progress.PAID:
        return {(departure.recipient, ""): departure.units}
    if departure.purpose is not Purpose.SWEEP:
        return {}
    back = 0 if departure.progress is Progress.PAID else departure.units
    return _at_sender(departure, back, departure.reserve_units - departure.cost_units)


def _at_sender(departure: Departure, units: int, coin_units: int) -> Unswept:
    found: Counter[tuple[str, str]] = Counter()
    found[departure.sender, departure.contract] += units
    found[departure.sender, ""] += coin_units
    return {key: change for key, change in found.items() if change}


def posts(departure: Departure) -> bool:
    """Whether its end is in the journal: it moved money of ours to another place, or it cost something."""
    moved = departure.progress is Progress.PAID and departure.purpose in PLACES
    return departure.posted and (moved or departure.cost_units > 0)


def ending_batch(departure: Departure, listing: Listing, head: Head, *, at_ns: int) -> Batch | None:
    """What a departure posts when it is final; None where it moved nothing and cost nothing.

    Money of ours changes its place; what the chain took is a cost of the house. What a withdrawal pays is not in here:
    that is posted with its transfer.
    """
    entries: list[Entry] = []
    name = departure.departure_id
    if departure.progress is Progress.PAID and departure.purpose in PLACES:
        source, target = PLACES[departure.purpose]
        for place, units in ((source, departure.units), (target, -departure.units)):
            entries.append(Entry(listing.custody(place), departure.asset, units, EntryKind.CUSTODY, name))
    if departure.cost_units:
        coin, cost = listing.coin.asset, departure.cost_units
        entries.append(Entry(listing.custody(departure.place), coin, cost, EntryKind.NETWORK, name))
        entries.append(Entry(costs_account(listing.rail), coin, -cost, EntryKind.NETWORK, name))
    if not entries:
        return None
    partition = departure_partition(departure, listing)
    return next_batch(head, partition=partition, posted_at_ns=at_ns, reference=name, entries=entries)


def ending_movements(batch: Batch | None) -> Movements:
    """What that does to balances."""
    movements = Movements()
    for entry in batch.entries if batch else ():
        movements.of(entry.account, entry.asset).available += entry.units
    return movements


def departure_partition(departure: Departure, listing: Listing) -> str:
    """The chain of the journal that it is posted on: the one of the place that it leaves."""
    return f"rail:{listing.rail if departure.place is Place.ADDRESSES else listing.hot_rail}"


def _token(listing: Listing, asset: str) -> Token:
    found = listing.token_of(asset)
    if found is None:
        unreachable(f"{asset} is not listed on {listing.chain}")
    return found
