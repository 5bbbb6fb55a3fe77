"""AWS and this machine, as a deployment sees them: every call is written down, answers are given beforehand."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.commands import DeployError

Answer = Any | Callable[..., Any]


def refusal(code: str, message: str = "") -> ClientError:
    """What boto3 raises when a service refuses."""
    return ClientError({"Error": {"Code": code, "Message": message or code}}, "Operation")


@dataclass
class FakeAws:
    """Clients by service; `answers` maps "service.operation" to what it answers, calls or raises."""

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        return FakeClient(service, self)

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The arguments of every call of one operation."""
        return [arguments for name, arguments in self.calls if name == operation]


class _Exceptions:
    """A client's own exception types."""

    UsernameExistsException = ClientError


class FakeClient:
    """Any operation of one service."""

    exceptions = _Exceptions()

    def __init__(self, service: str, aws: FakeAws) -> None:
        self._service = service
        self._aws = aws

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Answer an operation."""
        name = f"{self._service}.{operation}"

        def call(*_names: Any, **arguments: Any) -> Any:
            self._aws.calls.append((name, arguments))
            answer = self._aws.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer(**arguments) if callable(answer) else answer

        return call

    def get_waiter(self, _name: str) -> Any:
        """A waiter that need not wait."""
        return FakeWaiter()


class FakeWaiter:
    """Everything has happened already."""

    def wait(self, **_arguments: Any) -> None:
        """Return at once."""


@dataclass
class FakeCommands:
    """Programs that print what they are told to; `missing` are not installed, `failing` fail."""

    printed: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    ran: list[list[str]] = field(default_factory=list)

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, text: str = "") -> str:
        """Print by the first two words."""
        del environment, text
        self.ran.append(list(command))
        if command[0] in self.failing:
            raise DeployError(f"{command[0]} failed")
        return self.printed.get(" ".join(command[:2]), "")

    def show(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Run without an answer."""
        self.run(command, environment=environment)

    def exists(self, program: str) -> bool:
        """Whether it is not missing."""
        return program not in self.missing

    @property
    def programs(self) -> list[str]:
        """The first two words of everything that ran."""
        return [" ".join(command[:2]) for command in self.ran]


@dataclass(frozen=True)
class FakeReply:
    """An HTTP reply."""

    status: int
    data: bytes


@dataclass
class FakeExchange:
    """The REST API: `replies` maps "METHOD /path" to bodies in turn, the last one staying; statuses default to 200."""

    replies: Mapping[str, list[Any]]
    statuses: Mapping[str, int] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> FakeReply:
        """Answer one request."""
        del body
        name = f"{method} {url.removeprefix('https://exchange.test')}"
        self.asked.append((name, dict(headers)))
        replies = self.replies.get(name, [{}])
        answer = replies.pop(0) if len(replies) > 1 else replies[0]
        return FakeReply(self.statuses.get(name, 200), json.dumps(answer).encode())
