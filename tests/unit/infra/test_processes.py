"""`down` ends what `up` started, and nothing else."""

import dataclasses
import sys
from pathlib import Path

import psutil

from infra.local import processes
from infra.local.processes import ProcessRecord, ProcessRecords

# Says that it is up, then waits; its child waits too.
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def _start(folder: Path, code: str = "import time; time.sleep(60)") -> ProcessRecord:
    return processes.start("one", [sys.executable, "-c", code], {}, folder / "one.log")


def test_ending_takes_the_children_along(tmp_path: Path) -> None:
    record = _start(tmp_path, PARENT)
    log = tmp_path / "one.log"
    while not log.read_text():
        assert record.process() is not None
    child = int(log.read_text())
    assert processes.end([record]) == ["one"]
    assert record.process() is None
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_has_our_old_id_is_left_alone(tmp_path: Path) -> None:
    record = _start(tmp_path)
    other = dataclasses.replace(record, started=record.started - 60)
    assert processes.end([other]) == []
    assert record.process() is not None
    processes.end([record])


def test_records_survive_in_their_order_and_a_damaged_file_is_no_record(tmp_path: Path) -> None:
    records = ProcessRecords(tmp_path / "processes.json")
    first, second = ProcessRecord("a", 1, 1.0, "a.log"), ProcessRecord("b", 2, 2.0, "b.log")
    records.replace(first)
    records.replace(second)
    assert records.read() == [first, second]
    again = dataclasses.replace(first, pid=3)
    records.replace(again)
    assert records.read() == [again, second]
    records.forget("a")
    assert records.read() == [second]
    (tmp_path / "processes.json").write_text("{", encoding="utf-8")
    assert records.read() == []
