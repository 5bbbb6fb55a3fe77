"""Signatures of requests, exactly as clients of the trading API make them.

CB-ACCESS-SIGN = base64(HMAC-SHA256(secret, timestamp + METHOD + path with query + body))
"""

import base64
import binascii
import hashlib
import hmac
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, quote, quote_plus

from exchange.kernel.errors import Code, Refused
from exchange.users.model import is_key_id

# The name of the REST API's stage. Clients that were given the stage's own URL sign it as a part of the path.
STAGE = "live"
RAW_QUERY_HEADER = "x-raw-query"
GUESSED_PARAMETERS_MAX = 5
_TIMESTAMP = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,18}))?", re.ASCII)
_NAMES = ("cb-access-key", "cb-access-sign", "cb-access-timestamp", "cb-access-passphrase")


class SignedRequest(Protocol):
    """What of a request a credential covers. Header names are in lower case."""

    @property
    def method(self) -> str: ...
    @property
    def path_with_query(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def source_address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Signature:
    """The four headers of a signed request, read but not yet believed."""

    key_id: str
    timestamp: str  # as sent, since that text is what was signed
    timestamp_ns: int
    digest: bytes
    passphrase: str


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request means to be signed, however badly."""
    return any(name in headers for name in _NAMES)


def read_signature(headers: Mapping[str, str]) -> Signature | Refused:
    """Read the four headers.

    Refuses:  AUTH_MISSING, AUTH_INVALID (in this order).
    """
    missing = [name.upper() for name in _NAMES if not headers.get(name)]
    if missing:
        return Refused(Code.AUTH_MISSING, f"send the header {missing[0]} too; a signed request has {len(_NAMES)}")
    moment = _TIMESTAMP.fullmatch(headers["cb-access-timestamp"])
    if moment is None:
        return Refused(Code.AUTH_INVALID, "invalid timestamp: CB-ACCESS-TIMESTAMP counts seconds since 1970")
    if not is_key_id(headers["cb-access-key"]):
        return Refused(Code.AUTH_INVALID, "Invalid API Key")
    try:
        digest = base64.b64decode(headers["cb-access-sign"], validate=True)
    except (binascii.Error, ValueError):
        return Refused(Code.AUTH_INVALID, "invalid signature: CB-ACCESS-SIGN is base64")
    seconds, fraction = moment.groups()
    return Signature(
        key_id=headers["cb-access-key"],
        timestamp=headers["cb-access-timestamp"],
        timestamp_ns=int(seconds) * 1_000_000_000 + int((fraction or "")[:9].ljust(9, "0")),
        digest=digest,
        passphrase=headers["cb-access-passphrase"],
    )


def signature_matches(signature: Signature, secret: bytes, request: SignedRequest) -> bool:
    """Whether the secret's holder signed this very request."""
    start = hmac.new(secret, f"{signature.timestamp}{request.method.upper()}".encode(), hashlib.sha256)
    for path in _signed_paths(request):
        mac = start.copy()
        mac.update(path.encode("utf-8", "replace"))
        mac.update(request.body)
        if hmac.compare_digest(mac.digest(), signature.digest):
            return True
    return False


def _signed_paths(request: SignedRequest) -> Iterator[str]:
    """Every text that a client may have signed for this path: with the stage or without, and, where the edge has not
    carried the raw query, its parameters in any order and any usual encoding."""
    for path in _query_spellings(request):
        yield path
        yield f"/{STAGE}{path}"


def _query_spellings(request: SignedRequest) -> Iterator[str]:
    yield request.path_with_query
    path, _, query = request.path_with_query.partition("?")
    if not query or RAW_QUERY_HEADER in request.headers:
        return
    pairs = parse_qsl(query, keep_blank_values=True)
    if len(pairs) > GUESSED_PARAMETERS_MAX:
        return
    spellings = {
        "&".join(f"{spell(name, safe=safe)}={spell(value, safe=safe)}" for name, value in order)
        for order in itertools.permutations(pairs)
        for spell in (quote_plus, quote)
        for safe in ("", ":", ":/,")
    }
    for spelling in sorted(spellings):
        yield f"{path}?{spelling}"
