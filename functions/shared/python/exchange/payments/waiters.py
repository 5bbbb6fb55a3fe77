"""Waking the state machine that waits for a bank or a chain."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.errors import UnavailableError

# The only errors that may fail a transfer: the payer's own word. The state machines know them by these names.
REFUSED_BY_BANK = "RefusedByBank"
REFUSED_BY_CHAIN = "RefusedByChain"
_NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class TaskTokens:
    """Task tokens of Step Functions. A token works once; later uses find nobody."""

    def __init__(self, client: Any, *, refusal: str = REFUSED_BY_BANK) -> None:
        self._client = client
        self._refusal = refusal

    def booked(self, task_token: str, transfer_id: str) -> bool:
        """Let the transfer go on. False where nobody waits behind this token.

        Raises:   UnavailableError; doing it again is harmless.
        """
        output = json.dumps({"transfer_id": transfer_id})
        return self._send(lambda: self._client.send_task_success(taskToken=task_token, output=output))

    def declined(self, task_token: str, reason: str) -> bool:
        """Let the transfer fail, by the payer's refusal. False where nobody waits behind this token.

        Raises:   UnavailableError; doing it again is harmless.
        """
        return self._send(
            lambda: self._client.send_task_failure(taskToken=task_token, error=self._refusal, cause=reason)
        )

    @staticmethod
    def _send(call: Callable[[], object]) -> bool:
        try:
            call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NOBODY_WAITS:
                return False
            raise UnavailableError(f"Step Functions: {code}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"Step Functions: {type(error).__name__}") from error
        return True
