"""Closings: the journal up to a moment, summed, pinned by its chains' hashes, and never opened again.

A closing takes from each chain of the journal the batches after the last closing that were posted before its moment.
Which batches those are is kept by number and hash. A batch can only be put at the end of a chain, so nothing can ever
be posted into a closed period: one that arrives late, whatever its date, belongs to the next.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exchange.kernel.errors import require
from exchange.ledger.chart import Heading, Side, heading_of
from exchange.ledger.model import Batch, Head

Balances = dict[tuple[str, str], int]  # units by (account, asset); a balance of zero is absent


@dataclass(frozen=True, slots=True, order=True)
class TrialRow:
    """One heading in one asset over a period. Units: in the asset's units; `opening` is negative for what we own."""

    heading: Heading
    asset: str
    opening: int
    debits: int
    credits: int

    @property
    def closing(self) -> int:
        """What it came to."""
        return self.opening + self.credits - self.debits


@dataclass(frozen=True, slots=True)
class Liabilities:
    """What all customers together are owed of one asset, and the root of the tree that proves it.

    Units: `units` of 10^-scale.
    """

    units: int
    scale: int
    accounts: int
    root: str  # hex


@dataclass(frozen=True, slots=True)
class Books:
    """What a closing says of the venue itself: the last batch of every chain within it, and the trial balance."""

    cuts: Mapping[str, Head]
    rows: tuple[TrialRow, ...]

    def text(self) -> str:
        """Both as canonical JSON, which the closing's statement carries the hash of; amounts are text."""
        heads = {name: [head.number, head.hash.hex()] for name, head in sorted(self.cuts.items())}
        table = [
            [r.heading.side, r.heading.name, r.asset, *map(str, (r.opening, r.debits, r.credits))] for r in self.rows
        ]
        return _canonical({"chains": heads, "trial_balance": table})

    def hash(self) -> str:
        """Over the text, in hex."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def parse_books(text: str) -> Books:
    """Read back what `Books.text` wrote."""
    told = json.loads(text)
    cuts = {name: Head(number, bytes.fromhex(digest)) for name, (number, digest) in told["chains"].items()}
    rows = tuple(
        TrialRow(Heading(Side(side), name), asset, int(opening), int(debits), int(credits_))
        for side, name, asset, opening, debits, credits_ in told["trial_balance"]
    )
    return Books(cuts, rows)


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed period: everything posted since the closing before and before `until_ns`.

    `statement` is the text that was signed and published. `folder` has its files; `salt` hides whose a leaf of the
    proof is, and is told nobody.
    """

    number: int
    until_ns: int
    statement: str
    signature: bytes
    public_key: str  # PEM
    folder: str
    salt: bytes = field(repr=False)

    @property
    def statement_hash(self) -> str:
        """What the next closing names as its predecessor."""
        return hashlib.sha256(self.statement.encode()).hexdigest()

    @property
    def books_hash(self) -> str:
        """What the statement holds the books to."""
        return str(json.loads(self.statement)["books"])

    def liabilities(self) -> dict[str, Liabilities]:
        """What the statement says customers are owed, by asset."""
        told = json.loads(self.statement)["liabilities"]
        return {
            asset: Liabilities(int(row["units"]), row["scale"], row["accounts"], row["root"])
            for asset, row in told.items()
        }


@dataclass(slots=True)
class Period:
    """A period while it is summed up."""

    balances: Balances
    cuts: dict[str, Head]
    opening: Counter[tuple[Heading, str]] = field(default_factory=Counter)
    debits: Counter[tuple[Heading, str]] = field(default_factory=Counter)
    credits: Counter[tuple[Heading, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Sum what was carried over."""
        for (account, asset), units in self.balances.items():
            self.opening[heading_of(account), asset] += units

    def take(self, partition: str, batches: Iterable[tuple[Batch, bytes]], *, until_ns: int) -> None:
        """Post a chain's further batches, to the first that is not before `until_ns`.

        Raises:   InvariantError where the chain does not go on from where the last closing left it.
        """
        for batch, digest in batches:
            if batch.posted_at_ns >= until_ns:
                return
            head = self.cuts.get(partition, Head())
            follows = batch.number == head.number + 1 and batch.previous_hash == head.hash and batch.hash() == digest
            require(follows, f"{partition}: batch {batch.number} does not follow {head.number} of the last closing")
            for entry in batch.entries:
                self._post(entry.account, entry.asset, entry.units)
            self.cuts[partition] = Head(batch.number, digest)

    def _post(self, account: str, asset: str, units: int) -> None:
        key = heading_of(account), asset
        if units < 0:
            self.debits[key] -= units
        else:
            self.credits[key] += units
        balance = self.balances.get((account, asset), 0) + units
        if balance:
            self.balances[account, asset] = balance
        else:
            self.balances.pop((account, asset), None)

    def books(self) -> Books:
        """What it came to. Raises InvariantError where the trial balance is off in some asset."""
        keys = sorted(self.opening.keys() | self.debits.keys() | self.credits.keys())
        rows = tuple(TrialRow(*key, self.opening[key], self.debits[key], self.credits[key]) for key in keys)
        off = {asset: units for asset, units in closing_sums(rows).items() if units}
        require(not off, f"the trial balance is off: {off}")
        return Books(dict(self.cuts), rows)


def closing_sums(rows: Iterable[TrialRow]) -> Counter[str]:
    """All closing balances together, by asset: zero in sound books."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row.asset] += row.closing
    return sums


def profit(rows: Iterable[TrialRow]) -> dict[str, int]:
    """What the venue earned in the period less what it spent, by asset, in its units."""
    earned: Counter[str] = Counter()
    for row in rows:
        if row.heading.side in {Side.INCOME, Side.EXPENSE}:
            earned[row.asset] += row.credits - row.debits
    return dict(sorted(earned.items()))


def statement_text(
    number: int, until_ns: int, *, previous: str, books: Books, liabilities: Mapping[str, Liabilities]
) -> str:
    """What is signed and published: what customers are owed in sum, and the hash that holds the books to it.

    The books themselves are the venue's own affair: an auditor who is shown them can tell that they are the ones.
    """
    told = {
        "closing": number,
        "until_ns": str(until_ns),
        "previous": previous,
        "books": books.hash(),
        "liabilities": {
            asset: {"units": str(owed.units), "scale": owed.scale, "accounts": owed.accounts, "root": owed.root}
            for asset, owed in liabilities.items()
        },
    }
    return _canonical(told)


def _canonical(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
