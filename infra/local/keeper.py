"""Keeps one process running, as ECS keeps a task: `python -m infra.local.keeper`, told by KEPT_PROCESS what to keep.

What ends is started again after a pause, longer where it lives but briefly. SIGTERM ends the process, then the keeper.
The command is no argument, or whoever ends the process by its command line would end its keeper with it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from infra.local import processes
from infra.local.processes import END_SECONDS_MAX, ProcessRecord, ProcessRecords

KEPT_PROCESS = "KEPT_PROCESS"
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 1.0, 10.0
HEALTHY_SECONDS_MIN = 10.0


class Keeper:
    """One process, its record, and whether it is wanted any more."""

    def __init__(self, name: str, command: Sequence[str], home: Path, records: ProcessRecords) -> None:
        self._name = name
        self._command = command
        self._log = home / "logs" / f"{name}.log"
        self._records = records
        self._ended = threading.Event()

    def stop(self, *_: object) -> None:
        """It is not wanted any more."""
        self._ended.set()

    def run(self) -> None:
        """Start it, and start it again, until stopped."""
        pause = PAUSE_SECONDS_MIN
        while not self._ended.is_set():
            started = time.monotonic()
            record = processes.start(self._name, self._command, {}, self._log)
            self._records.replace(record)
            self._watch(record)
            lived = time.monotonic() - started
            pause = PAUSE_SECONDS_MIN if lived > HEALTHY_SECONDS_MIN else min(2 * pause, PAUSE_SECONDS_MAX)
            self._ended.wait(pause)

    def _watch(self, record: ProcessRecord) -> None:
        """Return when it has ended, by itself or because it is not wanted."""
        process = record.process()
        while process is not None and not self._ended.is_set():
            try:
                process.wait(0.2)
            except psutil.TimeoutExpired:
                continue
            return
        if process is not None:
            process.terminate()
            _, living = psutil.wait_procs([process], timeout=END_SECONDS_MAX)
            for one in living:
                one.kill()


def variables(name: str, command: Sequence[str], home: Path) -> dict[str, str]:
    """The environment that tells a keeper what to keep."""
    return {KEPT_PROCESS: json.dumps({"name": name, "command": list(command), "home": str(home)})}


def main() -> None:
    """Keep the process until SIGTERM."""
    kept = json.loads(os.environ.pop(KEPT_PROCESS))
    home = Path(kept["home"])
    keeper = Keeper(kept["name"], kept["command"], home, ProcessRecords(home / "processes.json"))
    signal.signal(signal.SIGTERM, keeper.stop)
    signal.signal(signal.SIGINT, keeper.stop)
    keeper.run()
    sys.exit(0)


if __name__ == "__main__":
    main()
