"""The session's laptop cloud, and customers of these tests alone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop, eventually, laptop, newcomer

__all__ = ["eventually", "laptop", "newcomer"]


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
