"""More than fifty requests that are almost what the holder of a secret signed: none gets in, and no bytes break us."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.users.model import Principal
from exchange.users.signature import Signature, read_signature, signature_matches
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.users import KEY_ID, PASSPHRASE, SECRET, Call, signed, signed_headers
from tests.unit.users.test_authentication import World

BODY = b'{"side":"buy","size":"1"}'
CALL = Call("POST", "/orders?dry=1", body=BODY, headers={"x-raw-query": "dry=1"})
MOMENT = "1800000000.25"
TEXT = f"{MOMENT}POST/orders?dry=1".encode() + BODY


def mac(text: bytes = TEXT, secret: bytes = SECRET, how: str = "sha256") -> bytes:
    return hmac.new(secret, text, how).digest()


def with_sign(digest: bytes) -> Call:
    return with_headers({"cb-access-sign": base64.b64encode(digest).decode()})


def with_headers(changes: Mapping[str, str | None]) -> Call:
    headers = {**signed(CALL).headers, **changes}
    return replace(CALL, headers={name: value for name, value in headers.items() if value is not None})


def signing(text: bytes) -> Callable[[], Call]:
    return lambda: with_sign(mac(text))


def sending(**changes: object) -> Callable[[], Call]:
    return lambda: replace(signed(CALL), **changes)  # type: ignore[arg-type]


def heading(**changes: str | None) -> Callable[[], Call]:
    return lambda: with_headers({name.replace("_", "-"): value for name, value in changes.items()})


GOOD = signed(CALL).headers["cb-access-sign"]
VARIANTS: dict[str, Callable[[], Call]] = {
    # What was signed is another thing than what was sent.
    "without the timestamp": signing(b"POST/orders?dry=1" + BODY),
    "without the method": signing(f"{MOMENT}/orders?dry=1".encode() + BODY),
    "without the path": signing(f"{MOMENT}POST".encode() + BODY),
    "without the query": signing(f"{MOMENT}POST/orders".encode() + BODY),
    "without the body": signing(f"{MOMENT}POST/orders?dry=1".encode()),
    "nothing at all": signing(b""),
    "the body twice": signing(TEXT + BODY),
    "a method in small letters": signing(TEXT.replace(b"POST", b"post")),
    "a whole second": signing(TEXT.replace(b"1800000000.25", b"1800000000")),
    "parts with commas between": signing(b",".join([MOMENT.encode(), b"POST", b"/orders?dry=1", BODY])),
    "parts with line ends between": signing(b"\n".join([MOMENT.encode(), b"POST", b"/orders?dry=1", BODY])),
    "parts in another order": signing(b"POST" + MOMENT.encode() + b"/orders?dry=1" + BODY),
    "the body's hash": signing(f"{MOMENT}POST/orders?dry=1".encode() + hashlib.sha256(BODY).hexdigest().encode()),
    "the body with blanks": signing(TEXT.replace(b":", b": ")),
    "another stage": signing(TEXT.replace(b"/orders", b"/prod/orders")),
    "the stage twice": signing(TEXT.replace(b"/orders", b"/live/live/orders")),
    "a whole address": signing(TEXT.replace(b"/orders", b"https://api.example.com/orders")),
    "two slashes": signing(TEXT.replace(b"/orders", b"//orders")),
    "a slash behind": signing(TEXT.replace(b"/orders", b"/orders/")),
    "a dot in the path": signing(TEXT.replace(b"/orders", b"/./orders")),
    "another query": signing(TEXT.replace(b"dry=1", b"dry=0")),
    "the query twice": signing(TEXT.replace(b"dry=1", b"dry=1&dry=1")),
    "an encoded query": signing(TEXT.replace(b"dry=1", b"dry%3D1")),
    # How it was signed.
    "by another secret": lambda: with_sign(mac(secret=SECRET[::-1])),
    "by an empty secret": lambda: with_sign(mac(secret=b"")),
    "by the secret as base64": lambda: with_sign(mac(secret=base64.b64encode(SECRET))),
    "by half of the secret": lambda: with_sign(mac(secret=SECRET[:32])),
    "by the passphrase": lambda: with_sign(mac(secret=PASSPHRASE.encode())),
    "by the key's id": lambda: with_sign(mac(secret=KEY_ID.encode())),
    "by SHA-1": lambda: with_sign(mac(how="sha1")),
    "by SHA-512": lambda: with_sign(mac(how="sha512")),
    "by SHA-512, cut": lambda: with_sign(mac(how="sha512")[:32]),
    "a hash without a secret": lambda: with_sign(hashlib.sha256(TEXT).digest()),
    "a hash of secret and text": lambda: with_sign(hashlib.sha256(SECRET + TEXT).digest()),
    "the MAC of the MAC": lambda: with_sign(mac(mac())),
    # How it was written.
    "zeros": lambda: with_sign(bytes(32)),
    "nothing as base64": lambda: with_sign(b""),
    "one byte less": lambda: with_sign(mac()[:-1]),
    "one byte more": lambda: with_sign(mac() + b"\0"),
    "half": lambda: with_sign(mac()[:16]),
    "twice": lambda: with_sign(mac() * 2),
    "backwards": lambda: with_sign(mac()[::-1]),
    "one bit": lambda: with_sign(bytes([mac()[0] ^ 1]) + mac()[1:]),
    "in hex": heading(cb_access_sign=mac().hex()),
    "base64 of hex": lambda: with_sign(mac().hex().encode()),
    "base64 of base64": lambda: with_sign(GOOD.encode()),
    "without its padding": heading(cb_access_sign=GOOD.rstrip("=")),
    "with a blank": heading(cb_access_sign=GOOD + " "),
    "with a line end": heading(cb_access_sign=GOOD + "\n"),
    "in quotes": heading(cb_access_sign=f'"{GOOD}"'),
    "with a prefix": heading(cb_access_sign="sha256=" + GOOD),
    "two of them": heading(cb_access_sign=f"{GOOD},{GOOD}"),
    "of other letters": heading(cb_access_sign=GOOD.swapcase()),
    "in wide letters": heading(cb_access_sign="\uff21" * 43 + "="),
    # What was sent is another thing than what was signed.
    "sent with PUT": sending(method="PUT"),
    "sent elsewhere": sending(path_with_query="/orders/batch?dry=1"),
    "sent to a longer path": sending(path_with_query="/orders/x?dry=1"),
    "sent without the query": sending(path_with_query="/orders"),
    "sent with more of a query": sending(path_with_query="/orders?dry=1&x=1"),
    "sent with another body": sending(body=BODY.replace(b"1", b"9")),
    "sent without a body": sending(body=b""),
    "sent with a mark before the body": sending(body=b"\xef\xbb\xbf" + BODY),
    "at another moment": heading(cb_access_timestamp="1800000000.26"),
    "at the same moment otherwise written": heading(cb_access_timestamp="1800000000.250"),
    "at a moment with zeros before": heading(cb_access_timestamp="01800000000.25"),
    "with another key": heading(cb_access_key="f" * 32),
    "with a key in capitals": heading(cb_access_key=KEY_ID.upper()),
    "with another passphrase": heading(cb_access_passphrase="open-sesame "),
    "with an empty passphrase": heading(cb_access_passphrase=""),
    "without a passphrase": heading(cb_access_passphrase=None),
    "without a key": heading(cb_access_key=None),
    "without a timestamp": heading(cb_access_timestamp=None),
    "without a signature": heading(cb_access_sign=None),
    "a raw path of somewhere else": lambda: replace(
        CALL, headers={**signed_headers("POST", "/time", BODY), "x-raw-path": "/time", "x-raw-query": "dry=1"}
    ),
}


def test_what_was_signed_and_sent_gets_in() -> None:
    assert isinstance(World().ask(signed(CALL)), Principal)
    assert len(VARIANTS) >= 50


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_almost_signed_does_not(name: str) -> None:
    assert World().code(VARIANTS[name]()) in {Code.AUTH_INVALID, Code.AUTH_MISSING}


HEADERS = st.dictionaries(
    st.sampled_from(["cb-access-key", "cb-access-sign", "cb-access-timestamp", "cb-access-passphrase", "x-raw-path"]),
    st.one_of(st.text(max_size=80), st.sampled_from([KEY_ID, MOMENT, GOOD, PASSPHRASE, "", "/orders"])),
)


@given(HEADERS, st.text(max_size=60), st.binary(max_size=60))
def test_no_headers_whatever_break_the_reader(headers: dict[str, str], path: str, body: bytes) -> None:
    signature = read_signature(headers)
    assert isinstance(signature, Signature | Refused)
    call = Call("POST", path, headers=headers, body=body)
    if isinstance(signature, Signature):
        assert not signature_matches(signature, SECRET, call)
    answer = World().ask(call)
    assert isinstance(answer, Refused)
