"""The pool's tokens and every forgery of them that we could think of."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.users.model import Person, Scope
from exchange.users.tokens import PoolTokens, PublishedKeys

from tests.fakes.users import (
    CLIENT_ID,
    ISSUER,
    KID,
    NOW_NS,
    USER_ID,
    StoppedClock,
    access_claims,
    id_claims,
    published,
    rsa_key,
    token,
)

NOW = NOW_NS // 10**9
STRANGER = "a stranger's key"


@dataclass
class Pool:
    """A pool's published keys, which may be away, and how often they were asked for."""

    kids: list[str] = field(default_factory=lambda: [KID])
    fetches: int = 0
    away: bool = False

    def fetch(self) -> Mapping[str, Any]:
        self.fetches += 1
        if self.away:
            raise UnavailableError("the pool is away")
        return published(*self.kids)


def verifier(pool: Pool | None = None, clock: StoppedClock | None = None) -> PoolTokens:
    clock = clock or StoppedClock()
    keys = PublishedKeys((pool or Pool()).fetch, clock)
    return PoolTokens(issuer=ISSUER, client_id=CLIENT_ID, keys=keys, clock=clock)


def code_of(text: str) -> Code | None:
    answer = verifier().verify_access(text)
    return answer.code if isinstance(answer, Refused) else None


def encoded(part: Any) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, signature: bytes = b"") -> str:
    return f"{encoded(header)}.{encoded(claims)}.{encoded(signature)}"


def public_pem() -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key().public_key().public_bytes(serialization.Encoding.PEM, form)


def signed_with_public_key(secret: bytes, algorithm: str = "HS256") -> str:
    """The old confusion: the verifier's public key used as a shared secret."""
    message = f"{encoded({'alg': algorithm, 'typ': 'JWT', 'kid': KID})}.{encoded(access_claims())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{message}.{encoded(hmac.new(secret, message.encode(), digest).digest())}"


def with_parts(**parts: str) -> str:
    """A good token with one part exchanged."""
    names = ("header", "claims", "signature")
    good = dict(zip(names, token(access_claims()).split("."), strict=True))
    return ".".join({**good, **parts}[name] for name in names)


def flipped() -> str:
    signature = bytearray(jwt.utils.base64url_decode(token(access_claims()).split(".")[2]))
    signature[-1] ^= 1
    return with_parts(signature=encoded(bytes(signature)))


def of_another_family(algorithm: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
    return jwt.encode(access_claims(), key, algorithm=algorithm, headers={"kid": KID})


def of_our_key(algorithm: str) -> str:
    return jwt.encode(access_claims(), rsa_key(), algorithm=algorithm, headers={"kid": KID})


def carrying(header: dict[str, Any]) -> str:
    """Signed by a stranger who says where to find the key."""
    return token(access_claims(), kid=STRANGER, headers=header)


FORGERIES: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token": lambda: "hello",
    "two parts": lambda: ".".join(token(access_claims()).split(".")[:2]),
    "four parts": lambda: token(access_claims()) + ".x",
    "five parts, as if encrypted": lambda: token(access_claims()) + ".x.y",
    "only dots": lambda: "..",
    "blanks within": lambda: token(access_claims()).replace(".", ". "),
    "not ASCII": lambda: token(access_claims()) + "\u00e9",
    "far too long": lambda: token(access_claims(padding="x" * 9000)),
    "alg none": lambda: by_hand({"alg": "none", "kid": KID}, access_claims()),
    "alg None": lambda: by_hand({"alg": "None", "kid": KID}, access_claims()),
    "alg none with a good signature": lambda: with_parts(header=encoded({"alg": "none", "kid": KID})),
    "no alg": lambda: by_hand({"kid": KID}, access_claims(), b"x" * 256),
    "alg is a list": lambda: by_hand({"alg": ["RS256"], "kid": KID}, access_claims(), b"x" * 256),
    "HS256 with the public key": lambda: signed_with_public_key(public_pem()),
    "HS384 with the public key": lambda: signed_with_public_key(public_pem(), "HS384"),
    "HS512 with the public key": lambda: signed_with_public_key(public_pem(), "HS512"),
    "HS256 with an empty secret": lambda: signed_with_public_key(b""),
    "RS384 of the right key": lambda: of_our_key("RS384"),
    "RS512 of the right key": lambda: of_our_key("RS512"),
    "PS256 of the right key": lambda: of_our_key("PS256"),
    "ES256": lambda: of_another_family("ES256"),
    "EdDSA": lambda: of_another_family("EdDSA"),
    "a stranger's key under our kid": lambda: token(access_claims(), kid=STRANGER, headers={"kid": KID}),
    "an unknown kid": lambda: token(access_claims(), kid=STRANGER),
    "no kid": lambda: jwt.encode(access_claims(), rsa_key(), algorithm="RS256"),
    "an empty kid": lambda: token(access_claims(), headers={"kid": ""}),
    "a kid that is a path": lambda: token(access_claims(), kid=STRANGER, headers={"kid": "../../dev/null"}),
    "a jku header": lambda: carrying({"jku": "https://evil.example/jwks.json"}),
    "an x5u header": lambda: carrying({"x5u": "https://evil.example/chain.pem"}),
    "a jwk header": lambda: carrying({"kid": KID, "jwk": published(STRANGER)["keys"][0]}),
    "a critical header nobody knows": lambda: token(access_claims(), headers={"crit": ["exp2"], "exp2": 1}),
    "no signature": lambda: with_parts(signature=""),
    "one bit of the signature": flipped,
    "a signature of another token": lambda: with_parts(signature=token(access_claims(jti="2")).split(".")[2]),
    "another subject": lambda: with_parts(claims=encoded(access_claims(sub="somebody-else"))),
    "claims that are a list": lambda: by_hand({"alg": "RS256", "kid": KID}, [], b"x" * 256),
    "claims nested without end": lambda: with_parts(claims=encoded(b"[" * 5000)),
    "a wrong issuer": lambda: token(access_claims(iss=ISSUER + "x")),
    "another pool": lambda: token(access_claims(iss=ISSUER.replace("Pool12345", "Pool54321"))),
    "another region": lambda: token(access_claims(iss=ISSUER.replace("eu-west-1", "us-east-1"))),
    "an issuer that only starts right": lambda: token(access_claims(iss=f"{ISSUER}.evil.example")),
    "an issuer in a list": lambda: token(access_claims(iss=None) | {"x": [ISSUER]}),
    "no issuer": lambda: token(access_claims(iss=None)),
    "another client": lambda: token(access_claims(client_id="another")),
    "no client": lambda: token(access_claims(client_id=None)),
    "our client as audience only": lambda: token(access_claims(client_id=None, aud=CLIENT_ID)),
    "an id token": lambda: token(id_claims()),
    "an id token with a client": lambda: token(id_claims(client_id=CLIENT_ID)),
    "a refresh token": lambda: token(access_claims(token_use="refresh")),
    "no use": lambda: token(access_claims(token_use=None)),
    "no subject": lambda: token(access_claims(sub=None)),
    "an empty subject": lambda: token(access_claims(sub="")),
    "no expiry": lambda: token(access_claims(exp=None)),
    "an expiry in words": lambda: token(access_claims(exp="tomorrow")),
    "an expiry that is true": lambda: token(access_claims(exp=True)),
    "an endless expiry": lambda: token(access_claims(exp=float("inf"))),
    "from the future": lambda: token(access_claims(iat=NOW + 61)),
    "not valid yet": lambda: token(access_claims(nbf=NOW + 61)),
    "valid from a word on": lambda: token(access_claims(nbf="now")),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_invalid(forge: Callable[[], str]) -> None:
    assert code_of(forge()) is Code.AUTH_INVALID


def test_the_pool_s_own_token_is_its_subject_with_every_scope() -> None:
    assert verifier().verify_access(token(access_claims())) == Person(USER_ID, scopes=frozenset(Scope))


@pytest.mark.parametrize(
    ("seconds", "code"), [(-1, Code.AUTH_EXPIRED), (0, Code.AUTH_EXPIRED), (1, None), (3600, None)]
)
def test_a_token_serves_until_its_second_has_come(seconds: int, code: Code | None) -> None:
    assert code_of(token(access_claims(exp=NOW + seconds))) is code


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_pool_whose_clock_is_a_little_ahead_is_believed(claim: str) -> None:
    assert code_of(token(access_claims(**{claim: NOW + 60}))) is None


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("aws.cognito.signin.user.admin", set(Scope)),
        ("openid exchange/view exchange/trade", {Scope.VIEW, Scope.TRADE}),
        ("exchange/transfer", {Scope.TRANSFER}),
        ("openid email", set()),
        ("view trade transfer", set()),
        ("exchange/viewer", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_an_application_s_token_allows_what_the_customer_granted(scope: str | None, allowed: set[Scope]) -> None:
    answer = verifier().verify_access(token(access_claims(scope=scope)))
    assert isinstance(answer, Person)
    assert answer.scopes == allowed


def test_an_id_token_describes_a_person() -> None:
    answer = verifier().verify_id(token(id_claims()))
    assert answer == Person(USER_ID, email="ann@example.com", name="Ann")


@pytest.mark.parametrize("claims", [access_claims(), id_claims(aud="another"), id_claims(aud=[CLIENT_ID])])
def test_only_an_id_token_for_us_describes_a_person(claims: dict[str, Any]) -> None:
    assert isinstance(verifier().verify_id(token(claims)), Refused)


def test_the_pool_s_keys_are_fetched_once() -> None:
    pool = Pool()
    guard = verifier(pool)
    for _ in range(3):
        assert isinstance(guard.verify_access(token(access_claims())), Person)
    assert pool.fetches == 1


def test_a_new_key_is_found_and_unknown_ones_are_no_lever() -> None:
    pool, clock = Pool(), StoppedClock()
    guard = verifier(pool, clock)
    assert isinstance(guard.verify_access(token(access_claims())), Person)
    pool.kids = [KID, STRANGER]
    for _ in range(10):
        assert isinstance(guard.verify_access(token(access_claims(), kid=STRANGER)), Refused)
    assert pool.fetches == 1
    clock.advance(61)
    assert isinstance(guard.verify_access(token(access_claims(), kid=STRANGER)), Person)
    assert pool.fetches == 2


def test_a_withdrawn_key_opens_nothing_after_six_hours() -> None:
    pool, clock = Pool(), StoppedClock()
    guard = verifier(pool, clock)
    long_lived = token(access_claims(exp=NOW + 10**6))
    assert isinstance(guard.verify_access(long_lived), Person)
    pool.kids = [STRANGER]
    clock.advance(6 * 3600 + 1)
    assert isinstance(guard.verify_access(long_lived), Refused)


def test_known_keys_serve_while_the_pool_is_away() -> None:
    pool, clock = Pool(), StoppedClock()
    guard = verifier(pool, clock)
    long_lived = token(access_claims(exp=NOW + 10**6))
    guard.verify_access(long_lived)
    pool.away = True
    clock.advance(7 * 3600)
    assert isinstance(guard.verify_access(long_lived), Person)


def test_without_any_key_it_is_an_outage_and_not_a_refusal() -> None:
    with pytest.raises(UnavailableError):
        verifier(Pool(away=True)).verify_access(token(access_claims()))


def test_keys_of_other_kinds_and_uses_are_passed_over() -> None:
    good = published(KID)["keys"][0]
    odd = [
        {"kty": "oct", "kid": "o", "k": "AAAA"},
        {**good, "kid": "e", "use": "enc"},
        {**good, "kid": "p", "alg": "PS256"},
    ]
    keys = PublishedKeys(lambda: {"keys": [*odd, good]}, StoppedClock())
    assert keys.find(KID) is not None
    assert [keys.find(kid) for kid in ("o", "e", "p")] == [None, None, None]
