"""The fail queue on the laptop cloud: settlement that fails is seen by operators, tried again and settled once."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from exchange.kernel.ids import from_uuid

from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.saga_cases import ALWAYS
from tests.integration.test_chains import chain
from tests.integration.test_deposits import Ask, Customer
from tests.integration.test_operators import rows_of
from tests.integration.test_safeguards import decided
from tests.integration.test_sagas import PRODUCT, Rig, rig

pytestmark = pytest.mark.cloud
__all__ = ["chain", "rig"]
ORDER = {"product_id": PRODUCT, "type": "limit", "price": "580", "size": "3"}
FAILURES = "/v1/settlement-failures"


@dataclass(frozen=True, slots=True)
class Traders:
    """Two customers whom nobody else knows."""

    laptop: RunningLaptop
    buyer: Customer
    seller: Customer

    @property
    def account(self) -> str:
        """The buyer's, as the ledger names it."""
        return str(from_uuid(self.buyer.ask("GET", "/users/self/verify")["profile_id"]))

    def buy(self) -> str:
        """An order that rests until it is sold into."""
        return str(self.buyer.ask("POST", "/orders", {**ORDER, "side": "buy"})["id"])

    def sell(self) -> None:
        """Trade with it."""
        self.seller.ask("POST", "/orders", {**ORDER, "side": "sell"})

    def shift_hold(self, units: int) -> None:
        """Put the buyer's hold wrong behind everybody's back, or right again."""
        self.laptop.client("dynamodb").update_item(
            TableName=self.laptop.stack["tables"]["balances"],
            Key={"account": {"S": self.account}, "asset": {"S": f"#{PRODUCT}"}},
            UpdateExpression="ADD #held :units",
            ExpressionAttributeNames={"#held": "USD:held"},
            ExpressionAttributeValues={":units": {"N": str(units)}},
        )

    def shares(self) -> str:
        """What the buyer has."""
        row = next(row for row in self.buyer.ask("GET", "/accounts") if row["currency"] == "GOOG")
        return str(row["balance"])

    def settled(self, order_id: str) -> bool:
        """Whether the buyer's order is done with."""
        return bool(self.buyer.ask("GET", f"/orders/{order_id}")["settled"])

    def run_schedule(self) -> Any:
        """One run of the fail queue's schedule."""
        name = self.laptop.stack["outputs"]["SettlementScheduleFunction"]
        answer = self.laptop.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return said

    def deliver_late(self) -> None:
        """What the stream does a minute after the first try: bring the newest record of the product once more."""
        kinesis, stream = self.laptop.client("kinesis"), self.laptop.stack["outputs"]["ExecutionsStream"]
        (shard,) = kinesis.list_shards(StreamName=stream)["Shards"]
        told = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        iterator, rows = told["ShardIterator"], []
        while page := kinesis.get_records(ShardIterator=iterator):
            rows += [row for row in page["Records"] if row["PartitionKey"] == PRODUCT]
            iterator = page["NextShardIterator"]
            if not page["MillisBehindLatest"] and not page["Records"]:
                break
        newest = rows[-1]
        record = {
            "partitionKey": PRODUCT,
            "sequenceNumber": newest["SequenceNumber"],
            "data": base64.b64encode(newest["Data"]).decode(),
            "approximateArrivalTimestamp": newest["ApproximateArrivalTimestamp"].timestamp() - 3_600,
        }
        name = f"{self.laptop.stack['stack_name']}-settlement-stream"
        answer = self.laptop.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps({"Records": [{"kinesis": record}]}).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()


@pytest.fixture
def traders(laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]) -> Traders:
    return Traders(
        laptop,
        Customer(laptop.stack["rest_url"], newcomer("patient")),
        Customer(laptop.stack["rest_url"], newcomer("seller")),
    )


def failure(login: Login) -> Any:
    """The product's failure, while it is open."""
    return next((row for row in login("olivia").ask("GET", FAILURES) if row["product_id"] == PRODUCT), None)


def test_what_contradicts_the_records_waits_for_two_operators(
    traders: Traders, login: Login, eventually: Ask, laptop: RunningLaptop
) -> None:
    before, order_id = int(traders.shares()), traders.buy()
    traders.shift_hold(-1)
    try:
        traders.sell()
        found = eventually(lambda: failure(login))
        assert (found["state"], found["attempts"]) == ("stopped", 1)
        assert "would break a balance" in found["error"]
        traders.run_schedule()
        assert failure(login) == found
    finally:
        traders.shift_hold(1)
    olivia = login("olivia")
    status, said = olivia.send("POST", f"{FAILURES}/{PRODUCT}/retry", {"reason": "it was mended"})
    assert (status, said["code"]) == (400, "SETTLEMENT_STOPPED")
    assert decided(login, "settlement.retry", product_id=PRODUCT)["state"] == "applied"

    def released() -> bool:
        traders.run_schedule()
        return failure(login) is None

    eventually(released)
    assert traders.settled(order_id)
    assert int(traders.shares()) == before + 3
    done = olivia.ask("GET", f"{FAILURES}?product_id={PRODUCT}")[0]
    assert (done["state"], done["position"], "settled_at" in done) == ("settled", found["position"], True)
    wanted = {
        "kind": "settlement.retry",
        "payload": {"product_id": PRODUCT},
        "reason": "again",
        "key": uuid.uuid4().hex,
    }
    made = olivia.ask("POST", "/v1/proposals", {**wanted, "key": uuid.uuid4().hex})
    approval = {"payload_hash": made["payload_hash"]}
    status, said = login("oscar").send("POST", f"/v1/proposals/{made['id']}/approvals", approval)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    audited(laptop)


def test_what_may_pass_is_tried_again_and_one_operator_hurries_it(
    rig: Rig, traders: Traders, login: Login, eventually: Ask, laptop: RunningLaptop
) -> None:
    before, order_id = int(traders.shares()), traders.buy()
    eventually(lambda: traders.buyer.ask("GET", f"/orders/{order_id}")["status"] == "open")
    met = rig.plan("Settle", ALWAYS, PRODUCT)
    traders.sell()
    eventually(met.exists)
    traders.deliver_late()
    found = failure(login)
    assert (found["state"], found["attempts"], "retry_at" in found) == ("retrying", 1, True)
    assert not traders.settled(order_id)
    rig.end(met)
    hurried = login("olivia").ask("POST", f"{FAILURES}/{PRODUCT}/retry", {"reason": "the cause is gone"})
    assert hurried["retry_at"] < found["retry_at"]
    assert rows_of(login("oscar"), PRODUCT)[-1]["action"] == "retry settlement"

    def released() -> bool:
        traders.run_schedule()
        return failure(login) is None

    eventually(released)
    eventually(lambda: traders.settled(order_id))
    assert int(traders.shares()) == before + 3
    assert traders.run_schedule()["tried"] == 0
    status, said = login("olivia").send("POST", f"{FAILURES}/{PRODUCT}/retry", {"reason": "once more"})
    assert (status, said["code"]) == (404, "SETTLEMENT_FAILURE_NOT_FOUND")
    audited(laptop)
