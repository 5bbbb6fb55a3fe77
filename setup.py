"""Compile the matching engine and the replay tool's lines where there is a C compiler.

Without one the reference engine is used, and the lines are read and written by the same Python, interpreted.

ENGINE_REQUIRED=1 makes a failed build fail. ENGINE_CHECKS=1 builds with Cython's bounds and null checks and under
the compiler's address checks, for tests.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FAST = Path("matcher/engine/fast")
# Each after those it is made of: they are compiled as one, see `write_unit`.
MODULES = (
    "records",
    "hash_cells",
    "recent_ids",
    "command_ids",
    "order_pool",
    "order_ids",
    "accounts",
    "price_queues",
    "expiries",
    "event_buffer",
    "matching",
    "core",
    "saving",
)
UNIT = "matcher.engine.fast.unit"
UNIT_FOLDER = Path("build/unit")
LINES = ("json_commands", "json_events")
REQUIRED = os.environ.get("ENGINE_REQUIRED") == "1"
CHECKED = os.environ.get("ENGINE_CHECKS") == "1"
# What the engine's modules are written for: types come from the .pxd files, indexes are never negative.
DIRECTIVES = {
    "annotation_typing": False,
    "infer_types": True,
    "cdivision": True,
    "wraparound": False,
    "boundscheck": CHECKED,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
}


class BuildAllOrNone(build_ext):  # type: ignore[misc]
    """Leave no half-built engine behind: its modules fit only each other."""

    def build_extensions(self) -> None:
        """Build; where that fails, take away what was built."""
        self._take_away(FAST.glob("*.so"))
        try:
            super().build_extensions()
        except Exception as error:
            if REQUIRED:
                raise
            self._take_away_ours()
            sys.stderr.write(f"the engine is not compiled, the reference engine will run: {error}\n")

    def _take_away_ours(self) -> None:
        for extension in self.extensions:
            path = Path(self.get_ext_fullpath(extension.name))
            place = Path(*extension.name.split(".")).with_name(path.name)
            self._take_away((path, place))
            extension.optional = True

    def _take_away(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)


def write_unit(folder: Path) -> Path:
    """Write the engine's modules one behind the other into a file, with its .pxd; return it.

    Within one C unit the compiler sees through a call from class to class. Between two it can't: Cython goes by way of
    a table of methods, and most of what an engine does is some sixty functions of a few instructions each.
    """
    unit = folder / f"{UNIT.replace('.', '/')}.py"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("\n\n".join((FAST / f"{name}.py").read_text("utf-8") for name in MODULES), "utf-8")
    lines = ["cimport cython", *(f"from matcher.engine.fast.{name} cimport *" for name in ("layout", "machine"))]
    for name in MODULES:
        declared = (FAST / f"{name}.pxd").read_text("utf-8").splitlines()
        lines += (line for line in declared if "cimport " not in line)
    unit.with_suffix(".pxd").write_text("\n".join(lines) + "\n", "utf-8")
    return unit


def extensions() -> list[Extension]:
    """The modules to compile; none where Cython is missing."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        if REQUIRED:
            raise
        return []
    options = {"build_dir": "build/checked" if CHECKED else "build/cython", "force": CHECKED, "quiet": True}
    unit = Extension(UNIT, [str(write_unit(UNIT_FOLDER))])
    found: list[Extension] = [
        *cythonize([unit], compiler_directives=DIRECTIVES, include_path=[".", str(UNIT_FOLDER)], **options),
        *cythonize([f"matcher/{name}.py" for name in LINES], **options),
    ]
    for extension in found:
        # Signed overflow stays defined, as it is in the interpreted engine's masks and shifts.
        extension.extra_compile_args = ["-O3", "-fwrapv", "-fno-strict-aliasing", "-Wno-array-bounds"]
        if CHECKED:
            extension.extra_compile_args = ["-O1", "-g", "-fwrapv", "-fsanitize=address"]
            extension.extra_link_args = ["-fsanitize=address"]
    return found


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
