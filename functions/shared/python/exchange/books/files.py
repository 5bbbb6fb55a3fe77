"""The files of a closing: every balance, the books, and a tree an asset; and one customer's part of them."""

import gzip
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from exchange.books.liabilities import Way, find_way, nonce_of
from exchange.books.model import Balances, Books, Closing, parse_books
from exchange.kernel.errors import require


class Vault(Protocol):
    """Where the files of closings are kept for good."""

    def save(self, name: str, content: bytes) -> None:
        """Put a file."""
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """A file, or a part of it."""
        ...


@dataclass(frozen=True, slots=True)
class OwnProof:
    """What a closing says an account is owed of one asset, and the way to the root."""

    asset: str
    account: str
    way: Way


def balances_name(folder: str) -> str:
    """The file of all balances."""
    return f"{folder}/balances.tsv.gz"


def books_name(folder: str) -> str:
    """The file of the chains' ends and the trial balance."""
    return f"{folder}/books.json"


def tree_name(folder: str, asset: str) -> str:
    """The file of an asset's tree."""
    return f"{folder}/{asset}.tree"


def write_balances(balances: Balances) -> bytes:
    """Every balance, a line each, packed; the same bytes for the same balances."""
    lines = (f"{account}\t{asset}\t{units}\n" for (account, asset), units in sorted(balances.items()))
    return gzip.compress("".join(lines).encode(), mtime=0)


def read_balances(content: bytes) -> Balances:
    """What `write_balances` wrote."""
    rows = (line.split("\t") for line in gzip.decompress(content).decode().splitlines())
    return {(account, asset): int(units) for account, asset, units in rows}


def books_of(closing: Closing, *, vault: Vault) -> Books:
    """The books of a closing. Raises InvariantError where they are not those that its statement was signed for."""
    books = parse_books(vault.read(books_name(closing.folder)).decode())
    require(books.hash() == closing.books_hash, f"the books of closing {closing.number} are not those that were signed")
    return books


def own_proofs(closing: Closing, account: str, *, vault: Vault) -> list[OwnProof]:
    """The proofs of all that an account was owed at a closing, by asset; none where it was owed nothing."""
    found = []
    for asset, owed in sorted(closing.liabilities().items()):
        nonce = nonce_of(closing.salt, account, asset)
        way = find_way(partial(vault.read, tree_name(closing.folder, asset)), owed.accounts, nonce)
        if way is not None:
            found.append(OwnProof(asset, account, way))
    return found
