"""The replay tool: commands in, events out, the same bytes every time.

JSON lines are for people and conformance checks. Journals (what `pack` writes and the archive of the orders stream
holds) are what recovery and the restore drill replay.
"""

import hashlib
import json
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from exchange.kernel.ids import to_uuid
from exchange.messages import MalformedRecordError, ProductParameters, RecordError
from exchange.messages.commands import join_commands, pack_product_id

from matcher.engine import Engine, EngineError, ProductError, ProductSpec, SnapshotError
from matcher.journal import Frame, JournalError, JournalWriter, read_journal
from matcher.json_commands import CommandReader, MalformedLineError
from matcher.json_events import EventPrinter

_SNAPSHOT_MAGIC: Final = b"XTSN"
_SNAPSHOT: Final = struct.Struct("<4sHHQQ32s")
_SNAPSHOT_VERSION: Final = 1
# A run is carried out so many lines at a time: its memory does not grow with its length.
_LINES_AT_A_TIME: Final = 1024


class ReplayError(Exception):
    """The run can't start or go on; the message is for the person who started it."""


class LineError(ReplayError):
    """A line of the input is no command; the message starts with its number."""


@dataclass(slots=True)
class Tally:
    """What a run did, and how long decoding and matching took."""

    commands: int = 0
    events: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        rate = self.commands / self.seconds if self.seconds else 0.0
        done = f"replayed {self.commands} commands into {self.events} events"
        return f"{done} in {self.seconds:.6f} s ({rate:.0f} commands/s)"


@dataclass(slots=True)
class Output:
    """Where a run's events go: to people as lines, or into one hash.

    Only printing tells the printer which names live on; a hashing run that is to be saved prints to nobody for that.
    """

    printer: EventPrinter
    stream: BinaryIO
    digest: "hashlib._Hash | None" = None
    keeps_names: bool = False

    def write(self, results: bytes, names: dict[int, str], *, from_stream: bool = False) -> None:
        """Take packed results; `names` are those in the commands that caused them."""
        if self.digest is not None:
            self.digest.update(results)
        if self.digest is None or self.keeps_names:
            lines = self.printer.lines(results, names, to_uuid if from_stream else str)
            if self.digest is None:
                self.stream.write(lines.encode("ascii"))

    def close(self) -> None:
        """Write what is still to be written."""
        if self.digest is not None:
            self.stream.write(self.digest.hexdigest().encode("ascii") + b"\n")
        self.stream.flush()


def load_product(path: Path) -> ProductSpec:
    """Read PRODUCT.json.

    Raises:   ReplayError.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReplayError(f"{path}: {error}") from error
    if not isinstance(fields, dict):
        raise ReplayError(f"{path}: a product is a JSON object")
    names = ("product_id", *ProductParameters.__dataclass_fields__)
    optional = ("reference_price", "price_band")
    texts = {name: fields.get(name) for name in names}
    for name, text in texts.items():
        if text is None and name in optional:
            texts[name] = ""
        elif not isinstance(text, str) or not text:
            raise ReplayError(f"{path}: {name} must be a non-empty string")
    product_id = str(texts.pop("product_id"))
    try:
        parameters = ProductParameters(**{name: str(text) for name, text in texts.items()})
        pack_product_id(product_id)
        return ProductSpec.from_parameters(product_id, parameters)
    except (ProductError, MalformedRecordError) as error:
        raise ReplayError(f"{path}: {error}") from error


def replay_lines(engine: Engine, lines: Iterable[bytes], output: Output, reader: CommandReader) -> None:
    """Carry out JSON lines until one of them is malformed.

    Raises:   LineError, naming the line; the events of those before it have been written.
    """
    for commands, error in _read_lines(lines, reader):
        if commands:
            batch = engine.apply_record(join_commands(engine.product.product_id, commands))
            engine.forget_chain()
            output.write(batch.data, reader.take_names())
        if error is not None:
            raise error


def _read_lines(lines: Iterable[bytes], reader: CommandReader) -> Iterator[tuple[list[bytes], LineError | None]]:
    """Packed commands, some lines at a time, and after the last of them what is wrong with the line that follows."""
    commands: list[bytes] = []
    for number, line in enumerate(lines, start=1):
        try:
            commands.append(reader.read(line))
        except MalformedLineError as error:
            yield commands, LineError(f"line {number}: {error}")
            return
        if len(commands) == _LINES_AT_A_TIME:
            yield commands, None
            commands = []
    yield commands, None


def replay_journal(engine: Engine, frames: Iterable[Frame], output: Output, tally: Tally) -> None:
    """Carry out a journal's frames at the engine's own speed, adding to `tally`.

    Raises:   JournalError, EngineError.
    """
    for frame in frames:
        started = time.perf_counter()  # clock-ok: it measures the tool, the engine never sees it
        try:
            batch = engine.apply_record(frame.record, arrival_ns=frame.arrival_ns)
        except RecordError as error:
            raise JournalError(str(error)) from error
        tally.seconds += time.perf_counter() - started  # clock-ok: as above
        tally.commands += batch.commands
        tally.events += batch.events
        output.write(batch.data, frame.read_names(), from_stream=frame.arrival_ns is not None)
        engine.forget_chain()


def pack_lines(lines: Iterable[bytes], file: BinaryIO, reader: CommandReader, product_id: str) -> None:
    """Turn JSON lines into a journal.

    Raises:   LineError, naming the line; the journal then holds the lines before it.
    """
    writer = JournalWriter(file, product_id)
    for commands, error in _read_lines(lines, reader):
        writer.add(commands, reader.take_names())
        if error is not None:
            raise error


def write_snapshot(path: Path, engine: Engine, names: dict[int, str]) -> None:
    """Save the engine's state and the live orders' names, which only the tool knows: the whole file or none.

    The chain is left out: it tells how a stream was cut into records, and the same state is the same file here.
    Raises:   OSError.
    """
    engine.forget_chain()
    state = engine.snapshot()
    named = json.dumps(sorted(names.items()), separators=(",", ":")).encode("ascii")
    header = _SNAPSHOT.pack(
        _SNAPSHOT_MAGIC, _SNAPSHOT_VERSION, 0, len(state), len(named), hashlib.sha256(state + named).digest()
    )
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(header + state + named)
    draft.replace(path)


def read_snapshot(path: Path) -> tuple[Engine, dict[int, str]]:
    """The engine and the names that `write_snapshot` saved.

    Raises:   OSError, SnapshotError.
    """
    data = path.read_bytes()
    if len(data) < _SNAPSHOT.size or not data.startswith(_SNAPSHOT_MAGIC):
        raise SnapshotError("the file is not a snapshot of the replay tool")
    _, version, reserved, state_length, names_length, digest = _SNAPSHOT.unpack_from(data)
    if reserved:
        raise SnapshotError("the file is not a snapshot of the replay tool")
    if version != _SNAPSHOT_VERSION:
        raise SnapshotError(f"version {version} of the snapshot's format is unknown here")
    contents = data[_SNAPSHOT.size :]
    if len(contents) != state_length + names_length or hashlib.sha256(contents).digest() != digest:
        raise SnapshotError("the snapshot is damaged or cut short")
    return Engine.restore(contents[:state_length]), dict(json.loads(contents[state_length:]))


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line asks for."""

    product: Path
    commands: Path | None = None
    journals: tuple[Path, ...] = ()
    snapshot_out: Path | None = None
    resume: Path | None = None
    hash_only: bool = False


def replay(options: ReplayOptions, stdin: BinaryIO, stdout: BinaryIO) -> Tally | None:
    """Run the tool; return what a journal run did.

    Raises:   ReplayError.
    """
    product = load_product(options.product)
    engine, names = _start(product, options.resume)
    digest = hashlib.sha256() if options.hash_only else None
    output = Output(EventPrinter(engine.product, names), stdout, digest, keeps_names=options.snapshot_out is not None)
    tally = None
    try:
        if options.journals:
            tally = Tally()
            for path in options.journals:
                _replay_file(engine, path, output, tally)
        else:
            with _opened(options.commands, stdin) as lines:
                replay_lines(engine, lines, output, CommandReader(engine.product))
    except EngineError as error:
        raise ReplayError(str(error)) from error
    finally:
        stdout.flush()
    output.close()
    if options.snapshot_out is not None:
        try:
            write_snapshot(options.snapshot_out, engine, names)
        except OSError as error:
            raise ReplayError(f"{options.snapshot_out}: {error.strerror}") from error
    return tally


def pack(product_path: Path, commands: Path | None, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Run `pack`.

    Raises:   ReplayError.
    """
    product = load_product(product_path)
    try:
        with _opened(commands, stdin) as lines:
            pack_lines(lines, stdout, CommandReader(product), product.product_id)
    finally:
        stdout.flush()


def _start(product: ProductSpec, resume: Path | None) -> tuple[Engine, dict[int, str]]:
    if resume is None:
        return Engine(product), {}
    try:
        engine, names = read_snapshot(resume)
    except OSError as error:
        raise ReplayError(f"{resume}: {error.strerror}") from error
    except SnapshotError as error:
        raise ReplayError(f"{resume}: {error}") from error
    saved = engine.product
    if (saved.product_id, saved.base_increment, saved.quote_increment) != (
        product.product_id,
        product.base_increment,
        product.quote_increment,
    ):
        raise ReplayError(f"{resume}: the snapshot is of another product than PRODUCT.json")
    return engine, names


def _replay_file(engine: Engine, path: Path, output: Output, tally: Tally) -> None:
    try:
        with path.open("rb") as file:
            replay_journal(engine, read_journal(file), output, tally)
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    except JournalError as error:
        raise ReplayError(f"{path}: {error}") from error


@contextmanager
def _opened(path: Path | None, stdin: BinaryIO) -> Iterator[BinaryIO]:
    if path is None:
        yield stdin
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    with file:
        yield file
