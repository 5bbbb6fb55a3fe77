"""What the template grants each function, as triples: function, action, and the logical name of the resource."""

import re
from collections.abc import Iterator
from typing import Any

from tests.contract.cloud_definition import Function, functions

Grant = tuple[str, str, str]
NOTHING_IN_PARTICULAR = "*"


def as_list(value: Any) -> list[Any]:
    """A policy's value that may be one or several."""
    return value if isinstance(value, list) else [value]


def granted(function: Function) -> set[Grant]:
    """Every grant of a function's own policies, index and table being one resource."""
    return {
        (function.name, action, name_of(resource))
        for statement in function.statements
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def name_of(resource: Any) -> str:
    """The logical name of what a policy's resource is: OrdersTable, SettlementMachine, ArchiveBucket."""
    text = str(resource)
    found = (
        re.search(r"Outputs\.(\w+?)(?:Arn)?\b(?=['}])", text)
        or re.search(r"GetAtt': \['(\w+)', 'Arn'\]", text)
        or re.search(r"'Ref': '(\w+)'", text)
        or re.search(r":\$\{(WebSocketApi)\}", text)
    )
    if found:
        return found[1]
    # A function that wakes itself: its role can't refer to it, so the policy has its name.
    itself = re.search(r":function:\$\{AWS::StackName\}-([a-z-]+)'", text)
    return f"{itself[1].title().replace('-', '')}Function" if itself else NOTHING_IN_PARTICULAR


def for_the_platform(function: Function) -> Iterator[Grant]:
    """What Lambda itself does in a function's name: its log, its event sources, and where it puts what failed."""
    log = function.properties["LoggingConfig"]["LogGroup"]["Ref"]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield function.name, action, log
    asynchronous = function.properties.get("EventInvokeConfig", {})
    for source in [*function.properties.get("Events", {}).values(), {"Type": "Async", "Properties": asynchronous}]:
        properties = source["Properties"]
        for action, resource in SOURCES.get(source["Type"], lambda _: ())(properties):
            yield function.name, action, resource
        yield from _failures(function, properties)


def _failures(function: Function, properties: Any) -> Iterator[Grant]:
    destination = properties.get("DestinationConfig", {}).get("OnFailure", {})
    if destination.get("Type") == "S3":
        bucket = name_of(destination["Destination"])
        yield function.name, "s3:PutObject", bucket
        yield function.name, "s3:ListBucket", bucket
    elif destination.get("Type") == "SQS":
        yield function.name, "sqs:SendMessage", name_of(destination["Destination"])


def _of_kinesis(properties: Any) -> Iterator[tuple[str, str]]:
    consumer, stream = properties["Stream"]["Fn::If"][1:]
    for verb in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"):
        yield f"kinesis:{verb}", name_of(stream)
    # On a laptop there is no consumer and its place is the stream's.
    for verb in ("SubscribeToShard", "DescribeStreamConsumer"):
        yield f"kinesis:{verb}", name_of({"Fn::If": ["OnAws", consumer, stream]})


def _of_dynamodb(properties: Any) -> Iterator[tuple[str, str]]:
    for verb in ("DescribeStream", "GetRecords", "GetShardIterator"):
        yield f"dynamodb:{verb}", name_of(properties["Stream"])
    yield "dynamodb:ListStreams", NOTHING_IN_PARTICULAR


def _of_sqs(properties: Any) -> Iterator[tuple[str, str]]:
    for verb in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
        yield f"sqs:{verb}", name_of(properties["Queue"])


SOURCES = {"Kinesis": _of_kinesis, "DynamoDB": _of_dynamodb, "SQS": _of_sqs}


def all_granted() -> set[Grant]:
    """Every grant of every function."""
    return set().union(*(granted(function) for function in functions()))
