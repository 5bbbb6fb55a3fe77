"""What a failed call to DynamoDB says about what happened."""

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from exchange.aws.dynamodb import error_code, outage
from exchange.kernel.errors import OutageError, OutcomeUnknownError, UnavailableError
from pynamodb.exceptions import UpdateError


def answered(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "UpdateItem")


@pytest.mark.parametrize(
    ("cause", "code", "kind"),
    [
        (answered("ThrottlingException"), "ThrottlingException", UnavailableError),
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
