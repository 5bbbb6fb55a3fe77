"""A laptop cloud for the tests of a process, started once: on free ports, in a folder of its own."""

import functools
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exchange.admin.model import Role
from exchange.usage.model import RateLimitTier

from infra.cli.audit import audit_stack
from infra.cli.opening import DEMO
from infra.cli.seed import DemoCustomer
from infra.local.clients import clients, environment
from infra.local.laptop import Laptop, read_stack
from infra.local.operators import OperatorSession, log_in, make_operator
from infra.local.settings import LaptopSettings
from tests.fakes.ports import free_ports
from tests.integration import permissions


@dataclass(frozen=True, slots=True)
class RunningLaptop:
    """A laptop cloud that is ready: its settings, what stack.json says, and a client of each AWS service."""

    settings: LaptopSettings
    stack: dict[str, Any]
    client: Callable[[str], Any]

    def user(self, name: str) -> dict[str, str]:
        """A demo customer by name."""
        found: dict[str, str] = next(user for user in self.stack["demo_users"] if user["name"] == name)
        return found


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLaptop]:
    """The laptop cloud of this process. Each xdist worker has one of its own, for files of tests that mine blocks, put
    rows wrong or freeze customers would meet in a shared one."""
    home = tmp_path_factory.getbasetemp() / "laptop"
    home.mkdir(exist_ok=True)
    settings = _settings(home)
    if not read_stack(settings):  # Another suite of the same process may have started it.
        _laptop(settings).up()
    yield RunningLaptop(settings, read_stack(settings), clients(settings))
    # Another suite of the same process may have left before, and ended it.
    if read_stack(settings):
        running = _laptop(settings)
        try:
            not_granted = permissions.judge(settings, running)
        finally:
            running.down()
        assert not not_granted, "on AWS these calls would be denied: see template.yaml"


class WatchedLaptop(Laptop):
    """A laptop whose cloud writes down which function asked what, and can be told to disturb them."""

    def _run(self, name: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        if name == "cloud":
            command = [sys.executable, "-m", "tests.integration.watched_cloud", *command[3:]]
        super()._run(name, command, variables)

    def _keep(self, name: str, command: list[str], variables: Mapping[str, str]) -> None:
        super()._keep(name, command, {**variables, "AWS_SDK_UA_APP_ID": f"exchange-local-{name}"})


def _laptop(settings: LaptopSettings) -> Laptop:
    return WatchedLaptop(settings, step=step, opening=DEMO)


@contextmanager
def step(_title: str) -> Iterator[None]:
    yield


def _settings(home: Path) -> LaptopSettings:
    """The ports that were chosen at first."""
    chosen = home / "ports"
    if not chosen.exists():
        chosen.write_text(" ".join(str(port) for port in free_ports(4)), encoding="utf-8")
    edge, cloud, matcher, chain = (int(port) for port in chosen.read_text(encoding="utf-8").split())
    return LaptopSettings(
        home=home, port=edge, cloud_port=cloud, matcher_port=matcher, chain_port=chain, stripe=True, bank_files=True
    )


@pytest.fixture(scope="session")
def newcomer(laptop: RunningLaptop) -> Callable[..., dict[str, str]]:
    """Register and fund a customer whom no other test knows, by another's referral code where one is given."""
    running = Laptop(laptop.settings, step=lambda _title: nullcontext(), opening=DEMO)
    running.outputs = laptop.stack["outputs"]

    def make(name: str, referral_code: str = "") -> dict[str, str]:
        unique = f"{name}-{secrets.token_hex(4)}"
        return DemoCustomer(running, unique, RateLimitTier.MAKER, referral_code=referral_code).make()

    return make


Login = Callable[[str], OperatorSession]


@pytest.fixture(scope="session")
def login(laptop: RunningLaptop) -> Login:
    """A session of a demo operator, by name, or of one who has a single role, by its name. Each logs in once."""
    outputs, cognito = laptop.stack["outputs"], laptop.client("cognito-idp")
    known = {entry["name"]: entry for entry in laptop.stack["operators"]}

    @functools.cache
    def session(name: str) -> OperatorSession:
        person = known.get(name) or make_operator(cognito, outputs, f"only-{name}", [Role(name).value])
        return log_in(cognito, outputs["OperatorPoolClientId"], laptop.stack["operators_url"], person)

    return session


AUDITS_MAX = 5
# Far longer than anything takes on an idle machine; whoever waits so long waits for what never comes.
PATIENCE_SECONDS = 90


def audited(laptop: RunningLaptop) -> None:
    """Assert that every invariant holds. Tests beside this one may trade while the audit reads, so that it finds the
    logs ahead of the tables: what is really broken stays so however often it is looked at."""
    for _ in range(AUDITS_MAX):
        verdict = audit_stack(laptop.stack, environment(laptop.settings), wait_seconds=60)
        if verdict.holds:
            return
    pytest.fail(str([finding for finding in verdict.findings if finding.breaches]))


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Ask until the answer is true, and return it; fails where it never is."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = question()
            if answer:
                return answer
            time.sleep(0.05)
        pytest.fail(f"it did not come to be within {PATIENCE_SECONDS} seconds")

    return ask
