"""Bank files on the laptop cloud: dropped into a bucket as a gateway would, booked by the real functions and tables."""

import json
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from infra.cli.bank import iban_of
from infra.local.bank_messages import statement
from tests.integration.conftest import RunningLaptop, audited
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud

Ask = Callable[[Callable[[], Any]], Any]
SENDER = "GB29NWBK60161331926819"
OUR_IBAN = iban_of(1)


class Bank:
    """What stands outside: customers' banks, our own bank, and its file gateway."""

    def __init__(self, laptop: RunningLaptop) -> None:
        self._url = f"{laptop.stack['sandbox_bank_url']}/v1/files"
        self._http = urllib3.PoolManager(timeout=30)
        self._laptop = laptop
        self.s3 = laptop.client("s3")
        self.buckets = laptop.stack["buckets"]

    def do(self, path: str, **form: str) -> dict[str, Any]:
        """Something that happens at the bank, in euros."""
        reply = self._http.request("POST", f"{self._url}/{path}", body=urlencode({"currency": "EUR", **form}))
        assert reply.status == 200, reply.data
        found: dict[str, Any] = json.loads(reply.data)
        return found

    def send(self, amount: str, words: str, *, name: str = "Dora") -> str:
        """A bank transfer to us."""
        return str(self.do("transfer", amount=amount, reference=words, name=name, iban=SENDER)["reference"])

    def file_orders(self) -> None:
        """What the schedule does each minute."""
        name = self._laptop.stack["outputs"]["BankFilesScheduleFunction"]
        answer = self._laptop.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        assert not answer.get("FunctionError"), answer["Payload"].read()

    def drop(self, content: bytes) -> str:
        """Any file, into the inbox."""
        key = f"inbox/{secrets.token_hex(8)}.xml"
        self.s3.put_object(Bucket=self.buckets["bank_files"], Key=key, Body=content)
        return key

    def refused(self) -> dict[str, str]:
        """Reasons in quarantine, by file."""
        listed = self.s3.list_objects_v2(Bucket=self.buckets["quarantine"], Prefix="bank-files/").get("Contents", [])
        told = [
            json.loads(self.s3.get_object(Bucket=self.buckets["quarantine"], Key=each["Key"])["Body"].read())
            for each in listed
            if each["Key"].endswith("reason.json")
        ]
        return {each["file"]: each["reason"] for each in told}


@pytest.fixture(scope="module")
def bank(laptop: RunningLaptop) -> Bank:
    return Bank(laptop)


@pytest.fixture
def dora(laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]) -> Customer:
    return Customer(laptop.stack["rest_url"], newcomer("dora"))


def asked(customer: Customer, amount: str, eventually: Ask) -> tuple[dict[str, Any], str]:
    """A deposit by file, and the reference to write on the transfer."""
    body = {"amount": amount, "currency": "EUR", "payment_method_id": "bank-files-EUR"}
    made = customer.ask("POST", "/deposits/payment-method", body)

    def told() -> dict[str, Any] | None:
        found: dict[str, Any] = customer.ask("GET", f"/transfers/{made['id']}")
        return found if "funding" in found["details"] else None

    found = eventually(told)
    assert found["details"]["funding"]["iban"] == OUR_IBAN
    return found, str(found["details"]["funding"]["reference"])


def withdrawn(customer: Customer, amount: str) -> dict[str, Any]:
    body = {"amount": amount, "currency": "EUR", "payment_method_id": "bank-files-EUR"}
    made: dict[str, Any] = customer.ask("POST", "/withdrawals/payment-method", body)
    return made


def test_money_comes_and_goes_by_files(laptop: RunningLaptop, dora: Customer, bank: Bank, eventually: Ask) -> None:
    before = dora.micro_euros()
    made, reference = asked(dora, "25.50", eventually)
    bank.send("25.50", f"{reference} twice")
    done = eventually(lambda: dora.ended(made["id"]))
    assert (done["status"], dora.micro_euros() - before) == ("completed", 25_500_000)
    bank.send("10", f"{reference} silent")
    bank.do("close-day")
    eventually(lambda: dora.micro_euros() - before == 35_500_000)

    paid = withdrawn(dora, "20.25")
    eventually(lambda: _waiting(laptop, paid["id"]))
    bank.file_orders()
    done = eventually(lambda: dora.ended(paid["id"]))
    assert (done["status"], dora.micro_euros() - before) == ("completed", 15_250_000)
    bank.do("close-day")
    audited(laptop)


def _waiting(laptop: RunningLaptop, transfer_id: str) -> bool:
    key = {"kind": {"S": "order"}, "key": {"S": transfer_id}}
    found = laptop.client("dynamodb").get_item(TableName=laptop.stack["tables"]["bank_files"], Key=key)
    return "Item" in found


def test_a_payment_that_is_rejected_or_comes_back_is_the_customers_again(
    laptop: RunningLaptop, dora: Customer, bank: Bank, eventually: Ask
) -> None:
    _, reference = asked(dora, "1", eventually)
    for words, ending in (("rejected", "canceled"), ("returned", "completed")):
        before = dora.micro_euros()
        bank.send("10", reference, name=f"Dora {words}")
        eventually(partial(_has, dora, before + 10_000_000))
        paid = withdrawn(dora, "7")
        eventually(partial(_waiting, laptop, paid["id"]))
        bank.file_orders()
        done = eventually(partial(dora.ended, paid["id"]))
        assert done["status"] == ending
        eventually(partial(_has, dora, before + 10_000_000))
    audited(laptop)


def _has(customer: Customer, micro_euros: int) -> bool:
    return customer.micro_euros() == micro_euros


def test_a_damaged_file_is_kept_whole_with_its_reason_and_nothing_of_it_counts(
    laptop: RunningLaptop, bank: Bank, eventually: Ask
) -> None:
    damaged = b"<Document>" + secrets.token_hex(8).encode()
    wrong = statement(OUR_IBAN, "EUR", 1, 7_000, [], at="2026-01-02T03:04:06Z")
    first, second = bank.drop(damaged), bank.drop(wrong)
    kept = eventually(lambda: (found := bank.refused()).keys() >= {first, second} and found)
    assert kept[first].startswith("Document: this is no XML")
    assert kept[second] == "ElctrncSeqNb: statement 1 was taken, and said something else"
    audited(laptop)
