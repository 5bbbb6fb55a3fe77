"""Starting the deposit state machine: named by the transfer, so that a transfer has one execution and no more."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.aws.tries import was_retried
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError

_NOTHING_STARTED = frozenset(
    {"ThrottlingException", "ExecutionLimitExceeded", "StateMachineDoesNotExist", "AccessDeniedException"}
)


class StepFunctionsMachine:
    """The deposit state machine in Step Functions."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._client = client
        self._machine_arn = machine_arn

    def start(self, transfer_id: str, rail: str = "") -> None:
        """Start the transfer's execution; that it exists already is success. A withdrawal's is told its rail.

        Raises:   UnavailableError where certainly nothing started; OutcomeUnknownError.
        """
        try:
            told = {"transfer_id": transfer_id} | ({"rail": rail} if rail else {})
            self._client.start_execution(stateMachineArn=self._machine_arn, name=transfer_id, input=json.dumps(told))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ExecutionAlreadyExists":
                return
            certain = code in _NOTHING_STARTED and not was_retried(error)
            kind = UnavailableError if certain else OutcomeUnknownError
            raise kind(f"Step Functions: {code}") from error
        except BotoCoreError as error:
            raise OutcomeUnknownError(f"Step Functions: {type(error).__name__}") from error
