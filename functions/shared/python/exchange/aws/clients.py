"""boto3 clients, made once a process, with time-outs that fit inside a request."""

import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

# A request has 250 ms for its funds and a few seconds in all; a client that waits a minute helps nobody.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    # AWS answers synchronous executions at sync-states...; an endpoint of one's own has no such name.
    inject_host_prefix="AWS_ENDPOINT_URL" not in os.environ,
)


@cache
def client(service: str) -> Any:
    """The process's one client of an AWS service. AWS_ENDPOINT_URL and AWS_REGION are boto3's own to read."""
    return boto3.client(service, config=_CONFIG)
