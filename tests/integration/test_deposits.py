"""Deposits on the laptop cloud: the real state machine, queue, webhook and transactions; what repeats and lies do."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import urllib3
from exchange.payments.sandbox import answer
from exchange.payments.signature import signed_headers as bank_headers

from tests.fakes.users import signed_headers
from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud

Ask = Callable[[Callable[[], Any]], Any]
CONCURRENT = 24


@dataclass
class Customer:
    """A demo customer at the REST API."""

    rest_url: str
    user: dict[str, str]
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=CONCURRENT, timeout=30))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One signed request, which succeeds; the reply's JSON."""
        status, said = self.try_to(method, path, body)
        assert status == 200, said
        return said

    def try_to(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One signed request; the reply's status and JSON. Who asked too often waits as told and signs anew."""
        sent = json.dumps(body).encode() if body is not None else b""
        while (reply := self._signed(method, path, sent)).status == 429:
            time.sleep(float(reply.headers["Retry-After"]))
        return reply.status, json.loads(reply.data)

    def _signed(self, method: str, path: str, sent: bytes) -> urllib3.BaseHTTPResponse:
        headers = signed_headers(
            method,
            path,
            sent,
            timestamp=f"{time.time():.3f}",
            key_id=self.user["api_key"],
            secret=base64.b64decode(self.user["secret"]),
            passphrase=self.user["passphrase"],
        )
        return self.http.request(method, self.rest_url + path, body=sent or None, headers=headers)

    def deposit(self, amount: str, key: str = "") -> dict[str, Any]:
        """Ask for a deposit of euros: nothing else in these tests moves them."""
        body = {"amount": amount, "currency": "EUR", "payment_method_id": "sandbox-bank-EUR"}
        made: dict[str, Any] = self.ask(
            "POST", "/deposits/payment-method", body | ({"client_transfer_id": key} if key else {})
        )
        return made

    def ended(self, transfer_id: str) -> dict[str, Any] | None:
        """The transfer once it is no longer pending."""
        found: dict[str, Any] = self.ask("GET", f"/transfers/{transfer_id}")
        return found if found["status"] != "pending" else None

    def micro_euros(self) -> int:
        """What is owned, in units of 0.000001."""
        row = next(row for row in self.ask("GET", "/accounts") if row["currency"] == "EUR")
        whole, _, fraction = row["balance"].partition(".")
        return int(whole) * 10**6 + int(fraction.ljust(6, "0"))


@pytest.fixture
def carol(laptop: RunningLaptop) -> Customer:
    return Customer(laptop.stack["rest_url"], laptop.user("carol"))


@pytest.fixture
def bank(laptop: RunningLaptop) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Speak to the webhook as the bank does; with another secret, as somebody else does."""
    outputs = laptop.stack["outputs"]
    secret = laptop.client("secretsmanager").get_secret_value(SecretId=outputs["BankWebhookSecretArn"])["SecretString"]
    http = urllib3.PoolManager(timeout=30)

    def send(body: bytes, *, key: str = secret, seconds_ago: int = 0) -> tuple[int, Any]:
        headers = bank_headers(key, now_seconds=int(time.time()) - seconds_ago, body=body)
        url = f"{laptop.stack['rest_url']}/v1/payments/bank/notifications"
        reply = http.request("POST", url, body=body, headers={**headers, "Content-Type": "application/json"})
        return reply.status, json.loads(reply.data)

    yield send
    http.clear()


def genuine(transfer: dict[str, Any], **changed: Any) -> bytes:
    """What the sandbox bank says of a transfer, with fields changed."""
    instruction = {name: transfer[name] for name in ("amount", "currency")} | {"instruction_id": transfer["id"]}
    return json.dumps(json.loads(answer(instruction)) | changed).encode()


def journal_references(laptop: RunningLaptop) -> list[str]:
    """What each batch of the bank's chain belongs to, in the chain's order; numbered without a gap."""
    pages = (
        laptop.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=laptop.stack["tables"]["journal"],
            KeyConditionExpression="#p = :p",
            ExpressionAttributeNames={"#p": "partition"},
            ExpressionAttributeValues={":p": {"S": "rail:sandbox-bank"}},
            ConsistentRead=True,
        )
    )
    rows = [row for page in pages for row in page["Items"]]
    assert [int(row["batch"]["N"]) for row in rows] == list(range(1, len(rows) + 1))
    assert [row["previous_hash"]["B"] for row in rows[1:]] == [row["hash"]["B"] for row in rows[:-1]]
    return [row["reference"]["S"] for row in rows]


def test_a_deposit_arrives_whole(carol: Customer, eventually: Ask) -> None:
    before = carol.micro_euros()
    made = carol.deposit("12.345678")
    done = eventually(lambda: carol.ended(made["id"]))
    assert (done["status"], done["amount"], "completed_at" in done) == ("completed", "12.345678", True)
    assert carol.micro_euros() - before == 12_345_678


def test_a_declined_deposit_is_canceled_and_moves_nothing(carol: Customer, eventually: Ask) -> None:
    before = carol.micro_euros()
    made = carol.deposit("10.666")
    done = eventually(lambda: carol.ended(made["id"]))
    assert (done["status"], done["details"]["cancel_reason"]) == (
        "canceled",
        "declined by the bank: insufficient funds",
    )
    assert carol.micro_euros() == before


def test_a_deposit_that_the_customers_bank_takes_back_is_taken_back(carol: Customer, eventually: Ask) -> None:
    before = carol.micro_euros()
    made = carol.deposit("40.777")
    eventually(lambda: carol.ended(made["id"]))

    def returned() -> Any:
        rows = carol.ask("GET", "/transfers?limit=20")
        return next((row for row in rows if row["details"].get("reverses") == made["id"]), None)

    back = eventually(returned)
    assert (back["amount"], back["status"]) == ("40.777", "completed")
    assert carol.micro_euros() == before


def test_deposits_at_the_same_time_take_turns_and_all_arrive(
    laptop: RunningLaptop, carol: Customer, eventually: Ask
) -> None:
    before = carol.micro_euros()
    with ThreadPoolExecutor(CONCURRENT) as pool:
        made = list(pool.map(lambda _: carol.deposit("1")["id"], range(CONCURRENT)))
    assert {eventually(partial(carol.ended, transfer_id))["status"] for transfer_id in made} == {"completed"}
    assert carol.micro_euros() - before == CONCURRENT * 10**6
    references = journal_references(laptop)
    assert all(references.count(transfer_id) == 1 for transfer_id in made)


def test_every_step_done_again_changes_nothing(laptop: RunningLaptop, carol: Customer, eventually: Ask) -> None:
    key = uuid.uuid4().hex
    made = carol.deposit("3", key)
    eventually(lambda: carol.ended(made["id"]))
    done, before = carol.ended(made["id"]), carol.micro_euros()
    assert carol.deposit("3", key)["id"] == made["id"]
    outputs, stack = laptop.stack["outputs"], laptop.stack["stack_name"]
    steps = {
        f"{stack}-payments-tasks": {"step": "ask_bank", "task_token": "nobody's"},
        f"{stack}-wallets-tasks": {"step": "credit"},
    }
    for name, payload in steps.items():
        said = laptop.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(payload | {"transfer_id": made["id"]}).encode()
        )
        assert "FunctionError" not in said, said["Payload"].read()
    instruction = {"instruction_id": made["id"], "amount": "3", "currency": "EUR", "payment_method_id": "any"}
    for _ in range(2):
        laptop.client("sqs").send_message(QueueUrl=outputs["BankQueueUrl"], MessageBody=json.dumps(instruction))
    later = carol.deposit("1")
    eventually(lambda: carol.ended(later["id"]))
    assert carol.ended(made["id"]) == done
    assert carol.micro_euros() - before == 10**6
    references = journal_references(laptop)
    assert (references.count(made["id"]), references.count(later["id"])) == (1, 1)


def test_nobody_but_the_bank_is_believed_and_the_bank_only_once(
    laptop: RunningLaptop, carol: Customer, bank: Callable[..., tuple[int, Any]], eventually: Ask
) -> None:
    made = carol.deposit("2")
    done = eventually(lambda: carol.ended(made["id"]))
    before = carol.micro_euros()
    assert bank(genuine(made)) == (200, {"status": "repeated"})
    for body, how, status, code in (
        (genuine(made), {"key": "guess"}, 401, "AUTH_INVALID"),
        (genuine(made), {"seconds_ago": 301}, 401, "AUTH_EXPIRED"),
        (genuine(made, amount="2000000"), {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
        (genuine(made, currency="USD"), {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
        (genuine(made, status="declined", event_id="evt-x"), {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
        (genuine(made, bank_reference="SB-x", event_id="evt-y"), {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
        (genuine(made, transfer_id=str(uuid.uuid4())), {}, 404, "TRANSFER_NOT_FOUND"),
        (genuine(made, account_id=1), {}, 400, "REQUEST_FIELD_UNKNOWN"),
        (b"{", {}, 400, "REQUEST_MALFORMED"),
    ):
        said = bank(body, **how)
        assert (said[0], said[1]["code"]) == (status, code), body
    assert (carol.ended(made["id"]), carol.micro_euros()) == (done, before)
    assert journal_references(laptop).count(made["id"]) == 1
