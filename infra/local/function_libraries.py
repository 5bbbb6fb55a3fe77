"""Imported once by the fork server: what every function would import and read for itself, at its own cost.

A worker forked after this starts in a fraction of the time and shares these pages with all others. Nothing of ours is
imported here: our code comes from the deployed layer.
"""

import functools
import gc
import importlib

import boto3
import botocore.loaders
import botocore.session
from botocore import UNSIGNED
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


def share_botocore_models() -> None:
    """botocore reads 1 to 10 MB of JSON for every session: give all sessions of a process one reader, read already."""
    botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)
    session = botocore.session.get_session()
    for service in _SERVICES:
        # Made only to have read what its making reads; it never calls anything.
        session.create_client(service, "us-east-1", config=Config(signature_version=UNSIGNED))

    boto3.session.Session(botocore_session=session)


for _library in _LIBRARIES:
    importlib.import_module(_library)
share_botocore_models()
gc.collect()
# What is there now never becomes garbage: keep the collector from touching, and so copying, the shared pages.
gc.freeze()
