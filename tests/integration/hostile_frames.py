"""Hostile frames for the WebSocket: each wrong in one thing, each with the codes that may answer it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.hostile import BODIES

INVALID, LIMIT = "FEED_FRAME_INVALID", "FEED_LIMIT"
CHANNEL, PRODUCT = "FEED_CHANNEL_UNKNOWN", "PRODUCT_NOT_FOUND"
MISSING, WRONG, EXPIRED = "AUTH_MISSING", "AUTH_INVALID", "AUTH_EXPIRED"
KB = 1024
NAMES: tuple[Any, ...] = (
    "", " ", "rumours", "TICKER", "ticker ", " ticker", "ticker\u0000", "watch", "candles_60", "@pulse", "@account:1",
    "ticker,full", "tick\u200ber", "\U0001f4b0", "\ud83d", "x" * 5000, "__proto__", "constructor", "*", "%", "null",
    "ticker'--", "${7*7}", None, 1, 1.5, True, [], {}, ["ticker"], [[]], {"name": None}, {"name": ["ticker"]},
    {"name": {"name": "ticker"}}, {"channel": "ticker"},
)  # fmt: skip
PRODUCTS: tuple[Any, ...] = (
    "NO-PE", "btc-usd", "BTC-USD ", "BTC", "BTC--USD", "*", "@pulse", "@account:1", "BTC-USD\u0000", "\ud83d",
    "\u0411\u0422\u0421-USD", "x" * 5000, "1;DROP TABLE", "../BTC-USD", "\U0001f4b0", "BTC-USD,ACME-USD", "null",
)  # fmt: skip
NOT_PRODUCTS: tuple[Any, ...] = (
    "BTC-USD",
    "",
    1,
    None,
    True,
    {},
    [""],
    [1],
    [None],
    [[]],
    [{}],
    [True],
    {"0": "BTC-USD"},
)
NOT_CHANNELS: tuple[Any, ...] = ("ticker", "", 1, None, True, {}, {"name": "ticker"}, {"0": "ticker"})
KINDS: tuple[Any, ...] = (
    None, 1, True, [], {}, "", "Subscribe", "subscribe ", "ping", "order", "unsub", ["subscribe"], "\ud83d",
)  # fmt: skip
STEPS: tuple[Any, ...] = (59, "60s", None, True, [], {}, -60, 0, 1e3, "", "9" * 40)
NOT_CREDENTIALS: tuple[Any, ...] = (1, 1.5, None, True, [], {}, ["x"])
GARBLED = ("", " ", "x", "\u0000", "***", "\ud83d", "\U0001f4b0", "a" * 5000, "' OR 1=1", "null", "-1", "NaN", "9" * 30)


@dataclass(frozen=True)
class Frame:
    """What is sent, and the codes of the error that must come back."""

    data: str | bytes
    codes: frozenset[str]

    def __str__(self) -> str:
        """What it tries."""
        return f"{self.data[:160]!r} ({len(self.data)})"


def subscribe(**fields: Any) -> str:
    """A subscription to a product's ticker, with these fields changed; a lone surrogate stays an escape."""
    return json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["ticker"], **fields})


def signed(user: Mapping[str, str], *, seconds: float = 0.0, text: str = "GET/users/self/verify", **own: str) -> str:
    """A signed subscription to private channels; `own` replaces fields after signing."""
    timestamp = f"{time.time() + seconds:.3f}"
    digest = hmac.digest(base64.b64decode(user["secret"]), f"{timestamp}{text}".encode(), hashlib.sha256)
    fields = {
        "key": user["api_key"],
        "passphrase": user["passphrase"],
        "timestamp": timestamp,
        "signature": base64.b64encode(digest).decode(),
        **own,
    }
    return subscribe(channels=["user"], **fields)


def malformed() -> Iterator[Frame]:
    """No JSON, no object, too deep, too large, not text."""
    for body in BODIES:
        yield Frame(body.decode("utf-8", "replace") or " ", frozenset({INVALID}))
    deep = '{"type":' * 2000 + "1" + "}" * 2000
    for text in (deep, "[" * 20_000, '"' + "a" * 30_000 + '"', "1e999999", "-", "\ufeff{}", "'", "//", "\u2028", "{}x"):
        yield Frame(text, frozenset({INVALID}))
    for kilobytes in (33, 64, 120):
        yield Frame(subscribe(key="x" * kilobytes * KB), frozenset({LIMIT}))
    for data in (b"\x00", b"\xff\xfe\xfd", b"\x80" * 1000, b"{}", subscribe().encode()[:-1], b"\xc3\x28"):
        yield Frame(data, frozenset({INVALID}))


def shapes() -> Iterator[Frame]:
    """Wrong types, unknown fields, channels and products, things that do not go together."""
    for kind in KINDS:
        yield Frame(subscribe(type=kind), frozenset({INVALID}))
    for name in NAMES:
        yield Frame(subscribe(channels=[name]), frozenset({INVALID, CHANNEL}))
    for product in PRODUCTS:
        yield Frame(subscribe(product_ids=[product]), frozenset({PRODUCT}))
        yield Frame(subscribe(channels=[{"name": "full", "product_ids": [product]}]), frozenset({PRODUCT}))
    for value in NOT_PRODUCTS:
        # Numbers are read as they are written.
        yield Frame(subscribe(product_ids=value), frozenset({INVALID, PRODUCT}))
    for value in NOT_CHANNELS:
        yield Frame(subscribe(channels=value), frozenset({INVALID}))
    for unknown in ("op", "id", "user_id", "account_id", "__class__", "\u00e9", "", "request", "Type"):
        yield Frame(subscribe(**{unknown: "1"}), frozenset({INVALID}))
    for granularity in STEPS:
        yield Frame(subscribe(channels=[{"name": "candles", "granularity": granularity}]), frozenset({INVALID}))
    yield Frame(subscribe(channels=[{"name": "ticker", "granularity": 60}]), frozenset({INVALID}))
    yield Frame(subscribe(channels=[{"name": "status", "product_ids": ["BTC-USD"]}]), frozenset({INVALID}))
    yield Frame(subscribe(channels=[{"name": "balance", "product_ids": ["BTC-USD"]}]), frozenset({INVALID}))
    yield Frame(subscribe(channels=[], product_ids=[]), frozenset({INVALID}))
    yield Frame('{"type":"subscribe"}', frozenset({INVALID}))
    yield Frame('{"type":"unsubscribe"}', frozenset({INVALID}))
    many = [{"name": "candles", "granularity": step} for step in (60, 300, 900, 3600, 21600, 86400)]
    channels = ["auctionfeed", "full", "heartbeat", "level2", "matches", "ticker", "ticker_batch", *many]
    yield Frame(subscribe(channels=channels, product_ids=[f"NO-{n}" for n in range(200)]), frozenset({PRODUCT, LIMIT}))


def credentials(user: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Frame]:
    """Forged, expired, somebody else's, of something else, half of it."""
    for channel in ("user", "balance"):
        yield Frame(subscribe(channels=[channel]), frozenset({MISSING}))
    for seconds in (-3600, -300, -45, 45, 300, 3600, 10**9, -(10**9)):
        yield Frame(signed(user, seconds=seconds), frozenset({EXPIRED}))
    stolen = {name: other[name] for name in ("secret", "passphrase")}
    texts = (
        "GET/orders",
        "POST/users/self/verify",
        "GET/users/self/verify?",
        "GET/users/self",
        "",
        "GET/ws",
        "get/users/self/verify",
    )
    for text in texts:
        yield Frame(signed(user, text=text), frozenset({WRONG}))
    yield Frame(signed({**user, **stolen}), frozenset({WRONG}))
    yield Frame(signed(user, key=other["api_key"]), frozenset({WRONG}))
    yield Frame(signed({**user, "secret": other["secret"]}), frozenset({WRONG}))
    yield Frame(signed(user, passphrase=other["passphrase"]), frozenset({WRONG}))
    yield Frame(signed(user, key="f" * 32), frozenset({WRONG}))
    for name in ("key", "passphrase", "timestamp", "signature"):
        for text in GARBLED:
            forged = {**json.loads(signed(user)), name: text}
            yield Frame(json.dumps(forged), frozenset({WRONG, MISSING, EXPIRED}))
        for value in NOT_CREDENTIALS:
            fields = {**json.loads(signed(user)), name: value}
            # A timestamp may be a number: what it says is signed as it is written.
            yield Frame(json.dumps(fields), frozenset({INVALID, WRONG, EXPIRED, MISSING}))
        half = json.loads(signed(user))
        del half[name]
        yield Frame(json.dumps(half), frozenset({MISSING}))
    for token in (*GARBLED, "a.b.c", "..", f"{_part({'alg': 'none'})}.{_part({'sub': 'x', 'token_use': 'access'})}."):
        yield Frame(subscribe(channels=["user"], jwt=token), frozenset({WRONG, MISSING}))
    both = {**json.loads(signed(user)), "jwt": "a.b.c"}
    yield Frame(json.dumps(both), frozenset({INVALID}))


def _part(claims: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
