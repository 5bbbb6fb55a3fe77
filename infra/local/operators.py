"""Operators at a terminal: two demo ones for a laptop, and a session of one at the operators' API."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyotp
import urllib3

from infra.local.laptop import Laptop

# Two people, so that what one proposes the other can approve.
DEMO_OPERATORS: Mapping[str, tuple[str, ...]] = {"olivia": ("compliance", "finance"), "oscar": ("superadmin",)}


class OperatorError(RuntimeError):
    """The operators' API said no; the message has its own words."""


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """One operator, logged in with both factors."""

    url: str
    access_token: str

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request; the reply's JSON. Raises OperatorError where it is no success."""
        status, said = self.send(method, path, body)
        if status != 200:
            raise OperatorError(f"{method} {path} answered {status}: {said.get('message', said)} ({said.get('code')})")
        return said

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """One request; the reply's status and JSON."""
        reply = self._reply(method, path, body)
        return reply.status, json.loads(reply.data)

    def pages(self, path: str) -> Iterator[Any]:
        """The rows of a list, page after page. Raises OperatorError where a page is no success."""
        after = ""
        while True:
            reply = self._reply("GET", path + after)
            if reply.status != 200:
                raise OperatorError(f"GET {path} answered {reply.status}: {reply.data.decode()}")
            yield from json.loads(reply.data)
            if "CB-AFTER" not in reply.headers:
                return
            after = f"{'&' if '?' in path else '?'}after={reply.headers['CB-AFTER']}"

    def _reply(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> urllib3.BaseHTTPResponse:
        """Whoever asks too often waits for as long as is told."""
        headers = {"Authorization": f"Bearer {self.access_token}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        while True:
            reply = urllib3.request(method, self.url + path, body=sent, headers=headers, timeout=30, retries=False)
            if reply.status != 429:
                return reply
            time.sleep(float(reply.headers.get("Retry-After", 1)))


def make_operators(laptop: Laptop) -> list[dict[str, Any]]:
    """Make the demo operators with their second factor. Returns what stack.json says of them."""
    cognito = laptop.client("cognito-idp")
    return [make_operator(cognito, laptop.outputs, name, roles) for name, roles in DEMO_OPERATORS.items()]


def make_operator(cognito: Any, outputs: Mapping[str, str], name: str, roles: Sequence[str]) -> dict[str, Any]:
    """Make one operator with their second factor, in the pool that a stack's `outputs` name."""
    pool = outputs["OperatorPoolId"]
    email, password = f"{name}@operators.example.com", f"Demo-{secrets.token_urlsafe(16)}-1a"
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    made = cognito.admin_create_user(
        UserPoolId=pool,
        Username=email,
        UserAttributes=attributes,
        TemporaryPassword=password,
        MessageAction="SUPPRESS",
    )["User"]
    cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
    for role in roles:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=made["Username"], GroupName=role)
    secret = _enrol(cognito, outputs["OperatorPoolClientId"], email, password)
    subject = next(row["Value"] for row in made["Attributes"] if row["Name"] == "sub")
    return {
        "name": name,
        "email": email,
        "password": password,
        "totp_secret": secret,
        "roles": list(roles),
        "operator_id": subject,
    }


def _enrol(cognito: Any, client_id: str, email: str, password: str) -> str:
    """Set the second factor up, as an operator does at their first login. Returns its secret."""
    begun = _begin(cognito, client_id, email, password)
    # AWS asks for the set-up before it gives tokens, the laptop's pool gives tokens and takes the set-up then.
    tokens = begun.get("AuthenticationResult")
    proof = {"AccessToken": tokens["AccessToken"]} if tokens else {"Session": begun["Session"]}
    secret = str(cognito.associate_software_token(**proof)["SecretCode"])
    cognito.verify_software_token(**proof, UserCode=pyotp.TOTP(secret).now())
    return secret


def log_in(cognito: Any, client_id: str, url: str, operator: Mapping[str, Any]) -> OperatorSession:
    """A session of an operator whose second factor is set up. Raises OperatorError where the pool wants more."""
    begun = _begin(cognito, client_id, operator["email"], operator["password"])
    if begun.get("ChallengeName") != "SOFTWARE_TOKEN_MFA":
        raise OperatorError(f"the pool asks for {begun.get('ChallengeName', 'no second factor')}")
    ended = cognito.respond_to_auth_challenge(
        ClientId=client_id,
        ChallengeName="SOFTWARE_TOKEN_MFA",
        Session=begun["Session"],
        ChallengeResponses={
            "USERNAME": begun.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", operator["email"]),
            "SOFTWARE_TOKEN_MFA_CODE": pyotp.TOTP(operator["totp_secret"]).now(),
        },
    )
    return OperatorSession(url, ended["AuthenticationResult"]["AccessToken"])


def _begin(cognito: Any, client_id: str, email: str, password: str) -> Any:
    proof = {"USERNAME": email, "PASSWORD": password}
    return cognito.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=proof)
