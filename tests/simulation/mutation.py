"""Planting a mutant: modules are read from their files, changed, and only then compiled, in a process of their own."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from tests.simulation.mutants import Change, Mutant


class PlantError(Exception):
    """A mutant does not fit the code any more: the text that it replaces is not there exactly once."""


class _ChangedLoader(SourceFileLoader):
    """Loads a module's source with replacements."""

    def __init__(self, name: str, path: str, changes: Sequence[Change]) -> None:
        super().__init__(name, path)
        self._changes = changes

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        """The changed source, compiled; never from or into a cache."""
        source = self.get_source(fullname) or ""
        return compile(changed(source, self._changes), self.path, "exec")


class _ChangedFinder(MetaPathFinder):
    """Finds the modules that are to be changed before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self._changes: dict[str, list[Change]] = {}
        for change in mutant.changes:
            self._changes.setdefault(change.module, []).append(change)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec whose loader changes the source; None for every other module."""
        del target
        changes = self._changes.get(fullname)
        if changes is None:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            raise PlantError(f"{fullname} is not there")
        return importlib.util.spec_from_file_location(
            fullname, found.origin, loader=_ChangedLoader(fullname, found.origin, changes)
        )


def changed(source: str, changes: Sequence[Change]) -> str:
    """The source with every replacement made. Raises PlantError where one does not fit."""
    for change in changes:
        if source.count(change.old) != 1:
            raise PlantError(f"{change.module}: {source.count(change.old)} times {change.old!r}")
        source = source.replace(change.old, change.new)
    return source


def plant(mutant: Mutant) -> None:
    """Have the mutant's modules changed when they are imported. Raises PlantError where one is imported already."""
    early = [change.module for change in mutant.changes if change.module in sys.modules]
    if early:
        raise PlantError(f"{early[0]} is imported already; plant first")
    sys.meta_path.insert(0, _ChangedFinder(mutant))
