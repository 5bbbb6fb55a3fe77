"""What a failed call to DynamoDB says about what happened."""

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from exchange.aws.dynamodb import error_code, outage
from exchange.kernel.errors import OutageError, OutcomeUnknownError, UnavailableError
from pynamodb.exceptions import UpdateError, VerboseClientError


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


@pytest.mark.parametrize(("tries", "kind"), [(0, UnavailableError), (1, OutcomeUnknownError)])
def test_a_refused_retry_does_not_say_that_the_first_try_did_nothing(tries: int, kind: type[OutageError]) -> None:
    """The first try's answer was lost, and the second was throttled: the first may have done it."""
    said = answered("ThrottlingException")
    said.response["ResponseMetadata"] = {"RetryAttempts": tries}
    error = VerboseClientError({"Error": said.response["Error"]}, "UpdateItem", {})
    error.__cause__ = said
    assert type(outage(UpdateError("failed", error))) is kind
