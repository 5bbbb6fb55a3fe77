"""Imported once by the fork server: what every function would import and read for itself, at its own cost.

A worker forked after this starts in a fraction of the time and shares these pages with all others. Nothing of ours is
imported here: our code comes from the deployed layer.
"""

import functools
import gc
import importlib
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore import UNSIGNED, awsrequest, regions, useragent
from botocore.config import Config

_LIBRARIES = (
    "aws_lambda_powertools",
    "aws_lambda_powertools.metrics",
    "boto3.session",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.parsers",
    "botocore.regions",
    "botocore.retries.standard",
    "botocore.signers",
    "chalice.app",
    "concurrent.futures.thread",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.ciphers.aead",
    "email.parser",
    "http.cookies",
    "ipaddress",
    "jwt",
    "pydantic",
    "pydantic.networks",
    "pydantic.plugin._schema_validator",
    "pynamodb.connection.base",
    "pynamodb.models",
    "pynamodb.transactions",
    "uuid",
    "zoneinfo",
)
_SERVICES = (
    "apigatewaymanagementapi",
    "cognito-idp",
    "dynamodb",
    "events",
    "kinesis",
    "kms",
    "s3",
    "secretsmanager",
    "sqs",
    "stepfunctions",
)


# Their address is made of the request: the bucket, the connection's API.
_ADDRESSED_BY_REQUEST = ("s3", "apigatewaymanagementapi")


def share_botocore_models() -> None:
    """botocore reads 1 to 10 MB of JSON for every session: give all sessions of a process one reader, read already."""
    botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)
    session = botocore.session.get_session()
    for service in _SERVICES:
        # Made only to have read what its making reads; it never calls anything.
        session.create_client(service, "us-east-1", config=Config(signature_version=UNSIGNED))

    boto3.session.Session(botocore_session=session)


def send_requests_in_one_piece() -> None:
    """botocore sends head and body apart: two system calls, and the cloud wakes twice for each request."""
    awsrequest.AWSHTTPConnectionPool.ConnectionCls = JoinedConnection


class JoinedConnection(awsrequest.AWSHTTPConnection):  # type: ignore[misc]
    """A connection that gathers a request's parts and sends them together."""

    _parts: list[bytes] | None = None

    def request(self, *arguments: Any, **options: Any) -> None:
        """Gather, then send."""
        self._parts = []
        try:
            super().request(*arguments, **options)
            gathered = b"".join(self._parts)
        finally:
            self._parts = None
        if gathered:
            super().send(gathered)

    def send(self, data: Any) -> Any:
        """Keep what can be joined; who waits for 100-continue, or sends a file, sends at once."""
        if self._parts is not None and isinstance(data, bytes) and not self._expect_header_set:
            self._parts.append(data)
            return None
        return super().send(data)


def clean_each_user_agent_once() -> None:
    """botocore cleans the same two dozen words of its name, letter by letter, for each request."""
    useragent.sanitize_user_agent_string_component = functools.lru_cache(1024)(
        useragent.sanitize_user_agent_string_component
    )


def resolve_each_endpoint_once() -> None:
    """botocore works its way through a service's endpoint rules for each request; here they end at one address."""
    resolver = regions.EndpointRulesetResolver
    upstream = resolver.construct_endpoint

    def construct(self: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
        if operation_model.service_model.service_name in _ADDRESSED_BY_REQUEST:
            return upstream(self, operation_model, call_args, request_context)
        known = self.__dict__.setdefault("endpoints_by_operation", {})
        name = operation_model.name
        if name not in known:
            known[name] = upstream(self, operation_model, call_args, request_context)
        return known[name]

    resolver.construct_endpoint = construct


for _library in _LIBRARIES:
    importlib.import_module(_library)
share_botocore_models()
send_requests_in_one_piece()
clean_each_user_agent_once()
resolve_each_endpoint_once()
gc.collect()
# What is there now never becomes garbage: keep the collector from touching, and so copying, the shared pages.
gc.freeze()
