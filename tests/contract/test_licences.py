"""What is deployed may be given on: every package that the lock names for Lambda and Fargate has a licence we know."""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT

GROUPS = ("matcher", "chain", "payments")
# What allows use in a work under Apache-2.0 that others deploy. MPL-2.0 binds changes to its own files, of which we
# make none. Anything else fails until somebody has read it.
KNOWN = re.compile(
    r"MIT( License)?|MIT-0|Apache License 2\.0|Apache 2"
    r"|MIT No Attribution License \(MIT-0\)|Apache-2\.0|Apache Software License|BSD-[23]-Clause"
    r"|BSD License|PSF-2\.0|Python Software Foundation License|MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)"
    r"|CNRI-Python|Public Domain|ISC License \(ISCL\)"
)


def deployed() -> list[str]:
    """The packages that are deployed, by the lock: our dependencies, those groups, and all that they need."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    ours = packages["stock-exchange"]
    waiting = [*ours["dependencies"], *(need for group in GROUPS for need in ours["dev-dependencies"][group])]
    found: set[str] = set()
    while waiting:
        need = waiting.pop()
        if need["name"] in found or "win32" in need.get("marker", ""):
            continue
        found.add(need["name"])
        waiting.extend(_needs(packages[need["name"]], need.get("extra", ())))
    return sorted(found)


def _needs(package: dict[str, Any], extras: list[str]) -> Iterator[dict[str, Any]]:
    yield from package.get("dependencies", ())
    for extra in extras:
        yield from package.get("optional-dependencies", {}).get(extra, ())


def licences_of(name: str) -> list[str]:
    """What a package says of itself."""
    found = metadata(name)
    if "License-Expression" in found:
        return re.split(r" (?:AND|OR) |[()]", found["License-Expression"])
    classifiers = [line for line in found.get_all("Classifier") or [] if line.startswith("License ::")]
    named = [line.rpartition(" :: ")[2] for line in classifiers if line != "License :: OSI Approved"]
    return named or (found.get_all("License") or [])


@pytest.mark.parametrize("name", deployed())
def test_a_deployed_package_has_a_licence_that_we_know(name: str) -> None:
    try:
        licences = [licence for licence in licences_of(name) if licence]
    except PackageNotFoundError:
        pytest.skip(f"{name} is not for {sys.platform}")
    assert licences, f"{name} names no licence"
    assert [licence for licence in licences if not KNOWN.fullmatch(licence)] == []


def test_the_lock_holds_every_package_to_its_digest() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        if "registry" in package["source"]:
            files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
            assert files, package["name"]
            assert all(file["hash"].startswith("sha256:") for file in files), package["name"]
