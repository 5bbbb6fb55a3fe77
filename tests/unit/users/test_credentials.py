"""Public keys as credentials, rotation with an overlap, and the spellings of a path that a signature may cover."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from exchange.kernel.errors import Code, Refused
from exchange.users.minting import KeyMaterial
from exchange.users.model import Credential, Principal, Scope
from exchange.users.service import RotationTerms, rotate_api_key

from tests.fakes.users import KEY_ID, NOW_NS, PASSPHRASE, SECRET, USER_ID, Call, a_credential, a_key, signed
from tests.unit.users.test_authentication import POST, World

HOUR_NS = 3_600 * 10**9
OTHER_SECRET = SECRET[::-1]
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()


def signed_ed25519(call: Call, *, path: str | None = None, timestamp: str = "1800000000.25") -> Call:
    """The call as the holder of the private key signs it: the same text, the same headers, no passphrase."""
    text = f"{timestamp}{call.method}{path or call.path_with_query}".encode() + call.body
    headers = {
        "cb-access-key": KEY_ID,
        "cb-access-timestamp": timestamp,
        "cb-access-sign": base64.b64encode(PRIVATE.sign(text)).decode(),
    }
    return replace(call, headers={**call.headers, **headers})


def with_public_key() -> World:
    world = World()
    world.keys.keys[KEY_ID] = a_key(credential=Credential(public_key=PUBLIC))
    return world


def rotated(
    world: World, overlap_ns: int = HOUR_NS, *, secret: bytes = OTHER_SECRET, public_key: bytes = b""
) -> object:
    material = KeyMaterial(KEY_ID, secret, PASSPHRASE)
    terms = RotationTerms(overlap_ns, public_key)
    return rotate_api_key(world.keys, world.secrets, world.clock, user_id=USER_ID, terms=terms, material=material)


def test_a_public_key_proves_a_request_without_any_secret_here() -> None:
    world = with_public_key()
    assert isinstance(world.ask(signed_ed25519(POST), Scope.TRADE), Principal)
    assert world.secrets.opened == 0


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path_with_query": "/orders?x=1"},
        {"body": b'{"side":"buy","size":"2"}'},
        {"body": b""},
    ],
)
def test_a_changed_request_is_not_what_the_private_key_signed(change: dict[str, object]) -> None:
    assert with_public_key().code(replace(signed_ed25519(POST), **change)) is Code.AUTH_INVALID  # type: ignore[arg-type]


@pytest.mark.parametrize("signature", ["AAAA", "A" * 86 + "==", base64.b64encode(bytes(64)).decode(), "not base64!"])
def test_another_signature_is_refused(signature: str) -> None:
    call = signed_ed25519(POST)
    assert (
        with_public_key().code(replace(call, headers={**call.headers, "cb-access-sign": signature}))
        is Code.AUTH_INVALID
    )


def test_an_hmac_by_the_public_key_is_no_signature() -> None:
    # What everybody may know must never serve as a secret.
    assert with_public_key().code(signed(POST, secret=PUBLIC)) is Code.AUTH_INVALID


def test_the_window_holds_for_public_keys_too() -> None:
    assert with_public_key().code(signed_ed25519(POST, timestamp="1799999969")) is Code.AUTH_EXPIRED


def test_the_former_secret_works_until_the_overlap_is_over() -> None:
    world = World()
    assert not isinstance(rotated(world), Refused)
    old, new = signed(POST), signed(POST, secret=OTHER_SECRET)
    assert world.code(old) is None
    assert world.code(new) is None
    world.clock.advance(3_600)
    later = str(world.clock.at_ns // 10**9)
    assert world.code(signed(POST, timestamp=later)) is Code.AUTH_INVALID
    assert world.code(signed(POST, secret=OTHER_SECRET, timestamp=later)) is None


def test_a_remembered_key_knows_its_new_secret_at_once() -> None:
    world = World()
    assert isinstance(world.ask(signed(POST), rechecked=True), Principal)
    rotated(world)
    assert isinstance(world.ask(signed(POST, secret=OTHER_SECRET), rechecked=True), Principal)
    assert isinstance(world.ask(signed(POST), rechecked=True), Principal)


def test_a_secret_can_give_way_to_a_public_key() -> None:
    world = World()
    rotated(world, public_key=PUBLIC)
    assert world.code(signed_ed25519(POST)) is None
    assert world.code(signed(POST)) is None
    world.clock.advance(3_601)
    later = str(world.clock.at_ns // 10**9)
    assert world.code(signed(POST, timestamp=later)) is Code.AUTH_INVALID


def test_a_key_is_rotated_again_only_after_the_overlap() -> None:
    world = World()
    rotated(world)
    again = rotated(world, secret=SECRET[:32] * 2)
    assert isinstance(again, Refused)
    assert again.code is Code.API_KEY_ROTATING
    world.clock.advance(3_600)
    assert not isinstance(rotated(world, secret=SECRET[:32] * 2), Refused)


def test_nobody_rotates_a_foreign_or_missing_key() -> None:
    world = World()
    world.keys.keys[KEY_ID] = a_key(user_id="somebody-else")
    answer = rotated(world)
    assert isinstance(answer, Refused)
    assert answer.code is Code.API_KEY_NOT_FOUND
    assert world.keys.keys[KEY_ID].credential == a_credential()


def test_each_proven_use_is_noted_and_no_other() -> None:
    world = World()
    world.ask(signed(POST))
    world.ask(signed(POST, secret=OTHER_SECRET))
    assert world.uses.uses == [(KEY_ID, NOW_NS)]


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        ("/orders/client:my name", "/orders/client%3Amy%20name"),
        ("/orders/client:name", "/orders/client%3Aname"),
        ("/orders/client:name", "/orders/client:name"),
        ("/orders/client:name", "/orders/client%3aname"),
        ("/orders", "/orders/"),
    ],
)
def test_the_path_as_the_edge_carries_it_verifies(shown: str, sent: str) -> None:
    call = Call(path_with_query=shown, headers={"x-raw-path": sent})
    assert isinstance(World().ask(signed(call, sent)), Principal)
    world = with_public_key()
    assert isinstance(world.ask(signed_ed25519(call, path=sent)), Principal)


@pytest.mark.parametrize("sent", ["/orders/client:name", "/orders/client%3Aname"])
def test_both_usual_spellings_of_a_path_verify_without_the_edge(sent: str) -> None:
    assert isinstance(World().ask(signed(Call(path_with_query="/orders/client:name"), sent)), Principal)


def test_a_forged_raw_path_never_moves_a_signature_to_another_resource() -> None:
    for other in ("/orders/client:other", "/accounts", "/orders/client%253Aname", "//orders/client:name", ""):
        call = Call(path_with_query="/orders/client:name", headers={"x-raw-path": other})
        assert World().code(signed(call, other or "/")) is Code.AUTH_INVALID
