"""Every state of every state machine: fails before its effect, fails after it, runs twice; and every branch between
them is walked. The real ASL, the real functions, the laptop cloud. In between stands a function that fails where a plan
says so, and waits last a second. The cases are in saga_cases.py.

What must come out is said by the audit, by the customer's own balances, and by each execution's own history.
"""

import io
import json
import secrets
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange.kernel.ids import from_uuid
from exchange.transfers.model import transfer_id_for

from infra.cli.chains import UNLOCK_CONFIRMATIONS
from tests.integration import faulty_step
from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.saga_cases import (
    ALWAYS,
    DEPOSIT,
    FAULTS,
    GIVEN_UP,
    SETTLEMENT,
    TASKS,
    TRADES,
    WAYS,
    WITHDRAWAL,
    Way,
    walk_of,
)
from tests.integration.test_chains import Chain, chain
from tests.integration.test_deposits import Ask, Customer
from tests.integration.test_safeguards import decided

pytestmark = pytest.mark.cloud
PRODUCT = "GOOG-USD"  # no other test that shares a laptop with these counts its trades
__all__ = ["chain"]
MACHINES = {
    DEPOSIT: "DepositMachineArn",
    WITHDRAWAL: "WithdrawalMachineArn",
    SETTLEMENT: "SettlementMachineArn",
}
# Code that takes no coin, wherever it stands: PUSH1 0, PUSH1 0, REVERT.
TAKES_NOTHING = "0x60006000fd"


@dataclass(frozen=True, slots=True)
class Rig:
    """The laptop's machines with the failing function in them, and an ear on the bus."""

    laptop: RunningLaptop
    plans: Path
    queue_url: str
    heard: list[str]

    def plan(self, state: str, fault: str, subject: str) -> Path:
        """Let a state fail, once but for `always`. Returns what is there once it has."""
        path = self.plans / f"{state}.{fault}.{subject}"
        path.touch()
        return path.with_suffix(path.suffix + ".met")

    @staticmethod
    def end(met: Path) -> None:
        """Let a state that was to fail always fail no more."""
        met.with_suffix("").unlink()

    def walk(self, file: str, transfer_id: str) -> tuple[str, ...]:
        """The states that a transfer's execution came to so far."""
        arn = self.laptop.stack["outputs"][MACHINES[file]].replace(":stateMachine:", ":execution:")
        pages = self.laptop.client("stepfunctions").get_paginator("get_execution_history")
        rows = [row for page in pages.paginate(executionArn=f"{arn}:{transfer_id}") for row in page["events"]]
        return tuple(row["stateEnteredEventDetails"]["name"] for row in rows if "stateEnteredEventDetails" in row)

    def announced(self, transfer_id: str) -> int:
        """How often the bus told of a transfer so far."""
        queue = self.laptop.client("sqs")
        while found := queue.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                self.heard.append(json.loads(message["Body"])["detail"]["transfer_id"])
                queue.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return self.heard.count(transfer_id)


@pytest.fixture(scope="module")
def rig(laptop: RunningLaptop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Put the failing function before each task of each machine; take it out again at the end."""
    machines, plans = laptop.client("stepfunctions"), tmp_path_factory.mktemp("plans")
    arns = {file: laptop.stack["outputs"][output] for file, output in MACHINES.items()}
    before = {arn: machines.describe_state_machine(stateMachineArn=arn)["definition"] for arn in arns.values()}
    standing: dict[str, str] = {}
    for arn, text in before.items():
        found = json.loads(text)
        for name, state in found["States"].items():
            if state["Type"] == "Wait":
                state["Seconds"] = 1
            if state["Type"] == "Task":
                _stand_in(name, state, standing, laptop, plans)
        machines.update_state_machine(stateMachineArn=arn, definition=json.dumps(found))
    queue_url = _listen(laptop, "sagas")
    yield Rig(laptop, plans, queue_url, [])
    for arn, text in before.items():
        machines.update_state_machine(stateMachineArn=arn, definition=text)
    for function in standing.values():
        laptop.client("lambda").delete_function(FunctionName=function)
    _listen_no_more(laptop, "sagas", queue_url)


def _stand_in(name: str, state: dict[str, Any], standing: dict[str, str], laptop: RunningLaptop, plans: Path) -> None:
    """Let a task ask the failing function for what it asks of a function of ours, or of the bus."""
    asked = state["Parameters"]
    target = asked.get("FunctionName", faulty_step.BUS)
    if target not in standing:
        standing[target] = _stand_before(laptop, target, plans)
    if target == faulty_step.BUS:
        state["Resource"] = "arn:aws:states:::lambda:invoke"
        asked = {"Payload": asked}
    asked = {"FunctionName": standing[target], "Payload": {"state": name, "payload": asked["Payload"]}}
    state["Parameters"] = asked
    for retrier in state["Retry"]:
        retrier.update(IntervalSeconds=1, BackoffRate=1)


def _stand_before(laptop: RunningLaptop, target: str, plans: Path) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("faulty_step.py", Path(faulty_step.__file__).read_text(encoding="utf-8"))
    made = laptop.client("lambda").create_function(
        FunctionName=f"faulty-{uuid.uuid4().hex[:12]}",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/faulty",
        Handler="faulty_step.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
        Environment={"Variables": {"TARGET": target, "PLANS": str(plans)}},
    )
    return str(made["FunctionArn"])


def _listen(laptop: RunningLaptop, name: str) -> str:
    """A queue that is sent what the wallets tell the bus."""
    queue, bus = laptop.client("sqs"), laptop.stack["stack_name"]
    url = str(queue.create_queue(QueueName=name)["QueueUrl"])
    arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["exchange.wallets"]})
    laptop.client("events").put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    laptop.client("events").put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": arn}])
    return url


def _listen_no_more(laptop: RunningLaptop, name: str, url: str) -> None:
    bus = laptop.stack["stack_name"]
    laptop.client("events").remove_targets(Rule=name, EventBusName=bus, Ids=[name])
    laptop.client("events").delete_rule(Name=name, EventBusName=bus)
    laptop.client("sqs").delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def carol(laptop: RunningLaptop) -> Customer:
    return Customer(laptop.stack["rest_url"], laptop.user("carol"))


@dataclass(frozen=True, slots=True)
class Walker:
    """Brings transfers of one customer onto their ways."""

    rig: Rig
    person: Customer
    chain: Chain
    login: Login
    eventually: Ask

    def owned(self, way: Way) -> Decimal:
        """What the customer owns of the way's asset."""
        return Decimal(self._account(way)["balance"])

    def _account(self, way: Way) -> Any:
        name = "ETH" if way.chain else "EUR"
        return next(row for row in self.person.ask("GET", "/accounts") if row["currency"] == name)

    def transfer_id(self, key: str) -> str:
        """The id of what is asked for under a key."""
        account_id = from_uuid(self.person.ask("GET", "/users/self/verify")["profile_id"])
        assert account_id is not None
        return transfer_id_for(account_id, key)

    def begin(self, way: Way, key: str) -> dict[str, Any]:
        """Ask for the transfer."""
        body = {"amount": way.amount, "client_transfer_id": key}
        if way.chain:
            to = f"0x{secrets.token_hex(20)}"
            if way.refused:
                self.chain.ask("anvil_setCode", to, TAKES_NOTHING)
            path, body = "/withdrawals/crypto", {**body, "currency": "ETH", "crypto_address": to}
        else:
            path = f"/{'deposits' if way.file == DEPOSIT else 'withdrawals'}/payment-method"
            body |= {"currency": "EUR", "payment_method_id": "sandbox-bank-EUR"}
        made: dict[str, Any] = self.person.ask("POST", path, body)
        return made

    def decide(self, way: Way, transfer_id: str, times: int) -> None:
        """Do what ends the review, once the machine has come there as often as it will."""
        self.eventually(lambda: self.rig.walk(way.file, transfer_id).count("AwaitReview") == times)
        if way.decision == "cancel":
            self.person.ask("POST", f"/v1/withdrawals/{transfer_id}/cancel")
        else:
            decided(self.login, way.decision, transfer_id=transfer_id)

    def end(self, way: Way, transfer_id: str) -> dict[str, Any]:
        """The transfer at its end; a chain is made to bring it there."""

        def ended() -> dict[str, Any] | None:
            if way.chain:
                self.chain.pay()
                self.chain.mine(UNLOCK_CONFIRMATIONS)
            return self.person.ended(transfer_id)

        found: dict[str, Any] = self.eventually(ended)
        return found

    def go(self, way: Way, states: tuple[str, ...], *, state: str = "", fault: str = "") -> str:
        """Bring a transfer through a whole way, and assert that it came through these states to its one end."""
        key = uuid.uuid4().hex
        transfer_id = self.transfer_id(key)
        met = self.rig.plan(state, fault, transfer_id) if state else None
        before = self.owned(way)
        made = self.begin(way, key)
        assert made["id"] == transfer_id
        if way.decision:
            self.decide(way, transfer_id, states.count("AwaitReview"))
        ended = self.end(way, transfer_id)
        self.eventually(lambda: self.rig.walk(way.file, transfer_id)[-1:] == states[-1:])
        assert self.rig.walk(way.file, transfer_id) == states
        assert met is None or met.exists()
        assert ended["status"] == ("completed" if way.completes else "canceled")
        moved = Decimal(way.amount) + Decimal(made.get("fee", "0")) if way.completes else Decimal(0)
        assert self.owned(way) - before == (moved if way.file == DEPOSIT else -moved)
        assert self._account(way)["hold"] == "0"
        return transfer_id


@pytest.fixture
def walker(rig: Rig, carol: Customer, chain: Chain, login: Login, eventually: Ask) -> Walker:
    return Walker(rig, carol, chain, login, eventually)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_is_walked(walker: Walker, name: str) -> None:
    walker.go(WAYS[name], WAYS[name].states)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("task", TASKS, ids=[f"{file.split('.')[0]}-{state}" for file, state in TASKS])
def test_a_transfer_comes_to_its_one_end(walker: Walker, task: tuple[str, str], fault: str) -> None:
    transfer_id = walker.go(WAYS[TASKS[task]], walk_of(task, fault), state=task[1], fault=fault)
    if task[1] == "Announce":  # Told again rather than not at all; whoever hears knows the transfer by its id.
        walker.eventually(lambda: walker.rig.announced(transfer_id) == (1 if fault == "before" else 2))


@pytest.mark.parametrize("task", GIVEN_UP, ids=[f"{file.split('.')[0]}-{state}" for file, state in GIVEN_UP])
def test_what_nobody_can_be_told_undoes_nothing(walker: Walker, task: tuple[str, str]) -> None:
    way = WAYS[TASKS[task]]
    transfer_id = walker.go(way, way.states, state=task[1], fault=ALWAYS)
    assert walker.rig.announced(transfer_id) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trade_is_settled_once(rig: Rig, carol: Customer, eventually: Ask, fault: str) -> None:
    met = rig.plan(TRADES[1], fault, PRODUCT)
    order = {"product_id": PRODUCT, "type": "limit", "price": "580", "size": "7"}
    bob = Customer(carol.rest_url, rig.laptop.user("bob"))
    before = _shares(carol)
    bought = carol.ask("POST", "/orders", {**order, "side": "buy"})
    bob.ask("POST", "/orders", {**order, "side": "sell"})
    eventually(lambda: carol.ask("GET", f"/orders/{bought['id']}")["settled"])
    eventually(met.exists)
    assert _shares(carol) - before == 7


def _shares(customer: Customer) -> Decimal:
    row = next(row for row in customer.ask("GET", "/accounts") if row["currency"] == "GOOG")
    return Decimal(row["balance"])


@pytest.mark.parametrize(("fault", "status"), [("", "SUCCEEDED"), ("after", "FAILED"), (ALWAYS, "FAILED")])
def test_the_settlement_machine_says_how_it_ended(rig: Rig, fault: str, status: str) -> None:
    product_id = f"{uuid.uuid4().hex[:8].upper()}-USD"  # Nothing of it is there to be settled, whatever happens.
    if fault:
        rig.plan(TRADES[1], fault, product_id)
    arn = rig.laptop.stack["outputs"][MACHINES[SETTLEMENT]]
    given = json.dumps({"product_id": product_id, "records": []})
    said = rig.laptop.client("stepfunctions").start_sync_execution(stateMachineArn=arn, input=given)
    assert said["status"] == status
    assert said.get("error") == {"": None, "after": "CrashError", ALWAYS: "UnavailableError"}[fault]


def test_all_of_it_holds_before_the_auditor(rig: Rig) -> None:
    audited(rig.laptop)
