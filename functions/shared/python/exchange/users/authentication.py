"""Who is asking: a signed request of an API key, or an access token of the user pool. No AWS in here."""

import hmac
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.recent import Recent
from exchange.users.model import (
    ApiKey,
    Credential,
    Customer,
    CustomerStatus,
    KeyStatus,
    Person,
    Principal,
    Scope,
    passphrase_hash,
)
from exchange.users.signature import (
    PASSPHRASE_HEADER,
    Signature,
    SignedRequest,
    ed25519_matches,
    header_missing,
    is_signed,
    read_signature,
    signature_matches,
)

__all__ = ["Authenticator", "Principal", "SignedRequest"]

WINDOW_NS = 30 * 1_000_000_000
REMEMBERED_NS_MAX = 300 * 1_000_000_000
REMEMBERED_ENTRIES_MAX = 4_096
_BEARER = "bearer "


class ApiKeys(Protocol):
    """Where API keys are kept."""

    def find(self, key_id: str) -> ApiKey | None:
        """A key by id, revoked ones too. Raises UnavailableError."""
        ...


class Customers(Protocol):
    """Where customers are kept."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id. Raises UnavailableError."""
        ...


class Secrets(Protocol):
    """What opens sealed secrets."""

    def open(self, sealed: bytes, *, key_id: str, user_id: str) -> bytes:
        """The secret that was sealed for this key of this customer. Raises UnavailableError."""
        ...


class AccessTokens(Protocol):
    """What knows the user pool's access tokens from forged ones."""

    def verify_access(self, token: str) -> Person | Refused:
        """Whom a token belongs to and what it allows. Refuses AUTH_INVALID, AUTH_EXPIRED."""
        ...


class Uses(Protocol):
    """Who keeps when keys were last used."""

    def note(self, key_id: str, now_ns: int) -> None:
        """A key was used. Never raises an outage: nobody is turned away for it."""
        ...


class Authenticator:
    """Proves who sent a request and that they may do what `scope` says.

    Secrets stay decrypted in memory for at most 5 minutes. Keys and customers are read for every request, so that a
    revocation or a freeze bites at once, but for callers whose own transaction checks both again.
    """

    def __init__(
        self,
        keys: ApiKeys,
        secrets: Secrets,
        tokens: AccessTokens,
        customers: Customers,
        clock: Clock,
        *,
        uses: Uses,
    ) -> None:
        self._uses = uses
        self._keys = keys
        self._secrets = secrets
        self._tokens = tokens
        self._customers = customers
        self._clock = clock
        limits = {"age_max_ns": REMEMBERED_NS_MAX, "entries_max": REMEMBERED_ENTRIES_MAX}
        self._recent_keys: Recent[str, ApiKey] = Recent(clock, **limits)
        self._recent_customers: Recent[str, Customer] = Recent(clock, **limits)
        self._recent_secrets: Recent[tuple[str, bytes], bytes] = Recent(clock, **limits)

    def authenticate(self, request: SignedRequest, scope: Scope, *, rechecked: bool = False) -> Principal | Refused:
        """Prove who asks.

        `rechecked` says that the caller's transaction checks the status of key and customer itself: then what was
        read of them in the last 5 minutes will do, and most requests cost no read at all.

        Refuses:  AUTH_MISSING, AUTH_INVALID, AUTH_EXPIRED, AUTH_ADDRESS, ACCOUNT_FROZEN, AUTH_SCOPE.
        Raises:   UnavailableError.
        """
        if is_signed(request.headers):
            principal = self._by_signature(request, rechecked)
        else:
            principal = self._by_token(request, rechecked)
        if isinstance(principal, Principal) and scope not in principal.scopes:
            return Refused(Code.AUTH_SCOPE, f"this needs the scope {scope.value}, which the credential does not have")
        return principal

    def authenticate_person(self, request: SignedRequest) -> Principal | Refused:
        """Prove that somebody is logged in, with all that a login allows. No API key will do, whatever its scopes:
        a leaked one must neither make keys nor see the others.

        Refuses:  as `authenticate`.
        Raises:   UnavailableError.
        """
        who = self.authenticate(request, Scope.VIEW)
        if isinstance(who, Principal) and (who.key_id is not None or who.scopes != frozenset(Scope)):
            return Refused(Code.AUTH_SCOPE, "this needs the access token of a login; API keys can't do it")
        return who

    def _by_signature(self, request: SignedRequest, rechecked: bool) -> Principal | Refused:
        signature = read_signature(request.headers)
        if isinstance(signature, Refused):
            return signature
        now_ns = self._clock.now_ns()
        if abs(now_ns - signature.timestamp_ns) > WINDOW_NS:
            return Refused(Code.AUTH_EXPIRED, "request timestamp expired: set your clock; it may be 30 seconds off")
        key = self._key(signature.key_id, rechecked)
        if key is None or key.status is not KeyStatus.ACTIVE:
            return Refused(Code.AUTH_INVALID, "Invalid API Key")
        refusal = self._refuse_signature(key, signature, request, now_ns)
        if refusal and rechecked:
            # It may have been rotated since it was remembered.
            key = self._key(signature.key_id, rechecked=False) or key
            refusal = self._refuse_signature(key, signature, request, now_ns)
        refusal = refusal or _refuse_use(key, request, now_ns)
        if refusal:
            return refusal
        customer = self._customer(key.user_id, rechecked)
        if customer is None:
            return Refused(Code.AUTH_INVALID, "Invalid API Key")
        if customer.status is not CustomerStatus.ACTIVE:
            return _frozen()
        self._uses.note(key.key_id, now_ns)
        account_id = customer.account_id if key.account_id is None else key.account_id
        return Principal(key.user_id, account_id, key.key_id, key.scopes, key.rate_limit_tier)

    def _refuse_signature(
        self, key: ApiKey, signature: Signature, request: SignedRequest, now_ns: int
    ) -> Refused | None:
        """None where one of the key's credentials proves the request; else what the newest one says."""
        refusals = []
        for credential in key.credentials(now_ns):
            refusal = self._refuse_credential(key, credential, signature, request)
            if refusal is None:
                return None
            refusals.append(refusal)
        return refusals[0]

    def _refuse_credential(
        self, key: ApiKey, credential: Credential, signature: Signature, request: SignedRequest
    ) -> Refused | None:
        if credential.public_key:
            matches = ed25519_matches(signature, credential.public_key, request)
            return None if matches else Refused(Code.AUTH_INVALID, "invalid signature")
        if not signature.passphrase:
            return header_missing(PASSPHRASE_HEADER)
        secret = self._secret(key, credential)
        if not signature_matches(signature, secret, request):
            return Refused(Code.AUTH_INVALID, "invalid signature")
        given = passphrase_hash(signature.passphrase, secret=secret, key_id=key.key_id)
        if not hmac.compare_digest(given, credential.passphrase_hash):
            return Refused(Code.AUTH_INVALID, "Invalid Passphrase")
        return None

    def _by_token(self, request: SignedRequest, rechecked: bool) -> Principal | Refused:
        header = request.headers.get("authorization", "")
        if header[: len(_BEARER)].lower() != _BEARER:
            return Refused(Code.AUTH_MISSING, "sign the request (CB-ACCESS-*) or send Authorization: Bearer")
        person = self._tokens.verify_access(header[len(_BEARER) :].strip())
        if isinstance(person, Refused):
            return person
        customer = self._customer(person.user_id, rechecked)
        if customer is None:
            return Refused(Code.AUTH_INVALID, "no profile yet: log in once at POST /v1/sessions")
        if customer.status is not CustomerStatus.ACTIVE:
            return _frozen()
        return Principal(customer.user_id, customer.account_id, None, person.scopes, customer.rate_limit_tier)

    def _key(self, key_id: str, rechecked: bool) -> ApiKey | None:
        key = self._recent_keys.get(key_id) if rechecked else None
        if key is None:
            key = self._keys.find(key_id)
            if key is not None:
                self._recent_keys.put(key_id, key)
        return key

    def _customer(self, user_id: str, rechecked: bool) -> Customer | None:
        customer = self._recent_customers.get(user_id) if rechecked else None
        if customer is None:
            customer = self._customers.find(user_id)
            if customer is not None:
                self._recent_customers.put(user_id, customer)
        return customer

    def _secret(self, key: ApiKey, credential: Credential) -> bytes:
        name = (key.key_id, credential.sealed_secret)
        secret = self._recent_secrets.get(name)
        if secret is None:
            secret = self._secrets.open(credential.sealed_secret, key_id=key.key_id, user_id=key.user_id)
            self._recent_secrets.put(name, secret)
        return secret


def _refuse_use(key: ApiKey, request: SignedRequest, now_ns: int) -> Refused | None:
    if key.expired(now_ns):
        return Refused(Code.AUTH_EXPIRED, "this API key has expired; create another")
    if not key.allows(request.source_address):
        return Refused(Code.AUTH_ADDRESS, "this API key may not be used from your address")
    return None


def _frozen() -> Refused:
    return Refused(Code.ACCOUNT_FROZEN, "this account is frozen; ask support")
