"""`exchange bench`: measure what the exchange does a second and costs an order, on a laptop cloud of its own."""

import subprocess
import sys
from typing import Annotated

import typer

from infra.local.settings import ROOT


def bench(
    runs: Annotated[int, typer.Option(min=1, help="How often each number of clients is measured.")] = 3,
    orders: Annotated[int, typer.Option(min=100, help="Orders a run.")] = 800,
) -> None:
    """Measure, and write docs/benchmarks.md."""
    # The benchmarks stand beside the packages, so they are run from the project's folder.
    command = [sys.executable, "-m", "bench", "--runs", str(runs), "--orders", str(orders)]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, check=False).returncode)  # noqa: S603 - our own module.
