"""AWS clients, made once a process, with time-outs that fit inside a request.

They are botocore's own, which are what boto3 hands out: boto3 itself brings S3's transfer manager along, and that is a
fifth of a cold start for nothing.
"""

import os
from functools import cache
from typing import Any

import botocore.session
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
    """The process's one client of an AWS service. AWS_ENDPOINT_URL is botocore's own to read."""
    # Links to encrypted files: S3 opens them for signatures of version 4 only, which isn't botocore's default here.
    config = _CONFIG.merge(Config(signature_version="s3v4")) if service == "s3" else _CONFIG
    return _session().create_client(service, region_name=_region(), config=config)


def client_at(service: str, endpoint_url: str, config: Config) -> Any:
    """A client of a service that has an address and time-outs of its own."""
    return _session().create_client(service, region_name=_region(), endpoint_url=endpoint_url, config=config)


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()
