"""One clear sentence, with its remedy, for each thing that stands in the way."""

import os
import socket
from pathlib import Path

import pytest

from infra.local import preflight
from infra.local.settings import HOST, LaptopSettings
from tests.fakes.ports import free_ports


def test_a_busy_port_names_its_holder_and_the_variable_to_set(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        cloud, matcher, chain = free_ports(3)
        settings = LaptopSettings(home=tmp_path, port=port, cloud_port=cloud, matcher_port=matcher, chain_port=chain)
        found = [problem for problem in preflight.problems(settings) if str(port) in problem]
    assert len(found) == 1
    assert f"process {os.getpid()}" in found[0]
    assert f"EXCHANGE_PORT={port + 1000}" in found[0]


def test_with_localstack_the_clouds_port_is_not_ours_to_want(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        edge, matcher, chain = free_ports(3)
        settings = LaptopSettings(tmp_path, edge, port, matcher, chain, f"http://{HOST}:{port}")
        assert not [problem for problem in preflight.problems(settings) if "Port" in problem]


@pytest.mark.parametrize(("version", "fine"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_pythons_that_are_not_supported_are_named(version: tuple[int, int], fine: bool) -> None:
    found = list(preflight.python_problem(version))
    assert (found == []) is fine
    assert fine or "make setup" in found[0]


def test_a_missing_node_says_where_to_get_it() -> None:
    assert "nodejs.org" in next(preflight.node_problem(None))
    assert not list(preflight.node_problem("/usr/bin/node"))


def test_a_full_disk_says_how_much_and_where_else(tmp_path: Path) -> None:
    assert "EXCHANGE_HOME" in next(preflight.disk_problem(tmp_path, free_bytes=10 * 2**20))
    assert not list(preflight.disk_problem(tmp_path, free_bytes=2**40))
