"""The bank's webhook through the real function: what is genuine is recorded, and nothing else changes anything."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.ledger.store import BalanceItem, JournalStore
from exchange.payments.model import instruction_for
from exchange.payments.sandbox import answer
from exchange.payments.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_headers
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from moto import mock_aws

from tests.fakes.rest import Answer, call, proxy_event
from tests.fakes.tables import REGION, create_tables
from tests.fakes.wallets import a_deposit, a_withdrawal

SECRET = "what the bank and we know"
PATH = "/v1/payments/bank/notifications"


@dataclass
class Door:
    """The function, and the transfer that the bank was asked for."""

    handler: Any
    transfers: TransferStore
    asked: Transfer

    def send(self, headers: dict[str, str], body: bytes, *, packed: bool = False) -> Answer:
        """POST a body; `packed` as API Gateway sends what it takes for binary."""
        event = proxy_event("POST", PATH, headers=headers, body=None)
        event["body"] = base64.b64encode(body).decode() if packed else body.decode("latin-1")
        event["isBase64Encoded"] = packed
        return call(self.handler, event)

    def now(self) -> Transfer:
        """The transfer as it is stored."""
        found = self.transfers.transfer(self.asked.transfer_id)
        assert found is not None
        return found


def genuine(transfer: Transfer, **changed: Any) -> bytes:
    """What the bank says of a transfer, with fields changed."""
    said = instruction_for(transfer)
    instruction = {
        "instruction_id": said.instruction_id,
        "direction": said.direction,
        "amount": said.amount,
        "currency": said.currency,
    }
    return json.dumps(json.loads(answer(instruction)) | changed).encode()


def signed(body: bytes, *, seconds: int | None = None) -> dict[str, str]:
    """The bank's signature, now."""
    return signed_headers(SECRET, now_seconds=seconds or int(time.time()), body=body)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    with mock_aws():
        secrets = boto3.client("secretsmanager", region_name=REGION)
        arn = secrets.create_secret(Name="exchange/bank-webhook", SecretString=SECRET)["ARN"]
        create_tables("transfers", "journal", "balances", "bank_files")
        for name, value in {
            "AWS_DEFAULT_REGION": REGION,
            "TRANSFERS_TABLE": "transfers",
            "JOURNAL_TABLE": "journal",
            "BALANCES_TABLE": "balances",
            "BANK_FILES_TABLE": "bank_files",
            "BANK_WEBHOOK_SECRET_ARN": arn,
            "STRIPE_WEBHOOK_SECRET_ARN": arn,
            "STRIPE_API_KEY_ARN": arn,
            "STRIPE_API_BASE": "http://127.0.0.1:9",
        }.items():
            monkeypatch.setenv(name, value)
        bind(TransferItem, "transfers")
        bind(BankMarkItem, "transfers")
        transfers = TransferStore(connection())
        asked = a_deposit("100.25", key="rent")
        transfers.create(asked)
        transfers.await_bank(asked.transfer_id, "nobody waits behind this token")
        yield Door(import_module("functions.payments.api").handler, transfers, asked)


@pytest.mark.parametrize("packed", [False, True])
def test_a_genuine_notification_is_recorded_once(door: Door, packed: bool) -> None:
    body = genuine(door.asked)
    first = door.send(signed(body), body, packed=packed)
    assert (first.status, first.json) == (200, {"status": "recorded"})
    recorded = door.now()
    assert (recorded.payment, recorded.received_units) == (PaymentState.BOOKED, 100_250_000)
    again = door.send(signed(body), body)
    assert (again.status, again.json) == (200, {"status": "repeated"})
    assert door.now() == recorded


def test_a_recorded_notification_answers_200_though_nobody_waits(door: Door) -> None:
    body = genuine(door.asked, status="declined", reason="insufficient funds")
    assert door.send(signed(body), body).status == 200
    assert (door.now().payment, door.now().decline_reason) == (PaymentState.DECLINED, "insufficient funds")


def forged(transfer: Transfer) -> list[tuple[str, dict[str, str], bytes]]:
    """Notifications that are not the bank's, or not what the bank may say; each with its name."""
    body = genuine(transfer)
    headers = signed(body)
    now = int(time.time())
    found: list[tuple[str, dict[str, str], bytes]] = [
        ("unsigned", {}, body),
        ("no signature", {TIMESTAMP_HEADER: headers[TIMESTAMP_HEADER]}, body),
        ("no moment", {SIGNATURE_HEADER: headers[SIGNATURE_HEADER]}, body),
        ("upper case signature", headers | {SIGNATURE_HEADER: headers[SIGNATURE_HEADER].upper()}, body),
        ("base64 signature", headers | {SIGNATURE_HEADER: base64.b64encode(b"x" * 32).decode()}, body),
        ("another secret", signed_headers("guess", now_seconds=now, body=body), body),
        ("an empty secret", signed_headers("", now_seconds=now, body=body), body),
        ("another body's signature", signed(b"{}"), body),
        ("a moment moved", headers | {TIMESTAMP_HEADER: str(now - 1)}, body),
    ]
    found += [(f"byte {at}", headers, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]) for at in range(len(body))]
    found += [(f"digit {at}", headers | {SIGNATURE_HEADER: _turned(headers, at)}, body) for at in range(0, 64, 4)]
    found += [
        (f"{away} s away", signed(body, seconds=now + away), body) for away in (-301, -3_600, -(10**9), 302, 10**6)
    ]
    found += [("cut short", headers, body[:at]) for at in (0, 1, len(body) // 2, len(body) - 1)]
    lies: list[dict[str, Any]] = [
        {"amount": amount}
        for amount in ("100.26", "0", "-100.25", "+100.25", " 100.25", "100,25", "1.0025e2", "NaN", "Infinity", "0x64")
    ]
    numbers: tuple[Any, ...] = (100.25, 100, None, True, [], {}, ["100.25"], "", "9" * 50, "\u0661\u0660\u0660")
    lies += [{"amount": amount} for amount in numbers]
    lies += [{"currency": currency} for currency in ("EUR", "usd", "", "USDUSDUSDUSDUSD", 1, None, "USD ", "BTC")]
    lies += [{"status": status} for status in ("settled", "BOOKED", "", None, 1, True, ["booked"], "completed")]
    lies += [
        {"transfer_id": name} for name in ("", "x", None, 7, "../x", "receipt#sandbox-bank#SB", "a" * 65, "0" * 64)
    ]
    lies += [{"event_id": name} for name in ("", None, 1, "a b", "a#b", "é", "x" * 65)]
    lies += [{"bank_reference": name} for name in ("", None, 1, "a b", "a#b", "é", "x" * 65)]
    lies += [{name: "1"} for name in ("account_id", "units", "payment", "task_token", "received_units", "rail", "__x")]
    lies += [{"reason": reason} for reason in (None, 1, "x" * 201)]
    for lie in lies:
        body = genuine(transfer, **lie)
        found.append((f"a lie: {lie}", signed(body), body))
    for text in (
        b"",
        b"null",
        b"[]",
        b'"booked"',
        b"{",
        b'{"a":1}',
        b"\xff\xfe",
        b'{"amount":"1","amount":"2"}',
        b"[" * 9_000,
    ):
        found.append((f"no notification: {text[:20]!r}", signed(text), text))
    huge = genuine(transfer, reason="x" * 20_000)
    found.append(("huge", signed(huge), huge))
    return found


def _turned(headers: dict[str, str], at: int) -> str:
    digits = headers[SIGNATURE_HEADER]
    return digits[:at] + ("0" if digits[at] != "0" else "1") + digits[at + 1 :]


def test_no_forged_or_unfitting_notification_changes_anything(door: Door) -> None:
    before = door.now()
    corpus = forged(door.asked)
    assert len(corpus) >= 200
    for name, headers, body in corpus:
        said = door.send(headers, body, packed=True)
        assert 400 <= said.status < 500, (name, said.text)
        assert {"message", "code", "request_id"} == set(said.json), name
    assert door.now() == before
    assert [item.transfer_id for item in TransferItem.scan()] == [before.transfer_id]
    body = genuine(door.asked)
    assert door.send(signed(body), body).json == {"status": "recorded"}


def test_a_late_word_about_a_decided_transfer_is_not_taken(door: Door) -> None:
    body = genuine(door.asked)
    door.send(signed(body), body)
    for changed in ({"status": "declined", "event_id": "evt-2"}, {"bank_reference": "SB-2", "event_id": "evt-3"}):
        late = genuine(door.asked, **changed)
        said = door.send(signed(late), late)
        assert (said.status, said.json["code"]) == (400, "PAYMENT_NOTIFICATION_INVALID")
    assert door.now().payment is PaymentState.BOOKED


def test_another_customers_transfer_is_not_paid_by_this_ones_payment(door: Door) -> None:
    other = replace(a_deposit("100.25", account_id=8, key="rent"), task_token="other")
    door.transfers.create(other)
    door.transfers.await_bank(other.transfer_id, "other")
    body = genuine(door.asked)
    door.send(signed(body), body)
    stolen = genuine(door.asked, transfer_id=other.transfer_id, event_id="evt-new")
    said = door.send(signed(stolen), stolen)
    assert (said.status, said.json["code"]) == (400, "PAYMENT_NOTIFICATION_INVALID")
    found = door.transfers.transfer(other.transfer_id)
    assert found is not None
    assert found.payment is PaymentState.REQUESTED


def test_a_withdrawal_that_comes_back_is_posted_once_in_one_write(door: Door) -> None:
    paid = replace(
        a_withdrawal("10.5", key="out"),
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=10_500_000,
        completed_at_ns=1,
    )
    door.transfers.create(paid)
    back = genuine(paid, status="returned", bank_reference="SB-back", amount="10", reason="account closed")
    for status in ("recorded", "repeated"):
        assert door.send(signed(back), back).json == {"status": status}
    other = genuine(paid, status="returned", bank_reference="SB-other")
    said = door.send(signed(other), other)
    assert (said.status, said.json["code"]) == (400, "PAYMENT_NOTIFICATION_INVALID")
    undone = door.transfers.transfer(paid.transfer_id)
    assert undone is not None
    found = door.transfers.transfer(undone.reversed_by)
    assert found is not None
    assert (found.reverses, found.units, found.bank_reference) == (paid.transfer_id, 10_000_000, "SB-back")
    owned = {item.account: item.available for item in BalanceItem.scan()}
    assert owned == {"7": 10_000_000, "house:custody:sandbox-bank": -10_000_000}
    assert JournalStore().head("rail:sandbox-bank").number == 1


def test_a_return_of_what_is_not_posted_yet_is_asked_for_again(door: Door) -> None:
    paid = a_withdrawal("10.5", key="out")
    door.transfers.create(paid)
    door.transfers.await_bank(paid.transfer_id, "nobody waits behind this token")
    back = genuine(paid, status="returned", bank_reference="SB-back")
    assert door.send(signed(back), back).status == 503
    assert list(BalanceItem.scan()) == []
