"""One seed from its first order to its verdict."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from exchange.audit.model import Finding
from exchange.audit.service import check

from tests.simulation.bank import Bank
from tests.simulation.cloud import Cloud, FunctionLostError, open_cloud
from tests.simulation.customers import Customers
from tests.simulation.faults import Fault, Faults
from tests.simulation.machines import StepFunctions, TaskError
from tests.simulation.matchers import Matchers
from tests.simulation.nemesis import Nemesis
from tests.simulation.oracle import Oracle
from tests.simulation.plan import Plan
from tests.simulation.scheduler import SECOND_NS, Scheduler
from tests.simulation.settling import Settlement

STEPS_PER_CHECK: Final = 500
DAY_SECONDS: Final = 60.0
RESOLVE_SECONDS: Final = (
    420.0  # a frozen function may be waited for 300 seconds, a lease has to run out, a sweeper comes by
)
FROZEN_SECONDS: Final = 3_000.0
SAGA_SECONDS: Final = 12 * 86_400.0


@dataclass(frozen=True)
class Breach:
    """What a seed broke: the invariant's name and how it shows."""

    invariant: str
    text: str


@dataclass
class Verdict:
    """What came of a seed."""

    seed: int
    breaches: list[Breach] = field(default_factory=list)
    steps: int = 0
    orders: int = 0
    trades: int = 0
    transfers: int = 0
    fired: Counter[Fault] = field(default_factory=Counter)
    trace_hash: str = ""
    seconds: float = 0.0


class Simulation:
    """A seed's exchange."""

    def __init__(
        self,
        seed: int,
        *,
        intents_max: int | None = None,
        without: Collection[Fault] = (),
        tracing: bool = False,
    ) -> None:
        logging.disable(logging.CRITICAL)
        random.seed(seed)  # the jitter of the code under test
        self.verdict = Verdict(seed)
        self.scheduler = Scheduler()
        self.scheduler.tracing = tracing
        self.faults = Faults.drawn(seed, without=without)
        self.plan = Plan.drawn(seed, intents_max=intents_max)
        self.cloud, self._context = open_cloud(self.plan, self.scheduler, self.faults)
        self.matchers = Matchers(self.cloud)
        self.settlement = Settlement(self.cloud)
        self.bank = Bank(self.cloud)
        self.customers = Customers(self.cloud)
        self.nemesis = Nemesis(self.cloud, self.matchers)
        self.oracle = Oracle(self.cloud)
        tasks = {
            "SettlementTasks": self.settlement.settle_task,
            "PaymentsTasks": self.bank.payments_task,
            "WalletsTasks": self.bank.wallets_task,
        }
        machines = StepFunctions(self.scheduler, self.cloud.network, self.faults, tasks, self._invoke)
        self.settlement.machines = self.bank.machines = self.customers.machines = machines

    def run(self) -> Verdict:
        """Safety while everything fails; then, when nothing does, that everything comes to its end."""
        began = time.process_time()
        try:
            self._live()
        finally:
            self.scheduler.end()
            self._context.__exit__(None, None, None)
        verdict = self.verdict
        verdict.steps, verdict.fired = self.scheduler.steps, self.faults.fired
        verdict.trace_hash = self.scheduler.trace_hash
        verdict.seconds = time.process_time() - began
        return verdict

    def _live(self) -> None:
        for part in (self.matchers, self.settlement, self.customers, self.nemesis):
            part.start()
        self._safely(DAY_SECONDS)
        if self.verdict.breaches:
            return
        self.faults.end()
        self.settlement.write_statements()
        self.nemesis.stop()
        if self.cloud.is_haunted:
            # Functions that are frozen still come back to life with what they had begun; nobody need match meanwhile.
            self.matchers.stop()
            end = self.scheduler.now_ns + int(FROZEN_SECONDS * SECOND_NS)
            self.scheduler.run(lambda: self.scheduler.now_ns > end or not self.cloud.is_haunted)
            self.matchers.start()
        self._resolve()
        self._finish()

    def _safely(self, seconds: float) -> None:
        """Let faults come, and look at what must hold at every moment."""
        end = self.scheduler.now_ns + int(seconds * SECOND_NS)
        while self.scheduler.now_ns < end and not self.verdict.breaches:
            stop_at = self.scheduler.steps + STEPS_PER_CHECK
            self.scheduler.run(lambda stop_at=stop_at: self._pauses(stop_at, end))  # type: ignore[misc]
            self._check(quiet=False)
            if not self.customers.busy:
                return

    def _pauses(self, stop_at: int, end: int) -> bool:
        return self.scheduler.steps >= stop_at or self.scheduler.now_ns >= end or not self.customers.busy

    def _resolve(self) -> None:
        """V1 and V2: without faults, every order is answered, and settlement drains."""
        end = self.scheduler.now_ns + int(RESOLVE_SECONDS * SECOND_NS)
        while self.scheduler.now_ns < end:
            self.scheduler.run_for(1.0)
            if not self.customers.busy and self._is_settled() and self.oracle.all_is_published():
                break
        else:
            if self.customers.busy:
                self._broke("V1", f"{self.customers.busy} customers still wait")
            if waiting := self._waiting_orders():
                self._broke("V1", f"orders still wait for their market's answer: {waiting[:3]}")
            else:
                self._broke("V2", "settlement has not drained")
            self._broke_by("V3", self.matchers.failures[-1:])
        self._outlast_the_frozen()
        self.matchers.stop()

    def _outlast_the_frozen(self) -> None:
        """A sweeper frozen when the faults ended may still send what it read; that is matched like the rest."""
        self.customers.sweeps_orders = False
        end = self.scheduler.now_ns + int(FROZEN_SECONDS * SECOND_NS)
        while self.scheduler.now_ns < end and (self.customers.sweeping or self.cloud.is_haunted):
            self.scheduler.run_for(1.0)
        end = self.scheduler.now_ns + int(RESOLVE_SECONDS * SECOND_NS)
        while self.scheduler.now_ns < end and not (self._is_settled() and self.oracle.all_is_published()):
            self.scheduler.run_for(1.0)

    def _is_settled(self) -> bool:
        return self.settlement.has_read_all and not self.settlement.has_failures and not self._waiting_orders()

    def _finish(self) -> None:
        """V4: transfers come to their end too, in the days that banks take; then everything must agree."""
        end = self.scheduler.now_ns + int(SAGA_SECONDS * SECOND_NS)
        self.settlement.stop()
        self.customers.sweep_seconds = 7_200.0
        while self._open_transfers() and self.scheduler.now_ns < end:
            self.scheduler.run_for(60.0 if self.scheduler.now_ns < end - 10 * 86_400 * SECOND_NS else 3600.0)
        self.customers.stop()
        self.settlement.write_statements()
        self.customers.last_words()
        self._broke_by("V4", [f"transfer {name} is still open" for name in self._open_transfers()])
        self._broke_by("I1", self.settlement.contradictions[:1])
        self._broke_by("I1", self.customers.defects[:1])
        self._check(quiet=True)
        self._count()

    def _open_transfers(self) -> list[str]:
        items = self.cloud.dynamodb.tables["transfers"].items.values()
        return [item["transfer_id"]["S"] for item in items if "account_id" in item and item["status"]["S"] == "pending"]

    def _waiting_orders(self) -> list[str]:
        items = self.cloud.dynamodb.tables["orders"].items.values()
        return [item["order_id"]["N"] for item in items if "pending_bucket" in item]

    def _check(self, *, quiet: bool) -> None:
        world = self.oracle.world(self.customers.history, quiet=quiet)
        for finding in check(world, quiet=quiet):
            self._found(finding)

    def _found(self, finding: Finding) -> None:
        for text in finding.breaches:
            self._broke(finding.name, f"{finding.claim}: {text}")

    def _broke_by(self, invariant: str, texts: list[str]) -> None:
        for text in texts:
            self._broke(invariant, text)

    def _broke(self, invariant: str, text: str) -> None:
        breach = Breach(invariant, text)
        if breach not in self.verdict.breaches:
            self.verdict.breaches.append(breach)

    def _count(self) -> None:
        tables = self.cloud.dynamodb.tables
        self.verdict.orders = len(tables["orders"].items)
        self.verdict.trades = len(tables["fills"].items) // 2
        self.verdict.transfers = sum("account_id" in item for item in tables["transfers"].items.values())

    def _invoke(self, name: str, work: Any, seconds: float) -> Any:
        try:
            return self.cloud.invoke(name, lambda _process: work(), seconds=seconds)
        except FunctionLostError as error:
            raise TaskError("Lambda.Unknown", str(error)) from error
        except TaskError:
            raise
        except Exception as error:  # the machine learns a failure by its class's name
            raise TaskError(type(error).__name__, str(error)) from error


def run(seed: int, **options: Any) -> Verdict:
    """Run a seed."""
    return Simulation(seed, **options).run()


__all__ = ["Breach", "Cloud", "Simulation", "Verdict", "run"]
