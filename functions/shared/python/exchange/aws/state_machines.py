"""Running an Express state machine and believing only success."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.errors import OutcomeUnknownError


class ExpressMachine:
    """A synchronous Express state machine."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._client = client
        self._machine_arn = machine_arn

    def run(self, payload: dict[str, Any]) -> Any:
        """Run it to its end and return its output.

        StartSyncExecution answers 200 for a failed execution too: anything but SUCCEEDED raises.
        Raises:   OutcomeUnknownError; what the machine does must be safe to do again.
        """
        try:
            answer = self._client.start_sync_execution(stateMachineArn=self._machine_arn, input=json.dumps(payload))
        except (ClientError, BotoCoreError) as error:
            raise OutcomeUnknownError(f"{self._machine_arn}: {error}") from error
        if answer["status"] != "SUCCEEDED":
            reason = f"{answer.get('error', '')}: {answer.get('cause', '')}"
            raise OutcomeUnknownError(f"{self._machine_arn} {answer['status']}: {reason}")
        return json.loads(answer["output"])
