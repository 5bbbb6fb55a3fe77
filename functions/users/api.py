"""Customers over REST: registration, sessions, the own profile, API keys."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from exchange.aws.dynamodb import connection
from exchange.aws.settings import AccessSettings
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard
from exchange.usage.store import UsageStore
from exchange.users import access, request, service
from exchange.users.keymaking import KeyDesk, new_key, rotated_key
from exchange.users.model import Principal, Scope, api_key_json, customer_json, session_json

Found = TypeVar("Found")


class Settings(AccessSettings):
    """This function's environment."""

    profiles_table: str
    referrals_table: str


settings = Settings.load()
app = Api("users", guard=partial(guard, settings))
handler = app
clock = SystemClock()
authenticator = access.authenticator(**settings.access())
viewer, person = partial(authenticator.authenticate, scope=Scope.VIEW), authenticator.authenticate_person
identities = access.identities(settings.user_pool_id, settings.user_pool_client_id)
customers, keys, sealer = access.stores(settings.secrets_key_id)
profiles = access.profiles(settings.profiles_table)
desk = KeyDesk(keys, sealer, customers, profiles, clock)
uses = UsageStore(connection())
referrals = access.referrals(settings.referrals_table)


def shown(found: Found | Refused, as_json: Callable[[Found], Any]) -> Any:
    """What was found as JSON, or the refusal."""
    return found if isinstance(found, Refused) else as_json(found)


@app.endpoint("POST", "/v1/users", body=request.RegisterBody)
def register(_: ApiRequest, body: request.RegisterBody) -> Any:
    """Register; a code comes by mail."""
    return service.register(identities, referrals, form=body.form()) or {"email": body.email, "status": "unconfirmed"}


@app.endpoint("POST", "/v1/users/confirm", body=request.ConfirmBody)
def confirm(_: ApiRequest, body: request.ConfirmBody) -> Any:
    """Confirm the mail address by the code."""
    return identities.confirm(email=body.email, code=body.code) or {"email": body.email, "status": "confirmed"}


@app.endpoint("POST", "/v1/users/resend", body=request.ResendBody)
def resend(_: ApiRequest, body: request.ResendBody) -> Any:
    """Send another code; the answer is the same whether or not anybody waits for one."""
    return identities.resend(email=body.email) or {"email": body.email}


@app.endpoint("POST", "/v1/sessions", body=request.LogInBody)
def log_in(_: ApiRequest, body: request.LogInBody) -> Any:
    """Log in."""
    return shown(service.log_in(identities, customers, referrals, clock, login=body.login()), session_json)


@app.endpoint("POST", "/v1/sessions/refresh", body=request.RefreshBody)
def refresh(_: ApiRequest, body: request.RefreshBody) -> Any:
    """Exchange a refresh token for a new access token."""
    return shown(identities.refresh(body.refresh_token), session_json)


@app.endpoint("GET", "/v1/users/self", caller=viewer)
def show_self(_: ApiRequest, who: Principal) -> Any:
    """The customer and their profiles."""
    others = profiles.list_profiles(who.user_id)
    return shown(service.find_customer(customers, who.user_id), partial(customer_json, profiles=others))


@app.endpoint("PATCH", "/v1/users/self", caller=person, body=request.UpdateSelfBody)
def change_self(_: ApiRequest, who: Principal, body: request.UpdateSelfBody) -> Any:
    """Change the own name."""
    return shown(customers.rename(who.user_id, body.name), customer_json)


@app.endpoint("GET", "/users/self/verify", caller=viewer)
def verify(_: ApiRequest, who: Principal) -> Any:
    """Tell who signed; change nothing."""
    return {"user_id": who.user_id, "profile_id": to_uuid(who.account_id)}


@app.endpoint("POST", "/v1/api-keys", caller=person, body=request.CreateKeyBody)
def create_key(_: ApiRequest, who: Principal, body: request.CreateKeyBody) -> Any:
    """Make an API key; its secret is shown this once."""
    return new_key(desk, who, body)


@app.endpoint("GET", "/v1/api-keys", caller=person)
def list_keys(_: ApiRequest, who: Principal) -> Any:
    """The own active keys, newest first, without their secrets."""
    active = keys.list_active(who.user_id)
    used = uses.last_uses(key.key_id for key in active)
    return [api_key_json(key, used.get(key.key_id)) for key in active]


@app.endpoint("POST", "/v1/api-keys/{key_id}/rotations", caller=person, body=request.RotateKeyBody)
def rotate_key(_: ApiRequest, who: Principal, body: request.RotateKeyBody, key_id: str) -> Any:
    """Give a key a new secret, shown this once; the former one works on until the overlap is over."""
    return rotated_key(desk, who, key_id, body)


@app.endpoint("DELETE", "/v1/api-keys/{key_id}", caller=person)
def revoke_key(_: ApiRequest, who: Principal, key_id: str) -> Any:
    """Revoke an API key at once and for good; answers with its id."""
    return service.revoke_api_key(keys, clock, user_id=who.user_id, key_id=key_id)
