"""The session's laptop cloud, and customers of these tests alone."""

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from exchange.usage.model import RateLimitTier

from infra.cli.seed import DemoCustomer, seed
from infra.local.laptop import Laptop
from tests.integration.conftest import RunningLaptop, eventually, laptop

__all__ = ["eventually", "laptop"]


@pytest.fixture(scope="session")
def newcomer(laptop: RunningLaptop) -> Callable[[str], dict[str, str]]:
    """Register and fund a customer whom no other test knows."""
    running = Laptop(laptop.settings, step=lambda _title: nullcontext(), seed=seed)
    running.outputs = laptop.stack["outputs"]

    def make(name: str) -> dict[str, str]:
        return DemoCustomer(running, f"{name}-{secrets.token_hex(4)}", RateLimitTier.MAKER).make()

    return make


@pytest.fixture(scope="session")
def client_of(laptop: RunningLaptop) -> Callable[..., Any]:
    """Stock ccxt with nothing overridden but its URLs."""
    ccxt = pytest.importorskip("ccxt")

    def connect(user: dict[str, str] | None = None, **changes: Any) -> Any:
        credentials = (
            {"apiKey": user["api_key"], "secret": user["secret"], "password": user["passphrase"]} if user else {}
        )
        rest, websocket = laptop.stack["rest_url"], laptop.stack["websocket_url"]
        urls = {"api": {"public": rest, "private": rest, "ws": websocket}}
        return ccxt.coinbaseexchange({**credentials, **changes, "urls": urls})

    return connect
