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
# Between an asset and a product in the place of a sub-balance. No name of an asset has it.
_OF_PRODUCT = "#"
# A debit takes from so many places at most: with what else it writes, it must fit into one transaction.
DEBIT_PLACES_MAX = 80


class EntryKind(StrEnum):
    """Why money moved. Kept for ever: statements are built from it."""

    MATCH = "match"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    REVERSAL = "reversal"
    REBATE = "rebate"  # to a maker, out of the fees of a closed period
    COMMISSION = "commission"  # to whoever brought a payer of fees, out of the same
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


def sub_balance(asset: str, product_id: str) -> str:
    """The place of what an account has of an asset in one product: what its orders there hold and what they earned.

    With "" it is the main balance: what came from outside or is on its way there.
    """
    return f"{asset}{_OF_PRODUCT}{product_id}" if product_id else asset


def asset_and_product(place: str) -> tuple[str, str]:
    """The asset of a place and its product; "" for the main balance."""
    asset, _, product_id = place.partition(_OF_PRODUCT)
    return asset, product_id


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
    """What one transaction does to one place. Units: in the asset's units; open_orders counts live orders.

    `shifted` is what comes from other places of the same account and asset, less what goes there.
    """

    available: int = 0
    held: int = 0
    open_orders: int = 0
    shifted: int = 0

    def __bool__(self) -> bool:
        """Whether anything moves."""
        return bool(self.available or self.held or self.open_orders or self.shifted)


@dataclass(slots=True)
class Movements:
    """The net effect of one transaction on balances, by account and place: an asset, or a sub-balance of one."""

    by_balance: dict[tuple[str, str], Movement] = field(default_factory=dict)

    def of(self, account: str, place: str) -> Movement:
        """The movement of one place, made when first asked for."""
        return self.by_balance.setdefault((account, place), Movement())

    def moving(self) -> list[tuple[str, str, Movement]]:
        """Every place that moves, in a stable order."""
        return [(account, place, move) for (account, place), move in sorted(self.by_balance.items()) if move]

    def by_item(self) -> dict[tuple[str, str], dict[str, Movement]]:
        """What moves by account and item, and there by asset: a product's sub-balances of an account are one item."""
        items: dict[tuple[str, str], dict[str, Movement]] = defaultdict(dict)
        for account, place, movement in self.moving():
            asset, product_id = asset_and_product(place)
            items[account, sub_balance("", product_id) if product_id else asset][asset] = movement
        return items

    def debit(
        self,
        account: str,
        place: str,
        units: int,
        available: Mapping[str, int],
        *,
        places_max: int = DEBIT_PLACES_MAX,
    ) -> Movement:
        """Take what an account has available, from `place` first, then from the main balance, then where most lies.

        `available` is what each place of that asset had when it was read. What is missing is asked of `place`, whose
        condition then fails. Returns the movement of `place`.
        """
        target = self.of(account, place)
        missing = units - max(available.get(place, 0), 0)
        main = asset_and_product(place)[0]
        others = sorted(available.keys() - {place}, key=lambda other: (other != main, -available[other], other))
        for other in others[: places_max - 1]:
            taken = min(available[other], missing)
            if taken <= 0:
                continue
            source = self.of(account, other)
            source.available -= taken
            source.shifted -= taken
            target.available += taken
            target.shifted += taken
            missing -= taken
        target.available -= units
        return target


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of one account. Units: in the asset's units; `available` and `held` add up to what is owned.

    `product_id` is "" for the main balance and for all of the asset together, else the product of a sub-balance.
    """

    account: str
    asset: str
    available: int
    held: int
    open_orders: int = 0
    product_id: str = ""
    shifted: int = 0

    @property
    def place(self) -> str:
        """Where it lies: the second half of its key."""
        return sub_balance(self.asset, self.product_id)


def together(rows: Iterable[Balance]) -> list[Balance]:
    """Balances with their sub-balances added up: one an account and asset, in the order of appearance.

    A `shifted` that is not zero then says that the rows were read while money moved from one to another.
    """
    sums: dict[tuple[str, str], Balance] = {}
    for row in rows:
        before = sums.get((row.account, row.asset), Balance(row.account, row.asset, 0, 0))
        sums[row.account, row.asset] = Balance(
            row.account,
            row.asset,
            before.available + row.available,
            before.held + row.held,
            before.open_orders + row.open_orders,
            shifted=before.shifted + row.shifted,
        )
    return list(sums.values())
