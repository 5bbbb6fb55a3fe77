"""schemathesis from infra/api/openapi.yaml: whatever is asked, each operation answers as the document says.

`make openapi EXAMPLES=100 SEED=7` asks longer and otherwise than CI does.
"""

import base64
import copy
import hashlib
import hmac
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from exchange.payments.signature import signed_headers
from hypothesis import HealthCheck, settings
from hypothesis.errors import FlakyStrategyDefinition
from requests.auth import AuthBase
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode

from infra.local.sandbox_stripe import SandboxStripe
from tests.conformance.links import linked
from tests.contract.cloud_definition import api_document
from tests.contract.test_access import ACCESS, BANK, PERSON
from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud
EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "5"))
SEED = int(os.environ.get("OPENAPI_SEED", "1"))
STEPS = 8
RUNS_MAX = 6
# Which links a scenario takes is chance; of 32 at least so many lead to a success in the shortest run.
KINDS_MIN = 5
# What is refused with 400 though it is well formed: it names something that is not there.
ABSENT = {"PRODUCT_NOT_FOUND", "ORDER_ID_INVALID", "EVENTS_EXPIRED"}
# What a document can't say of two parameters together.
TOGETHER = ("not both", "must not be", "give product_id or order_id", "too small for this time range")
# Names that mean something here, so that not every request is about nothing.
WORDS = {
    "products": ("ACME-USD", "BTC-USD"),
    "currencies": ("USD", "BTC"),
    "prices": ("90", "99.5", "0.001", "1e5"),
    "sizes": ("1", "0.5", "1000000000"),
}
SPOKEN = {
    "products": ("body.product_id", "query.product_id"),
    "currencies": ("body.currency", "query.currency"),
    "prices": ("body.price", "body.stop_price", "body.orders.[*].price"),
    "sizes": ("body.size", "body.amount", "body.orders.[*].size"),
}


def closed_document() -> dict[str, Any]:
    """The document with nothing left open: an answer's field that it does not tell of is a fault."""
    document = copy.deepcopy(api_document())
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if "allOf" in schema:
            parts = [schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part for part in schema["allOf"]]
            properties = {key: value for part in parts for key, value in part["properties"].items()}
            schemas[name] = {
                "type": "object",
                "required": [key for part in parts for key in part.get("required", ())],
                "properties": properties,
            }
    for name, schema in schemas.items():
        # A public event is a message of the full channel, which docs/api/asyncapi.yaml tells of; a body is the asker's.
        if schema.get("type") == "object" and name != "PublicEvent" and not name.endswith("Body"):
            schema.setdefault("additionalProperties", False)
    return document


def configuration(*, guess: bool = True) -> SchemathesisConfig:
    """How much is asked; always the same with the same seed. `guess` which operations belong together, by names."""

    def spoken(name: str) -> dict[str, Any]:
        return {"dictionary": name, "probability": 0.7}

    parameters = {key: spoken(name) for name, keys in SPOKEN.items() for key in keys}
    paths = {"^/products/\\{id\\}": "products", "^/currencies/\\{id\\}": "currencies"}
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "generation": {"max-examples": EXAMPLES, "deterministic": True},
            # In its place stands `well_formed_means_understood`: most refusals of orders are no faults of form.
            "checks": {"positive_data_acceptance": {"enabled": False}},
            # Other methods: tests/integration/test_methods.py tries each on each path.
            "phases": {
                "coverage": {"unexpected-methods": []},
                "stateful": {"max-steps": STEPS, "inference": {} if guess else {"algorithms": []}},
            },
            "dictionaries": {name: {"values": list(values)} for name, values in WORDS.items()},
            "parameters": parameters,
            "operations": [
                {"include-path-regex": path, "parameters": {"path.id": spoken(name)}} for path, name in paths.items()
            ],
        }
    )


SCHEMA = schemathesis.openapi.from_dict(closed_document(), config=configuration())
# Only the links that links.py tells of, so that every step is one of a life: made, seen, changed, ended.
LINKED = schemathesis.openapi.from_dict(linked(closed_document()), config=configuration(guess=False))


class Signed(AuthBase):
    """Signs a request as it goes out, by an API key."""

    def __init__(self, user: Mapping[str, str]) -> None:
        self._user = user

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the four headers."""
        body, timestamp = raw(request), f"{time.time():.3f}"
        text = f"{timestamp}{request.method}{request.path_url}".encode() + body
        digest = hmac.digest(base64.b64decode(self._user["secret"]), text, hashlib.sha256)
        request.headers["CB-ACCESS-KEY"] = self._user["api_key"]
        request.headers["CB-ACCESS-TIMESTAMP"] = timestamp
        request.headers["CB-ACCESS-PASSPHRASE"] = self._user["passphrase"]
        request.headers["CB-ACCESS-SIGN"] = base64.b64encode(digest).decode()
        return request


class LoggedIn(AuthBase):
    """Sends the access token of a login."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the one header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Bank(AuthBase):
    """Signs as the bank does."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the two headers."""
        request.headers.update(signed_headers(self._secret, now_seconds=int(time.time()), body=raw(request)))
        return request


def raw(request: requests.PreparedRequest) -> bytes:
    """The body as it is sent."""
    body = request.body or b""
    return body if isinstance(body, bytes) else str(body).encode()


class Stripe(AuthBase):
    """Signs as Stripe does."""

    def __init__(self, secret: str) -> None:
        self.sandbox = SandboxStripe("", secret, deliver=lambda _body, _signature: None)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Stripe-Signature"] = self.sandbox.sign(raw(request))
        return request


class Caller:
    """A customer with a key and a login, and the bank's own secret."""

    def __init__(self, laptop: RunningLaptop, user: Mapping[str, str]) -> None:
        self.url: str = laptop.stack["rest_url"]
        self.user = user
        self.session = requests.Session()
        self.key = Signed(user)
        body = {name: user[name] for name in ("email", "password")}
        self.login = requests.post(f"{self.url}/v1/sessions", json=body, timeout=30).json()
        self.person = LoggedIn(self.login["access_token"])
        secrets = laptop.client("secretsmanager")
        arn = laptop.stack["outputs"]["BankWebhookSecretArn"]
        self.bank = Bank(secrets.get_secret_value(SecretId=arn)["SecretString"])
        arn = laptop.stack["outputs"]["StripeWebhookSecretArn"]
        self.stripe = Stripe(secrets.get_secret_value(SecretId=arn)["SecretString"])

    def auth(self, method: str, path: str) -> AuthBase:
        """What the operation asks for; a method that the path does not have is nobody's secret."""
        access = ACCESS.get(f"{method.upper()} {path}")
        if path == "/v1/payments/stripe/events":
            return self.stripe
        return self.person if access == PERSON else self.bank if access == BANK else self.key

    def ask(self, operation_id: str, body: Any = None, /, *, query: str = "", **variables: str) -> Any:
        """One good request, which must succeed with an answer as the document has it."""
        operation = SCHEMA.find_operation_by_id(operation_id)
        target = operation.path.format(**variables) + (f"?{query}" if query else "")
        answer = self.session.request(
            operation.method.upper(),
            self.url + target,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            auth=self.auth(operation.method, operation.path),
            timeout=30,
        )
        assert answer.status_code == 200, f"{operation.label} {target}: {answer.status_code} {answer.text}"
        operation.validate_response(answer)
        return answer.json()


@pytest.fixture(scope="module")
def caller(laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]) -> Caller:
    """A customer whom only this file knows."""
    return Caller(laptop, newcomer("schema"))


def well_formed_means_understood(_context: CheckContext, response: Response, case: schemathesis.Case[Any]) -> None:
    """What the document allows to GET is never refused for its form: only for what is not there."""
    meta = case.meta
    if meta is None or meta.generation.mode is not GenerationMode.POSITIVE or case.method.upper() != "GET":
        return
    if response.status_code == 400:
        refused = response.json()
        if refused["code"] not in ABSENT and not any(words in refused["message"] for words in TOGETHER):
            raise AssertionError(f"refused though the document allows it: {refused}")


@SCHEMA.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_as_documented(case: schemathesis.Case[Any], caller: Caller) -> None:
    case.call_and_validate(
        base_url=caller.url,
        session=caller.session,
        auth=caller.auth(case.method, case.operation.path),
        additional_checks=[well_formed_means_understood],
    )


class Walk:
    """Runs scenarios, and counts the links that were followed, by name: how often, and how often with success."""

    def __init__(self, schema: Any, caller: Caller) -> None:
        self.followed: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()
        self._schema, self._caller = schema, caller

    def run(self, scenarios: int) -> None:
        """Run so many."""
        walk, machine = self, self._schema.as_state_machine()

        class Scenario(machine):  # type: ignore[misc, valid-type]
            """Steps that use what earlier ones answered."""

            def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
                """Who asks, and where."""
                auth = walk._caller.auth(case.method, case.operation.path)
                return {"base_url": walk._caller.url, "session": walk._caller.session, "auth": auth}

            def step(self, input: Any) -> Any:  # noqa: A002 - schemathesis names it
                """One request; counted where it used what an earlier one answered."""
                output = super().step(input)
                if input.transition is not None and input.is_applied:
                    walk.followed[input.transition.id] += 1
                    walk.succeeded[input.transition.id] += output.response.status_code == 200
                return output

        limits = settings(
            max_examples=scenarios,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        for attempt in range(1, RUNS_MAX + 1):
            try:
                Scenario.run(settings=limits)
            except FlakyStrategyDefinition:
                # What may be asked next depends on what was answered, and an exchange does not answer twice alike:
                # where Hypothesis notices, it ends the run. The next one begins where this one has left the exchange.
                if attempt == RUNS_MAX:
                    raise
            else:
                return

    def told(self) -> str:
        """The figures."""
        kinds = sum(times > 0 for times in self.succeeded.values())
        return (
            f"{self.followed.total()} links followed, {self.succeeded.total()} to a success; "
            f"{len(self.followed)} kinds of link, {kinds} with a success"
        )


def test_whatever_follows_from_an_answer_is_as_documented_too(caller: Caller) -> None:
    walk = Walk(SCHEMA, caller)
    walk.run(EXAMPLES * 4)
    print(f"guessed: {walk.told()}")  # noqa: T201 - figures to read
    assert walk.followed


def test_what_is_made_can_be_seen_changed_and_ended(caller: Caller) -> None:
    walk = Walk(LINKED, caller)
    walk.run(EXAMPLES * 6)
    print(f"linked: {walk.told()}")  # noqa: T201 - figures to read
    assert sum(times > 0 for times in walk.succeeded.values()) >= KINDS_MIN
