"""How the bank signs what it sends: HMAC-SHA256 over the moment and the raw bytes, with the shared secret."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from exchange.kernel.errors import Code, Refused

TIMESTAMP_HEADER = "Bank-Timestamp"
SIGNATURE_HEADER = "Bank-Signature"
WINDOW_SECONDS_MAX = 300
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


def sign(secret: str, *, timestamp: str, body: bytes) -> str:
    """The signature of a notification, in hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed_headers(secret: str, *, now_seconds: int, body: bytes) -> dict[str, str]:
    """The headers that make a body a notification."""
    timestamp = str(now_seconds)
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: sign(secret, timestamp=timestamp, body=body)}


def verify(secret: str, *, headers: Mapping[str, str], body: bytes, now_seconds: int) -> Refused | None:
    """Whether the bank said exactly these bytes within the last five minutes; None where it did.

    Shape:    header names in lower case.
    Refuses:  AUTH_MISSING, AUTH_INVALID, AUTH_EXPIRED (in this order).
    """
    timestamp = headers.get(TIMESTAMP_HEADER.lower())
    signature = headers.get(SIGNATURE_HEADER.lower())
    if not timestamp or not signature:
        return Refused(Code.AUTH_MISSING, f"sign the notification: {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}")
    if not _SECONDS.fullmatch(timestamp) or not _HEX.fullmatch(signature):
        return Refused(Code.AUTH_INVALID, "the signature is not valid")
    if not hmac.compare_digest(sign(secret, timestamp=timestamp, body=body), signature):
        return Refused(Code.AUTH_INVALID, "the signature is not valid")
    if abs(now_seconds - int(timestamp)) > WINDOW_SECONDS_MAX:
        return Refused(Code.AUTH_EXPIRED, f"{TIMESTAMP_HEADER} must be within {WINDOW_SECONDS_MAX} seconds of now")
    return None
