"""Compile the matching engine and the replay tool's lines where there is a C compiler.

Without one the reference engine is used, and the lines are read and written by the same Python, interpreted.

ENGINE_REQUIRED=1 makes a failed build fail. ENGINE_CHECKS=1 builds with Cython's bounds and null checks and under
the compiler's address checks, for tests.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FAST = Path("matcher/engine/fast")
MODULES = (
    "accounts",
    "command_ids",
    "core",
    "event_buffer",
    "expiries",
    "hash_cells",
    "matching",
    "order_ids",
    "order_pool",
    "price_queues",
    "recent_ids",
    "records",
    "saving",
)
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
        try:
            super().build_extensions()
        except Exception as error:
            if REQUIRED:
                raise
            self._take_away()
            sys.stderr.write(f"the engine is not compiled, the reference engine will run: {error}\n")

    def _take_away(self) -> None:
        for extension in self.extensions:
            path = Path(self.get_ext_fullpath(extension.name))
            for place in (path, Path(extension.sources[0]).with_name(path.name)):
                place.unlink(missing_ok=True)
        for extension in self.extensions:
            extension.optional = True


def extensions() -> list[Extension]:
    """The modules to compile; none where Cython is missing."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        if REQUIRED:
            raise
        return []
    options = {"build_dir": "build/checked" if CHECKED else "build/cython", "force": CHECKED, "quiet": True}
    found: list[Extension] = [
        *cythonize([str(FAST / f"{name}.py") for name in MODULES], compiler_directives=DIRECTIVES, **options),
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
