"""The session's laptop cloud, and customers of these tests alone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.flavours import Clients
from tests.integration.conftest import RunningLaptop, eventually, laptop, newcomer

__all__ = ["eventually", "laptop", "newcomer"]


@pytest.fixture(scope="session")
def urls(laptop: RunningLaptop) -> dict[str, str]:
    """All that is overridden of ccxt."""
    rest = laptop.stack["rest_url"]
    return {"public": rest, "private": rest, "ws": laptop.stack["websocket_url"]}


@pytest.fixture(scope="session")
def client_of(urls: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Stock ccxt with nothing overridden but its URLs: `sync`, `async` or `pro`."""
    pytest.importorskip("ccxt")
    clients = Clients(urls)

    def connect(user: dict[str, str] | None = None, flavour: str = "sync", **changes: Any) -> Any:
        return clients.connect(user, flavour, **changes)

    yield connect
    clients.close()
