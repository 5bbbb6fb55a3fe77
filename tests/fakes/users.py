"""Customers, keys and tokens without a cloud, and the other side of a signature: the client that makes it."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.users.model import ApiKey, Credential, Customer, KeyStatus, Person, Scope, passphrase_hash

NOW_NS = 1_800_000_000_250_000_000
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool12345"
CLIENT_ID = "webclient0123456789"
KID = "the-pool's-first-key"
USER_ID = "7d8ca528-4931-4254-9273-ea5ee853f271"
ACCOUNT_ID = 4_611_686_018_427_387_905
KEY_ID = "0123456789abcdef0123456789abcdef"
SECRET = bytes(range(64))
PASSPHRASE = "open-sesame"


@dataclass
class StoppedClock:
    """Time that stands still until a test moves it."""

    at_ns: int = NOW_NS

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self.at_ns

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.at_ns += seconds * 1_000_000_000


def a_customer(**changes: Any) -> Customer:
    """Ann, who may do everything."""
    return replace(Customer(USER_ID, ACCOUNT_ID, "ann@example.com", "Ann", NOW_NS - 10**15), **changes)


def a_credential(sealed: bytes = b"sealed:" + SECRET, *, key_id: str = KEY_ID) -> Credential:
    """The secret of all tests, and its passphrase."""
    return Credential(sealed, passphrase_hash(PASSPHRASE, secret=SECRET, key_id=key_id))


def a_key(**changes: Any) -> ApiKey:
    """A key of Ann's with every scope."""
    key = ApiKey(
        key_id=KEY_ID,
        user_id=USER_ID,
        name="bot",
        scopes=frozenset(Scope),
        credential=a_credential(),
        created_at_ns=NOW_NS - 10**15,
    )
    return replace(key, **changes)


@dataclass
class FakeKeys:
    """API keys in memory."""

    keys: dict[str, ApiKey] = field(default_factory=lambda: {KEY_ID: a_key()})
    reads: int = 0
    full: bool = False

    def find(self, key_id: str) -> ApiKey | None:
        """A key by id."""
        self.reads += 1
        return self.keys.get(key_id)

    def create(self, key: ApiKey, *, keys_max: int) -> bool:
        """Store a key while there is room."""
        if self.full or len(self.keys) >= keys_max:
            return False
        self.keys[key.key_id] = key
        return True

    def rotate(self, before: ApiKey, after: ApiKey, *, rotated_at_ns: int) -> bool:
        """Change an active key that is still what it was."""
        key = self.keys.get(after.key_id)
        assert rotated_at_ns > 0
        if key is None or key.status is not KeyStatus.ACTIVE or key.credential != before.credential:
            return False
        self.keys[after.key_id] = after
        return True

    def revoke(self, user_id: str, key_id: str, *, revoked_at_ns: int) -> bool:
        """Forget an own key."""
        key = self.keys.get(key_id)
        if key is None or key.user_id != user_id or revoked_at_ns < key.created_at_ns:
            return False
        del self.keys[key_id]
        return True


@dataclass
class FakeCustomers:
    """Customers in memory."""

    customers: dict[str, Customer] = field(default_factory=lambda: {USER_ID: a_customer()})
    reads: int = 0

    def find(self, user_id: str) -> Customer | None:
        """A customer by id."""
        self.reads += 1
        return self.customers.get(user_id)

    def create_once(self, customer: Customer) -> Customer:
        """Store a new customer, or return the one that is there."""
        return self.customers.setdefault(customer.user_id, customer)


@dataclass
class FakeSecrets:
    """Sealing that shows; it opens only what it sealed."""

    opened: int = 0
    broken: bool = False

    def seal(self, secret: bytes, *, key_id: str, user_id: str) -> bytes:
        """Seal."""
        return b"sealed:" + secret

    def open(self, sealed: bytes, *, key_id: str, user_id: str) -> bytes:
        """Unseal."""
        if self.broken:
            raise UnavailableError("KMS is away")
        self.opened += 1
        return sealed.removeprefix(b"sealed:")


@dataclass
class FakeUses:
    """Which keys were used, and when."""

    uses: list[tuple[str, int]] = field(default_factory=list)

    def note(self, key_id: str, now_ns: int) -> None:
        """A key was used."""
        self.uses.append((key_id, now_ns))


@dataclass
class FakeTokens:
    """Believes one token."""

    person: Person = field(default_factory=lambda: Person(USER_ID, scopes=frozenset(Scope)))

    def verify_access(self, token: str) -> Person | Refused:
        """Ann's, or nobody's."""
        return self.person if token == "ann's token" else Refused(Code.AUTH_INVALID, "no token of ours")


@dataclass(frozen=True)
class Call:
    """A request, as an authenticator sees it."""

    method: str = "GET"
    path_with_query: str = "/orders?status=open&limit=10"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    source_address: str = "203.0.113.7"


def signature_of(message: str, body: bytes, secret: bytes) -> str:
    """CB-ACCESS-SIGN as the published documentation describes it, written apart from our own."""
    return base64.b64encode(hmac.new(secret, message.encode() + body, hashlib.sha256).digest()).decode()


def signed_headers(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    timestamp: str = "1800000000.25",
    key_id: str = KEY_ID,
    secret: bytes = SECRET,
    passphrase: str = PASSPHRASE,
) -> dict[str, str]:
    """The four headers of a signed request."""
    return {
        "cb-access-key": key_id,
        "cb-access-timestamp": timestamp,
        "cb-access-passphrase": passphrase,
        "cb-access-sign": signature_of(f"{timestamp}{method}{path}", body, secret),
    }


def signed(call: Call, path: str | None = None, **how: Any) -> Call:
    """The call with its four headers; `path` is what the client signed where it differs."""
    headers = signed_headers(call.method, path or call.path_with_query, call.body, **how)
    return replace(call, headers={**call.headers, **headers})


@cache
def rsa_key(name: str = KID) -> rsa.RSAPrivateKey:
    """A private key by name; made once a run, because making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(*kids: str) -> dict[str, Any]:
    """A pool's key set."""
    keys = []
    for kid in kids:
        entry = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(kid).public_key(), as_dict=True)
        keys.append({**entry, "kid": kid, "alg": "RS256", "use": "sig"})
    return {"keys": keys}


def access_claims(**changes: Any) -> dict[str, Any]:
    """The claims of an access token as Cognito writes them; a change to None leaves the claim out."""
    now = NOW_NS // 10**9
    claims = {
        "sub": USER_ID,
        "iss": ISSUER,
        "client_id": CLIENT_ID,
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "auth_time": now - 60,
        "iat": now - 60,
        "exp": now + 3540,
        "jti": "6e0e8f8e-0f0a-4a2a-9d0a-3f2b6f0d3c11",
        "origin_jti": "5f0e8f8e-0f0a-4a2a-9d0a-3f2b6f0d3c10",
        "username": USER_ID,
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def id_claims(**changes: Any) -> dict[str, Any]:
    """The claims of an id token."""
    person = {"token_use": "id", "aud": CLIENT_ID, "email": "ann@example.com", "name": "Ann"}
    return access_claims(**{"client_id": None, "scope": None, **person, **changes})


def token(claims: dict[str, Any], *, kid: str = KID, headers: dict[str, Any] | None = None) -> str:
    """A token of the pool's key `kid`."""
    return jwt.encode(claims, rsa_key(kid), algorithm="RS256", headers={"kid": kid, **(headers or {})})
