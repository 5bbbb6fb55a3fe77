"""Tokens of the Cognito user pool: JSON web tokens signed with RS256 by a key that the pool publishes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jwt.types import Options

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.users.model import REFERRAL_ATTRIBUTE, Person, Scope

ALGORITHM = "RS256"
TOKEN_LENGTH_MAX = 8_192
CLOCK_SKEW_SECONDS_MAX = 60
KEYS_AGE_MAX_NS = 6 * 3600 * 1_000_000_000
# A token may name any key it likes; asking the pool for unknown ones must not become anybody's lever.
KEYS_AGE_MIN_NS = 60 * 1_000_000_000
# What Cognito gives a login through its own API, and the prefix of what it gives other people's applications.
_LOGIN_SCOPE = "aws.cognito.signin.user.admin"
_SCOPE_PREFIX = "exchange/"
# Times, issuer and audience are checked here, against the clock we are given.
_SIGNATURE_ONLY: "Options" = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
}


class SigningKeys(Protocol):
    """The pool's public keys."""

    def find(self, kid: str) -> Any | None:
        """The public key of that id; None where the pool has none. Raises UnavailableError."""
        ...


class PoolTokens:
    """Tells tokens of one app client of one pool from all others."""

    def __init__(self, *, issuer: str, client_id: str, keys: SigningKeys, clock: Clock) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._keys = keys
        self._clock = clock

    def verify_access(self, token: str) -> Person | Refused:
        """Whom an access token belongs to and what it allows.

        Refuses:  AUTH_INVALID, AUTH_EXPIRED (in this order).
        Raises:   UnavailableError where the pool's keys can't be read.
        """
        claims = self._claims(token, use="access")
        if isinstance(claims, Refused):
            return claims
        if claims.get("client_id") != self._client_id:
            return _invalid()
        groups = _groups(claims.get("cognito:groups"))
        return Person(user_id=str(claims["sub"]), scopes=_scopes(claims.get("scope")), groups=groups)

    def verify_id(self, token: str) -> Person | Refused:
        """Whom an id token describes. Refuses and raises as `verify_access`."""
        claims = self._claims(token, use="id")
        if isinstance(claims, Refused):
            return claims
        if claims.get("aud") != self._client_id:
            return _invalid()
        return Person(
            str(claims["sub"]),
            email=str(claims.get("email", "")),
            name=str(claims.get("name", "")),
            referral_code=str(claims.get(f"custom:{REFERRAL_ATTRIBUTE}", "")),
        )

    def _claims(self, token: str, *, use: str) -> dict[str, Any] | Refused:
        claims = self._signed_claims(token)
        if claims is None or claims.get("iss") != self._issuer or claims.get("token_use") != use:
            return _invalid()
        subject, expires_at = claims.get("sub"), claims.get("exp")
        if not isinstance(subject, str) or not subject or type(expires_at) is not int:
            return _invalid()
        now_seconds = self._clock.now_ns() // 1_000_000_000
        for name in ("nbf", "iat"):
            moment = claims.get(name, 0)
            if type(moment) is not int or moment > now_seconds + CLOCK_SKEW_SECONDS_MAX:
                return _invalid()
        if expires_at <= now_seconds:
            return Refused(Code.AUTH_EXPIRED, "the access token has expired; renew it at POST /v1/sessions/refresh")
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that a key of the pool signed; None for every other text.

        The algorithm is ours to choose, never the token's, and its `jku`, `jwk` and `x5u` are not even looked at.
        """
        # Most requests are signed by an API key: only who meets a token pays for the library.
        import jwt

        if not token or len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            return None
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            if header.get("alg") != ALGORITHM or not isinstance(kid, str) or not kid:
                return None
            key = self._keys.find(kid)
            if key is None:
                return None
            return jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None


class PublishedKeys:
    """The keys that a pool publishes, fetched when they are old or when a token names one we have not seen."""

    def __init__(self, fetch: Callable[[], Mapping[str, Any]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched_at_ns: int | None = None

    def find(self, kid: str) -> Any | None:
        """The public key of that id. Raises UnavailableError where no keys were ever fetched and none can be."""
        age_ns = self._age_ns()
        if age_ns is None or age_ns > KEYS_AGE_MAX_NS or (kid not in self._keys and age_ns > KEYS_AGE_MIN_NS):
            self._refresh()
        return self._keys.get(kid)

    def _age_ns(self) -> int | None:
        return None if self._fetched_at_ns is None else self._clock.now_ns() - self._fetched_at_ns

    def _refresh(self) -> None:
        try:
            published = self._fetch()
        except UnavailableError:
            # Keys are for years: the ones we have still tell true from forged while the pool can't be asked.
            if not self._keys:
                raise
            return
        self._fetched_at_ns = self._clock.now_ns()
        self._keys = _rsa_keys(published)


def _rsa_keys(published: Mapping[str, Any]) -> dict[str, Any]:
    from jwt import PyJWK

    found: dict[str, Any] = {}
    for entry in published.get("keys", []):
        if entry.get("kty") == "RSA" and entry.get("alg", ALGORITHM) == ALGORITHM and entry.get("use", "sig") == "sig":
            found[str(entry.get("kid"))] = PyJWK.from_dict(entry, algorithm=ALGORITHM).key
    return found


def _scopes(text: object) -> frozenset[Scope]:
    granted = str(text or "").split()
    if _LOGIN_SCOPE in granted:
        return frozenset(Scope)
    return frozenset(scope for scope in Scope if f"{_SCOPE_PREFIX}{scope.value}" in granted)


def _groups(found: object) -> frozenset[str]:
    return frozenset(str(name) for name in found) if isinstance(found, list) else frozenset()


def _invalid() -> Refused:
    return Refused(Code.AUTH_INVALID, "this is no access token of ours; log in at POST /v1/sessions")
