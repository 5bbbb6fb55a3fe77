"""How long each function takes from nothing until it can answer: its imports and what its module does at once.

Each in a fresh interpreter that has nothing but the packages, the layer and the function's folder. `python -m
bench.cold_start` writes that part of docs/benchmarks.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.page import PAGE, table, write_part
from infra.local.packaging import read_template

ROOT: Final = Path(__file__).resolve().parents[1]
LAYER: Final = ROOT / "functions" / "shared" / "python"
AIM_SECONDS: Final = 0.8

# Says on its last line what it took; the interpreter's own start isn't in it, for Lambda has that behind it.
PROGRAM: Final = """
import importlib, json, sys, time
wall, processor = time.perf_counter(), time.process_time()
importlib.import_module(sys.argv[1])
taken = time.perf_counter() - wall, time.process_time() - processor
print(json.dumps({"wall": taken[0], "processor": taken[1], "modules": len(sys.modules)}))
"""

TEXT: Final = """
## Cold starts

Made by `make cold-start`. {machine}. Measured on {day}; medians of {runs} fresh interpreters for each function. From
the first import until the handler can be called: imports, settings, tables bound, clients made; no request to AWS is
among it. The interpreter's own start is not in it. *Compiled*: Python finds every module compiled. *From source*:
it finds none, so it compiles them all, as Lambda does where a package comes without compiled files. The aim is
{aim} ms of processor time, compiled.

{table}
The ten packages that cost `{slowest}` most, each without what it imports from other packages (`python -X importtime`):

{packages}"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the template, as its process is started."""

    name: str
    module: str
    folder: Path
    environment: Mapping[str, str]

    def start(self, *options: str, compiled: Path) -> subprocess.CompletedProcess[str]:
        """Import it in a fresh interpreter. Raises RuntimeError with what it said."""
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **self.environment,
            "PYTHONPATH": os.pathsep.join((str(LAYER), str(self.folder))),
            "PYTHONPYCACHEPREFIX": str(compiled),
        }
        command = [sys.executable, "-s", *options, "-c", PROGRAM, self.module]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name} can't be imported:\n{done.stderr}")
        return done


@dataclass(frozen=True, slots=True)
class Start:
    """Median seconds of a function's starts."""

    name: str
    processor: float
    wall: float
    from_source: float
    modules: int


def functions() -> list[Function]:
    """Every Python function of the template."""
    found = read_template(ROOT / "template.yaml")["Resources"].values()
    return [_function(each["Properties"]) for each in found if each["Type"] == "AWS::Serverless::Function"]


def _function(properties: dict[str, Any]) -> Function:
    variables = properties.get("Environment", {}).get("Variables", {})
    fixed = {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_LAMBDA_FUNCTION_NAME": "cold",
        "AWS_XRAY_SDK_ENABLED": "false",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    return Function(
        name=properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"),
        module=properties["Handler"].split(".")[0],
        folder=ROOT / properties["CodeUri"],
        environment={**fixed, **{name: _value(name, value) for name, value in variables.items()}},
    )


def _value(name: str, value: object) -> str:
    """What is known only when deployed is made up: an address where one is wanted, else a word."""
    if isinstance(value, str | int):
        return str(value)
    known = {
        "BANK_PROVIDER": "sandbox",
        "STRIPE_RAIL": "off",
        "CHAIN_RAIL": "on",
        "BANK_FILES_RAIL": "off",
        "USER_POOL_ID": "us-east-1_example",
        "PUBLIC_REQUESTS_PER_SECOND": "10",
    }
    return "https://example.test/live" if name.endswith(("_URL", "_ENDPOINT")) else known.get(name, "made-up")


def _said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def measure(function: Function, runs: int, compiled: Path) -> Start:
    """Start a function so often."""
    function.start(compiled=compiled)  # Compiles what no function before it has.
    quick = [_said(function.start("-B", compiled=compiled)) for _ in range(runs)]
    with tempfile.TemporaryDirectory() as nothing:
        slow = [_said(function.start("-B", compiled=Path(nothing))) for _ in range(runs)]
    return Start(
        name=function.name,
        processor=statistics.median(said["processor"] for said in quick),
        wall=statistics.median(said["wall"] for said in quick),
        from_source=statistics.median(said["processor"] for said in slow),
        modules=quick[0]["modules"],
    )


def packages(function: Function, compiled: Path) -> list[tuple[str, float]]:
    """What each package costs by itself, the dearest first."""
    done = function.start("-B", "-X", "importtime", compiled=compiled)
    seconds: dict[str, float] = {}
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            package = name.rpartition("|")[2].strip().split(".")[0]
            seconds[package] = seconds.get(package, 0.0) + int(own) / 1_000_000
    return sorted(seconds.items(), key=lambda entry: -entry[1])


def document(starts: Sequence[Start], dearest: Sequence[tuple[str, float]], *, runs: int, described: str) -> str:
    """The part of the page."""
    return TEXT.format(
        machine=described,
        day=date.today().isoformat(),  # noqa: DTZ011 - a day is enough.
        runs=runs,
        aim=round(AIM_SECONDS * 1000),
        table=table(_rows(starts)),
        slowest=starts[0].name,
        packages=table([("package", "ms"), *((name, f"{seconds * 1000:.0f}") for name, seconds in dearest)]),
    )


def _rows(starts: Sequence[Start]) -> Iterator[Sequence[str]]:
    yield "function", "processor ms, compiled", "by the clock", "processor ms, from source", "modules"
    for start in starts:
        taken = (start.processor, start.wall, start.from_source)
        yield (start.name, *(f"{seconds * 1000:.0f}" for seconds in taken), str(start.modules))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="bench.cold_start", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="fresh interpreters for each function")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    described = machine.describe()
    known = {function.name: function for function in functions()}
    with tempfile.TemporaryDirectory() as folder:
        starts = []
        for function in known.values():
            starts.append(start := measure(function, options.runs, Path(folder)))
            print(
                f"{start.name}: {start.processor * 1000:.0f} ms, {start.from_source * 1000:.0f} from source", flush=True
            )
        starts.sort(key=lambda start: -start.processor)
        dearest = packages(known[starts[0].name], Path(folder))[:10]
    write_part(options.output, "cold_starts", document(starts, dearest, runs=options.runs, described=described))
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
