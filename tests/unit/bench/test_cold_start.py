"""What a function imports before it can answer: nothing heavy that it does not need; each cold start pays for it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from bench.cold_start import LAYER, Start, document, functions

# What each of them needs, so it is there before they are told apart by what they add.
SHARED = ("botocore.session", "pydantic")
# By module or package; what nobody may have, and what only those may have whose names are here.
REFUSED = {
    "aiohttp", "asyncio", "aws_xray_sdk", "boto3", "ctypes", "http.server", "moto", "multiprocessing",
    "pydantic.networks", "pydantic.v1", "requests", "s3transfer", "sqlite3", "unittest", "yaml",
}  # fmt: skip
# They check a caller's signature or token. The market's API has no callers that it knows, the payments' are banks.
APIS = {one.name for one in functions() if one.name.endswith("-api")}
CALLED_BY_USERS = APIS - {"charts-api", "market-data-api", "payments-api"} | {"feeds-websocket"}
ALLOWED = {
    "cryptography": CALLED_BY_USERS,
    "stripe": {"payments-api", "payments-queued", "payments-schedule", "payments-tasks", "reconciliation-schedule"},
    "web3": {"chains-schedule", "payouts-schedule", "sweeps-schedule"},
    "chalice": APIS | {"feeds-websocket"},
}
MODULES_MAX = 640
MODULES_MAX_WITH = {"stripe": 840, "web3": 1_100}

# Both load HTTP clients that nobody here asks for.
BROUGHT_BY_THEM = {"aiohttp", "asyncio", "requests"}

# One process has what all need; each function is a fork of it, so that it pays for its own only.
PROGRAM = """
import importlib, json, os, sys
functions = json.load(sys.stdin)
for name in functions["shared"]:
    importlib.import_module(name)
for name, module, folder, environment in functions["each"]:
    if not os.fork():
        os.environ.update(environment)
        sys.path.insert(0, folder)
        importlib.import_module(module)
        print(json.dumps([name, sorted(sys.modules)]), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(name + " can't be imported")
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Every module that each function has loaded when it can answer."""
    each = [(one.name, one.module, str(one.folder), dict(one.environment)) for one in functions()]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({"shared": SHARED, "each": each}),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAYER)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers: list[Any] = [json.loads(line) for line in run.stdout.splitlines()]
    return {name: set(modules) for name, modules in answers}


def having(modules: set[str], package: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for module in modules)


def refused(modules: set[str]) -> set[str]:
    return REFUSED - BROUGHT_BY_THEM if MODULES_MAX_WITH.keys() & modules else REFUSED


def test_every_function_is_looked_at(imported: dict[str, set[str]]) -> None:
    assert set(imported) == {one.name for one in functions()}
    assert all("exchange" in modules for modules in imported.values())


def test_no_function_imports_what_is_heavy_and_not_needed(imported: dict[str, set[str]]) -> None:
    assert {
        name: found
        for name, modules in imported.items()
        if (found := sorted(package for package in refused(modules) if having(modules, package)))
    } == {}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_is_imported_only_where_it_is_used(imported: dict[str, set[str]], package: str) -> None:
    assert {name for name, modules in imported.items() if having(modules, package)} <= ALLOWED[package]


def test_no_function_grows_unseen(imported: dict[str, set[str]]) -> None:
    limits = {
        name: max((most for package, most in MODULES_MAX_WITH.items() if package in modules), default=MODULES_MAX)
        for name, modules in imported.items()
    }
    assert {name: len(modules) for name, modules in imported.items() if len(modules) > limits[name]} == {}


def test_the_page_lists_every_function_and_what_the_slowest_pays_for() -> None:
    starts = [Start("trading-api", 0.4, 0.5, 1.3, 545), Start("fees-api", 0.3, 0.3, 0.9, 506)]
    page = document(starts, [("botocore", 0.1)], runs=3, described="a machine")
    assert "| trading-api | 400 | 500 | 1300 | 545 |" in page
    assert "| fees-api | 300 | 300 | 900 | 506 |" in page
    assert "| botocore | 100 |" in page
