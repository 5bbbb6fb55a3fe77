"""The sandbox bank as a function: it answers every instruction by a signed call, and gives back what was not taken."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import boto3
import pytest
from exchange.payments.signature import verify
from moto import mock_aws

from tests.fakes.tables import REGION

SECRET = "what the bank and we know"


@dataclass
class Exchange:
    """Whoever answers at the webhook's address."""

    status: int = 200
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@dataclass
class SandboxBank:
    """The function, and the exchange that it calls."""

    handler: Any
    exchange: Exchange

    def take(self, *bodies: str) -> list[str]:
        """Give it a batch; which messages it gives back."""
        records = [{"messageId": f"m-{number}", "body": body} for number, body in enumerate(bodies)]
        failed = self.handler({"Records": records}, None)["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in failed]


def instruction(**changed: str) -> str:
    """An instruction from the queue."""
    fields = {
        "instruction_id": "t-1",
        "direction": "collect",
        "amount": "10",
        "currency": "USD",
        "payment_method_id": "sandbox-bank-USD",
    }
    return json.dumps(fields | changed)


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxBank]:
    exchange = Exchange()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            exchange.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(exchange.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        secrets = boto3.client("secretsmanager", region_name=REGION)
        arn = secrets.create_secret(Name="exchange/bank-webhook", SecretString=SECRET)["ARN"]
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        monkeypatch.setenv("BANK_WEBHOOK_SECRET_ARN", arn)
        monkeypatch.setenv("BANK_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/notifications")
        yield SandboxBank(import_module("functions.payments.queued").handler, exchange)
    server.shutdown()
    server.server_close()


@pytest.fixture
def bank(served: SandboxBank) -> SandboxBank:
    served.exchange.status = 200
    served.exchange.calls.clear()
    return served


def test_an_instruction_is_answered_by_a_call_that_verifies(bank: SandboxBank) -> None:
    assert bank.take(instruction()) == []
    [(headers, body)] = bank.exchange.calls
    assert verify(SECRET, headers=headers, body=body, now_seconds=int(headers["bank-timestamp"])) is None
    said = json.loads(body)
    assert (said["transfer_id"], said["status"], said["amount"], said["currency"]) == ("t-1", "booked", "10", "USD")


def test_an_instruction_that_comes_twice_is_answered_twice_in_the_same_words(bank: SandboxBank) -> None:
    bank.take(instruction(), instruction())
    assert len({body for _, body in bank.exchange.calls}) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 500, 503, 504])
def test_what_the_exchange_does_not_take_goes_back_to_the_queue(bank: SandboxBank, status: int) -> None:
    bank.exchange.status = status
    assert bank.take(instruction()) == ["m-0"]
    assert len(bank.exchange.calls) == 1


def test_one_bad_message_does_not_hold_up_the_others(bank: SandboxBank) -> None:
    assert bank.take(instruction(), "nonsense", instruction(instruction_id="t-2")) == ["m-1"]
    assert {json.loads(body)["transfer_id"] for _, body in bank.exchange.calls} == {"t-1", "t-2"}


@pytest.mark.parametrize("direction", ["collect", "pay"])
def test_what_ends_in_777_comes_back_once_it_was_booked(bank: SandboxBank, direction: str) -> None:
    assert bank.take(instruction(amount="10.777", direction=direction)) == []
    told = [json.loads(body) for _, body in bank.exchange.calls]
    assert [each["status"] for each in told] == ["booked", "returned"]
    assert len({each["bank_reference"] for each in told}) == 2
