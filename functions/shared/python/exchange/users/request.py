"""What customers send about themselves and their keys, read strictly."""

import base64
import datetime as dt
import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from exchange.referrals.model import CODE_LENGTH, read_code
from exchange.rest import Body
from exchange.users.model import Scope
from exchange.users.service import KeyTerms, Login, Registration, RotationTerms

ADDRESSES_MAX = 20
PUBLIC_KEY_BYTES = 32
OVERLAP_HOURS_MAX = 168
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_YEAR_MAX = 2200


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("write an e-mail address, like ann@example.com")
    # One person, however they spell it; the user pool compares without regard to case as well.
    return text.lower()


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("use visible characters, without blanks around them")
    return text


def _header_text(text: str) -> str:
    # It travels in a header, so it must survive one.
    if not re.fullmatch(r"[!-~]{8,64}", text):
        raise ValueError("use 8 to 64 letters, digits and signs, without blanks")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("write an address or a network, like 203.0.113.7 or 203.0.113.0/24") from None


def _moment(text: str) -> str:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _EPOCH.year < moment.year < _YEAR_MAX:
        raise ValueError("write a moment with its zone, like 2030-12-31T23:59:59Z")
    return text


def _no_repeats(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("name each once")
    return values


def _scope(text: str) -> str:
    if text not in set(Scope):
        raise ValueError(f"choose from {', '.join(Scope)}")
    return text


def _code(text: str) -> str:
    code = read_code(text)
    if not code:
        raise ValueError(f"write a code of {CODE_LENGTH} letters and digits, or leave it out")
    return code


Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
# Cognito judges new passwords; here they only have to be of a size that it takes.
Password = Annotated[str, Field(min_length=1, max_length=256)]
ScopeName = Annotated[str, AfterValidator(_scope)]
Address = Annotated[str, Field(max_length=64), AfterValidator(_network)]

Addresses = Annotated[list[Address], Field(max_length=ADDRESSES_MAX), AfterValidator(_no_repeats)]


class RegisterBody(Body):
    """POST /v1/users."""

    email: Email
    password: Password
    name: Name
    referral_code: Annotated[str, Field(max_length=32), AfterValidator(_code)] | None = None

    def form(self) -> Registration:
        """The same as the use case asks for it."""
        return Registration(self.email, self.password, self.name, self.referral_code or "")


class ConfirmBody(Body):
    """POST /v1/users/confirm."""

    email: Email
    code: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,16}$")]


class ResendBody(Body):
    """POST /v1/users/resend."""

    email: Email


class LogInBody(Body):
    """POST /v1/sessions."""

    email: Email
    password: Password
    mfa_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None

    def login(self) -> Login:
        """The same as the use case asks for it."""
        return Login(self.email, self.password, self.mfa_code)


class RefreshBody(Body):
    """POST /v1/sessions/refresh."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=8192)]


class UpdateSelfBody(Body):
    """PATCH /v1/users/self: what a customer may change about themselves."""

    name: Name


class ProfileBody(Body):
    """POST /profiles and PUT /profiles/{id}."""

    name: Name


def _public_key(text: str) -> str:
    try:
        if len(base64.b64decode(text, validate=True)) == PUBLIC_KEY_BYTES:
            return text
    except ValueError:
        pass
    raise ValueError(f"write the {PUBLIC_KEY_BYTES} bytes of an Ed25519 public key as base64")


PublicKey = Annotated[str, Field(max_length=64), AfterValidator(_public_key)]


class RotateKeyBody(Body):
    """POST /v1/api-keys/{key_id}/rotations."""

    overlap_hours: Annotated[int, Field(ge=1, le=OVERLAP_HOURS_MAX)] = 24
    passphrase: Annotated[str, AfterValidator(_header_text)] | None = None
    public_key: PublicKey | None = None

    def terms(self) -> RotationTerms:
        """The same as the use case asks for it."""
        overlap_ns = self.overlap_hours * 3_600 * 1_000_000_000
        return RotationTerms(overlap_ns, base64.b64decode(self.public_key or ""))


class CreateKeyBody(Body):
    """POST /v1/api-keys."""

    name: Name
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=len(Scope)), AfterValidator(_no_repeats)]
    passphrase: Annotated[str, AfterValidator(_header_text)] | None = None
    expires_at: Annotated[str, Field(max_length=40), AfterValidator(_moment)] | None = None
    allowed_addresses: Annotated[list[Address], Field(max_length=ADDRESSES_MAX), AfterValidator(_no_repeats)] | None = (
        None
    )
    public_key: PublicKey | None = None

    profile_id: Annotated[str, Field(min_length=1, max_length=36)] | None = None

    def terms(self) -> KeyTerms:
        """The same as the use case asks for it."""
        return KeyTerms(
            name=self.name,
            scopes=frozenset(Scope(scope) for scope in self.scopes),
            expires_at_ns=None if self.expires_at is None else _nanoseconds(self.expires_at),
            allowed_addresses=tuple(sorted(self.allowed_addresses or ())),
            public_key=base64.b64decode(self.public_key or ""),
        )


def _nanoseconds(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - _EPOCH) // dt.timedelta(microseconds=1) * 1_000
