"""A laptop cloud of the benchmark's own, on free ports, and as many customers as there are clients."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.usage.model import RateLimitTier

from infra.cli.opening import DEMO
from infra.cli.seed import DemoCustomer
from infra.local.laptop import Laptop
from infra.local.processes import ProcessRecord, ProcessRecords
from infra.local.settings import LaptopSettings
from tests.fakes.ports import free_ports

REGISTRATIONS_AT_A_TIME = 4


class CountingLaptop(Laptop):
    """A laptop whose cloud counts."""

    def _run(self, name: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        if name == "cloud":
            command = [sys.executable, "-m", "bench.counting_cloud", *command[3:]]
        super()._run(name, command, variables)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured."""

    settings: LaptopSettings
    stack: Mapping[str, Any]
    customers: list[dict[str, str]]

    @property
    def records(self) -> list[ProcessRecord]:
        """Its processes."""
        return ProcessRecords(self.settings.home / "processes.json").read()


@contextmanager
def running(*, customers: int, counting: bool = False) -> Iterator[Bench]:
    """Start one, with `customers` funded customers of the maker tier; end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        cloud, edge, matcher, chain = free_ports(4)
        settings = LaptopSettings(
            home=Path(folder), port=edge, cloud_port=cloud, matcher_port=matcher, chain_port=chain
        )
        kind = CountingLaptop if counting else Laptop
        laptop = kind(settings, step=lambda _title: nullcontext(), opening=DEMO)
        try:
            stack = laptop.up()
            yield Bench(settings, stack, _customers(laptop, stack, customers))
        finally:
            laptop.down()


def _customers(laptop: Laptop, stack: Mapping[str, Any], count: int) -> list[dict[str, str]]:
    """The demo customers of that tier, and as many more as it takes."""
    known = [user for user in stack["demo_users"] if user["rate_limit_tier"] == RateLimitTier.MAKER.value]
    names = [f"bench{number:02}" for number in range(max(0, count - len(known)))]
    with ThreadPoolExecutor(REGISTRATIONS_AT_A_TIME) as executor:
        made = executor.map(lambda name: DemoCustomer(laptop, name, RateLimitTier.MAKER).make(), names)
        return [*known, *made][:count]
