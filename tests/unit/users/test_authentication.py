"""Who may in: each part of a signed request changed alone, the window's edges, freezes, scopes, what is remembered."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.usage.model import RateLimitTier
from exchange.users.authentication import Authenticator
from exchange.users.model import CustomerStatus, KeyStatus, Person, Principal, Scope

from tests.fakes.users import (
    ACCOUNT_ID,
    KEY_ID,
    PASSPHRASE,
    SECRET,
    USER_ID,
    Call,
    FakeCustomers,
    FakeKeys,
    FakeSecrets,
    FakeTokens,
    FakeUses,
    StoppedClock,
    a_customer,
    a_key,
    signed,
)


@dataclass
class World:
    """An authenticator and all it asks."""

    keys: FakeKeys = field(default_factory=FakeKeys)
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    customers: FakeCustomers = field(default_factory=FakeCustomers)
    clock: StoppedClock = field(default_factory=StoppedClock)
    uses: FakeUses = field(default_factory=FakeUses)

    def __post_init__(self) -> None:
        self.guard = Authenticator(self.keys, self.secrets, self.tokens, self.customers, self.clock, uses=self.uses)

    def ask(self, call: Call, scope: Scope = Scope.VIEW, **how: Any) -> Principal | Refused:
        return self.guard.authenticate(call, scope, **how)

    def code(self, call: Call, scope: Scope = Scope.VIEW) -> Code | None:
        answer = self.ask(call, scope)
        return answer.code if isinstance(answer, Refused) else None


POST = Call("POST", "/orders", body=b'{"side":"buy","size":"1"}')
BEARER = Call(headers={"authorization": "Bearer ann's token"})


def test_a_signed_request_is_its_key_s_owner() -> None:
    assert World().ask(signed(POST), Scope.TRADE) == Principal(
        user_id=USER_ID,
        account_id=ACCOUNT_ID,
        key_id=KEY_ID,
        scopes=frozenset(Scope),
        rate_limit_tier=RateLimitTier.STANDARD,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"method": "GET"},
        {"path_with_query": "/orders/"},
        {"path_with_query": "/orders?x=1"},
        {"path_with_query": "/Orders"},
        {"path_with_query": "/orders%20"},
        {"body": b'{"side":"buy","size":"2"}'},
        {"body": b'{"side":"buy","size":"1"} '},
        {"body": b""},
    ],
)
def test_changing_any_signed_part_alone_breaks_the_signature(change: dict[str, Any]) -> None:
    assert World().code(replace(signed(POST), **change)) is Code.AUTH_INVALID


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("cb-access-timestamp", "1800000001", Code.AUTH_INVALID),
        ("cb-access-timestamp", "1800000000.250", Code.AUTH_INVALID),
        ("cb-access-timestamp", "1800000000,25", Code.AUTH_INVALID),
        ("cb-access-timestamp", "1e9", Code.AUTH_INVALID),
        ("cb-access-timestamp", "-1800000000", Code.AUTH_INVALID),
        ("cb-access-timestamp", "NaN", Code.AUTH_INVALID),
        ("cb-access-timestamp", "\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660", Code.AUTH_INVALID),
        ("cb-access-timestamp", "2027-01-15T08:00:00Z", Code.AUTH_INVALID),
        ("cb-access-timestamp", "1800000000250", Code.AUTH_INVALID),
        ("cb-access-timestamp", "", Code.AUTH_MISSING),
        ("cb-access-key", "f" * 32, Code.AUTH_INVALID),
        ("cb-access-key", KEY_ID.upper(), Code.AUTH_INVALID),
        ("cb-access-key", KEY_ID + "\n", Code.AUTH_INVALID),
        ("cb-access-key", "x" * 5000, Code.AUTH_INVALID),
        ("cb-access-key", "", Code.AUTH_MISSING),
        ("cb-access-passphrase", PASSPHRASE + " ", Code.AUTH_INVALID),
        ("cb-access-passphrase", "geheim", Code.AUTH_INVALID),
        ("cb-access-passphrase", "h\u00e4\ud800", Code.AUTH_INVALID),
        ("cb-access-passphrase", "", Code.AUTH_MISSING),
        ("cb-access-sign", "A" * 44, Code.AUTH_INVALID),
        ("cb-access-sign", "AAAA", Code.AUTH_INVALID),
        ("cb-access-sign", "not base64!", Code.AUTH_INVALID),
        ("cb-access-sign", "\u00e4", Code.AUTH_INVALID),
        ("cb-access-sign", "", Code.AUTH_MISSING),
    ],
)
def test_changing_any_header_alone_is_refused(header: str, value: str, code: Code) -> None:
    call = signed(POST)
    assert World().code(replace(call, headers={**call.headers, header: value})) is code


@pytest.mark.parametrize("header", ["cb-access-key", "cb-access-timestamp", "cb-access-passphrase", "cb-access-sign"])
def test_a_missing_header_is_named(header: str) -> None:
    call = signed(POST)
    headers = {name: value for name, value in call.headers.items() if name != header}
    answer = World().ask(replace(call, headers=headers))
    assert isinstance(answer, Refused)
    assert answer.code is Code.AUTH_MISSING
    assert header.upper() in answer.message


def test_another_secret_does_not_sign_for_this_key() -> None:
    assert World().code(signed(POST, secret=SECRET[::-1])) is Code.AUTH_INVALID
    assert World().code(signed(POST, secret=b"")) is Code.AUTH_INVALID


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        ("1800000000", None),
        ("1800000000.25", None),
        ("1800000000.2500000001", None),
        ("1800000030.25", None),
        ("1800000030.250000001", Code.AUTH_EXPIRED),
        ("1800000031", Code.AUTH_EXPIRED),
        ("1799999970.25", None),
        ("1799999970.249999999", Code.AUTH_EXPIRED),
        ("1799999970", Code.AUTH_EXPIRED),
        ("0", Code.AUTH_EXPIRED),
        ("999999999999", Code.AUTH_EXPIRED),
    ],
)
def test_the_window_is_thirty_seconds_either_way_to_the_nanosecond(timestamp: str, code: Code | None) -> None:
    assert World().code(signed(POST, timestamp=timestamp)) is code


def test_a_stale_request_costs_no_read() -> None:
    world = World()
    world.code(signed(POST, timestamp="1700000000"))
    assert (world.keys.reads, world.secrets.opened) == (0, 0)


def test_a_wrong_signature_tells_nothing_of_the_passphrase() -> None:
    wrong_both = World().ask(signed(POST, secret=b"x", passphrase="wrong"))
    wrong_secret = World().ask(signed(POST, secret=b"x"))
    assert wrong_both == wrong_secret


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": KeyStatus.REVOKED}, Code.AUTH_INVALID),
        ({"expires_at_ns": StoppedClock().now_ns()}, Code.AUTH_EXPIRED),
        ({"expires_at_ns": StoppedClock().now_ns() + 1}, None),
        ({"allowed_addresses": ("203.0.113.7/32",)}, None),
        ({"allowed_addresses": ("2001:db8::/32", "203.0.113.0/24")}, None),
        ({"allowed_addresses": ("203.0.112.0/24",)}, Code.AUTH_ADDRESS),
        ({"scopes": frozenset({Scope.VIEW})}, None),
        ({"scopes": frozenset({Scope.TRADE, Scope.TRANSFER})}, Code.AUTH_SCOPE),
        ({"scopes": frozenset()}, Code.AUTH_SCOPE),
    ],
)
def test_a_key_opens_only_what_it_is_for(changes: dict[str, Any], code: Code | None) -> None:
    assert World(keys=FakeKeys({KEY_ID: a_key(**changes)})).code(signed(POST)) is code


def test_an_address_that_is_none_is_on_no_list() -> None:
    world = World(keys=FakeKeys({KEY_ID: a_key(allowed_addresses=("0.0.0.0/0",))}))
    assert world.code(replace(signed(POST), source_address="")) is Code.AUTH_ADDRESS


def test_an_unknown_and_a_revoked_key_earn_the_same_answer() -> None:
    unknown = World(keys=FakeKeys({})).ask(signed(POST))
    revoked = World(keys=FakeKeys({KEY_ID: a_key(status=KeyStatus.REVOKED)})).ask(signed(POST))
    assert unknown == revoked


@pytest.mark.parametrize("call", [signed(POST), BEARER])
def test_a_frozen_customer_is_refused_at_once_whatever_the_credential(call: Call) -> None:
    world = World()
    assert world.code(call) is None
    world.customers.customers[USER_ID] = a_customer(status=CustomerStatus.FROZEN)
    assert world.code(call) is Code.ACCOUNT_FROZEN


@pytest.mark.parametrize("call", [signed(POST), BEARER])
def test_a_credential_without_a_customer_is_refused(call: Call) -> None:
    assert World(customers=FakeCustomers({})).code(call) is Code.AUTH_INVALID


def test_revocation_bites_at_once() -> None:
    world = World()
    assert world.code(signed(POST)) is None
    world.keys.keys[KEY_ID] = a_key(status=KeyStatus.REVOKED)
    assert world.code(signed(POST)) is Code.AUTH_INVALID


def test_a_secret_is_opened_once_in_five_minutes() -> None:
    world = World()
    for _ in range(3):
        world.code(signed(POST))
    assert world.secrets.opened == 1
    world.clock.advance(300)
    world.code(signed(POST, timestamp="1800000300"))
    assert world.secrets.opened == 2


def test_a_caller_that_checks_again_costs_no_read_for_five_minutes() -> None:
    world = World()
    for _ in range(3):
        assert isinstance(world.ask(signed(POST), Scope.TRADE, rechecked=True), Principal)
    assert (world.keys.reads, world.customers.reads) == (1, 1)
    world.clock.advance(300)
    world.ask(signed(POST, timestamp="1800000300"), Scope.TRADE, rechecked=True)
    assert (world.keys.reads, world.customers.reads) == (2, 2)


def test_what_a_fresh_read_saw_is_not_forgotten_by_a_caller_that_checks_again() -> None:
    world = World()
    world.ask(signed(POST), rechecked=True)
    world.keys.keys[KEY_ID] = a_key(status=KeyStatus.REVOKED)
    assert world.code(signed(POST)) is Code.AUTH_INVALID
    assert isinstance(world.ask(signed(POST), rechecked=True), Refused)


def test_a_bearer_is_the_token_s_owner_without_a_key() -> None:
    answer = World().ask(BEARER)
    assert isinstance(answer, Principal)
    assert (answer.user_id, answer.account_id, answer.key_id) == (USER_ID, ACCOUNT_ID, None)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("bearer ann's token", None),
        ("Bearer  ann's token ", None),
        ("Bearer bob's token", Code.AUTH_INVALID),
        ("Bearer ", Code.AUTH_INVALID),
        ("Bearer", Code.AUTH_MISSING),
        ("Basic YW5uOnNlc2FtZQ==", Code.AUTH_MISSING),
        ("", Code.AUTH_MISSING),
    ],
)
def test_the_authorization_header(header: str, code: Code | None) -> None:
    assert World().code(Call(headers={"authorization": header})) is code


def test_no_credential_at_all_is_told_what_to_send() -> None:
    assert World().code(Call()) is Code.AUTH_MISSING


def test_a_broken_signature_is_not_rescued_by_a_token() -> None:
    call = replace(signed(POST, secret=b"x"), headers={**signed(POST, secret=b"x").headers, **BEARER.headers})
    assert World().code(call) is Code.AUTH_INVALID


def test_a_token_of_few_scopes_opens_little() -> None:
    world = World(tokens=FakeTokens(Person(USER_ID, scopes=frozenset({Scope.VIEW}))))
    assert world.code(BEARER, Scope.VIEW) is None
    assert world.code(BEARER, Scope.TRADE) is Code.AUTH_SCOPE


def test_only_a_whole_login_counts_as_a_person() -> None:
    world = World()
    assert isinstance(world.guard.authenticate_person(BEARER), Principal)
    by_key = world.guard.authenticate_person(signed(POST))
    assert isinstance(by_key, Refused)
    assert by_key.code is Code.AUTH_SCOPE
    world.tokens.person = Person(USER_ID, scopes=frozenset({Scope.VIEW, Scope.TRADE}))
    by_application = world.guard.authenticate_person(BEARER)
    assert isinstance(by_application, Refused)
    assert by_application.code is Code.AUTH_SCOPE


def test_an_outage_is_never_told_as_a_refusal() -> None:
    with pytest.raises(UnavailableError):
        World(secrets=FakeSecrets(broken=True)).ask(signed(POST))
