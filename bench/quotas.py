"""What AWS grants a new account in us-east-1, and what one item, shard or table can do. Nothing is asked of AWS here.

A default can be raised where `raised_by_asking`; the others are how the service is built. `seen` is the day on which
`source` was looked at. `assumed` figures are no quotas but what we reckon with:
nobody has measured them on AWS.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit in `unit`; `source` is the page that states it."""

    name: str
    figure: float
    unit: str
    source: str
    seen: date
    raised_by_asking: bool = False
    assumed: bool = False


_SEEN: Final = date(2026, 11, 28)
_DYNAMODB: Final = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
_KINESIS: Final = "https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"
_LAMBDA: Final = "https://docs.aws.amazon.com/lambda/latest/dg/"
_OURS: Final = "template.yaml"

API_GATEWAY: Final = Quota(
    "API Gateway: requests and WebSocket posts of an account",
    10_000,
    "a second",
    "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html",
    _SEEN,
    raised_by_asking=True,
)
STAGE_THROTTLE: Final = Quota(
    "API Gateway: our own throttle (`ThrottleRate`)", 5_000, "a second", _OURS, _SEEN, raised_by_asking=True
)
CLOUDFRONT: Final = Quota(
    "CloudFront: requests of a distribution",
    250_000,
    "a second",
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html",
    _SEEN,
    raised_by_asking=True,
)
LAMBDA_CONCURRENCY: Final = Quota(
    "Lambda: functions that run at once",
    1_000,
    "at once",
    _LAMBDA + "gettingstarted-limits.html",
    _SEEN,
    raised_by_asking=True,
)
LAMBDA_SCALING: Final = Quota(
    "Lambda: how much one function grows", 100, "more at once, each second", _LAMBDA + "scaling-behavior.html", _SEEN
)
TABLE_WRITES_NEW: Final = Quota(
    "DynamoDB: writes of a new on-demand table",
    4_000,
    "units a second",
    _DYNAMODB + "on-demand-capacity-mode.html",
    _SEEN,
    raised_by_asking=True,
)
TABLE_WRITES: Final = Quota(
    "DynamoDB: writes of one table",
    40_000,
    "units a second",
    _DYNAMODB + "ServiceQuotas.html",
    _SEEN,
    raised_by_asking=True,
)
PARTITION_WRITES: Final = Quota(
    "DynamoDB: writes of one key", 1_000, "units a second", _DYNAMODB + "bp-partition-key-design.html", _SEEN
)
ITEM_TRANSACTIONS: Final = Quota(
    "DynamoDB: transactions on one item, one after the other",
    80,
    "a second",
    "reckoned from 12.5 ms for each",
    _SEEN,
    assumed=True,
)
SHARD_RECORDS: Final = Quota("Kinesis: records into one shard", 1_000, "a second", _KINESIS, _SEEN)
SHARD_BYTES: Final = Quota("Kinesis: bytes into one shard", 2**20, "bytes a second", _KINESIS, _SEEN)
SHARDS: Final = Quota("Kinesis: shards of an account", 20_000, "shards", _KINESIS, _SEEN, raised_by_asking=True)
STATE_MACHINE_STARTS: Final = Quota(
    "Step Functions: standard executions started",
    300,
    "a second",
    "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
    _SEEN,
    raised_by_asking=True,
)
KMS: Final = Quota(
    "KMS: symmetric operations, the least of any region",
    10_000,
    "a second",
    "https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html",
    _SEEN,
    raised_by_asking=True,
)
QUOTAS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Quota))
