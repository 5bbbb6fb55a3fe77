"""The sandbox bank: takes instructions from its queue and answers each by a signed HTTP call.

A separate party: it has the shared secret and the address to call, and no table, stream or machine of ours.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import UnavailableError
from exchange.payments.bank import SharedSecret
from exchange.payments.sandbox import SandboxBankError, afterwards, answer, read_instruction
from exchange.payments.signature import signed_headers

BATCH_MAX = 10
RETURN_TRIES_MAX = 8
RETURN_PAUSE_SECONDS = 1.0


class Settings(EnvironmentSettings):
    """The environment of this function."""

    bank_webhook_secret_arn: str
    bank_webhook_url: str


settings = Settings.load()
logger = Logger(service="sandbox-bank")
clock = SystemClock()
secret = SharedSecret(client("secretsmanager"), settings.bank_webhook_secret_arn, clock)
http = urllib3.PoolManager(maxsize=BATCH_MAX, timeout=urllib3.Timeout(connect=2, read=12), retries=False)


def handler(event: dict[str, Any], _context: Any) -> dict[str, list[dict[str, str]]]:
    """Answer every instruction; those not taken go back to the queue, and after five tries to the dead letters."""
    records = event["Records"]
    with ThreadPoolExecutor(max_workers=BATCH_MAX) as pool:
        taken = list(pool.map(_answer, (str(record["body"]) for record in records)))
    failed = [record["messageId"] for record, done in zip(records, taken, strict=True) if not done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _answer(text: str) -> bool:
    try:
        instruction = read_instruction(text)
        taken, later = _deliver(answer(instruction)), afterwards(instruction)
        # What comes back was credited before, or soon is.
        for _ in range(RETURN_TRIES_MAX if taken and later else 0):
            time.sleep(RETURN_PAUSE_SECONDS)
            taken = _deliver(later or b"")
            if taken:
                break
    except (SandboxBankError, UnavailableError, urllib3.exceptions.HTTPError) as error:
        logger.warning("a notification was not delivered", reason=f"{type(error).__name__}: {error}")
        return False
    return taken


def _deliver(body: bytes) -> bool:
    headers = signed_headers(secret.value(), now_seconds=clock.now_ns() // 1_000_000_000, body=body)
    reply = http.request(
        "POST",
        settings.bank_webhook_url,
        body=body,
        headers={**headers, "Content-Type": "application/json"},
        redirect=False,
    )
    if reply.status != 200:
        logger.warning(
            "a notification was not taken", status=reply.status, reply=reply.data[:500].decode(errors="replace")
        )
    return reply.status == 200
