"""An exchange started by the command that newcomers use, on free ports, in a folder of its own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest

from infra.local.laptop import read_stack
from infra.local.processes import ProcessRecord, ProcessRecords
from infra.local.settings import HOST, ROOT, LaptopSettings
from tests.fakes.ports import free_ports

ANSWER_SECONDS_MAX = 400


@dataclass(frozen=True)
class CommandLine:
    """The `exchange` command, in its own environment."""

    variables: Mapping[str, str]
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output is kept."""
        return subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS_MAX,
            check=False,
        )

    def start(self, *arguments: str, output: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a command and go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "infra.cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def process(self, name: str) -> psutil.Process:
        """A process that `up` keeps, by its name."""
        record = next(entry for entry in self.records() if entry.name == name)
        process = record.process()
        assert process is not None, f"{name} is not running"
        return process

    def records(self) -> list[ProcessRecord]:
        """Every process that `up` keeps."""
        return ProcessRecords(self.home / "processes.json").read()


def figure(output: str, name: str) -> int:
    """A number of the demo's report, by the words before it."""
    found = re.search(rf"^\s*{name}\s+([0-9,]+)", output, re.MULTILINE)
    assert found, f"no {name!r} in:\n{output}"
    return int(found.group(1).replace(",", ""))


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Up before the first test of a module, down after its last; nothing is left behind."""
    home = tmp_path_factory.mktemp("exchange")
    names = ("EXCHANGE_PORT", "EXCHANGE_CLOUD_PORT", "EXCHANGE_MATCHER_PORT", "EXCHANGE_CHAIN_PORT")
    ports = free_ports(len(names))
    variables = {"EXCHANGE_HOME": str(home), **{name: str(port) for name, port in zip(names, ports, strict=True)}}
    command = CommandLine(variables, home)
    up = command.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    processes = [record for record in command.records() if record.process()]
    yield command
    down = command.run("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert [record.name for record in processes if record.process()] == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex((HOST, port)) != 0, f"port {port} is still held"
    edge, cloud, matcher, chain = ports
    settings = LaptopSettings(home=home, port=edge, cloud_port=cloud, matcher_port=matcher, chain_port=chain)
    assert not read_stack(settings)
