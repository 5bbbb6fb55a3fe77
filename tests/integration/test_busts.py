"""A trade on the laptop cloud: confirmed on the bus, then undone by two operators; balances are as before it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from exchange.settlement.confirming import SOURCE

from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.test_deposits import Ask, Customer
from tests.integration.test_safeguards import decided

pytestmark = pytest.mark.cloud
PRODUCT = "GOOG-USD"
ORDER = {"product_id": PRODUCT, "type": "limit", "price": "581", "size": "2"}


@pytest.fixture(scope="module")
def heard(laptop: RunningLaptop) -> Iterator[Callable[[], list[Any]]]:
    """What the bus told of settlement since the module began."""
    queue, events, bus = laptop.client("sqs"), laptop.client("events"), laptop.stack["stack_name"]
    url = str(queue.create_queue(QueueName="confirmations")["QueueUrl"])
    arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="confirmations", EventBusName=bus, EventPattern=json.dumps({"source": [SOURCE]}))
    events.put_targets(Rule="confirmations", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    found: list[Any] = []

    def listen() -> list[Any]:
        while messages := queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                found.append(json.loads(message["Body"]))
                queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield listen
    events.remove_targets(Rule="confirmations", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="confirmations", EventBusName=bus)
    queue.delete_queue(QueueUrl=url)


def owned(customer: Customer) -> dict[str, Decimal]:
    """Balances by currency."""
    return {row["currency"]: Decimal(row["balance"]) for row in customer.ask("GET", "/accounts")}


def account(customer: Customer) -> str:
    """The id of the account of dollars."""
    return str(next(row["id"] for row in customer.ask("GET", "/accounts") if row["currency"] == "USD"))


def newest(customer: Customer) -> Any:
    """The newest line of the dollars' statement."""
    return customer.ask("GET", f"/accounts/{account(customer)}/ledger?limit=1")[0]


def test_a_trade_is_confirmed_and_undone_whole(
    laptop: RunningLaptop,
    newcomer: Callable[[str], dict[str, str]],
    heard: Callable[[], list[Any]],
    login: Login,
    eventually: Ask,
) -> None:
    buyer, seller = (Customer(laptop.stack["rest_url"], newcomer(name)) for name in ("buyer", "giver"))
    before = owned(buyer), owned(seller)
    bought = buyer.ask("POST", "/orders", {**ORDER, "side": "buy"})["id"]
    seller.ask("POST", "/orders", {**ORDER, "side": "sell"})
    eventually(lambda: buyer.ask("GET", f"/orders/{bought}")["settled"])
    assert owned(buyer)["GOOG"] - before[0]["GOOG"] == 2
    trade_id = buyer.ask("GET", f"/fills?order_id={bought}")[0]["trade_id"]

    def told(kind: str) -> Any:
        details = [row["detail"] for row in heard() if row["detail-type"] == kind]
        mine = [detail for detail in details if detail["product_id"] == PRODUCT]
        return [detail for detail in mine if trade_id in (*detail.get("trade_ids", ()), detail.get("trade_id"))]

    confirmed = eventually(lambda: told("TradesSettled"))
    assert len({detail["id"] for detail in confirmed}) == 1
    partition, _, number = confirmed[0]["id"].partition("/")
    key = {"partition": {"S": partition}, "batch": {"N": number}}
    stored = laptop.client("dynamodb").get_item(TableName=laptop.stack["tables"]["journal"], Key=key)["Item"]
    assert stored["hash"]["B"].hex() == confirmed[0]["journal_hash"]

    assert decided(login, "trade.bust", product_id=PRODUCT, trade_id=str(trade_id))["state"] == "applied"
    assert (owned(buyer), owned(seller)) == before
    assert buyer.ask("GET", f"/fills?order_id={bought}")[0]["busted_at"]
    assert eventually(lambda: told("TradeBusted"))[0]["trade_id"] == trade_id
    again = {"kind": "trade.bust", "payload": {"product_id": PRODUCT, "trade_id": str(trade_id)}, "reason": "again"}
    made = login("olivia").ask("POST", "/v1/proposals", {**again, "key": uuid.uuid4().hex})
    approval = {"payload_hash": made["payload_hash"]}
    status, said = login("oscar").send("POST", f"/v1/proposals/{made['id']}/approvals", approval)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    audited(laptop)

    line = eventually(lambda: row if (row := newest(buyer))["details"].get("transfer_type") == "bust" else None)
    path = f"/accounts/{account(buyer)}/balance?at="

    def known() -> Any:
        status, past = buyer.try_to("GET", path + line["created_at"])
        return past if status == 200 else time.sleep(0.5)

    assert eventually(known)["balance"] == line["balance"]
    status, said = buyer.try_to("GET", path + "2999-01-01")
    assert (status, said["code"]) == (400, "REQUEST_FIELD_INVALID")
    assert buyer.ask("GET", path + "2020-01-01")["balance"] == "0"
