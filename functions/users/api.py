"""Customers over REST: registration, sessions, the own profile, API keys."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from exchange.aws.settings import AccessSettings
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.kernel.ids import to_uuid
from exchange.rest import Api, ApiRequest, read_body
from exchange.usage.gate import guard
from exchange.users import access, request, service
from exchange.users.keymaking import KeyDesk, new_key
from exchange.users.model import Principal, Scope, api_key_json, customer_json, session_json

Found = TypeVar("Found")


class Settings(AccessSettings):
    """This function's environment."""

    profiles_table: str


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


def shown(found: Found | Refused, as_json: Callable[[Found], Any]) -> Any:
    """What was found as JSON, or the refusal."""
    return found if isinstance(found, Refused) else as_json(found)


@app.endpoint("POST", "/v1/users")
def register(asked: ApiRequest) -> Any:
    """Register; a code comes by mail."""
    body = read_body(request.RegisterBody, asked.body)
    if isinstance(body, Refused):
        return body
    refusal = identities.sign_up(email=body.email, password=body.password, name=body.name)
    return refusal or {"email": body.email, "status": "unconfirmed"}


@app.endpoint("POST", "/v1/users/confirm")
def confirm(asked: ApiRequest) -> Any:
    """Confirm the mail address by the code."""
    body = read_body(request.ConfirmBody, asked.body)
    if isinstance(body, Refused):
        return body
    return identities.confirm(email=body.email, code=body.code) or {"email": body.email, "status": "confirmed"}


@app.endpoint("POST", "/v1/users/resend")
def resend(asked: ApiRequest) -> Any:
    """Send another code; the answer is the same whether or not anybody waits for one."""
    body = read_body(request.ResendBody, asked.body)
    return body if isinstance(body, Refused) else identities.resend(email=body.email) or {"email": body.email}


@app.endpoint("POST", "/v1/sessions")
def log_in(asked: ApiRequest) -> Any:
    """Log in."""
    body = read_body(request.LogInBody, asked.body)
    if isinstance(body, Refused):
        return body
    return shown(service.log_in(identities, customers, clock, login=body.login()), session_json)


@app.endpoint("POST", "/v1/sessions/refresh")
def refresh(asked: ApiRequest) -> Any:
    """Exchange a refresh token for a new access token."""
    body = read_body(request.RefreshBody, asked.body)
    return body if isinstance(body, Refused) else shown(identities.refresh(body.refresh_token), session_json)


@app.endpoint("GET", "/v1/users/self", caller=viewer)
def show_self(_: ApiRequest, who: Principal) -> Any:
    """The customer and their profiles."""
    others = profiles.list_profiles(who.user_id)
    return shown(service.find_customer(customers, who.user_id), partial(customer_json, profiles=others))


@app.endpoint("PATCH", "/v1/users/self", caller=person)
def change_self(asked: ApiRequest, who: Principal) -> Any:
    """Change the own name."""
    body = read_body(request.UpdateSelfBody, asked.body)
    return body if isinstance(body, Refused) else shown(customers.rename(who.user_id, body.name), customer_json)


@app.endpoint("GET", "/users/self/verify", caller=viewer)
def verify(_: ApiRequest, who: Principal) -> Any:
    """Tell who signed; change nothing."""
    return {"user_id": who.user_id, "profile_id": to_uuid(who.account_id)}


@app.endpoint("POST", "/v1/api-keys", caller=person)
def create_key(asked: ApiRequest, who: Principal) -> Any:
    """Make an API key; its secret is shown this once."""
    return new_key(desk, who, asked.body)


@app.endpoint("GET", "/v1/api-keys", caller=person)
def list_keys(_: ApiRequest, who: Principal) -> Any:
    """The own active keys, newest first, without their secrets."""
    return [api_key_json(key) for key in keys.list_active(who.user_id)]


@app.endpoint("DELETE", "/v1/api-keys/{key_id}", caller=person)
def revoke_key(_: ApiRequest, who: Principal, key_id: str) -> Any:
    """Revoke an API key at once and for good; answers with its id."""
    return service.revoke_api_key(keys, clock, user_id=who.user_id, key_id=key_id)
