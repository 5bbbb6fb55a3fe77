"""The bank as we reach it: a queue of instructions, and the secret that it signs its answers with."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.clock import Clock
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError
from exchange.payments.model import Asked, Instruction

SECRET_AGE_MAX_NS = 300 * 1_000_000_000


class BankQueue:
    """The queue that the bank reads. A message may arrive twice; the instruction's id makes it one."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def instruct(self, instruction: Instruction) -> Asked:
        """Queue an instruction.

        Raises:   OutcomeUnknownError; queueing it again is harmless.
        """
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=message(instruction))
        except (ClientError, BotoCoreError) as error:
            raise OutcomeUnknownError(f"the bank's queue: {error}") from error
        return Asked()


def message(instruction: Instruction) -> str:
    """An instruction as the bank reads it: our id and what to pay, and nothing of our own housekeeping."""
    names = ("instruction_id", "direction", "amount", "currency", "payment_method_id")
    return json.dumps({name: getattr(instruction, name) for name in names})


class SharedSecret:
    """The secret shared with the bank, at most five minutes old."""

    def __init__(self, client: Any, secret_arn: str, clock: Clock) -> None:
        self._client = client
        self._secret_arn = secret_arn
        self._clock = clock
        self._read_at_ns = 0
        self._value = ""

    def value(self) -> str:
        """The secret. Raises UnavailableError where it can't be read: nothing is believed without it."""
        now_ns = self._clock.now_ns()
        if not self._value or now_ns - self._read_at_ns >= SECRET_AGE_MAX_NS:
            try:
                answer = self._client.get_secret_value(SecretId=self._secret_arn)
            except (ClientError, BotoCoreError) as error:
                raise UnavailableError(f"the bank's secret: {type(error).__name__}") from error
            self._value, self._read_at_ns = str(answer["SecretString"]), now_ns
        return self._value
