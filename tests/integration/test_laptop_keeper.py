"""What ECS does for the matcher, on the laptop."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local import keeper, processes
from infra.local.processes import ProcessRecord, ProcessRecords
from infra.local.settings import ROOT


def _keep(home: Path) -> ProcessRecord:
    waiting = [sys.executable, "-c", "import time; time.sleep(60)"]
    told = {"PYTHONPATH": str(ROOT), **keeper.variables("one", waiting, home)}
    return processes.start(
        "one-keeper", [sys.executable, "-m", "infra.local.keeper"], told, home / "logs" / "keeper.log"
    )


def test_what_is_killed_is_started_again_and_ends_with_its_keeper(
    tmp_path: Path, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    records = ProcessRecords(tmp_path / "processes.json")
    keeping = _keep(tmp_path)

    def living(other_than: int) -> ProcessRecord | None:
        found = next((record for record in records.read() if record.name == "one"), None)
        return found if found and found.pid != other_than and found.process() else None

    first = eventually(lambda: living(0))
    os.kill(first.pid, signal.SIGKILL)
    second = eventually(lambda: living(first.pid))
    assert processes.end([keeping]) == ["one-keeper"]
    assert keeping.process() is None
    assert second.process() is None
