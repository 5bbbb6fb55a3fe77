"""The processes that `exchange up` starts, remembered with their start times so that `down` ends only those."""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.local.settings import ROOT

END_SECONDS_MAX = 10
KEEPER = "-keeper"
# A process id is used again; its start time, told in hundredths, is not.
_START_TOLERANCE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process: its name, who it is, where it writes."""

    name: str
    pid: int
    started: float
    log: str

    def process(self) -> psutil.Process | None:
        """The living process, None when it is gone or its id belongs to another."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class ProcessRecords:
    """The file of records, `.local/processes.json`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[ProcessRecord]:
        """Every record, in the order of their starts."""
        try:
            return [ProcessRecord(**entry) for entry in json.loads(self._path.read_text(encoding="utf-8"))]
        except (FileNotFoundError, ValueError, TypeError):
            return []

    def replace(self, record: ProcessRecord) -> None:
        """Add a record, in the place of the one of the same name."""
        with self._alone():
            before = self.read()
            if any(entry.name == record.name for entry in before):
                self._write(record if entry.name == record.name else entry for entry in before)
            else:
                self._write([*before, record])

    def forget(self, name: str) -> None:
        """Remove a record."""
        with self._alone():
            self._write([record for record in self.read() if record.name != name])

    def clear(self) -> None:
        """Forget all of them."""
        for path in (self._path, self._path.with_suffix(".lock")):
            path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time: `up` and the keepers write here."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, records: Iterable[ProcessRecord]) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(record) for record in records], indent=2), encoding="utf-8")
        partial.replace(self._path)


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> ProcessRecord:
    """Start a process apart from this terminal, its output going to its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603 - our own modules, by their full names.
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    popen.returncode = 0  # It outlives us: nobody here waits for it, and Python need not warn of that.
    return ProcessRecord(name, popen.pid, psutil.Process(popen.pid).create_time(), str(log))


def end(records: Sequence[ProcessRecord]) -> list[str]:
    """End the recorded processes and their children. Returns the names of those that lived."""
    living = [(record.name, process) for record in records if (process := record.process()) is not None]
    families = [member for _, process in living for member in _family(process)]
    # Keepers first, or they would start again what ends; the cloud last, for the others end in peace only with it.
    keepers = [process for name, process in living if name.endswith(KEEPER)]
    first = [process for name, process in living if name == records[0].name]
    others = [process for _, process in living if process not in (*keepers, *first)]
    for group in (keepers, others, first):
        for process in group:
            _signal(process.terminate)
        psutil.wait_procs(group, timeout=END_SECONDS_MAX)
    _, left = psutil.wait_procs(families, timeout=1)
    for process in left:
        _signal(process.kill)
    psutil.wait_procs(left, timeout=2)
    return [name for name, _ in living]


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def holder(port: int) -> str:
    """Who listens on a port, as far as we may know."""
    for connection in _listening():
        if connection.laddr and connection.laddr.port == port and connection.pid:
            try:
                process = psutil.Process(connection.pid)
                return f"process {connection.pid} ({' '.join(process.cmdline())[:100] or process.name()})"
            except psutil.Error:
                return f"process {connection.pid}"
    return "another process"


def _listening() -> list[Any]:
    try:
        return [entry for entry in psutil.net_connections("inet") if entry.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return []
