"""Every state of every state machine: fails before its effect, fails after it, runs twice; the real ASL, the real
functions, the laptop cloud. In between stands a function that fails where a plan says so, and waits last a second.

What must come out is said by the audit and by the customer's own balances.
"""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from exchange.kernel.ids import from_uuid
from exchange.transfers.model import transfer_id_for

from tests.contract.cloud_definition import definition, state_machines
from tests.integration import faulty_step
from tests.integration.conftest import RunningLaptop, audited
from tests.integration.test_deposits import Ask, Customer
from tests.integration.test_operators import Login, login
from tests.integration.test_safeguards import decided

pytestmark = pytest.mark.cloud
PRODUCT = "GOOG-USD"  # no other test that shares a laptop with these counts its trades
__all__ = ["login"]
FAULTS = ("before", "after", "twice")
MACHINES = {
    "deposit.asl.yaml": "DepositMachineArn",
    "withdrawal.asl.yaml": "WithdrawalMachineArn",
    "settlement.asl.yaml": "SettlementMachineArn",
}
# How each state that calls a function of ours is come to: the amount, by which the sandboxes choose their answer.
PLAIN, DECLINED, DOUBTFUL = "3.21", "3.666", "3.444"
STATES = {
    ("deposit.asl.yaml", "AskBank"): PLAIN,
    ("deposit.asl.yaml", "Credit"): PLAIN,
    ("deposit.asl.yaml", "Fail"): DECLINED,
    ("withdrawal.asl.yaml", "Clear"): PLAIN,
    ("withdrawal.asl.yaml", "AwaitReview"): DOUBTFUL,
    ("withdrawal.asl.yaml", "AskBank"): PLAIN,
    ("withdrawal.asl.yaml", "Post"): PLAIN,
    ("withdrawal.asl.yaml", "GiveBack"): DECLINED,
    ("settlement.asl.yaml", "Settle"): "",
}
# The chain's payer is a schedule; its every write is cut short in tests/properties/test_chain_withdrawals.py.
ELSEWHERE = {("withdrawal.asl.yaml", "PayOnChain")}


def calling_states() -> set[tuple[str, str]]:
    """Every state that calls a function of ours, from the definitions."""
    return {
        (file, name)
        for file in state_machines()
        for name, state in definition(file)["States"].items()
        if state["Type"] == "Task" and "FunctionName" in state["Parameters"]
    }


def test_every_state_has_its_cases() -> None:
    assert set(STATES) | ELSEWHERE == calling_states()
    assert set(MACHINES) == set(state_machines())


@dataclass(frozen=True, slots=True)
class Rig:
    """The laptop's machines with the failing function in them."""

    laptop: RunningLaptop
    plans: Path

    def plan(self, state: str, fault: str, subject: str) -> Path:
        """Let a state fail once. Returns what is there once it has."""
        path = self.plans / f"{state}.{fault}.{subject}"
        path.touch()
        return path.with_suffix(path.suffix + ".met")


@pytest.fixture(scope="module")
def rig(laptop: RunningLaptop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Put the failing function before each function of each machine; take it out again at the end."""
    machines, plans = laptop.client("stepfunctions"), tmp_path_factory.mktemp("plans")
    arns = {file: laptop.stack["outputs"][output] for file, output in MACHINES.items()}
    before = {arn: machines.describe_state_machine(stateMachineArn=arn)["definition"] for arn in arns.values()}
    standing: dict[str, str] = {}
    for arn, text in before.items():
        found = json.loads(text)
        for name, state in found["States"].items():
            if state["Type"] == "Wait":
                state["Seconds"] = 1
            if state["Type"] == "Task" and "FunctionName" in state["Parameters"]:
                asked = state["Parameters"]
                target = asked["FunctionName"]
                asked["FunctionName"] = standing.setdefault(target, "") or _stand_before(laptop, target, plans)
                standing[target] = asked["FunctionName"]
                asked["Payload"] = {"state": name, "payload": asked["Payload"]}
        machines.update_state_machine(stateMachineArn=arn, definition=json.dumps(found))
    yield Rig(laptop, plans)
    for arn, text in before.items():
        machines.update_state_machine(stateMachineArn=arn, definition=text)
    for function in standing.values():
        laptop.client("lambda").delete_function(FunctionName=function)


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


@pytest.fixture(scope="module")
def carol(laptop: RunningLaptop) -> Customer:
    return Customer(laptop.stack["rest_url"], laptop.user("carol"))


def account_id(person: Customer) -> int:
    found = from_uuid(person.ask("GET", "/users/self/verify")["profile_id"])
    assert found is not None
    return found


MOVING = [case for case in sorted(STATES) if STATES[case]]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("file", "state"), MOVING, ids=[f"{file.split('.')[0]}-{state}" for file, state in MOVING])
def test_a_transfer_comes_to_its_one_end(
    rig: Rig, carol: Customer, login: Login, eventually: Ask, file: str, state: str, fault: str
) -> None:
    amount, key, deposit = STATES[file, state], uuid.uuid4().hex, file.startswith("deposit")
    transfer_id = transfer_id_for(account_id(carol), key)
    met, before = rig.plan(state, fault, transfer_id), carol.micro_euros()
    body = {"amount": amount, "currency": "EUR", "payment_method_id": "sandbox-bank-EUR", "client_transfer_id": key}
    made = carol.ask("POST", f"/{'deposits' if deposit else 'withdrawals'}/payment-method", body)
    assert made["id"] == transfer_id
    if amount == DOUBTFUL:
        eventually(met.exists)
        decided(login, "withdrawal.release", transfer_id=transfer_id)
    ended = eventually(lambda: carol.ended(transfer_id))
    eventually(met.exists)
    moved = 0 if amount == DECLINED else int(Decimal(amount) * 10**6)
    assert ended["status"] == ("canceled" if amount == DECLINED else "completed")
    assert carol.micro_euros() - before == (moved if deposit else -moved)
    row = next(row for row in carol.ask("GET", "/accounts") if row["currency"] == "EUR")
    assert row["hold"] == "0"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trade_is_settled_once(rig: Rig, carol: Customer, eventually: Ask, fault: str) -> None:
    met = rig.plan("Settle", fault, PRODUCT)
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


def test_all_of_it_holds_before_the_auditor(rig: Rig) -> None:
    audited(rig.laptop)
