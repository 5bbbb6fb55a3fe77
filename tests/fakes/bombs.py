"""Killing a process at an exact step, and outages on demand."""

from dataclasses import dataclass, field

from exchange.kernel.errors import OutcomeUnknownError, UnavailableError


class Killed(BaseException):
    """The process is gone; nothing of it runs any more."""


@dataclass
class Bomb:
    """Counts the steps of a run; goes off at one of them."""

    goes_off_at: int | None = None
    steps: list[str] = field(default_factory=list)

    def pass_step(self, name: str) -> None:
        """Get past a step alive, or not. Raises Killed."""
        self.steps.append(name)
        if self.goes_off_at is not None and len(self.steps) > self.goes_off_at:
            raise Killed(name)


@dataclass
class Weather:
    """Outages to come, by what they hit: "lost" fails before anything happens, "late" after it has."""

    coming: dict[str, list[str]] = field(default_factory=dict)

    def before(self, service: str) -> str:
        """Raises UnavailableError where the next outage of the service comes first; returns what comes after."""
        kinds = self.coming.get(service)
        kind = kinds.pop(0) if kinds else ""
        if kind == "lost":
            raise UnavailableError(service)
        return kind

    def after(self, service: str, kind: str) -> None:
        """Raises OutcomeUnknownError where the answer gets lost."""
        if kind == "late":
            raise OutcomeUnknownError(service)
