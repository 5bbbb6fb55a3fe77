"""One way to speak to ccxt's three kinds of client, so that each test speaks to all of them."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

FLAVOURS = ("sync", "async", "pro")


class Awaited:
    """An asynchronous client whose calls answer at once: each runs in the loop that all of them share."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        return self._answering(found) if callable(found) else found

    def _answering(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            return self._runner.run(answer) if inspect.iscoroutine(answer) else answer

        return call


class Clients:
    """Makes clients of every kind, and closes them."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls
        self._runner = asyncio.Runner()
        self._made: list[Awaited] = []

    def connect(self, user: dict[str, str] | None, flavour: str, **changes: Any) -> Any:
        """Stock ccxt of this kind with nothing overridden but its URLs."""
        import ccxt
        import ccxt.async_support
        import ccxt.pro

        kinds = {"sync": ccxt, "async": ccxt.async_support, "pro": ccxt.pro}
        credentials = (
            {"apiKey": user["api_key"], "secret": user["secret"], "password": user["passphrase"]} if user else {}
        )
        client = kinds[flavour].coinbaseexchange({**credentials, **changes, "urls": {"api": self._urls}})
        if flavour == "sync":
            return client
        self._made.append(Awaited(client, self._runner))
        return self._made[-1]

    def close(self) -> None:
        """End every connection."""
        for awaited in self._made:
            awaited.close()
        self._runner.close()
