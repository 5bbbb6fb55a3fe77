"""A Cognito user pool that speaks HTTP: boto3 and the fetching of its keys work on it unchanged."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.users import CLIENT_ID, KID, access_claims, id_claims, published, token

PASSWORD = "Correct-Horse-9-Battery"
CODE = "271828"
MFA_CODE = "314159"


class PoolError(Exception):
    """An answer that is one of Cognito's errors."""


@dataclass
class Login:
    """Who signed up."""

    user_id: str
    email: str
    name: str
    password: str
    confirmed: bool = False
    second_factor: bool = False
    referral_code: str = ""


@dataclass
class FakeUserPool:
    """Logins by e-mail address. `failing` is answered to everything instead."""

    now_seconds: int
    logins: dict[str, Login] = field(default_factory=dict)
    failing: str | None = None
    challenge: str = "SOFTWARE_TOKEN_MFA"
    sent: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Be as new."""
        self.logins, self.sent, self.failing, self.challenge = {}, [], None, "SOFTWARE_TOKEN_MFA"

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What Cognito answers. Raises PoolError."""
        if self.failing:
            raise PoolError(self.failing)
        if asked["ClientId"] != CLIENT_ID:
            raise PoolError("ResourceNotFoundException")
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "SignUp": self._sign_up,
            "ConfirmSignUp": self._confirm,
            "ResendConfirmationCode": self._resend,
            "InitiateAuth": self._initiate,
            "RespondToAuthChallenge": self._respond,
        }
        return operations[operation](asked)

    def _sign_up(self, asked: dict[str, Any]) -> dict[str, Any]:
        email = asked["Username"]
        if email in self.logins:
            raise PoolError("UsernameExistsException")
        if len(asked["Password"]) < 12:
            raise PoolError("InvalidPasswordException")
        attributes = {entry["Name"]: entry["Value"] for entry in asked["UserAttributes"]}
        user_id = str(uuid.uuid4())
        code = attributes.get("custom:referral_code", "")
        self.logins[email] = Login(user_id, email, attributes["name"], asked["Password"], referral_code=code)
        self.sent.append(email)
        return {"UserConfirmed": False, "UserSub": user_id}

    def _confirm(self, asked: dict[str, Any]) -> dict[str, Any]:
        login = self.logins.get(asked["Username"])
        if login is None or asked["ConfirmationCode"] != CODE:
            raise PoolError("CodeMismatchException")
        if login.confirmed:
            raise PoolError("NotAuthorizedException")
        login.confirmed = True
        return {}

    def _resend(self, asked: dict[str, Any]) -> dict[str, Any]:
        login = self.logins.get(asked["Username"])
        if login is None:
            raise PoolError("UserNotFoundException")
        if login.confirmed:
            raise PoolError("InvalidParameterException")
        self.sent.append(login.email)
        return {"CodeDeliveryDetails": {"DeliveryMedium": "EMAIL"}}

    def _initiate(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked["AuthParameters"]
        if asked["AuthFlow"] == "REFRESH_TOKEN_AUTH":
            email = given["REFRESH_TOKEN"].removeprefix("refresh ")
            if email not in self.logins:
                raise PoolError("NotAuthorizedException")
            return self._tokens(self.logins[email], first=False)
        login = self.logins.get(given["USERNAME"])
        if login is None or given["PASSWORD"] != login.password:
            raise PoolError("NotAuthorizedException")
        if not login.confirmed:
            raise PoolError("UserNotConfirmedException")
        if login.second_factor:
            parameters = {"USER_ID_FOR_SRP": login.user_id}
            return {"ChallengeName": self.challenge, "Session": "s" * 20, "ChallengeParameters": parameters}
        return self._tokens(login)

    def _respond(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked["ChallengeResponses"]
        if given["SOFTWARE_TOKEN_MFA_CODE"] != MFA_CODE:
            raise PoolError("CodeMismatchException")
        return self._tokens(next(login for login in self.logins.values() if login.user_id == given["USERNAME"]))

    def _tokens(self, login: Login, *, first: bool = True) -> dict[str, Any]:
        times = {"iat": self.now_seconds, "exp": self.now_seconds + 3600, "sub": login.user_id}
        given = {"custom:referral_code": login.referral_code} if login.referral_code else {}
        result = {
            "AccessToken": token(access_claims(**times)),
            "IdToken": token(id_claims(**times, email=login.email, name=login.name, **given)),
            "ExpiresIn": 3600,
            "TokenType": "Bearer",
        }
        return {"AuthenticationResult": {**result, **({"RefreshToken": f"refresh {login.email}"} if first else {})}}


@contextmanager
def served(pool: FakeUserPool) -> Iterator[str]:
    """Serve a pool on a free port; the address of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.endswith("/.well-known/jwks.json")
            self._reply(200 if known else 404, published(KID) if known else {})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self._reply(200, pool.answer(self.headers["X-Amz-Target"].partition(".")[2], asked))
            except PoolError as error:
                self._reply(400, {"__type": str(error), "message": "no"})

        def _reply(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Tests read no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
