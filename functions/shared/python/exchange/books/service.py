"""Closing the books: sum, prove, sign, and put the closing where no other can stand."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from exchange.books.files import Vault, balances_name, books_name, books_of, read_balances, tree_name, write_balances
from exchange.books.liabilities import make_leaf, nonce_of, write_tree
from exchange.books.model import Balances, Closing, Liabilities, Period, statement_text
from exchange.kernel.errors import require
from exchange.ledger.chart import CUSTOMERS, heading_of
from exchange.ledger.model import Batch

SALT_BYTES = 32


class Journal(Protocol):
    """The chains to be closed."""

    def partitions(self) -> Iterable[str]:
        """The name of every chain."""
        ...

    def batches(self, partition: str, *, after: int) -> Iterable[tuple[Batch, bytes]]:
        """The batches behind number `after` with their hashes, oldest first."""
        ...


class Closings(Protocol):
    """Where closings are kept."""

    def last(self) -> Closing | None:
        """The newest one, as it is now."""
        ...

    def add(self, closing: Closing) -> bool:
        """Put the next one; False where its number is taken."""
        ...


class Signer(Protocol):
    """The venue's own hand."""

    def sign(self, text: str) -> bytes:
        """Its signature."""
        ...

    def public_key(self) -> str:
        """What the signature is checked with, as PEM."""
        ...


def close_books(
    until_ns: int,
    *,
    salt: bytes,
    scales: Mapping[str, int],
    journal: Journal,
    closings: Closings,
    vault: Vault,
    signer: Signer,
) -> Closing:
    """Close everything posted before `until_ns`; a moment that is closed already gives the last closing as it is.

    `salt` is random, new and SALT_BYTES long; `scales` has the decimals of every asset. Two
    at once: the first to finish wins, the other returns its closing.

    Raises:   InvariantError where the journal does not go on from the last closing or does not add up; OutageError.
    """
    last = closings.last()
    if last is not None and until_ns <= last.until_ns:
        return last
    period = _carried_over(last, vault)
    _take_all(period, journal, until_ns)
    books, number = period.books(), last.number + 1 if last else 1
    folder = f"closings/{number:06d}-{salt[:8].hex()}"  # of this attempt: another's files are never written over
    liabilities = _prove(number, period.balances, folder, salt=salt, scales=scales, vault=vault)
    vault.save(balances_name(folder), write_balances(period.balances))
    vault.save(books_name(folder), books.text().encode())
    previous = last.statement_hash if last else ""
    statement = statement_text(number, until_ns, previous=previous, books=books, liabilities=liabilities)
    closing = Closing(number, until_ns, statement, signer.sign(statement), signer.public_key(), folder, salt)
    if closings.add(closing):
        return closing
    won = closings.last()
    require(won is not None and won.number >= number, f"closing {number} is taken and nobody has it")
    return won or closing


def balances_at(at_ns: int, *, journal: Journal, closings: Closings, vault: Vault) -> Balances:
    """Every balance as the journal had it at a moment: what was posted before it, by account and asset.

    It begins at the last closing where that is not after the moment, else where the journal does.
    Raises:   InvariantError where a chain is broken; OutageError.
    """
    last = closings.last()
    period = _carried_over(last if last is not None and last.until_ns <= at_ns else None, vault)
    _take_all(period, journal, at_ns)
    return period.balances


def batches_of(closing: Closing, before: Closing | None, *, journal: Journal, vault: Vault) -> Iterator[Batch]:
    """What was posted in the period of a closing, chain by chain; `before` is the closing that it follows.

    Raises:   InvariantError where books are not those that were signed; OutageError.
    """
    earlier = books_of(before, vault=vault).cuts if before else {}
    for partition, head in books_of(closing, vault=vault).cuts.items():
        start = earlier[partition].number if partition in earlier else 0
        for batch, _ in journal.batches(partition, after=start):
            if batch.number > head.number:
                break
            yield batch


def _take_all(period: Period, journal: Journal, until_ns: int) -> None:
    for partition in journal.partitions():
        after = period.cuts[partition].number if partition in period.cuts else 0
        period.take(partition, journal.batches(partition, after=after), until_ns=until_ns)


def _carried_over(last: Closing | None, vault: Vault) -> Period:
    if last is None:
        return Period({}, {})
    return Period(read_balances(vault.read(balances_name(last.folder))), dict(books_of(last, vault=vault).cuts))


def _prove(
    number: int, balances: Balances, folder: str, *, salt: bytes, scales: Mapping[str, int], vault: Vault
) -> Mapping[str, Liabilities]:
    leaves = defaultdict(list)
    for (account, asset), units in balances.items():
        if heading_of(account) == CUSTOMERS:
            leaves[asset].append(make_leaf(number, asset, account, nonce_of(salt, account, asset), units))
    proven: dict[str, Liabilities] = {}
    for asset, own in sorted(leaves.items()):
        content, root = write_tree(own)
        vault.save(tree_name(folder, asset), content)
        proven[asset] = Liabilities(root.units, scales[asset], len(own), root.hash.hex())
    return proven
