"""Command logs as files: what `pack` writes and what the orders stream's archive holds.

Format, version 1, little-endian:

    file     4s magic "XJNL" | u16 version | u16 NUL, then frames to the end of the file
    frame    u8 kind | 3 NUL | u32 length | u32 CRC-32 of the contents | the contents
    kind 1   COMMANDS   a record of commands, each with its own time
    kind 2   NAMES      for each command of the record that follows: u32 length and UTF-8 of the order's name, then of
                        the account's, both empty where the number says it all
    kind 3   ARRIVED    i64 arrival time, then a record as the stream carried it: all its commands have that time
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from struct import Struct
from typing import BinaryIO, Final

from exchange.messages import (
    COMMANDS_PER_RECORD_MAX,
    CommandRecord,
    MalformedRecordError,
    UnknownVersionError,
    decode_commands,
    encode_commands,
)

from matcher.json_commands import NamedCommand

MAGIC: Final = b"XJNL"
VERSION: Final = 1
FRAME_LENGTH_MAX: Final = 2**31

_FILE: Final = Struct("<4sHH")
_FRAME: Final = Struct("<B3sII")
_TIME: Final = Struct("<q")
_LENGTH: Final = Struct("<I")
_COMMANDS, _NAMES, _ARRIVED = 1, 2, 3
_COMMANDS_PER_FRAME: Final = min(1024, COMMANDS_PER_RECORD_MAX)


class JournalError(ValueError):
    """A file that is no journal, or is damaged."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One record of a journal, not decoded yet; `arrival_ns` is None where the commands have their own times."""

    record: bytes
    names: bytes = b""
    arrival_ns: int | None = None

    def decode(self) -> CommandRecord:
        """The record's commands with their times.

        Raises:   JournalError.
        """
        try:
            record = decode_commands(self.record)
        except (MalformedRecordError, UnknownVersionError) as error:
            raise JournalError(str(error)) from error
        if self.arrival_ns is None:
            return record
        stamped = tuple(replace(command, time_ns=self.arrival_ns) for command in record.commands)
        return CommandRecord(record.product_id, stamped)

    def decode_names(self, count: int) -> Iterator[tuple[str, str]]:
        """The names of the orders and accounts of the record's `count` commands.

        Raises:   JournalError.
        """
        offset = 0
        for _ in range(count):
            order, offset = _read_name(self.names, offset)
            account, offset = _read_name(self.names, offset)
            yield order, account


class JournalWriter:
    """Writes a journal of commands with their names."""

    def __init__(self, file: BinaryIO, product_id: str) -> None:
        self._file = file
        self._product_id = product_id
        self._pending: list[NamedCommand] = []
        file.write(_FILE.pack(MAGIC, VERSION, 0))

    def add(self, named: NamedCommand) -> None:
        """Append one command.

        Raises:   MalformedRecordError.
        """
        self._pending.append(named)
        if len(self._pending) == _COMMANDS_PER_FRAME:
            self.flush()

    def add_arrived(self, record: bytes, arrival_ns: int) -> None:
        """Append a record as the stream carried it."""
        self.flush()
        self._write(_ARRIVED, _TIME.pack(arrival_ns) + record)

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        if any(named.order_name or named.account_name for named in self._pending):
            self._write(_NAMES, _names_of(self._pending))
        self._write(_COMMANDS, encode_commands(self._product_id, [named.command for named in self._pending]))
        self._pending.clear()

    def _write(self, kind: int, contents: bytes) -> None:
        self._file.write(_FRAME.pack(kind, b"", len(contents), zlib.crc32(contents)))
        self._file.write(contents)


def read_journal(file: BinaryIO) -> Iterator[Frame]:
    """Read a journal frame by frame.

    Raises:   JournalError.
    """
    header = file.read(_FILE.size)
    if len(header) < _FILE.size or not header.startswith(MAGIC):
        raise JournalError("the file is not a journal")
    _, version, reserved = _FILE.unpack(header)
    if version != VERSION or reserved:
        raise JournalError(f"version {version} of the journal's format is unknown here")
    names = b""
    while (frame := _read_frame(file)) is not None:
        kind, contents = frame
        if kind == _NAMES:
            names = contents
        elif kind == _COMMANDS:
            yield Frame(contents, names)
            names = b""
        elif kind == _ARRIVED and len(contents) >= _TIME.size:
            yield Frame(contents[_TIME.size :], arrival_ns=_TIME.unpack_from(contents)[0])
        else:
            raise JournalError(f"{kind} is no kind of frame")


def _read_frame(file: BinaryIO) -> tuple[int, bytes] | None:
    header = file.read(_FRAME.size)
    if not header:
        return None
    if len(header) < _FRAME.size:
        raise JournalError("the journal ends within a frame")
    kind, padding, length, checksum = _FRAME.unpack(header)
    if any(padding) or length > FRAME_LENGTH_MAX:
        raise JournalError("a frame's head is damaged")
    contents = file.read(length)
    if len(contents) < length:
        raise JournalError("the journal ends within a frame")
    if zlib.crc32(contents) != checksum:
        raise JournalError("a frame's checksum is wrong")
    return kind, contents


def _names_of(commands: Sequence[NamedCommand]) -> bytes:
    return b"".join(_pack_name(name) for named in commands for name in (named.order_name, named.account_name))


def _pack_name(name: str) -> bytes:
    data = name.encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data


def _read_name(data: bytes, offset: int) -> tuple[str, int]:
    if not data:
        return "", 0
    start = offset + _LENGTH.size
    if start > len(data):
        raise JournalError("names are missing")
    end = start + _LENGTH.unpack_from(data, offset)[0]
    if end > len(data):
        raise JournalError("a name is cut short")
    try:
        return data[start:end].decode("utf-8", "surrogatepass"), end
    except UnicodeDecodeError as error:
        raise JournalError("a name is not UTF-8") from error
