"""Signatures of requests, exactly as clients of the trading API make them.

CB-ACCESS-SIGN = base64(HMAC-SHA256(secret, timestamp + METHOD + path with query + body)), or base64 of the Ed25519
signature of the same text, for keys of which we have only the public half.
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
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exchange.kernel.errors import Code, Refused
from exchange.users.model import is_key_id

# The name of the REST API's stage. Clients that were given the stage's own URL sign it as a part of the path.
STAGE = "live"
RAW_QUERY_HEADER = "x-raw-query"
RAW_PATH_HEADER = "x-raw-path"
GUESSED_PARAMETERS_MAX = 5
# An Ed25519 check costs about as much as thirty HMACs, so fewer spellings are tried.
ED25519_SPELLINGS_MAX = 64
_TIMESTAMP = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,18}))?", re.ASCII)
PASSPHRASE_HEADER = "cb-access-passphrase"  # noqa: S105 - a header, not a password
_ALWAYS = ("cb-access-key", "cb-access-sign", "cb-access-timestamp")
_NAMES = (*_ALWAYS, PASSPHRASE_HEADER)


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
    """The headers of a signed request, read but not yet believed."""

    key_id: str
    timestamp: str  # as sent, since that text is what was signed
    timestamp_ns: int
    digest: bytes
    passphrase: str  # empty where none was sent: Ed25519 keys have none


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request means to be signed, however badly."""
    return any(name in headers for name in _NAMES)


def read_signature(headers: Mapping[str, str]) -> Signature | Refused:
    """Read the headers.

    Refuses:  AUTH_MISSING, AUTH_INVALID (in this order).
    """
    missing = [name for name in _ALWAYS if not headers.get(name)]
    if missing:
        return header_missing(missing[0])
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
        passphrase=headers.get(PASSPHRASE_HEADER, ""),
    )


def header_missing(name: str) -> Refused:
    """What to say of a header that a signed request must have."""
    return Refused(Code.AUTH_MISSING, f"send the header {name.upper()} too; a signed request has {len(_NAMES)}")


def ed25519_matches(signature: Signature, public_key: bytes, request: SignedRequest) -> bool:
    """Whether the holder of a public key's other half signed this very request."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    start = f"{signature.timestamp}{request.method.upper()}".encode()
    for path in itertools.islice(_signed_paths(request), ED25519_SPELLINGS_MAX):
        try:
            key.verify(signature.digest, start + path.encode("utf-8", "replace") + request.body)
        except InvalidSignature:
            continue
        return True
    return False


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
    """Every text that a client may have signed for this request: with the stage or without, the path in its usual
    encodings, and, where the edge has not carried the raw query, its parameters in any order and encoding."""
    shown, _, query = request.path_with_query.partition("?")
    for path in _path_spellings(shown, request.headers.get(RAW_PATH_HEADER, "")):
        for spelling in _query_spellings(path, query, raw=RAW_QUERY_HEADER in request.headers):
            yield spelling
            yield f"/{STAGE}{spelling}"


def _path_spellings(shown: str, raw: str) -> list[str]:
    """API Gateway shows a path decoded. The edge carries it as it was sent; anybody can write that header, so it counts
    only where it names the same resource."""
    same = unquote(raw).rstrip("/") == unquote(shown).rstrip("/")
    spellings = [raw] if raw and same else []
    return list(dict.fromkeys([*spellings, shown, quote(shown, safe="/:"), quote(shown, safe="/")]))


def _query_spellings(path: str, query: str, *, raw: bool) -> Iterator[str]:
    yield f"{path}?{query}" if query else path
    if not query or raw:
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
