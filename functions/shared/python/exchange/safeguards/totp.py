"""Codes of an authenticator: RFC 6238, six digits, half a minute, SHA-1, as every authenticator has it."""

import hmac
from typing import Protocol

STEP_SECONDS = 30
# A clock may be half a minute off, either way.
_NEAR = (0, -1, 1)
_PURPOSE = "withdrawal-totp"


class Secrets(Protocol):
    """What seals and opens secrets."""

    def seal(self, secret: bytes, *, key_id: str, user_id: str) -> bytes:
        """Seal a secret for a purpose of a customer."""
        ...

    def open(self, sealed: bytes, *, key_id: str, user_id: str) -> bytes:
        """The secret. Raises UnavailableError."""
        ...


class TotpCodes:
    """Makes sealed secrets and tells their codes from others."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def new(self, user_id: str, email: str) -> tuple[bytes, dict[str, str]]:
        """A sealed secret, and what its owner puts into an authenticator. Raises UnavailableError."""
        import pyotp

        secret = pyotp.random_base32()
        uri = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Exchange withdrawals")
        sealed = self._secrets.seal(secret.encode(), key_id=_PURPOSE, user_id=user_id)
        return sealed, {"secret": secret, "uri": uri}

    def step(self, user_id: str, sealed: bytes, code: str, now_ns: int) -> int:
        """The half-minute since 1970 whose code this is; 0 where it is none of those around now.

        Raises:   UnavailableError.
        """
        import pyotp

        if len(code) != 6 or not (code.isascii() and code.isdigit()):
            return 0
        totp = pyotp.TOTP(self._secrets.open(sealed, key_id=_PURPOSE, user_id=user_id).decode())
        now = now_ns // 1_000_000_000 // STEP_SECONDS
        matching = [now + off for off in _NEAR if hmac.compare_digest(totp.at((now + off) * STEP_SECONDS), code)]
        return max(matching, default=0)
