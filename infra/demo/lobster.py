"""Reads a trading day in LOBSTER's format: a message file, and the order book file that stands beside it.

Message row: time (seconds after midnight), type, order id, size, price x 10,000, direction of the resting order.
Book row k, the book after message k: ask price, ask size, bid price, bid size of the best level.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TextIO

PRICE_TICKS_PER_UNIT = 10_000
EMPTY_PRICE = 9_999_999_999
_NANOSECONDS_DIGITS = 9


class LobsterError(ValueError):
    """The file can't be read as LOBSTER's; the message names the row and what is wrong."""


class Kind(IntEnum):
    """The type column."""

    NEW = 1
    REDUCED = 2
    DELETED = 3
    EXECUTED = 4
    HIDDEN_EXECUTED = 5
    CROSS = 6
    HALT = 7


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the message file. Units: price in 1/10,000 of the currency. `buying`: the resting order's side."""

    time_ns: int
    kind: Kind
    order_id: int
    size: int
    price: int
    buying: bool


@dataclass(frozen=True, slots=True)
class Best:
    """The best level of one side; size 0: the side is empty."""

    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """A message, and the best of both sides after it."""

    message: Message
    ask: Best
    bid: Best

    def best(self, *, buying: bool) -> Best:
        """The best bid or the best ask."""
        return self.bid if buying else self.ask


def read_day(path: Path) -> Iterator[Row]:
    """Every row of a day, from a zip that has both files or from a message file whose book file stands beside it.

    Raises:   LobsterError, FileNotFoundError.
    """
    with _open_day(path) as (messages, books):
        read = 0
        try:
            for message, book in zip(csv.reader(messages), csv.reader(books), strict=True):
                yield Row(read_message(message), *read_best(book))
                read += 1
        except ValueError as error:
            raise LobsterError(f"{path.name}, row {read + 1}: {error}") from error


def read_message(cells: Sequence[str]) -> Message:
    """Read a row of the message file. Raises LobsterError."""
    if len(cells) < 6:
        raise LobsterError(f"a message has six columns, this has {len(cells)}: {','.join(cells)[:80]}")
    time, kind, order_id, size, price, direction = (cell.strip() for cell in cells[:6])
    if kind not in {str(known.value) for known in Kind}:
        raise LobsterError(f"{kind!r} is no type of message: there are 1 to 7")
    if direction not in {"1", "-1"}:
        raise LobsterError(f"{direction!r} is no direction: there are 1 and -1")
    whole, _, fraction = time.partition(".")
    nanoseconds = int(whole) * 10**_NANOSECONDS_DIGITS + int(
        fraction[:_NANOSECONDS_DIGITS].ljust(_NANOSECONDS_DIGITS, "0")
    )
    return Message(nanoseconds, Kind(int(kind)), int(order_id), int(size), int(price), direction == "1")


def read_best(cells: Sequence[str]) -> tuple[Best, Best]:
    """Read the best ask and the best bid of a row of the book file. Raises LobsterError."""
    if len(cells) < 4:
        raise LobsterError(f"a book row has four columns a level, this has {len(cells)}: {','.join(cells)[:80]}")
    ask_price, ask_size, bid_price, bid_size = (int(cell) for cell in cells[:4])
    return _best(ask_price, ask_size), _best(bid_price, bid_size)


def _best(price: int, size: int) -> Best:
    return Best(0, 0) if abs(price) == EMPTY_PRICE or size == 0 else Best(price, size)


@contextmanager
def _open_day(path: Path) -> Iterator[tuple[TextIO, TextIO]]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            with (
                archive.open(_named(names, "_message_")) as first,
                archive.open(_named(names, "_orderbook_")) as second,
            ):
                yield io.TextIOWrapper(first, "ascii", newline=""), io.TextIOWrapper(second, "ascii", newline="")
        return
    book_path = path.with_name(path.name.replace("_message_", "_orderbook_"))
    if book_path == path or not book_path.is_file():
        raise FileNotFoundError(
            f"{path.name} needs its book file beside it: a message file is named NAME_message_LEVELS.csv, "
            f"and NAME_orderbook_LEVELS.csv tells what rested before the day began. Give it too, or a zip of both."
        )
    with (
        path.open(encoding="ascii", newline="") as messages_file,
        book_path.open(encoding="ascii", newline="") as books,
    ):
        yield messages_file, books


def _named(names: Sequence[str], part: str) -> str:
    found = [name for name in names if part in name and name.endswith(".csv")]
    if len(found) != 1:
        raise LobsterError(f"the zip should have one file named like NAME{part}1.csv and has {len(found)}")
    return found[0]
