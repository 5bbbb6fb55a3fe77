"""What the simulation's fakes promise, asked of them and of the laptop cloud alike: more than our belief.

What takes minutes to pass, or a request to get lost, only the fakes can show: those tests come last.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.cloud_definition import nested_template
from tests.fakes.cloud.carrier import AtOnce
from tests.fakes.cloud.dynamodb import TOKEN_SECONDS, DynamoDb
from tests.fakes.cloud.kinesis import HASH_KEY_MAX, ITERATOR_SECONDS, Kinesis
from tests.fakes.cloud.s3 import S3
from tests.integration.matcher_cloud import start_cloud
from tests.simulation.faults import Faults
from tests.simulation.machines import StepFunctions
from tests.simulation.network import Network
from tests.simulation.scheduler import Scheduler

MACHINE = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
TABLES = ("balances", "orders")


class FakeDynamoClient:
    """boto3's names of DynamoDB's operations, on the fake."""

    def __init__(self, service: DynamoDb) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """An operation by boto3's name."""
        operation = "".join(part.title() for part in name.split("_"))
        return lambda **request: self._service._make_api_call(operation, request)


@dataclass
class Services:
    """Clients of the services, and the name of a machine that waits."""

    dynamodb: Any
    kinesis: Any
    s3: Any
    states: Any
    machine: str


@pytest.fixture(scope="module")
def laptop_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The services of a laptop cloud."""
    cloud = start_cloud(tmp_path_factory.mktemp("fakes"))
    try:
        services = Services(
            cloud.client("dynamodb"), cloud.client("kinesis"), cloud.client("s3"), cloud.client("stepfunctions"), ""
        )
        for resource in nested_template("data")["Resources"].values():
            properties = resource.get("Properties", {})
            name = properties.get("TableName", {}).get("Fn::Sub", "").removeprefix("${Exchange}-")
            if name in TABLES:
                kept = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
                services.dynamodb.create_table(
                    TableName=name,
                    BillingMode="PAY_PER_REQUEST",
                    **{part: properties[part] for part in kept if part in properties},
                )
        services.kinesis.create_stream(StreamName="contract", ShardCount=1)
        services.s3.create_bucket(Bucket="contract")
        services.machine = services.states.create_state_machine(
            name="contract", definition=json.dumps(MACHINE), roleArn="arn:aws:iam::000000000000:role/any"
        )["stateMachineArn"]
        yield services
    finally:
        cloud.stop()


@pytest.fixture(params=["fake", pytest.param("laptop", marks=pytest.mark.cloud)])
def services(request: pytest.FixtureRequest) -> Services:
    """The fakes, then the laptop cloud."""
    if request.param == "laptop":
        found: Services = request.getfixturevalue("laptop_services")
        for table, keys in (("orders", ["order_id"]), ("balances", ["account", "asset"])):
            for item in found.dynamodb.scan(TableName=table)["Items"]:
                found.dynamodb.delete_item(TableName=table, Key={key: item[key] for key in keys})
        return found
    kinesis = Kinesis()
    kinesis.create_stream(StreamName="contract")
    scheduler, faults = Scheduler(), Faults.drawn(0)
    states = StepFunctions(scheduler, Network(scheduler, faults, 0), faults, {}, lambda *_: None)
    return Services(FakeDynamoClient(DynamoDb()), kinesis, S3(), states, "deposit")


def refused(code: str) -> contextlib.AbstractContextManager[pytest.ExceptionInfo[ClientError]]:
    """That a service refuses with a code."""
    return pytest.raises(ClientError, match=code)


def order(number: int, **more: Any) -> dict[str, Any]:
    return {"order_id": {"N": str(number)}, **more}


def put(number: int, *, new: bool = False, **more: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": "orders", "Item": order(number, **more)}
    if new:
        request |= {
            "ConditionExpression": "attribute_not_exists (#0)",
            "ExpressionAttributeNames": {"#0": "order_id"},
        }
    return {"Put": request}


def stored(services: Services, number: int) -> dict[str, Any]:
    found: dict[str, Any] = services.dynamodb.get_item(TableName="orders", Key=order(number), ConsistentRead=True)
    return dict(found.get("Item", {}))


def test_a_cancelled_transaction_names_its_items_in_order_and_writes_nothing(services: Services) -> None:
    services.dynamodb.put_item(TableName="orders", Item=order(2))
    with refused("TransactionCanceledException") as caught:
        services.dynamodb.transact_write_items(TransactItems=[put(1, new=True), put(2, new=True), put(3, new=True)])
    reasons = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed", "None"]
    assert not stored(services, 1)
    assert not stored(services, 3)


def test_no_transaction_touches_an_item_twice(services: Services) -> None:
    with refused("ValidationException"):
        services.dynamodb.transact_write_items(TransactItems=[put(1), put(1)])
    assert not stored(services, 1)


def test_a_transaction_has_at_most_a_hundred_items(services: Services) -> None:
    with refused("ValidationException|Member must have length less than or equal to 100"):
        services.dynamodb.transact_write_items(TransactItems=[put(number) for number in range(1, 102)])
    services.dynamodb.transact_write_items(TransactItems=[put(number) for number in range(1, 101)])
    assert stored(services, 100)


def test_a_token_makes_two_requests_one(services: Services) -> None:
    again = [put(7, new=True)]
    for _ in range(2):
        services.dynamodb.transact_write_items(TransactItems=again, ClientRequestToken="token-of-seven")
    with refused("IdempotentParameterMismatch"):
        services.dynamodb.transact_write_items(TransactItems=[put(8)], ClientRequestToken="token-of-seven")
    assert not stored(services, 8)


def test_a_plain_write_on_a_condition_writes_or_refuses(services: Services) -> None:
    services.dynamodb.put_item(**put(1, new=True)["Put"])
    with refused("ConditionalCheckFailedException"):
        services.dynamodb.put_item(**put(1, new=True)["Put"])


def test_add_counts_from_nothing_and_remove_takes_away(services: Services) -> None:
    def update(expression: str, **values: Any) -> None:
        services.dynamodb.update_item(
            TableName="orders",
            Key=order(1),
            UpdateExpression=expression,
            ExpressionAttributeNames={"#0": "held"},
            **values,
        )

    update("ADD #0 :0", ExpressionAttributeValues={":0": {"N": "5"}})
    update("ADD #0 :0", ExpressionAttributeValues={":0": {"N": "-2"}})
    assert stored(services, 1)["held"] == {"N": "3"}
    update("REMOVE #0")
    assert "held" not in stored(services, 1)


@pytest.mark.parametrize("sign", ["=", "<", "<=", ">", ">="])
def test_what_is_not_there_satisfies_no_comparison(services: Services, sign: str) -> None:
    services.dynamodb.put_item(TableName="orders", Item=order(1))
    request = put(1)["Put"] | {
        "ConditionExpression": f"#0 {sign} :0",
        "ExpressionAttributeNames": {"#0": "version"},
        "ExpressionAttributeValues": {":0": {"N": "0"}},
    }
    with refused("ConditionalCheckFailedException"):
        services.dynamodb.put_item(**request)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("(#0 = :0 OR attribute_not_exists (#0)) AND #0 >= :0", True),
        ("(#0 < :0 OR #0 > :0)", False),
        ("#0 BETWEEN :0 AND :1", True),
        ("#0 IN (:1, :0)", True),
        ("(NOT #0 = :0)", False),
        ("#0 <> :1", True),
    ],
)
def test_conditions_combine(services: Services, text: str, holds: bool) -> None:
    services.dynamodb.put_item(TableName="orders", Item=order(1, version={"N": "5"}))
    values = {name: value for name, value in ((":0", {"N": "5"}), (":1", {"N": "10"})) if name in text}
    request = put(1)["Put"] | {
        "ConditionExpression": text,
        "ExpressionAttributeNames": {"#0": "version"},
        "ExpressionAttributeValues": values,
    }
    if holds:
        services.dynamodb.put_item(**request)
    else:
        with refused("ConditionalCheckFailedException"):
            services.dynamodb.put_item(**request)


def test_a_query_goes_by_its_sort_key_page_by_page(services: Services) -> None:
    for asset in ("USD", "ACME", "BTC"):
        services.dynamodb.put_item(TableName="balances", Item={"account": {"S": "1"}, "asset": {"S": asset}})
    services.dynamodb.put_item(TableName="balances", Item={"account": {"S": "2"}, "asset": {"S": "EUR"}})
    request: dict[str, Any] = {
        "TableName": "balances",
        "KeyConditionExpression": "#0 = :0",
        "ExpressionAttributeNames": {"#0": "account"},
        "ExpressionAttributeValues": {":0": {"S": "1"}},
        "ScanIndexForward": False,
        "Limit": 2,
    }
    first = services.dynamodb.query(**request)
    rest = services.dynamodb.query(**request, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [item["asset"]["S"] for item in first["Items"] + rest["Items"]] == ["USD", "BTC", "ACME"]
    assert "LastEvaluatedKey" not in rest


def test_an_index_has_only_items_with_its_keys(services: Services) -> None:
    kept = {"account_id": {"N": "1"}, "created_key": {"S": "a"}}
    services.dynamodb.put_item(TableName="orders", Item=order(1, **kept, pending_bucket={"N": "0"}))
    services.dynamodb.put_item(TableName="orders", Item=order(2, **kept))
    found = services.dynamodb.query(
        TableName="orders",
        IndexName="pending",
        KeyConditionExpression="(#0 = :0 AND #1 < :1)",
        ExpressionAttributeNames={"#0": "pending_bucket", "#1": "created_key"},
        ExpressionAttributeValues={":0": {"N": "0"}, ":1": {"S": "b"}},
    )
    assert [item["order_id"] for item in found["Items"]] == [{"N": "1"}]


def test_an_index_shows_keys_and_nothing_else(services: Services) -> None:
    keys = {"account_id": {"N": "1"}, "created_key": {"S": "a"}, "pending_bucket": {"N": "0"}}
    services.dynamodb.put_item(TableName="orders", Item=order(1, **keys, status={"S": "open"}))
    found = services.dynamodb.query(
        TableName="orders",
        IndexName="pending",
        KeyConditionExpression="#0 = :0",
        ExpressionAttributeNames={"#0": "pending_bucket"},
        ExpressionAttributeValues={":0": {"N": "0"}},
    )
    assert found["Items"] == [order(1, created_key={"S": "a"}, pending_bucket={"N": "0"})]


def test_a_batch_of_reads_leaves_out_what_is_not_there(services: Services) -> None:
    services.dynamodb.put_item(TableName="orders", Item=order(1))
    asked = {"orders": {"Keys": [order(1), order(2)], "ConsistentRead": True}}
    answer = services.dynamodb.batch_get_item(RequestItems=asked)
    assert answer["Responses"]["orders"] == [order(1)]
    assert answer["UnprocessedKeys"] == {}


def read_all(services: Services, shard: str, **where: str) -> list[dict[str, Any]]:
    answer = services.kinesis.get_shard_iterator(StreamName="contract", ShardId=shard, **where)
    return list(services.kinesis.get_records(ShardIterator=answer["ShardIterator"], Limit=100)["Records"])


def open_shard(services: Services) -> str:
    shards = services.kinesis.list_shards(StreamName="contract")["Shards"]
    parents = {shard.get("ParentShardId") for shard in shards}
    return str(next(shard["ShardId"] for shard in shards if shard["ShardId"] not in parents))


def test_the_same_record_again_is_another_record(services: Services) -> None:
    shard = open_shard(services)
    numbers = [
        services.kinesis.put_record(StreamName="contract", PartitionKey="p", Data=b"same")["SequenceNumber"]
        for _ in range(2)
    ]
    assert int(numbers[0]) < int(numbers[1])
    found = read_all(services, shard, ShardIteratorType="TRIM_HORIZON")[-2:]
    assert [(row["SequenceNumber"], row["Data"], row["PartitionKey"]) for row in found] == [
        (number, b"same", "p") for number in numbers
    ]


def test_readers_begin_at_a_record_or_behind_it(services: Services) -> None:
    shard = open_shard(services)
    for text in (b"a", b"b", b"c"):
        last = services.kinesis.put_record(StreamName="contract", PartitionKey="p", Data=text)
    rows = read_all(services, shard, ShardIteratorType="TRIM_HORIZON")
    assert rows[-1]["SequenceNumber"] == last["SequenceNumber"]
    middle = rows[-2]["SequenceNumber"]
    at = read_all(services, shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=middle)
    after = read_all(services, shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=middle)
    assert [row["Data"] for row in at] == [b"b", b"c"]
    assert [row["Data"] for row in after] == [b"c"]


def test_records_put_together_keep_their_order(services: Services) -> None:
    records = [{"PartitionKey": "p", "Data": text} for text in (b"x", b"y", b"z")]
    answer = services.kinesis.put_records(StreamName="contract", Records=records)
    assert answer["FailedRecordCount"] == 0
    numbers = [int(row["SequenceNumber"]) for row in answer["Records"]]
    assert numbers == sorted(numbers)


def test_a_stream_that_is_not_there_is_named(services: Services) -> None:
    with refused("ResourceNotFoundException"):
        services.kinesis.put_record(StreamName="no-such-stream", PartitionKey="p", Data=b"")


def test_objects_are_whole_or_not_there(services: Services) -> None:
    with refused("NoSuchKey"):
        services.s3.get_object(Bucket="contract", Key="none")
    with refused("404"):
        services.s3.head_object(Bucket="contract", Key="none")
    services.s3.delete_object(Bucket="contract", Key="none")
    services.s3.put_object(Bucket="contract", Key="a/1", Body=b"one", Metadata={"reason": "why"})
    services.s3.put_object(Bucket="contract", Key="a/1", Body=b"two")
    assert services.s3.get_object(Bucket="contract", Key="a/1")["Body"].read() == b"two"
    pages = services.s3.get_paginator("list_objects_v2").paginate(Bucket="contract", Prefix="a/")
    assert [row["Key"] for page in pages for row in page.get("Contents", [])] == ["a/1"]


def test_an_execution_s_name_is_its_own_for_good(services: Services) -> None:
    def start(number: int) -> Any:
        asked = json.dumps({"transfer_id": str(number)})
        return services.states.start_execution(stateMachineArn=services.machine, name="one", input=asked)

    start(1)
    with refused("ExecutionAlreadyExists"):
        start(2)


def test_a_token_that_nobody_gave_wakes_nobody(services: Services) -> None:
    with refused("TaskDoesNotExist|InvalidToken|TaskTimedOut"):
        services.states.send_task_success(taskToken="made-up", output="{}")


# What only time or bad luck shows


def test_the_same_execution_again_while_it_runs_is_the_same() -> None:
    scheduler, faults = Scheduler(), Faults.drawn(0)
    states = StepFunctions(scheduler, Network(scheduler, faults, 0), faults, {}, lambda *_: None)
    answers = [states.start_execution(stateMachineArn="deposit", name="one", input="{}") for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(states.executions) == 1


def test_a_token_is_forgotten_after_ten_minutes() -> None:
    carrier = AtOnce()
    client = FakeDynamoClient(DynamoDb(carrier))
    asked: dict[str, Any] = {"TransactItems": [put(7, new=True)], "ClientRequestToken": "t"}
    client.transact_write_items(**asked)
    carrier.seconds += TOKEN_SECONDS - 1
    client.transact_write_items(**asked)
    carrier.seconds += 2
    with refused("TransactionCanceledException"):
        client.transact_write_items(**asked)


def test_an_iterator_lives_five_minutes() -> None:
    carrier = AtOnce()
    kinesis = Kinesis(carrier)
    kinesis.create_stream(StreamName="s")
    iterator = kinesis.get_shard_iterator(
        StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    carrier.seconds += ITERATOR_SECONDS
    with refused("ExpiredIteratorException"):
        kinesis.get_records(ShardIterator=iterator["ShardIterator"])


def test_part_of_a_put_may_be_refused_while_what_follows_is_in() -> None:
    kinesis = Kinesis()
    kinesis.create_stream(StreamName="s")
    turns = iter([False, True, False])
    kinesis.refuses = lambda: next(turns)
    records = [{"PartitionKey": "p", "Data": text} for text in (b"1", b"2", b"3")]
    answer = kinesis.put_records(StreamName="s", Records=records)
    assert answer["FailedRecordCount"] == 1
    assert [row["Data"] for row in kinesis.streams["s"].shards[0].records] == [b"1", b"3"]


def test_a_split_shard_ends_and_its_children_share_its_keys() -> None:
    kinesis = Kinesis()
    kinesis.create_stream(StreamName="s")
    kinesis.put_record(StreamName="s", PartitionKey="p", Data=b"before")
    kinesis.split_shard(
        StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(HASH_KEY_MAX // 2 + 1)
    )
    kinesis.put_record(StreamName="s", PartitionKey="p", Data=b"after")
    shards = kinesis.list_shards(StreamName="s")["Shards"]
    assert [shard.get("ParentShardId", "") for shard in shards] == ["", "shardId-000000000000", "shardId-000000000000"]
    iterator = kinesis.get_shard_iterator(
        StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    answer = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert [row["Data"] for row in answer["Records"]] == [b"before"]
    assert "NextShardIterator" not in answer


def test_what_another_transaction_holds_is_a_conflict_for_plain_writes_too() -> None:
    service = DynamoDb(_Overlapping())
    client = FakeDynamoClient(service)
    carrier: Any = service.carrier
    carrier.meanwhile = lambda: client.put_item(TableName="orders", Item=order(1))
    with refused("TransactionConflictException"):
        client.transact_write_items(TransactItems=[put(1)])
    carrier.meanwhile = lambda: client.transact_write_items(TransactItems=[put(2), put(1)])
    with refused("TransactionCanceledException") as caught:
        client.transact_write_items(TransactItems=[put(1)])
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == [
        "None",
        "TransactionConflict",
    ]


class _Overlapping(AtOnce):
    """Lets something happen while a transaction holds its items."""

    meanwhile: Callable[[], object] | None = None

    def carry(self, service: str, operation: str, effect: Any, *, lock: Any = None) -> Any:
        """Do it, with the other call in between."""
        if lock is not None:
            lock()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return effect()
