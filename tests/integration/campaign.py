"""A laptop cloud that is meant to suffer: orders flow while a campaign kills, stops or disturbs its parts."""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import urllib3

from infra.cli.opening import DEMO
from infra.local.settings import LaptopSettings
from tests.e2e.conftest import CommandLine, figure
from tests.fakes.faults import Rule, dumped
from tests.fakes.ports import free_ports
from tests.integration.conftest import WatchedLaptop, step
from tests.integration.watched_cloud import FAULTS_PATH, IDLE_PATH

AUDIT_HOLDS = "The audit holds"
FLOW_ORDERS = int(os.environ.get("FLOW_ORDERS", "300"))
FLOW_RATE = 40
# What a worker was doing when it was killed. Whoever kills an idle one shows next to nothing.
AT_WORK, IDLE = "in an invocation", "idle"
HUNT_SECONDS = 0.5


@dataclass
class Suffering:
    """A running laptop of a campaign's own."""

    settings: LaptopSettings
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def command(self) -> CommandLine:
        """The `exchange` command, for this laptop."""
        ports = {
            "EXCHANGE_PORT": self.settings.port,
            "EXCHANGE_CLOUD_PORT": self.settings.cloud_port,
            "EXCHANGE_MATCHER_PORT": self.settings.matcher_port,
            "EXCHANGE_CHAIN_PORT": self.settings.chain_port,
        }
        variables = {"EXCHANGE_HOME": str(self.settings.home), **{name: str(port) for name, port in ports.items()}}
        return CommandLine(variables, self.settings.home)

    def workers(self, functions: Sequence[str]) -> list[psutil.Process]:
        """The processes in which these functions run: each writes to its function's log, which tells whose it is."""
        logs = {str(self.settings.logs / "functions" / f"exchange-local-{name}.log") for name in functions}
        return [worker for worker in self.command.process("cloud").children(recursive=True) if _writes(worker, logs)]

    def at_work(self, functions: Sequence[str]) -> list[psutil.Process]:
        """Those of them that are in an invocation, or were a moment ago."""
        return self._without_idle(self.workers(functions))

    def kill_one(self, functions: Sequence[str]) -> None:
        """kill -9 of one worker, one in an invocation where there comes to be any; `kills` counts whether it was."""
        found = self.workers(functions)
        if not found:
            return
        caught = self._caught(found)
        try:
            (caught or self.rng.choice(found)).kill()
        except psutil.NoSuchProcess:  # It ended by itself since it was found, as idle workers do.
            return
        self.kills[AT_WORK if caught else IDLE] += 1

    def _caught(self, found: Sequence[psutil.Process]) -> psutil.Process | None:
        """One of them frozen in the middle of an invocation; None where all are idle for long.

        Frozen before it is looked at: it might else end its invocation between the look and the kill. And looked at
        twice, for at the first look its answer may be under way.
        """
        deadline = time.monotonic() + HUNT_SECONDS
        while time.monotonic() < deadline:
            for worker in self._without_idle(self.rng.sample(found, len(found))):
                with suppress(psutil.NoSuchProcess):
                    worker.suspend()
                    if self._without_idle([worker]) and self._without_idle([worker]):
                        return worker
                    worker.resume()
        return None

    def _without_idle(self, found: Sequence[psutil.Process]) -> list[psutil.Process]:
        idle = self._idle()
        return [worker for worker in found if worker.pid not in idle]

    def _idle(self) -> set[int]:
        url = self.settings.endpoint_url + IDLE_PATH
        return set(urllib3.request("GET", url, timeout=30, retries=False).json())

    def stop_one(self, functions: Sequence[str], seconds: float) -> bool:
        """SIGSTOP, a while, SIGCONT: what a frozen environment or a zombie looks like from outside. False as above."""
        found = self.workers(functions)
        if not found:
            return False
        try:
            self.freeze(self.rng.choice(found), seconds)
        except psutil.NoSuchProcess:
            return False
        return True

    def freeze(self, process: psutil.Process, seconds: float) -> None:
        """The same of a process."""
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def disturb(self, seed_number: int, rules: Sequence[Rule]) -> None:
        """Put faults before the cloud; none with no rules."""
        urllib3.request("PUT", self._faults_url, body=dumped(seed_number, rules), timeout=30, retries=False)

    def fired(self) -> Mapping[str, int]:
        """How many faults of each kind there were since they were put in."""
        return dict(urllib3.request("GET", self._faults_url, timeout=30, retries=False).json())

    @property
    def _faults_url(self) -> str:
        return self.settings.endpoint_url + FAULTS_PATH

    @contextmanager
    def flow(
        self, *, orders: int = FLOW_ORDERS, rate: int = FLOW_RATE, number: int = 1
    ) -> Iterator[subprocess.Popen[str]]:
        """Orders that flow while the block runs; at its end they must be accounted for and the audit must hold."""
        arguments = ("demo", "--orders", str(orders), "--rate", str(rate), "--seed", str(number))
        with tempfile.TemporaryFile("w+") as said:
            demo = self.command.start(*arguments, output=said)
            try:
                yield demo
                code = demo.wait(400)
            finally:
                demo.kill()
            said.seek(0)
            text = said.read()
        assert code == 0, text
        assert AUDIT_HOLDS in text
        assert figure(text, "orders sent") == orders
        assert figure(text, "trades") > 0


def _writes(process: psutil.Process, logs: set[str]) -> bool:
    try:
        return any(file.path in logs for file in process.open_files())
    except psutil.Error:
        return False


@contextmanager
def suffering(home: Path, seed_number: int) -> Iterator[Suffering]:
    """Start one, end it afterwards."""
    edge, cloud, matcher, chain = free_ports(4)
    settings = LaptopSettings(home=home, port=edge, cloud_port=cloud, matcher_port=matcher, chain_port=chain)
    laptop = WatchedLaptop(settings, step=step, opening=DEMO)
    try:
        laptop.up()
        yield Suffering(settings, random.Random(seed_number))
    finally:
        laptop.down()
