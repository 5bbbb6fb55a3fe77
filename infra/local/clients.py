"""boto3 clients of the laptop cloud; of a LocalStack through `localstack-client`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from infra.local.settings import REGION, LaptopSettings

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def clients(settings: LaptopSettings) -> Callable[[str], Any]:
    """A function that gives the client of a service, the same one each time."""
    config = Config(inject_host_prefix=False, s3={"addressing_style": "path"}, retries={"total_max_attempts": 2})

    @cache
    def client(service: str) -> Any:
        if settings.localstack_url:
            from localstack_client.session import Session

            session = Session(region_name=REGION)
            return session.client(service, endpoint_url=settings.localstack_url, config=config)
        return boto3.client(
            service,
            endpoint_url=settings.endpoint_url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=config,
        )

    return client


def environment(settings: LaptopSettings) -> dict[str, str]:
    """What a process needs to reach the laptop cloud with plain boto3."""
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
