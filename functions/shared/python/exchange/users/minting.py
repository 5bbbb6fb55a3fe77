"""What of a new API key is chance."""

import base64
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

SECRET_BYTES = 64
PASSPHRASE_BYTES = 12


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A name nobody else has, a secret nobody can guess, and a passphrase."""

    key_id: str
    secret: bytes
    passphrase: str

    def json(self) -> dict[str, Any]:
        """What the customer is shown, once."""
        return {"secret": base64.b64encode(self.secret).decode(), "passphrase": self.passphrase}


def mint(passphrase: str | None = None, *, key_id: str | None = None) -> KeyMaterial:
    """Fresh material; the passphrase is the customer's own where they gave one, the name that of a key to rotate."""
    return KeyMaterial(
        key_id=key_id or uuid.uuid4().hex,
        secret=secrets.token_bytes(SECRET_BYTES),
        passphrase=passphrase or secrets.token_urlsafe(PASSPHRASE_BYTES),
    )
