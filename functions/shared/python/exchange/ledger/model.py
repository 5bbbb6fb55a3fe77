"""Entries, batches and movements. A batch is posted whole or not at all, and is never edited."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.kernel.errors import require

HASH_BYTES = 32
GENESIS = bytes(HASH_BYTES)
HOUSE_PREFIX = "house:"
_RECEIVABLE = f"{HOUSE_PREFIX}receivable:"
_BELOW_ZERO = tuple(f"{HOUSE_PREFIX}{word}:" for word in ("custody", "receivable", "suspense", "costs", "losses"))


class EntryKind(StrEnum):
    """Why money moved. Kept for ever: statements are built from it."""

    MATCH = "match"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    REVERSAL = "reversal"
    CUSTODY = "custody"  # between places where the venue keeps what it holds: the addresses of a chain, hot, cold
    NETWORK = "network"  # what a chain takes for carrying a payment of ours


def customer_account(account_id: int) -> str:
    """The ledger's name for a customer's trading account."""
    return str(account_id)


def fee_account(product_id: str) -> str:
    """Fee income: one account a product, or one item would cap the whole exchange."""
    return f"{HOUSE_PREFIX}fees:{product_id}"


def custody_account(rail: str) -> str:
    """What the outside world holds for us on a rail. Its balance is the negative of what came in."""
    return f"{HOUSE_PREFIX}custody:{rail}"


def costs_account(name: str) -> str:
    """What the venue has spent. Below zero, or zero."""
    return f"{HOUSE_PREFIX}costs:{name}"


def capital_account(rail: str) -> str:
    """What the venue's owners have put in over a rail."""
    return f"{HOUSE_PREFIX}capital:{rail}"


def receivable_account(account_id: int) -> str:
    """What a customer owes us after a payment of theirs was taken back that they had spent. Below zero, or zero."""
    return f"{_RECEIVABLE}{account_id}"


def suspense_account(rail: str) -> str:
    """Money on a rail that nobody was matched with yet: owed to whom it will turn out to be. Below zero, it left us."""
    return f"{HOUSE_PREFIX}suspense:{rail}"


def losses_account(what: str) -> str:
    """What the venue gave up, and bears itself."""
    return f"{HOUSE_PREFIX}losses:{what}"


def may_be_negative(account: str) -> bool:
    """Only what others hold for us, owe us or took, what we spent and what we lost; no flag exempts another account."""
    return account.startswith(_BELOW_ZERO)


def may_be_positive(account: str) -> bool:
    """Nobody owes us less than nothing: a debt can be settled once."""
    return not account.startswith(_RECEIVABLE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One signed line of a journal batch. Units: `units` in the asset's units."""

    account: str
    asset: str
    units: int
    kind: EntryKind
    reference: str  # the trade or transfer it belongs to


@dataclass(frozen=True, slots=True)
class Head:
    """The last batch of a partition: where the next one is chained on."""

    number: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Batch:
    """A numbered, chained set of entries that sums to zero in every asset."""

    partition: str
    number: int
    previous_hash: bytes
    posted_at_ns: int
    reference: str
    entries: tuple[Entry, ...]

    def entries_text(self) -> str:
        """The entries as the canonical JSON that is stored and hashed; amounts are text."""
        rows = [[e.account, e.asset, str(e.units), e.kind.value, e.reference] for e in self.entries]
        return json.dumps(rows, separators=(",", ":"))

    def hash(self) -> bytes:
        """SHA-256 over the previous hash and all that this batch says."""
        head = json.dumps([self.partition, self.number, self.posted_at_ns, self.reference], separators=(",", ":"))
        return hashlib.sha256(self.previous_hash + head.encode() + self.entries_text().encode()).digest()


def next_batch(head: Head, *, partition: str, posted_at_ns: int, reference: str, entries: Iterable[Entry]) -> Batch:
    """Chain entries onto a partition.

    Raises:   InvariantError where the entries don't sum to zero in each asset.
    """
    rows = tuple(entries)
    sums = sum_by_asset(rows)
    require(not any(sums.values()), f"{partition}: entries of {reference} don't sum to zero: {sums}")
    return Batch(partition, head.number + 1, head.hash, posted_at_ns, reference, rows)


def parse_entries(text: str) -> tuple[Entry, ...]:
    """Read back what `Batch.entries_text` wrote."""
    rows = json.loads(text)
    return tuple(Entry(account, asset, int(units), EntryKind(kind), ref) for account, asset, units, kind, ref in rows)


def sum_by_asset(entries: Iterable[Entry]) -> Mapping[str, int]:
    """What entries add up to, by asset."""
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        sums[entry.asset] += entry.units
    return sums


@dataclass(slots=True)
class Movement:
    """What one transaction does to one balance. Units: in the asset's units; open_orders counts live orders."""

    available: int = 0
    held: int = 0
    open_orders: int = 0

    def __bool__(self) -> bool:
        """Whether anything moves."""
        return bool(self.available or self.held or self.open_orders)


@dataclass(slots=True)
class Movements:
    """The net effect of one transaction on balances, by (account, asset)."""

    by_balance: dict[tuple[str, str], Movement] = field(default_factory=dict)

    def of(self, account: str, asset: str) -> Movement:
        """The movement of one balance, made when first asked for."""
        return self.by_balance.setdefault((account, asset), Movement())

    def moving(self) -> list[tuple[str, str, Movement]]:
        """Every balance that moves, in a stable order."""
        return [(account, asset, move) for (account, asset), move in sorted(self.by_balance.items()) if move]


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of one account. Units: in the asset's units; `available` and `held` add up to what is owned."""

    account: str
    asset: str
    available: int
    held: int
    open_orders: int = 0
