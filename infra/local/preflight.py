"""What must hold before anything starts; each failure is one sentence with its remedy."""

import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.local.processes import holder
from infra.local.settings import HOST, LaptopSettings

PYTHON_MIN, PYTHON_MAX = (3, 11), (3, 13)
DISK_BYTES_MIN = 500 * 1024 * 1024


def problems(settings: LaptopSettings) -> Iterator[str]:
    """Everything that stands in the way."""
    yield from python_problem(sys.version_info[:2])
    yield from node_problem(shutil.which("node"))
    settings.home.mkdir(parents=True, exist_ok=True)
    yield from disk_problem(settings.home, free_bytes=shutil.disk_usage(settings.home).free)
    yield from same_port_problem(settings.ports)
    for variable, port in settings.ports.items():
        ours = variable != "EXCHANGE_CLOUD_PORT" or not settings.localstack_url
        if ours and not is_free(port):
            yield f"Port {port} is held by {holder(port)}: end it, or choose another with {variable}={port + 1000}."


def python_problem(version: tuple[int, ...]) -> Iterator[str]:
    """A Python that is too old or too new."""
    if not PYTHON_MIN <= version <= PYTHON_MAX:
        found = ".".join(map(str, version))
        yield f"This is Python {found}, but 3.11 to 3.13 are supported: run `rm -rf .venv && make setup`, it gets one."


def node_problem(path: str | None) -> Iterator[str]:
    """No Node."""
    if path is None:
        yield "Node.js is missing, and the web pages are checked with it: install Node 20 or newer from nodejs.org."


def same_port_problem(ports: Mapping[str, int]) -> Iterator[str]:
    """Two of ours on one port."""
    by_port: dict[int, list[str]] = {}
    for variable, port in ports.items():
        by_port.setdefault(port, []).append(variable)
    for port, variables in by_port.items():
        if len(variables) > 1:
            yield f"{' and '.join(variables)} are both {port}: give each a port of its own."


def disk_problem(home: Path, *, free_bytes: int) -> Iterator[str]:
    """Where too little is free."""
    if free_bytes < DISK_BYTES_MIN:
        yield (
            f"Only {free_bytes // 2**20} MB are free under {home}: make room for 500 MB, "
            "or set EXCHANGE_HOME to a folder elsewhere."
        )


def is_free(port: int) -> bool:
    """Whether a port can be bound here."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
