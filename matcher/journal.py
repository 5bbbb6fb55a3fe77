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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, Final

from exchange.messages.commands import join_commands, read_ids

MAGIC: Final = b"XJNL"
VERSION: Final = 1
FRAME_LENGTH_MAX: Final = 2**31

_FILE: Final = Struct("<4sHH")
_FRAME: Final = Struct("<B3sII")
_TIME: Final = Struct("<q")
_LENGTH: Final = Struct("<I")
_COMMANDS, _NAMES, _ARRIVED = 1, 2, 3


class JournalError(ValueError):
    """A file that is no journal, or is damaged."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One record of a journal, not decoded yet; `arrival_ns` is None where the commands have their own times."""

    record: bytes
    names: bytes = b""
    arrival_ns: int | None = None

    def read_names(self) -> dict[int, str]:
        """The names of the orders and accounts of a well-formed record, by number.

        Raises:   JournalError.
        """
        found: dict[int, str] = {}
        if not self.names:
            return found
        offset = 0
        for ids in read_ids(self.record):
            for number in ids:
                name, offset = _read_name(self.names, offset)
                if name:
                    found[number] = name
        return found


class JournalWriter:
    """Writes a journal of commands with their names."""

    def __init__(self, file: BinaryIO, product_id: str) -> None:
        self._file = file
        self._product_id = product_id
        file.write(_FILE.pack(MAGIC, VERSION, 0))

    def add(self, commands: Sequence[bytes], names: Mapping[int, str]) -> None:
        """Append packed commands; `names` has those of their ids that the number does not tell.

        Raises:   MalformedRecordError when they are more than a record holds.
        """
        if not commands:
            return
        record = join_commands(self._product_id, commands)
        if names:
            packed = [_pack_name(names.get(number, "")) for ids in read_ids(record) for number in ids]
            self._write(_NAMES, b"".join(packed))
        self._write(_COMMANDS, record)

    def add_arrived(self, record: bytes, arrival_ns: int) -> None:
        """Append a record as the stream carried it."""
        self._write(_ARRIVED, _TIME.pack(arrival_ns) + record)

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


def _pack_name(name: str) -> bytes:
    data = name.encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data


def _read_name(data: bytes, offset: int) -> tuple[str, int]:
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
