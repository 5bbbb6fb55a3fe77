"""Customers and API keys, and what a request's author may do."""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import to_uuid
from exchange.referrals.model import Referral
from exchange.usage.model import RateLimitTier

PROFILE_NAME = "default"
# The user pool's attribute that keeps the code from registration to first login. Nobody can change it afterwards.
REFERRAL_ATTRIBUTE = "referral_code"
_KEY_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Scope(StrEnum):
    """What a credential lets its holder do."""

    VIEW = "view"
    TRADE = "trade"
    TRANSFER = "transfer"


class CustomerStatus(StrEnum):
    """Whether a customer may do anything at all."""

    ACTIVE = "active"
    FROZEN = "frozen"


class KycLevel(IntEnum):
    """How well we know a customer: what they may take out depends on it. Two operators set it."""

    UNVERIFIED = 0
    VERIFIED = 1
    ENHANCED = 2
    INSTITUTIONAL = 3


class KeyStatus(StrEnum):
    """Whether a key still opens anything. A revoked key never becomes active again."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Customer:
    """A person with a login; `account_id` is the trading account of their default profile."""

    user_id: str
    account_id: int
    email: str
    name: str
    created_at_ns: int
    status: CustomerStatus = CustomerStatus.ACTIVE
    rate_limit_tier: RateLimitTier = RateLimitTier.STANDARD
    kyc_level: KycLevel = KycLevel.UNVERIFIED
    credentials_changed_at_ns: int = 0  # when a key was made or rotated last
    referral_code: str = ""  # which they registered with; it never changes
    referrer_id: int = 0  # the account of whose code it is; 0: nobody brought them

    @property
    def referral(self) -> Referral | None:
        """Who brought them, for every account of theirs."""
        return Referral(self.referrer_id, self.created_at_ns) if self.referrer_id else None


@dataclass(frozen=True, slots=True)
class Profile:
    """A trading account of a customer, with balances, orders and API keys of its own. The first one is the default."""

    user_id: str
    account_id: int
    name: str
    created_at_ns: int
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """What signatures of a key are checked by: a secret sealed by KMS with its passphrase's keyed hash, or else a
    public key of Ed25519, of which the other half never was here."""

    sealed_secret: bytes = b""
    passphrase_hash: bytes = b""
    public_key: bytes = b""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A name for programs to sign by. After a rotation the previous credential serves for a while beside the new."""

    key_id: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    credential: Credential
    created_at_ns: int
    rate_limit_tier: RateLimitTier = RateLimitTier.STANDARD
    status: KeyStatus = KeyStatus.ACTIVE
    expires_at_ns: int | None = None
    account_id: int | None = None  # the profile it acts for; None: the default one
    allowed_addresses: tuple[str, ...] = ()  # addresses and networks; empty: from anywhere
    previous: Credential | None = None
    previous_until_ns: int = 0

    def credentials(self, now_ns: int) -> tuple[Credential, ...]:
        """What it can be signed by now, the newest first."""
        if self.previous is None or now_ns >= self.previous_until_ns:
            return (self.credential,)
        return (self.credential, self.previous)

    def expired(self, now_ns: int) -> bool:
        """Whether its time is over."""
        return self.expires_at_ns is not None and now_ns >= self.expires_at_ns

    def allows(self, address: str) -> bool:
        """Whether it may be used from `address`."""
        if not self.allowed_addresses:
            return True
        try:
            source = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(source in ipaddress.ip_network(network) for network in self.allowed_addresses)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, proven. `key_id` is None for an access token."""

    user_id: str
    account_id: int
    key_id: str | None
    scopes: frozenset[Scope]
    rate_limit_tier: RateLimitTier


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the user pool says a token belongs to."""

    user_id: str
    email: str = ""
    name: str = ""
    scopes: frozenset[Scope] = frozenset()
    groups: frozenset[str] = frozenset()
    referral_code: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """The tokens of a login. A renewed session brings no refresh token: the first one goes on serving."""

    access_token: str
    id_token: str
    expires_in_seconds: int
    person: Person
    refresh_token: str | None = None


def is_key_id(text: str) -> bool:
    """Whether a key of ours could have this id."""
    return _KEY_ID.fullmatch(text) is not None


def passphrase_hash(passphrase: str, *, secret: bytes, key_id: str) -> bytes:
    """What is stored of a passphrase. Keyed by the sealed secret, so a copy of the table can't be guessed against."""
    return hmac.digest(secret, f"passphrase|{key_id}|{passphrase}".encode("utf-8", "replace"), hashlib.sha256)


def default_profile(customer: Customer) -> Profile:
    """The profile that every customer has."""
    return Profile(customer.user_id, customer.account_id, PROFILE_NAME, customer.created_at_ns, is_default=True)


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile as shown to its owner."""
    return {
        "id": to_uuid(profile.account_id),
        "user_id": profile.user_id,
        "name": profile.name,
        "active": True,
        "is_default": profile.is_default,
        "created_at": iso_utc(profile.created_at_ns),
    }


def customer_json(customer: Customer, profiles: Sequence[Profile] = ()) -> dict[str, Any]:
    """A customer as shown to themselves; `profiles` are those beside the default one."""
    return {
        "user_id": customer.user_id,
        "email": customer.email,
        "name": customer.name,
        "status": customer.status.value,
        "rate_limit_tier": customer.rate_limit_tier.value,
        "kyc_level": int(customer.kyc_level),
        "created_at": iso_utc(customer.created_at_ns),
        "profiles": [profile_json(profile) for profile in (default_profile(customer), *profiles)],
    }


def api_key_json(key: ApiKey, last_used_at_ns: int | None = None) -> dict[str, Any]:
    """A key as shown to its owner: never its secret or passphrase; what doesn't apply is absent."""
    public_key = key.credential.public_key
    shown: dict[str, Any] = {
        "id": key.key_id,
        "name": key.name,
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "rate_limit_tier": key.rate_limit_tier.value,
        "type": "ed25519" if public_key else "hmac",
        "created_at": iso_utc(key.created_at_ns),
    }
    if public_key:
        shown["public_key"] = base64.b64encode(public_key).decode()
    if last_used_at_ns is not None:
        shown["last_used_at"] = iso_utc(last_used_at_ns)
    if key.previous is not None:
        shown["previous_until"] = iso_utc(key.previous_until_ns)
    if key.expires_at_ns is not None:
        shown["expires_at"] = iso_utc(key.expires_at_ns)
    if key.account_id is not None:
        shown["profile_id"] = to_uuid(key.account_id)
    if key.allowed_addresses:
        shown["allowed_addresses"] = list(key.allowed_addresses)
    return shown


def session_json(session: Session) -> dict[str, Any]:
    """A session as shown to who logged in."""
    shown: dict[str, Any] = {
        "access_token": session.access_token,
        "id_token": session.id_token,
        "token_type": "Bearer",
        "expires_in": session.expires_in_seconds,
    }
    return shown if session.refresh_token is None else {**shown, "refresh_token": session.refresh_token}
