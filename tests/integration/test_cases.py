"""Suspense and debts on the laptop cloud: two operators decide, in one write, and one of them alone nothing."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from exchange.kernel.ids import to_uuid

from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.test_bank_files import Bank
from tests.integration.test_deposits import Customer, bank, genuine
from tests.integration.test_payouts import Desk

pytestmark = pytest.mark.cloud
Ask = Callable[[Callable[[], Any]], Any]
Notify = Callable[..., tuple[int, Any]]

__all__ = ["bank"]


@pytest.fixture(scope="module")
def desk(laptop: RunningLaptop, login: Login) -> Desk:
    return Desk(laptop, login)


@pytest.fixture(scope="module")
def files(laptop: RunningLaptop) -> Bank:
    return Bank(laptop)


@pytest.fixture
def dora(laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]) -> Customer:
    return Customer(laptop.stack["rest_url"], newcomer("dora"))


def profile_of(customer: Customer) -> str:
    """The default profile, as operators name it."""
    return str(customer.ask("GET", "/profiles")[0]["id"])


def outdated(desk: Desk, kind: str, **payload: str) -> str:
    """Why an approval is refused; the proposal is taken back."""
    made = desk.propose(kind, **payload)
    status, said = desk.approve(made)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED"), said
    desk.olivia.ask("POST", f"/v1/proposals/{made['id']}/rejections", {"payload_hash": made["payload_hash"]})
    return str(said["message"])


def case(laptop: RunningLaptop, key: str) -> str:
    """Where a case of suspense is; empty where it is not there."""
    found = laptop.client("dynamodb").get_item(
        TableName=laptop.stack["tables"]["bank_files"], Key={"kind": {"S": "case#EUR"}, "key": {"S": key}}
    )
    return str(found["Item"]["stage"]["S"]) if "Item" in found else ""


def charged(laptop: RunningLaptop, micro_euros: int) -> str:
    """The open case of just that amount; empty where there is none."""
    found = laptop.client("dynamodb").query(
        TableName=laptop.stack["tables"]["bank_files"],
        KeyConditionExpression="kind = :kind",
        ExpressionAttributeValues={":kind": {"S": "case#EUR"}},
        ConsistentRead=True,
    )
    rows = [(json.loads(row["body"]["S"]), row["stage"]["S"]) for row in found["Items"]]
    return next((str(row["key"]) for row, stage in rows if (row["units"], stage) == (micro_euros, "open")), "")


def in_suspense(laptop: RunningLaptop, key: str) -> bool:
    """Whether a case is there."""
    return case(laptop, key) == "open"


def test_money_in_suspense_is_a_customers_when_two_operators_say_so(
    laptop: RunningLaptop, desk: Desk, files: Bank, dora: Customer, eventually: Ask
) -> None:
    before = dora.micro_euros()
    key = files.send("12.50", "who knows", name="Eve")
    eventually(partial(in_suspense, laptop, key))
    assert "nobody has" in outdated(desk, "suspense.assign", asset="EUR", case=key, profile_id=to_uuid(7))
    assert "no open case" in outdated(desk, "suspense.assign", asset="EUR", case="nothing", profile_id=profile_of(dora))
    made = desk.propose("suspense.assign", asset="EUR", case=key, profile_id=profile_of(dora))
    decision = {"payload_hash": made["payload_hash"], "reason": "seen"}
    status, said = desk.olivia.send("POST", f"/v1/proposals/{made['id']}/approvals", decision)
    assert (status, said["code"], dora.micro_euros()) == (400, "PROPOSAL_OWN", before)
    assert desk.approve(made)[1]["state"] == "applied"
    assert (dora.micro_euros() - before, case(laptop, key)) == (12_500_000, "assigned")
    assert desk.approve(made)[1]["code"] == "PROPOSAL_DECIDED"
    assert "it is assigned" in outdated(desk, "suspense.assign", asset="EUR", case=key, profile_id=profile_of(dora))
    assert dora.micro_euros() - before == 12_500_000
    audited(laptop)


def test_an_account_beside_the_default_one_is_somebodys_too(
    laptop: RunningLaptop, desk: Desk, files: Bank, dora: Customer, eventually: Ask
) -> None:
    before = dora.micro_euros()
    beside = dora.ask("POST", "/profiles", {"name": "savings"})["id"]
    key = files.send("3", "who knows", name="Eve")
    eventually(partial(in_suspense, laptop, key))
    desk.want("suspense.assign", asset="EUR", case=key, profile_id=beside)
    assert (case(laptop, key), dora.micro_euros()) == ("assigned", before)


def test_money_in_suspense_goes_back_or_was_a_charge_when_two_operators_say_so(
    laptop: RunningLaptop, desk: Desk, files: Bank, eventually: Ask
) -> None:
    back = files.send("7.25", "who knows", name="Eve")
    files.do("charge", amount="1.20")
    files.do("close-day")
    eventually(partial(in_suspense, laptop, back))
    charge = eventually(partial(charged, laptop, -1_200_000))
    assert "this money came" in outdated(desk, "suspense.charge", asset="EUR", case=back)
    assert "nobody to send it back to" in outdated(desk, "suspense.send_back", asset="EUR", case=charge)
    desk.want("suspense.charge", asset="EUR", case=charge)
    desk.want("suspense.send_back", asset="EUR", case=back)
    assert (case(laptop, charge), case(laptop, back)) == ("charged", "returning")
    files.file_orders()
    eventually(lambda: case(laptop, back) == "returned")
    files.do("close-day")
    audited(laptop)


def test_a_debt_is_settled_or_borne_when_two_operators_say_so(
    laptop: RunningLaptop, desk: Desk, dora: Customer, bank: Notify, eventually: Ask
) -> None:
    made = dora.deposit("20")
    eventually(lambda: dora.ended(made["id"]))
    all_but_five = str(dora.micro_euros() // 10**6 - 5)
    body = {"amount": all_but_five, "currency": "EUR", "payment_method_id": "sandbox-bank-EUR"}
    gone = dora.ask("POST", "/withdrawals/payment-method", body)
    eventually(lambda: dora.ended(gone["id"]))
    assert bank(genuine(made, status="returned", bank_reference="SB-back"))[1] == {"status": "recorded"}
    owes = {"asset": "EUR", "profile_id": profile_of(dora)}
    assert "owes 15 EUR" in outdated(desk, "debt.write_off", amount="15.01", **owes)
    assert "Insufficient funds" in outdated(desk, "debt.settle", amount="15", **owes)
    assert "there is no XXX" in outdated(desk, "debt.settle", amount="15", asset="XXX", profile_id=profile_of(dora))
    desk.want("debt.write_off", amount="5", **owes)
    assert "owes 10" in outdated(desk, "debt.write_off", amount="15", **owes)
    _send(laptop, dora, "4", eventually)
    desk.want("debt.settle", amount="4", **owes)
    assert dora.micro_euros() == 0
    assert dora.try_to("POST", "/withdrawals/payment-method", body)[1]["code"] == "TRANSFER_ACCOUNT_OWES"
    desk.want("debt.write_off", amount="6", **owes)
    assert dora.try_to("POST", "/withdrawals/payment-method", body)[1]["code"] == "RISK_INSUFFICIENT_FUNDS"
    audited(laptop)


def _send(laptop: RunningLaptop, to: Customer, amount: str, eventually: Ask) -> None:
    """From another customer: money that settles nothing by itself."""
    carol = Customer(laptop.stack["rest_url"], laptop.user("carol"))
    made = carol.deposit(amount)
    eventually(lambda: carol.ended(made["id"]))
    carol.ask("POST", "/v1/transfers", {"to": profile_of(to), "amount": amount, "currency": "EUR"})
