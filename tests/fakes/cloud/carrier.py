"""How a call gets to a service: at once here; late, twice or never in a simulation."""

from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError

Effect = Callable[[], Any]


def refusal(code: str, operation: str, message: str = "", **more: Any) -> ClientError:
    """An error as a service answers it."""
    return ClientError({"Error": {"Code": code, "Message": message or code}, **more}, operation)


class Carrier(Protocol):
    """Carries calls."""

    def carry(self, service: str, operation: str, effect: Effect, *, lock: Effect | None = None) -> Any:
        """Let `effect` happen in the service and return what it answers.

        `lock` comes a moment before it and opens the time in which a transaction holds its items.
        Raises:   ClientError of the service; BotoCoreError where no answer comes.
        """
        ...

    def now_seconds(self) -> float:
        """The services' own time, in seconds since 1970."""
        ...


class AtOnce:
    """Nothing lies between caller and service. Time stands where it is put."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def carry(self, service: str, operation: str, effect: Effect, *, lock: Effect | None = None) -> Any:
        """Do it."""
        if lock is not None:
            lock()
        return effect()

    def now_seconds(self) -> float:
        """The time it was put to."""
        return self.seconds
