"""Payouts on the laptop cloud: two operators, Stripe's own SDK, signed events, both kinds of bank, the nightly look."""

import json
import os
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.breaks.model import Break, BreakState, Way
from exchange.breaks.store import BreakItem, BreakStore

from infra.cli.invoke import invoke
from infra.local.clients import environment
from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.test_bank_files import Bank
from tests.integration.test_deposits import Customer
from tests.integration.test_stripe import AtStripe, asked

pytestmark = pytest.mark.cloud
Ask = Callable[[Callable[[], Any]], Any]


class Desk:
    """Two operators, and the functions that do what they want."""

    def __init__(self, laptop: RunningLaptop, login: Login) -> None:
        os.environ.update({**environment(laptop.settings), "AWS_ENDPOINT_URL": laptop.stack["aws_endpoint_url"]})
        self.laptop = laptop
        self.olivia = login("olivia")
        self.oscar = login("oscar")

    def propose(self, kind: str, **payload: str) -> dict[str, Any]:
        """One operator wants something."""
        wanted = {"kind": kind, "payload": payload, "reason": "a test wants it", "key": uuid.uuid4().hex}
        made: dict[str, Any] = self.olivia.ask("POST", "/v1/proposals", wanted)
        return made

    def approve(self, made: dict[str, Any]) -> tuple[int, Any]:
        """Another one agrees."""
        decision = {"payload_hash": made["payload_hash"], "reason": "seen"}
        return self.oscar.send("POST", f"/v1/proposals/{made['id']}/approvals", decision)

    def want(self, kind: str, **payload: str) -> None:
        """Both."""
        status, said = self.approve(self.propose(kind, **payload))
        assert (status, said.get("state")) == (200, "applied"), said

    def run(self) -> dict[str, Any]:
        """The minute's schedule."""
        function = self.laptop.stack["outputs"]["PaymentsScheduleFunction"]
        answer = self.laptop.client("lambda").invoke(FunctionName=function)
        told: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        return told

    def custody(self, rail: str) -> int:
        """What a rail holds for us. Units: micro euros."""
        found = self.laptop.client("dynamodb").get_item(
            TableName=self.laptop.stack["tables"]["balances"],
            Key={"account": {"S": f"house:custody:{rail}"}, "asset": {"S": "EUR"}},
            ConsistentRead=True,
        )
        return -int(found.get("Item", {}).get("available", {"N": "0"})["N"])

    def places(self) -> tuple[int, int, int, int]:
        """Stripe, under way, the bank without statements, the one with."""
        stripe, under_way = self.custody("stripe"), self.custody("stripe-payouts")
        return stripe, under_way, self.custody("sandbox-bank"), self.custody("bank-files")

    def compared(self) -> dict[str, Any]:
        """The night's comparison."""
        told: dict[str, Any] = invoke(self.laptop.stack["outputs"]["ReconciliationScheduleFunction"], {})
        return told


@pytest.fixture(scope="module")
def desk(laptop: RunningLaptop, login: Login) -> Desk:
    return Desk(laptop, login)


@pytest.fixture(scope="module")
def outside(laptop: RunningLaptop) -> AtStripe:
    return AtStripe(laptop)


@pytest.fixture
def held(
    laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]], outside: AtStripe, eventually: Ask
) -> Customer:
    """A customer who paid 100 euros in by Stripe."""
    dora = Customer(laptop.stack["rest_url"], newcomer("dora"))
    made = asked(dora, "100", eventually)
    outside.transfer(outside.intent(made["id"]), 10_000)
    eventually(lambda: dora.ended(made["id"]))
    return dora


def test_what_lies_at_stripe_comes_to_the_bank_and_comes_back_where_it_fails(
    laptop: RunningLaptop, desk: Desk, held: Customer, outside: AtStripe, eventually: Ask
) -> None:
    before = desk.custody("stripe")
    assert desk.compared()["found"] == 0  # What Stripe took is known before it is posted.
    desk.run()
    assert 500_000 <= before - desk.custody("stripe") < 5_000_000
    assert desk.compared()["found"] == 0
    stripe, under_way, bank, by_files = desk.places()
    for amount, gone in (("10", 10_000_000), ("5.12", 0), ("5.13", 0)):
        desk.want("stripe.payout", asset="EUR", amount=amount, rail="sandbox-bank")
        desk.run()
        after = (stripe - gone, under_way, bank + gone, by_files)
        eventually(partial(_at, desk, after))
        stripe, under_way, bank, by_files = after
    desk.want("stripe.payout", asset="EUR", amount="5.14", rail="sandbox-bank")
    desk.run()
    assert desk.places() == (stripe - 5_140_000, under_way + 5_140_000, bank, by_files)
    assert desk.compared()["found"] == 0  # What is under way is known.
    late = next(each for each in outside.api.payouts.list(params={"limit": 1}).data)
    outside.outside(laptop, late.id, "pay")
    eventually(partial(_at, desk, (stripe - 5_140_000, under_way, bank + 5_140_000, by_files)))
    desk.run()
    assert desk.places() == (stripe - 5_140_000, under_way, bank + 5_140_000, by_files)
    audited(laptop)


def _at(desk: Desk, places: tuple[int, int, int, int]) -> bool:
    return desk.places() == places


def test_a_lost_event_is_made_good_for_and_a_bank_with_statements_says_itself_what_came(
    laptop: RunningLaptop, desk: Desk, held: Customer, eventually: Ask
) -> None:
    desk.run()
    stripe, under_way, bank, by_files = desk.places()
    desk.want("stripe.payout", asset="EUR", amount="7.15", rail="sandbox-bank")
    desk.run()
    eventually(lambda: desk.run()["payouts"] == 0)
    desk.want("stripe.payout", asset="EUR", amount="20", rail="bank-files")
    desk.run()
    after = (stripe - 27_150_000, under_way, bank + 7_150_000, by_files + 20_000_000)
    eventually(partial(_at, desk, after))
    Bank(laptop).do("close-day")
    eventually(lambda: desk.compared()["found"] == 0)
    audited(laptop)


def test_more_than_stripe_holds_or_to_nowhere_is_not_approved(desk: Desk) -> None:
    before = desk.places()
    much = str(desk.custody("stripe") // 1_000_000 + 1)
    for payload in (
        {"asset": "EUR", "amount": much, "rail": "sandbox-bank"},
        {"asset": "EUR", "amount": "1", "rail": "nowhere"},
    ):
        status, said = desk.approve(desk.propose("stripe.payout", **payload))
        assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    wanted = {"kind": "stripe.payout", "payload": {"asset": "EUR", "amount": "-1", "rail": "bank"}}
    status, said = desk.olivia.send("POST", "/v1/proposals", {**wanted, "reason": "less", "key": uuid.uuid4().hex})
    assert (status, said["code"]) == (400, "REQUEST_FIELD_INVALID")
    assert desk.places() == before


def test_a_deposit_is_sent_back_and_comes_again_where_that_fails(
    laptop: RunningLaptop, desk: Desk, held: Customer, outside: AtStripe, eventually: Ask
) -> None:
    made, before = paid_by_stripe(held), held.micro_euros()
    status, said = desk.approve(desk.propose("stripe.refund", transfer_id=made["id"], amount="100.01"))
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    desk.want("stripe.refund", transfer_id=made["id"], amount="30")
    desk.run()
    (sent,) = undoing(held, made["id"])
    assert (sent["type"], sent["amount"]) == ("withdraw", "30")
    assert eventually(lambda: held.ended(sent["id"]))["status"] == "completed"
    assert held.micro_euros() == before - 30_000_000
    desk.want("stripe.refund", transfer_id=made["id"], amount="10.21")  # pending, and it fails after that
    desk.run()
    failed = next(row for row in undoing(held, made["id"]) if row["amount"] == "10.21")
    done = eventually(lambda: held.ended(failed["id"]))
    outside.outside(laptop, done["details"]["bank_reference"], "fail")
    eventually(lambda: undoing(held, failed["id"]))
    assert held.micro_euros() == before - 30_000_000
    assert "30 of it went back" in refused(desk, made["id"], "70.01")  # What failed can be sent back again.
    desk.want("stripe.refund", transfer_id=made["id"], amount="60")
    assert "90 of it went back or is about to" in refused(desk, made["id"], "10.01")  # Also before Stripe is asked.
    desk.run()
    eventually(lambda: held.micro_euros() == before - 90_000_000)
    audited(laptop)


def refused(desk: Desk, transfer_id: str, amount: str) -> str:
    """Why a refund is not approved."""
    made = desk.propose("stripe.refund", transfer_id=transfer_id, amount=amount)
    status, said = desk.approve(made)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED"), said
    desk.olivia.ask("POST", f"/v1/proposals/{made['id']}/rejections", {"payload_hash": made["payload_hash"]})
    return str(said["message"])


def test_to_a_frozen_customer_and_of_a_stopped_asset_nothing_is_sent_back(
    laptop: RunningLaptop, desk: Desk, held: Customer
) -> None:
    made, before = paid_by_stripe(held), held.micro_euros()
    user_id = held.ask("GET", "/users/self/verify")["user_id"]
    desk.olivia.ask("POST", f"/v1/customers/{user_id}/freeze", {"reason": "a test wants it"})
    assert "the customer is frozen" in refused(desk, made["id"], "1")
    desk.want("customer.unfreeze", user_id=user_id)
    bind(BreakItem, laptop.stack["tables"]["breaks"])
    found = Break("EUR", Way.BANK, "B2", "a test says so", "EUR: a test says so", found_at_ns=time.time_ns())
    assert BreakStore(connection()).open(found)
    try:
        assert "EUR is stopped" in refused(desk, made["id"], "1")
    finally:
        desk.want("break.explain", asset="EUR", break_id=found.break_id)
    assert held.micro_euros() == before
    desk.want("stripe.refund", transfer_id=made["id"], amount="1")
    desk.run()
    assert held.micro_euros() == before - 1_000_000
    audited(laptop)


def paid_by_stripe(customer: Customer) -> Any:
    """Their deposit by Stripe."""
    rows = customer.ask("GET", "/transfers")
    return next(row for row in rows if row["details"].get("bank_reference", "").startswith("pi_"))


def undoing(customer: Customer, transfer_id: str) -> list[dict[str, Any]]:
    """The transfers that undo one."""
    return [row for row in customer.ask("GET", "/transfers") if row["details"].get("reverses") == transfer_id]


def test_a_balance_at_stripe_that_is_another_is_a_break(desk: Desk, held: Customer, laptop: RunningLaptop) -> None:
    assert desk.compared()["found"] == 0
    dynamodb, balances = laptop.client("dynamodb"), laptop.stack["tables"]["balances"]

    def put_wrong(units: int) -> None:
        for account, sign in (("house:custody:stripe", -1), ("house:custody:sandbox-bank", 1)):
            dynamodb.update_item(
                TableName=balances,
                Key={"account": {"S": account}, "asset": {"S": "EUR"}},
                UpdateExpression="ADD available :units",
                ExpressionAttributeValues={":units": {"N": str(sign * units)}},
            )

    put_wrong(10_000)
    try:
        found = desk.compared()
    finally:
        put_wrong(-10_000)
    assert found["found"] > 0
    bind(BreakItem, laptop.stack["tables"]["breaks"])
    open_ones = [each for each in BreakStore(connection()).all() if each.state is BreakState.OPEN]
    assert "B3" in {each.check for each in open_ones}
    for each in open_ones:
        assert each.asset == "EUR"
        desk.want("break.explain", asset="EUR", break_id=each.break_id)
    told = desk.compared()
    assert (told["found"], told["fresh"]) == (0, 0)
