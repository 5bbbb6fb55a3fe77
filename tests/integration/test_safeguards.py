"""Safeguards on the laptop cloud: review by two operators, screening, calling off, freezes, codes, and one balance
asked for 200 times at once."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest

from infra.local.operators import OperatorSession
from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.test_deposits import Customer
from tests.integration.test_profiles import dave
from tests.integration.test_users import Visitor
from tests.integration.test_withdrawals import METHOD, Eventually, account, ended, read

pytestmark = pytest.mark.cloud
__all__ = ["dave"]
AT_ONCE = 200


def decided(login: Login, kind: str, **payload: str) -> Any:
    """What olivia proposes and oscar approves."""
    olivia, oscar = login("olivia"), login("oscar")
    wanted = {"kind": kind, "payload": payload, "reason": "in a test", "key": uuid.uuid4().hex}
    made = olivia.ask("POST", "/v1/proposals", wanted)
    return oscar.ask("POST", f"/v1/proposals/{made['id']}/approvals", {"payload_hash": made["payload_hash"]})


def withdraw(person: Visitor, amount: str, **more: str) -> tuple[int, Any]:
    return person.send("POST", "/withdrawals/payment-method", {"amount": amount, **METHOD, **more})


def in_stage(person: Visitor, transfer_id: str, stage: str) -> bool:
    return bool(read(person, f"/transfers/{transfer_id}")["details"]["stage"] == stage)


@pytest.fixture
def doubtful(dave: Visitor, eventually: Eventually) -> Any:
    """A withdrawal that screening stopped."""
    status, made = withdraw(dave, "10.444")
    assert status == 200, made
    eventually(lambda: in_stage(dave, made["id"], "in_review"))
    return made


def waiting(session: OperatorSession, transfer_id: str) -> Any:
    """The withdrawal as operators are shown it among those that wait."""
    return next((row for row in session.ask("GET", "/v1/withdrawals") if row["id"] == transfer_id), None)


def test_what_two_operators_release_is_paid(dave: Visitor, doubtful: Any, login: Login, eventually: Eventually) -> None:
    shown = eventually(lambda: waiting(login("olivia"), doubtful["id"]))
    assert shown["review_reason"] == "screening: the destination is on a sandbox's list"
    assert account(dave)["hold"] == "10.444"
    assert decided(login, "withdrawal.release", transfer_id=doubtful["id"])["state"] == "applied"
    assert eventually(lambda: ended(dave, doubtful["id"]))["status"] == "completed"
    assert account(dave)["balance"] == "89.556"
    assert waiting(login("olivia"), doubtful["id"]) is None


def test_what_two_operators_refuse_is_given_back(
    dave: Visitor, doubtful: Any, login: Login, eventually: Eventually
) -> None:
    decided(login, "withdrawal.refuse", transfer_id=doubtful["id"])
    closed = eventually(lambda: ended(dave, doubtful["id"]))
    assert (closed["status"], closed["details"]["cancel_reason"]) == ("canceled", "refused in review")
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("100", "100", "0")


def test_its_owner_calls_it_off_and_operators_can_release_it_no_more(
    dave: Visitor, doubtful: Any, login: Login
) -> None:
    stranger = Visitor(dave.laptop)
    stranger.register()
    assert stranger.confirm(stranger.mailed_code())[0] == 200
    stranger.log_in()
    path = f"/v1/withdrawals/{doubtful['id']}/cancel"
    status, said = stranger.send("POST", path)
    assert (status, said["code"]) == (404, "TRANSFER_NOT_FOUND")
    for _ in range(2):
        status, said = dave.send("POST", path)
        assert (status, said["details"]["cancel_reason"]) == (200, "canceled by the customer")
    assert account(dave)["available"] == "100"
    wanted = {"kind": "withdrawal.release", "payload": {"transfer_id": doubtful["id"]}, "reason": "too late"}
    made = login("olivia").ask("POST", "/v1/proposals", {**wanted, "key": uuid.uuid4().hex})
    approval = {"payload_hash": made["payload_hash"]}
    status, said = login("oscar").send("POST", f"/v1/proposals/{made['id']}/approvals", approval)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")


def cleared(laptop: RunningLaptop, transfer_id: str) -> str:
    """What the machine's step says of a withdrawal, done once more than the machine does it."""
    asked = json.dumps({"step": "clear", "transfer_id": transfer_id})
    function = f"{laptop.stack['stack_name']}-wallets-tasks"
    answer = laptop.client("lambda").invoke(FunctionName=function, Payload=asked.encode())
    told = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return str(told["clearance"])


@contextmanager
def frozen(login: Login, user_id: str) -> Iterator[None]:
    """A customer whom an operator froze, and whom two thaw."""
    login("olivia").ask("POST", f"/v1/customers/{user_id}/freeze", {"reason": "in a test"})
    try:
        yield
    finally:
        decided(login, "customer.unfreeze", user_id=user_id)


def outdated(login: Login, transfer_id: str) -> str:
    """Why two operators can't release a withdrawal."""
    wanted = {"kind": "withdrawal.release", "payload": {"transfer_id": transfer_id}, "reason": "in a test"}
    made = login("olivia").ask("POST", "/v1/proposals", {**wanted, "key": uuid.uuid4().hex})
    approval = {"payload_hash": made["payload_hash"]}
    status, said = login("oscar").send("POST", f"/v1/proposals/{made['id']}/approvals", approval)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED"), said
    login("oscar").ask("POST", f"/v1/proposals/{made['id']}/rejections", approval)
    return str(said["message"])


@pytest.fixture
def unscreened(dave: Visitor) -> Any:
    """A withdrawal that is held, and that the screening knows nothing of twice."""
    status, made = withdraw(dave, "10.555")
    assert status == 200, made
    return made


def test_who_is_frozen_after_the_hold_is_paid_when_they_are_thawed_and_operators_release_it(
    dave: Visitor, unscreened: Any, laptop: RunningLaptop, login: Login, eventually: Eventually
) -> None:
    with frozen(login, dave.user_id):
        eventually(lambda: cleared(laptop, unscreened["id"]) == "review")
        assert eventually(lambda: waiting(login("olivia"), unscreened["id"]))["review_reason"] == "frozen"
        assert "the customer is frozen" in outdated(login, unscreened["id"])
    assert account(dave)["hold"] == "10.555"
    assert decided(login, "withdrawal.release", transfer_id=unscreened["id"])["state"] == "applied"
    assert eventually(lambda: ended(dave, unscreened["id"]))["status"] == "completed"
    assert account(dave)["balance"] == "89.445"


def test_what_a_frozen_customer_wants_out_operators_can_refuse(
    dave: Visitor, doubtful: Any, login: Login, eventually: Eventually
) -> None:
    with frozen(login, dave.user_id):
        assert "the customer is frozen" in outdated(login, doubtful["id"])
        decided(login, "withdrawal.refuse", transfer_id=doubtful["id"])
    assert eventually(lambda: ended(dave, doubtful["id"]))["status"] == "canceled"
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("100", "100", "0")


def test_what_is_paid_is_called_off_no_more(dave: Visitor, eventually: Eventually) -> None:
    made = withdraw(dave, "10")[1]
    eventually(lambda: ended(dave, made["id"]))
    status, said = dave.send("POST", f"/v1/withdrawals/{made['id']}/cancel")
    assert (status, said["code"], said["message"]) == (400, "WITHDRAWAL_NOT_CANCELABLE", "it is settled already")


def test_limits_are_the_level_s_until_two_operators_raise_it(
    dave: Visitor, login: Login, eventually: Eventually
) -> None:
    status, said = withdraw(dave, "1000.01")
    assert (status, said["code"]) == (400, "WITHDRAWAL_LIMIT")
    decided(login, "customer.set_kyc_level", user_id=dave.user_id, level="1")
    assert dave.send("GET", "/v1/users/self")[1]["kyc_level"] == 1
    status, said = withdraw(dave, "1000.01")
    assert (status, said["code"]) == (400, "RISK_INSUFFICIENT_FUNDS")
    told = {"level": "1", "asset": "USD", "per_transfer": "60", "per_day": "90", "review_above": "50"}
    try:
        decided(login, "limits.set", **told)
        assert withdraw(dave, "60.01")[1]["code"] == "WITHDRAWAL_LIMIT"
        made = withdraw(dave, "50.01")[1]
        eventually(lambda: in_stage(dave, made["id"], "in_review"))
        refused = withdraw(dave, "40")[1]
        assert refused["message"] == "amount: 39.99 is left of what 24 hours allow"
    finally:
        decided(login, "limits.set", **{**told, "per_transfer": "25000", "per_day": "50000", "review_above": "10000"})


def test_a_second_factor_is_asked_for_and_its_code_serves_once(dave: Visitor, login: Login) -> None:
    totp = pyotp.TOTP(dave.send("POST", "/v1/withdrawals/totp", {})[1]["secret"])
    status, said = dave.send("POST", "/v1/withdrawals/totp/confirm", {"two_factor_code": totp.now()})
    assert (status, said["totp"]) == (200, True)
    assert withdraw(dave, "1", two_factor_code=totp.now())[1]["code"] == "WITHDRAWAL_COOL_DOWN"
    decided(login, "customer.set_kyc_level", user_id=dave.user_id, level="3")  # whom no cool-down binds
    assert withdraw(dave, "1")[1]["code"] == "WITHDRAWAL_CODE_INVALID"
    code = totp.at(time.time() + 30)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: withdraw(dave, "1", two_factor_code=code), range(4)))
    assert Counter(status for status, _ in said) == {200: 1, 400: 3}


def test_a_withdrawal_by_a_new_key_rests_a_day(dave: Visitor) -> None:
    key = dave.make_key("transfer")
    status, said = dave.by_key(key, "POST", "/withdrawals/payment-method", {"amount": "1", **METHOD})
    assert (status, said["code"]) == (400, "WITHDRAWAL_COOL_DOWN")


def test_of_200_withdrawals_of_the_whole_balance_exactly_one_succeeds(
    laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]], eventually: Eventually
) -> None:
    somebody = Customer(laptop.stack["rest_url"], newcomer("greedy"))
    everything = next(row for row in somebody.ask("GET", "/accounts") if row["currency"] == "EUR")["balance"]
    body = {"amount": everything, "currency": "EUR", "payment_method_id": "sandbox-bank-EUR"}

    def once(_: int) -> tuple[int, Any]:
        return somebody.try_to("POST", "/withdrawals/payment-method", body)

    with ThreadPoolExecutor(40) as pool:
        said = list(pool.map(once, range(AT_ONCE)))
    codes = Counter("held" if status == 200 else answer["code"] for status, answer in said)
    assert codes["held"] == 1, codes
    assert set(codes) <= {"held", "RISK_INSUFFICIENT_FUNDS"}, codes
    (made,) = [answer for status, answer in said if status == 200]
    assert eventually(lambda: somebody.ended(made["id"]))["status"] == "completed"
    assert somebody.micro_euros() == 0
    audited(laptop)


def newest(ask: Callable[[str, str], tuple[int, Any]]) -> str:
    """The amount of the last line of somebody's statement of dollars."""
    row = next(row for row in ask("GET", "/accounts")[1] if row["currency"] == "USD")
    return str(ask("GET", f"/accounts/{row['id']}/ledger")[1][0]["amount"])


def test_money_sent_to_another_customer_is_in_both_statements_once(
    dave: Visitor, laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]], eventually: Eventually
) -> None:
    friend = newcomer("friend")
    receiver = Customer(laptop.stack["rest_url"], friend)
    before = receiver.micro_euros()
    body = {"to": friend["email"], "currency": "USD", "amount": "12.5", "client_transfer_id": uuid.uuid4().hex}
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: dave.send("POST", "/v1/transfers", body), range(8)))
    assert {status for status, _ in said} == {200}
    assert len({answer["id"] for _, answer in said}) == 1
    assert account(dave)["balance"] == "87.5"
    eventually(lambda: newest(dave.send) == "-12.5")
    eventually(lambda: newest(receiver.try_to) == "12.5")
    assert receiver.micro_euros() == before
    for wrong in ({"to": "nobody@example.com"}, {"to": dave.email}):
        status, answer = dave.send("POST", "/v1/transfers", {**body, **wrong, "client_transfer_id": "x"})
        assert (status, answer["code"]) in {(404, "ACCOUNT_NOT_FOUND"), (400, "REQUEST_FIELD_INVALID")}
    status, answer = dave.send("POST", "/v1/transfers", {**body, "amount": "1000.01", "client_transfer_id": "y"})
    assert (status, answer["code"]) == (400, "WITHDRAWAL_LIMIT")
