"""What an environment variable can change, and what it can't."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.settings import LaptopSettings


@contextmanager
def _variables(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_everything_can_stand_beside_another_one(tmp_path: Path) -> None:
    with _variables(EXCHANGE_HOME=str(tmp_path), EXCHANGE_PORT="9000", EXCHANGE_CLOUD_PORT="9001"):
        settings = LaptopSettings.load()
    assert settings.stack_path == tmp_path / "stack.json"
    assert settings.rest_url == "http://127.0.0.1:9000"
    assert settings.endpoint_url == "http://127.0.0.1:9001"


def test_what_runs_is_found_at_the_ports_it_was_started_with(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"ports": {"EXCHANGE_PORT": 9000, "HOME": 1}}', encoding="utf-8")
    with _variables(EXCHANGE_HOME=str(tmp_path), EXCHANGE_PORT="9009", EXCHANGE_CLOUD_PORT="9001"):
        settings = LaptopSettings.load()
    assert (settings.port, settings.cloud_port) == (9000, 9001)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", ""])
def test_no_port_is_one_sentence(text: str) -> None:
    with _variables(EXCHANGE_PORT=text), pytest.raises(ValueError, match=r"EXCHANGE_PORT=.* is no port"):
        LaptopSettings.load()


def test_localstack_wants_its_endpoint() -> None:
    with _variables(CLOUD="localstack", AWS_ENDPOINT_URL=""), pytest.raises(ValueError, match="AWS_ENDPOINT_URL"):
        LaptopSettings.load()
    with _variables(CLOUD="localstack", AWS_ENDPOINT_URL="http://localhost:4566"):
        assert LaptopSettings.load().endpoint_url == "http://localhost:4566"


def test_an_endpoint_alone_does_not_mean_localstack() -> None:
    with _variables(CLOUD="", AWS_ENDPOINT_URL="http://elsewhere:4566"):
        assert LaptopSettings.load().localstack_url == ""
