"""What a failed call to DynamoDB says about what happened."""

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from exchange.aws.dynamodb import error_code, outage
from exchange.kernel.errors import OutageError, OutcomeUnknownError, UnavailableError
from pynamodb.exceptions import UpdateError


def answered(code: str, tries: int = 0) -> ClientError:
    """An error that AWS answered with, to the first try or to a later one."""
    response: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"RetryAttempts": tries}}
    return ClientError(response, "UpdateItem")


@pytest.mark.parametrize(
    ("cause", "code", "kind"),
    [
        (answered("ThrottlingException"), "ThrottlingException", UnavailableError),
        (answered("ThrottlingException", tries=1), "ThrottlingException", OutcomeUnknownError),
        (answered("InternalServerError"), "InternalServerError", OutcomeUnknownError),
        (ReadTimeoutError(endpoint_url="x"), "", OutcomeUnknownError),
        (ConnectionClosedError(endpoint_url="x"), "", OutcomeUnknownError),
        (None, "", OutcomeUnknownError),
    ],
)
def test_a_call_without_an_answer_has_no_code_and_an_unknown_outcome(
    cause: ClientError | BotoCoreError | None, code: str, kind: type[OutageError]
) -> None:
    error = UpdateError("failed", cause)
    assert error_code(error) == code
    assert type(outage(error)) is kind
