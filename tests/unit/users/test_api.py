"""The function as API Gateway calls it: every route, and every way to be refused."""

import base64
import json
import time
from types import ModuleType
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import connection
from exchange.referrals.model import CodeOwner, Referral
from exchange.referrals.store import ReferralStore
from exchange.users.model import Profile
from exchange.users.store import ApiKeyItem, CustomerItem, CustomerStore, ProfileStore

from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.user_pool import CODE, MFA_CODE, PASSWORD, FakeUserPool
from tests.fakes.users import signed_headers

EMAIL = "ann@example.com"


class Ann:
    """A customer with a client."""

    def __init__(self, api: ModuleType) -> None:
        self._handler = api.handler
        self.bearer: dict[str, str] = {}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        text: str | None = None,
    ) -> Answer:
        parts = path.split("/")
        by_id = path.startswith("/v1/api-keys/")
        event = proxy_event(
            method,
            path,
            body=text if text is not None else None if body is None else json.dumps(body),
            headers=self.bearer if headers is None else headers,
            resource="/".join([*parts[:3], "{key_id}", *parts[4:]]) if by_id else None,
            variables={"key_id": parts[3]} if by_id else None,
        )
        return call(self._handler, event)

    def register(self) -> None:
        assert self.ask("POST", "/v1/users", {"email": EMAIL, "password": PASSWORD, "name": "Ann"}).status == 200
        assert self.ask("POST", "/v1/users/confirm", {"email": EMAIL, "code": CODE}).status == 200

    def log_in(self) -> Any:
        answer = self.ask("POST", "/v1/sessions", {"email": EMAIL, "password": PASSWORD})
        assert answer.status == 200, answer.text
        self.bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
        return answer.json

    def make_key(self, **terms: Any) -> Any:
        answer = self.ask("POST", "/v1/api-keys", {"name": "bot", "scopes": ["view", "trade"], **terms})
        assert answer.status == 200, answer.text
        return answer.json

    def by_key(self, key: Any, method: str, path: str, body: Any = None) -> Answer:
        sent = b"" if body is None else json.dumps(body).encode()
        how = {"key_id": key["id"], "secret": base64.b64decode(key["secret"]), "passphrase": key["passphrase"]}
        headers = signed_headers(method, path, sent, timestamp=str(time.time()), **how)
        return self.ask(method, path, body, headers=headers)


@pytest.fixture
def ann(api: ModuleType) -> Ann:
    return Ann(api)


@pytest.fixture
def logged_in(ann: Ann) -> Ann:
    ann.register()
    ann.log_in()
    return ann


def refused(answer: Answer, status: int, code: str) -> bool:
    shape = set(answer.json) == {"message", "code", "request_id"}
    return shape and (answer.status, answer.json["code"]) == (status, code)


def test_the_way_in(ann: Ann, pool: FakeUserPool) -> None:
    answer = ann.ask("POST", "/v1/users", {"email": "ANN@example.com", "password": PASSWORD, "name": "Ann"})
    assert (answer.status, answer.json) == (200, {"email": EMAIL, "status": "unconfirmed"})
    login = {"email": EMAIL, "password": PASSWORD}
    assert refused(ann.ask("POST", "/v1/sessions", login), 400, "USER_UNCONFIRMED")
    assert refused(ann.ask("POST", "/v1/users/confirm", {"email": EMAIL, "code": "000000"}), 400, "USER_CODE_INVALID")
    assert ann.ask("POST", "/v1/users/resend", {"email": EMAIL}).json == {"email": EMAIL}
    assert pool.sent == [EMAIL, EMAIL]
    confirmed = ann.ask("POST", "/v1/users/confirm", {"email": EMAIL, "code": CODE})
    assert (confirmed.status, confirmed.json) == (200, {"email": EMAIL, "status": "confirmed"})
    session = ann.ask("POST", "/v1/sessions", login)
    assert session.status == 200
    assert set(session.json) == {"access_token", "id_token", "refresh_token", "token_type", "expires_in"}
    assert session.headers["cache-control"] == "no-store"


def test_a_referral_code_binds_once_and_for_ever(ann: Ann, pool: FakeUserPool) -> None:
    ann.register()
    ann.log_in()
    owner = ann.ask("GET", "/v1/users/self").json["user_id"]
    account = CustomerItem.get(owner).account_id
    code, _ = ReferralStore().own_code(owner, account)
    form = {"email": "bob@example.com", "password": PASSWORD, "name": "Bob"}
    for bad in ("BBBBBBBBBB", "x", "", " ", "0" * 10, 7, None, "B" * 33):
        answer = ann.ask("POST", "/v1/users", {**form, "referral_code": bad})
        if bad is not None:
            assert refused(answer, 400, "REQUEST_FIELD_INVALID"), bad
            assert "referral_code" in answer.json["message"]
            assert form["email"] not in pool.logins
        else:
            del pool.logins[form["email"]]
    assert ann.ask("POST", "/v1/users", {**form, "referral_code": f" {code.lower()} "}).status == 200
    ann.ask("POST", "/v1/users/confirm", {"email": form["email"], "code": CODE})
    assert ReferralStore().owner(code) == CodeOwner(owner, account, 0)
    for _ in range(2):
        assert ann.ask("POST", "/v1/sessions", {"email": form["email"], "password": PASSWORD}).status == 200
        pool.logins[form["email"]].referral_code = ""  # whatever the pool says later
    bob = CustomerItem.get(pool.logins[form["email"]].user_id)
    assert (bob.referral_code, bob.referrer_id) == (code, account)
    assert ReferralStore().referral(bob.account_id) == Referral(account, bob.created_at_ns)
    assert ReferralStore().owner(code) == CodeOwner(owner, account, 1)
    profile = Profile(bob.user_id, 77, "bot", 5)
    customer = CustomerStore().find(bob.user_id)
    assert customer is not None
    assert ProfileStore(connection()).create(profile, profiles_max=5, referral=customer.referral)
    assert ReferralStore().referral(77) == ReferralStore().referral(bob.account_id)


def test_who_signs_up_past_us_with_no_code_or_the_own_is_brought_by_nobody(ann: Ann, pool: FakeUserPool) -> None:
    for number, code in enumerate(("anything", "BBBBBBBBBB", "own")):
        email = f"past{number}@example.com"
        assert ann.ask("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": "Eve"}).status == 200
        ann.ask("POST", "/v1/users/confirm", {"email": email, "code": CODE})
        login = pool.logins[email]
        login.referral_code = ReferralStore().own_code(login.user_id, 5)[0] if code == "own" else code
        assert ann.ask("POST", "/v1/sessions", {"email": email, "password": PASSWORD}).status == 200
        customer = CustomerStore().find(login.user_id)
        assert customer is not None
        assert (customer.referral_code, customer.referral) == ("", None)


def test_a_customer_sees_and_renames_themselves(logged_in: Ann) -> None:
    me = logged_in.ask("GET", "/v1/users/self").json
    assert (me["email"], me["name"], me["status"], me["rate_limit_tier"]) == (EMAIL, "Ann", "active", "standard")
    assert [profile["name"] for profile in me["profiles"]] == ["default"]
    renamed = logged_in.ask("PATCH", "/v1/users/self", {"name": "Anna"})
    assert renamed.json == {**me, "name": "Anna"}
    assert logged_in.ask("GET", "/v1/users/self").json == renamed.json


@pytest.mark.parametrize("field", ["status", "rate_limit_tier", "account_id", "user_id", "email", "api_keys"])
def test_nobody_changes_what_is_ours_to_say(logged_in: Ann, field: str) -> None:
    before = logged_in.ask("GET", "/v1/users/self").json
    answer = logged_in.ask("PATCH", "/v1/users/self", {"name": "Anna", field: "maker"})
    assert refused(answer, 400, "REQUEST_FIELD_UNKNOWN")
    assert field in answer.json["message"]
    assert logged_in.ask("GET", "/v1/users/self").json == before


def test_logging_in_again_keeps_the_account(logged_in: Ann) -> None:
    before = logged_in.ask("GET", "/v1/users/self").json
    logged_in.log_in()
    assert logged_in.ask("GET", "/v1/users/self").json == before


def test_a_session_is_renewed(ann: Ann) -> None:
    ann.register()
    session = ann.log_in()
    renewed = ann.ask("POST", "/v1/sessions/refresh", {"refresh_token": session["refresh_token"]})
    assert renewed.status == 200
    assert "refresh_token" not in renewed.json
    bearer = {"Authorization": f"Bearer {renewed.json['access_token']}"}
    assert ann.ask("GET", "/users/self/verify", headers=bearer).status == 200
    assert refused(ann.ask("POST", "/v1/sessions/refresh", {"refresh_token": "x"}), 401, "AUTH_INVALID")


def test_an_unknown_address_and_a_wrong_password_are_one_refusal(ann: Ann) -> None:
    ann.register()
    wrong = ann.ask("POST", "/v1/sessions", {"email": EMAIL, "password": "wrong"})
    unknown = ann.ask("POST", "/v1/sessions", {"email": "nobody@example.com", "password": "wrong"})
    assert refused(wrong, 401, "AUTH_INVALID")
    assert (unknown.status, unknown.json) == (wrong.status, wrong.json)


@pytest.mark.parametrize("path", ["/v1/users/resend", "/v1/users/confirm"])
def test_nobody_learns_here_who_is_registered(ann: Ann, path: str) -> None:
    ann.register()
    extra = {"code": "000000"} if path.endswith("confirm") else {}
    known = ann.ask("POST", path, {"email": EMAIL, **extra})
    unknown = ann.ask("POST", path, {"email": "nob@example.com", **extra})
    assert known.status == unknown.status
    assert known.text.replace(EMAIL, "-") == unknown.text.replace("nob@example.com", "-")


def test_a_second_factor_is_asked_for_and_taken(ann: Ann, pool: FakeUserPool) -> None:
    ann.register()
    pool.logins[EMAIL].second_factor = True
    login = {"email": EMAIL, "password": PASSWORD}
    assert refused(ann.ask("POST", "/v1/sessions", login), 401, "AUTH_MISSING")
    assert refused(ann.ask("POST", "/v1/sessions", {**login, "mfa_code": "000000"}), 401, "AUTH_INVALID")
    assert ann.ask("POST", "/v1/sessions", {**login, "mfa_code": MFA_CODE}).status == 200
    pool.challenge = "NEW_PASSWORD_REQUIRED"
    assert refused(ann.ask("POST", "/v1/sessions", login), 401, "AUTH_INVALID")


@pytest.mark.parametrize(
    ("failing", "status", "code"),
    [
        ("LimitExceededException", 429, "RATE_LIMITED"),
        ("InternalErrorException", 503, "SERVICE_UNAVAILABLE"),
        ("ResourceNotFoundException", 503, "SERVICE_UNAVAILABLE"),
        ("PasswordResetRequiredException", 401, "AUTH_INVALID"),
    ],
)
def test_what_the_pool_cannot_do(ann: Ann, pool: FakeUserPool, failing: str, status: int, code: str) -> None:
    ann.register()
    pool.failing = failing
    answer = ann.ask("POST", "/v1/sessions", {"email": EMAIL, "password": PASSWORD})
    assert refused(answer, status, code)
    assert ("retry-after" in answer.headers) == (status in {429, 503})


def test_registering_twice_and_weakly(ann: Ann) -> None:
    ann.register()
    again = {"email": EMAIL, "password": PASSWORD, "name": "Ann"}
    assert refused(ann.ask("POST", "/v1/users", again), 400, "USER_EXISTS")
    weak = {"email": "bob@example.com", "password": "secret", "name": "Bob"}
    assert refused(ann.ask("POST", "/v1/users", weak), 400, "USER_PASSWORD_WEAK")


def test_a_key_signs_at_once_and_its_secret_is_shown_once(logged_in: Ann) -> None:
    key = logged_in.make_key()
    assert logged_in.by_key(key, "GET", "/users/self/verify").json == {
        "user_id": logged_in.ask("GET", "/v1/users/self").json["user_id"],
        "profile_id": logged_in.ask("GET", "/v1/users/self").json["profiles"][0]["id"],
    }
    shown = {name: value for name, value in key.items() if name not in {"secret", "passphrase"}}
    (listed,) = logged_in.ask("GET", "/v1/api-keys").json
    assert listed.pop("last_used_at") >= shown["created_at"]
    assert listed == shown


def test_a_key_is_rotated_and_both_secrets_sign_for_a_while(logged_in: Ann) -> None:
    former = logged_in.make_key()
    path = f"/v1/api-keys/{former['id']}/rotations"

    def rotate(**terms: Any) -> Answer:
        return logged_in.ask("POST", path, terms)

    assert refused(rotate(overlap_hours=0), 400, "REQUEST_FIELD_INVALID")
    assert refused(rotate(public_key="AAAA"), 400, "REQUEST_FIELD_INVALID")
    rotated = rotate(overlap_hours=2)
    assert rotated.status == 200
    assert rotated.json["id"] == former["id"]
    assert rotated.json["secret"] != former["secret"]
    assert "previous_until" in rotated.json
    for key in (former, rotated.json):
        assert logged_in.by_key(key, "GET", "/users/self/verify").status == 200
    assert refused(rotate(), 400, "API_KEY_ROTATING")


def test_a_key_by_public_key_shows_no_secret(logged_in: Ann) -> None:
    public_key = base64.b64encode(bytes(range(32))).decode()
    key = logged_in.make_key(public_key=public_key)
    assert (key["type"], key["public_key"]) == ("ed25519", public_key)
    assert not {"secret", "passphrase"} & key.keys()


def test_the_tables_hold_no_secret_in_the_clear(logged_in: Ann) -> None:
    key = logged_in.make_key(passphrase="open-sesame")
    dump = "".join(str(boto3.resource("dynamodb").Table(t).scan()["Items"]) for t in ("x-users", "x-api_keys"))
    assert key["passphrase"] == "open-sesame"
    for hidden in (key["secret"], key["secret"][:20], "open-sesame", PASSWORD):
        assert hidden not in dump


def test_a_key_cannot_manage_keys(logged_in: Ann) -> None:
    key = logged_in.make_key(scopes=["view", "trade", "transfer"])
    more = {"name": "more", "scopes": ["view"]}
    assert refused(logged_in.by_key(key, "POST", "/v1/api-keys", more), 401, "AUTH_SCOPE")
    assert refused(logged_in.by_key(key, "GET", "/v1/api-keys"), 401, "AUTH_SCOPE")
    assert refused(logged_in.by_key(key, "DELETE", f"/v1/api-keys/{key['id']}"), 401, "AUTH_SCOPE")
    assert refused(logged_in.by_key(key, "PATCH", "/v1/users/self", {"name": "Eve"}), 401, "AUTH_SCOPE")
    assert len(logged_in.ask("GET", "/v1/api-keys").json) == 1


def test_a_revoked_key_opens_nothing_any_more(logged_in: Ann) -> None:
    key = logged_in.make_key()
    assert logged_in.ask("DELETE", f"/v1/api-keys/{key['id']}").json == key["id"]
    assert refused(logged_in.by_key(key, "GET", "/users/self/verify"), 401, "AUTH_INVALID")
    assert refused(logged_in.ask("DELETE", f"/v1/api-keys/{key['id']}"), 404, "API_KEY_NOT_FOUND")
    assert logged_in.ask("GET", "/v1/api-keys").json == []


def test_a_foreign_key_is_as_absent_as_a_missing_one(logged_in: Ann) -> None:
    key = logged_in.make_key()
    ApiKeyItem(key["id"]).update(actions=[ApiKeyItem.user_id.set("somebody-else")])
    foreign = logged_in.ask("DELETE", f"/v1/api-keys/{key['id']}")
    missing = logged_in.ask("DELETE", f"/v1/api-keys/{'0' * 32}")
    odd = logged_in.ask("DELETE", "/v1/api-keys/" + "x" * 3000)
    assert foreign.json == missing.json == odd.json
    assert refused(foreign, 404, "API_KEY_NOT_FOUND")
    assert ApiKeyItem.get(key["id"]).status == "active"


def test_a_key_has_its_owner_s_tier(logged_in: Ann) -> None:
    user_id = logged_in.ask("GET", "/v1/users/self").json["user_id"]
    CustomerItem(user_id).update(actions=[CustomerItem.rate_limit_tier.set("maker")])
    assert logged_in.make_key()["rate_limit_tier"] == "maker"


def test_a_key_may_expire_and_be_bound_to_addresses(logged_in: Ann) -> None:
    key = logged_in.make_key(expires_at="2199-01-01T00:00:00+01:00", allowed_addresses=["198.51.100.7"])
    assert (key["expires_at"], key["allowed_addresses"]) == ("2198-12-31T23:00:00.000000Z", ["198.51.100.7/32"])
    assert refused(logged_in.by_key(key, "GET", "/users/self/verify"), 401, "AUTH_ADDRESS")


def test_there_is_a_limit_to_keys(logged_in: Ann) -> None:
    user_id = logged_in.ask("GET", "/v1/users/self").json["user_id"]
    CustomerItem(user_id).update(actions=[CustomerItem.api_keys.set(25)])
    answer = logged_in.ask("POST", "/v1/api-keys", {"name": "bot", "scopes": ["view"]})
    assert refused(answer, 400, "API_KEY_LIMIT")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "REQUEST_FIELD_INVALID"),
        ({"name": "x" * 101}, "REQUEST_FIELD_INVALID"),
        ({"name": "a\nb"}, "REQUEST_FIELD_INVALID"),
        ({"name": 7}, "REQUEST_FIELD_INVALID"),
        ({"scopes": []}, "REQUEST_FIELD_INVALID"),
        ({"scopes": ["view", "view"]}, "REQUEST_FIELD_INVALID"),
        ({"scopes": ["withdraw"]}, "REQUEST_FIELD_INVALID"),
        ({"scopes": "view"}, "REQUEST_FIELD_INVALID"),
        ({"scopes": [["view"]]}, "REQUEST_FIELD_INVALID"),
        ({"passphrase": "short"}, "REQUEST_FIELD_INVALID"),
        ({"passphrase": "with a blank in it"}, "REQUEST_FIELD_INVALID"),
        ({"passphrase": "x" * 65}, "REQUEST_FIELD_INVALID"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "REQUEST_FIELD_INVALID"),
        ({"expires_at": "2030-01-01T00:00:00"}, "REQUEST_FIELD_INVALID"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "REQUEST_FIELD_INVALID"),
        ({"expires_at": "tomorrow"}, "REQUEST_FIELD_INVALID"),
        ({"expires_at": 1_900_000_000}, "REQUEST_FIELD_INVALID"),
        ({"allowed_addresses": ["300.1.1.1"]}, "REQUEST_FIELD_INVALID"),
        ({"allowed_addresses": ["10.0.0.1", "10.0.0.1/32"]}, "REQUEST_FIELD_INVALID"),
        ({"allowed_addresses": ["10.0.0.1"] * 21}, "REQUEST_FIELD_INVALID"),
        ({"rate_limit_tier": "maker"}, "REQUEST_FIELD_UNKNOWN"),
        ({"user_id": "somebody-else"}, "REQUEST_FIELD_UNKNOWN"),
        ({"secret": "AAAA"}, "REQUEST_FIELD_UNKNOWN"),
    ],
)
def test_absurd_terms_of_a_key_are_refused(logged_in: Ann, changes: dict[str, Any], code: str) -> None:
    answer = logged_in.ask("POST", "/v1/api-keys", {"name": "bot", "scopes": ["view"], **changes})
    assert refused(answer, 400, code)
    assert next(iter(changes)) in answer.json["message"]
    assert logged_in.ask("GET", "/v1/api-keys").json == []


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", '{"email":"a@b.c","email":"b@b.c"}', "{}\x00"])
def test_a_malformed_body_is_refused(ann: Ann, text: str) -> None:
    for path in ("/v1/users", "/v1/users/confirm", "/v1/users/resend", "/v1/sessions", "/v1/sessions/refresh"):
        assert refused(ann.ask("POST", path, text=text), 400, "REQUEST_MALFORMED")


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "@b.c", "a b@c.d", "a@b@c", "a\n@b.c", "x" * 250 + "@b.cd", 7, None]
)
def test_an_address_that_is_none_is_refused(ann: Ann, email: Any) -> None:
    answer = ann.ask("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": "Ann"})
    assert refused(answer, 400, "REQUEST_FIELD_INVALID")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/users/self"),
        ("PATCH", "/v1/users/self"),
        ("GET", "/users/self/verify"),
        ("POST", "/v1/api-keys"),
        ("GET", "/v1/api-keys"),
        ("DELETE", "/v1/api-keys/" + "0" * 32),
    ],
)
def test_nothing_of_a_customer_s_is_open_to_a_stranger(ann: Ann, method: str, path: str) -> None:
    assert refused(ann.ask(method, path, headers={}), 401, "AUTH_MISSING")
    assert refused(ann.ask(method, path, headers={"Authorization": "Bearer x.y.z"}), 401, "AUTH_INVALID")


def test_a_frozen_customer_is_shut_out(logged_in: Ann) -> None:
    key = logged_in.make_key()
    user_id = logged_in.ask("GET", "/v1/users/self").json["user_id"]
    CustomerItem(user_id).update(actions=[CustomerItem.status.set("frozen")])
    assert refused(logged_in.by_key(key, "GET", "/users/self/verify"), 401, "ACCOUNT_FROZEN")
    assert refused(logged_in.ask("GET", "/v1/users/self"), 401, "ACCOUNT_FROZEN")
    login = {"email": EMAIL, "password": PASSWORD}
    assert refused(logged_in.ask("POST", "/v1/sessions", login), 401, "ACCOUNT_FROZEN")


def test_a_signed_query_is_verified_with_and_without_the_edge(logged_in: Ann, api: ModuleType) -> None:
    key = logged_in.make_key()
    path = "/users/self/verify?b=2&a=x%20y"
    how = {"key_id": key["id"], "secret": base64.b64decode(key["secret"]), "passphrase": key["passphrase"]}
    headers = signed_headers("GET", path, timestamp=str(int(time.time())), **how)
    for raw_query in (True, False):
        event = proxy_event("GET", "/users/self/verify", query="b=2&a=x%20y", headers=headers, raw_query=raw_query)
        assert call(api.handler, event).status == 200
    tampered = proxy_event("GET", "/users/self/verify", query="b=3&a=x%20y", headers=headers)
    assert refused(call(api.handler, tampered), 401, "AUTH_INVALID")
