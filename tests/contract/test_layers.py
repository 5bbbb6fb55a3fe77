"""Layers: what they hold comes from the lock, and they stay small enough to start quickly."""

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT, functions

LAYER_MEGABYTES_MAX = 120
REQUIREMENTS = ROOT / "functions/dependencies/requirements.txt"
PAYMENTS = ROOT / "functions/dependencies/payments/requirements.txt"
CHAIN = ROOT / "functions/dependencies/chain/requirements.txt"
LAYERS_MEGABYTES_MAX = 250  # Lambda's own, of code and layers together
# Chalice names them for its own command line, which no function runs.
LEFT_OUT = {"click", "inquirer", "pip", "setuptools", "wheel"}


def _lock() -> dict[str, Any]:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())
    return {package["name"]: package for package in locked["package"]}


def _pinned(requirements: Path = REQUIREMENTS) -> dict[str, dict[str, Any]]:
    """The packages of a layer with their version and hashes."""
    found: dict[str, dict[str, Any]] = {}
    for block in re.split(r"\n(?=\S)", requirements.read_text().strip()):
        name, version = re.match(r"([\w.-]+)==([\w.]+)", block).groups()  # type: ignore[union-attr]
        found[name] = {"version": version, "hashes": set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))}
    return found


def _closure(wanted: list[dict[str, Any]]) -> set[str]:
    """What is wanted where Lambda runs it, and what that needs in turn."""
    lock = _lock()
    found: set[str] = set()
    waiting = [dependency["name"] for dependency in wanted]
    while waiting:
        name = waiting.pop()
        if name in found or name in LEFT_OUT:
            continue
        found.add(name)
        waiting += [
            each["name"] for each in lock[name].get("dependencies", []) if "win32" not in each.get("marker", "")
        ]
    return found


def test_layer_2_is_what_the_lock_says_our_package_needs() -> None:
    own = _lock()["stock-exchange"]
    assert set(_pinned()) == _closure(own["dependencies"]), "run infra.deploy.stack.export"
    chain = _closure(own["dev-dependencies"]["chain"]) - set(_pinned())
    assert set(_pinned(CHAIN)) == chain, "run infra.deploy.stack.export"


def test_layer_3_is_the_payments_group_without_what_layer_2_has() -> None:
    lock = _lock()
    found: set[str] = set()
    waiting = [each["name"] for each in lock["stock-exchange"]["dev-dependencies"]["payments"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each["name"] for each in lock[name].get("dependencies", [])]
    assert set(_pinned(PAYMENTS)) == found - set(_pinned()), "run `python -m infra.deploy export`"


@pytest.mark.parametrize("requirements", [REQUIREMENTS, PAYMENTS, CHAIN], ids=["layer 2", "layer 3", "layer 4"])
def test_versions_and_hashes_are_the_locks(requirements: Path) -> None:
    lock = _lock()
    for name, pinned in _pinned(requirements).items():
        files = [*lock[name].get("wheels", []), lock[name].get("sdist", {})]
        assert pinned["version"] == lock[name]["version"], name
        assert pinned["hashes"], name
        assert pinned["hashes"] <= {file.get("hash") for file in files}, name


@pytest.mark.parametrize("requirements", [REQUIREMENTS, PAYMENTS, CHAIN], ids=["layer 2", "layer 3", "layer 4"])
def test_layers_of_packages_are_small_enough(requirements: Path) -> None:
    size = sum(_installed_bytes(name) for name in _pinned(requirements))
    assert size < LAYER_MEGABYTES_MAX * 1_000_000


def test_all_layers_of_packages_fit_together() -> None:
    size = sum(_installed_bytes(name) for name in {**_pinned(), **_pinned(CHAIN), **_pinned(PAYMENTS)})
    assert size < LAYERS_MEGABYTES_MAX * 1_000_000


def test_only_functions_that_speak_to_a_chain_have_its_layer() -> None:
    for function in functions():
        has = {"Ref": "ChainLayer"} in function.properties.get("Layers", [])
        speaks = function.name.startswith(("chains-", "payouts-", "sweeps-", "reconciliation-"))
        assert has == speaks, function.name


def test_layer_1_is_small_enough() -> None:
    paths = (ROOT / "functions/shared").rglob("*")
    size = sum(path.stat().st_size for path in paths if path.is_file() and "__pycache__" not in path.parts)
    assert size < LAYER_MEGABYTES_MAX * 1_000_000


def test_layer_1_holds_our_package_and_nothing_else() -> None:
    found = {path.name for path in (ROOT / "functions/shared/python").iterdir() if path.name != "__pycache__"}
    assert found == {"exchange"}


def _installed_bytes(name: str) -> int:
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError as error:
        raise AssertionError(f"{name} is in a layer but not installed here: run `make setup`") from error
    return sum(_size(Path(str(file.locate()))) for file in files if "__pycache__" not in file.parts)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
