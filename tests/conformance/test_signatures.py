"""What an unmodified ccxt signs, our authenticator takes."""

import base64
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from exchange.users.authentication import Authenticator
from exchange.users.model import Principal, Scope

from tests.fakes.users import (
    KEY_ID,
    PASSPHRASE,
    SECRET,
    Call,
    FakeCustomers,
    FakeKeys,
    FakeSecrets,
    FakeTokens,
    FakeUses,
    StoppedClock,
)

ccxt = pytest.importorskip("ccxt")


@pytest.mark.parametrize(
    ("path", "method", "params"),
    [
        ("orders", "POST", {"product_id": "BTC-USD", "side": "buy", "type": "limit", "price": "1", "size": "1"}),
        ("orders", "GET", {"status": "all", "product_id": "BTC-USD"}),
        ("orders/{id}", "GET", {"id": "client:abc-1"}),
        ("orders/{id}", "DELETE", {"id": "0f0f0f0f-0000-0000-8000-000000000001", "product_id": "BTC/USD"}),
        ("fills", "GET", {"product_id": "BTC-USD", "start_date": "2026-01-31T12:00:00.000Z", "limit": 100}),
        ("accounts", "GET", {}),
        ("fees", "GET", {}),
    ],
)
def test_ccxt_is_let_in(path: str, method: str, params: dict[str, Any]) -> None:
    credentials = {"apiKey": KEY_ID, "secret": base64.b64encode(SECRET).decode(), "password": PASSPHRASE}
    exchange = ccxt.coinbaseexchange({**credentials, "urls": {"api": {"private": "http://localhost:8080"}}})
    request = exchange.sign(path, "private", method, params)
    url = urlsplit(request["url"])
    call = Call(
        method=method,
        path_with_query=f"{url.path}?{url.query}" if url.query else url.path,
        headers={name.lower(): str(value) for name, value in request["headers"].items()},
        body=(request["body"] or "").encode(),
    )
    clock = StoppedClock(time.time_ns())
    guard = Authenticator(FakeKeys(), FakeSecrets(), FakeTokens(), FakeCustomers(), clock, uses=FakeUses())
    assert isinstance(guard.authenticate(call, Scope.TRADE), Principal)
