"""The house rules that no linter knows: sizes, names, words, and what may not be imported where."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYER = "functions/shared/python/exchange"
MODULE_LINES_MAX = 600
TRIGGER_LINES_MAX = 120
FUNCTION_LINES_MAX = 60
DRAWERS = {"utils", "helpers", "common", "manager", "misc"}
TRIGGERS = {"api", "stream", "tasks", "schedule", "websocket", "queued"}
CLOCKLESS = ("model.py", "service.py")
CLOCKS = {"time", "datetime", "random", "uuid"}


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """Files that git tracks or would track."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return tuple(sorted({ROOT / name for name in names if name and (ROOT / name).is_file()}))


def python_files() -> tuple[Path, ...]:
    """Every Python file of ours."""
    return tracked("*.py")


def shown(path: Path) -> str:
    """A path as people say it."""
    return path.relative_to(ROOT).as_posix()


def triggers() -> list[Path]:
    """The files that wake Lambda functions."""
    return [p for p in python_files() if re.fullmatch(r"functions/[a-z_]+/[a-z_]+\.py", shown(p))]


@cache
def tree(path: Path) -> ast.Module:
    """A file as Python understands it."""
    return ast.parse(path.read_text())


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, by its first name and in full."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_modules_are_small() -> None:
    long = {shown(p): n for p in python_files() if (n := len(p.read_text().splitlines())) > MODULE_LINES_MAX}
    assert not long


def test_trigger_files_only_compose() -> None:
    long = {shown(p): n for p in triggers() if (n := len(p.read_text().splitlines())) > TRIGGER_LINES_MAX}
    assert not long


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{shown(path)}:{node.name}": size
        for path in python_files()
        for node in functions_of(path)
        if (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert not long


def test_a_lambda_file_is_named_after_what_wakes_it() -> None:
    strange = [shown(p) for p in triggers() if p.stem not in TRIGGERS]
    assert not strange
    assert not {p.stem for p in triggers()} & set(sys.stdlib_module_names)


def test_there_are_no_drawers() -> None:
    parts = {part for path in python_files() for part in Path(shown(path)).with_suffix("").parts}
    assert not parts & DRAWERS


def test_no_lambda_folder_imports_another_or_the_matcher() -> None:
    wrong = [
        f"{shown(path)} imports {name}"
        for path in triggers()
        for name in imports_of(path)
        if name.split(".")[0] in {"functions", "matcher", "infra"}
    ]
    assert not wrong


def test_rules_are_told_the_time() -> None:
    allowed = {f"{LAYER}/trading/service.py": {"uuid"}}  # fresh names for cancels: nothing is decided by them
    wrong = [
        f"{shown(path)} imports {name}"
        for path in python_files()
        if shown(path).startswith(LAYER) and path.name in CLOCKLESS
        for name in imports_of(path) & CLOCKS - allowed.get(shown(path), set())
    ]
    assert not wrong


def test_the_engine_has_no_clock_no_chance_and_no_float() -> None:
    wrong: list[str] = []
    for path in python_files():
        if not shown(path).startswith("matcher/engine/"):
            continue
        wrong += [f"{shown(path)} imports {name}" for name in imports_of(path) & CLOCKS]
        wrong += [
            f"{shown(path)}:{node.lineno} has a float"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, float)
        ]
    assert not wrong


def test_money_never_meets_a_float() -> None:
    wrong = [
        f"{shown(path)}:{line}"
        for path in python_files()
        if path.name == "model.py" and shown(path).startswith(LAYER)
        for line in float_lines(path)
    ]
    assert not wrong


def float_lines(path: Path) -> Iterator[int]:
    """The lines where a float is written, named or made by dividing."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node.lineno


def test_nothing_is_left_unfinished() -> None:
    words = re.compile(r"\b(TODO|FIXME|NotImplementedError|for now|placeholder)\b")
    found = [
        f"{shown(path)}:{number}"
        for path in tracked("*.py", "*.yaml", "*.toml", "Makefile")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if words.search(line)
    ]
    assert not found


def test_no_path_of_a_machine_is_in_the_project() -> None:
    path_of_a_machine = re.compile(r"(^|[^A-Za-z0-9._/-])/(root|home|work|farm)/[a-z]")
    found = [
        f"{shown(path)}:{number}"
        for path in tracked("*.py", "*.md", "*.yaml", "*.toml", "Makefile", ".ci/*")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if path_of_a_machine.search(line)
    ]
    assert not found


def test_tests_use_fakes_and_never_patch() -> None:
    patching = [
        f"{shown(path)} imports {name}"
        for path in python_files()
        if shown(path).startswith("tests/")
        for name in imports_of(path)
        if name.startswith("unittest.mock") or name == "mock"
    ]
    assert not patching


@pytest.mark.parametrize("path", python_files(), ids=shown)
def test_every_public_name_of_the_product_is_explained(path: Path) -> None:
    if not shown(path).startswith((LAYER, "functions/", "matcher/", "infra/")):
        return
    text = path.read_text()
    tree = ast.parse(text)
    assert not text.strip() or ast.get_docstring(tree) or path.name == "__init__.py", "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_every_package_is_on_the_map() -> None:
    told = ast.get_docstring(tree(ROOT / LAYER / "__init__.py")) or ""
    packages = {path.parent.name for path in tracked(f"{LAYER}/*/__init__.py")}
    assert [name for name in sorted(packages) if f"`{name}`" not in told] == []


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:3] for path in tracked("docs/decisions/*.md") if path.name != "README.md"]
    assert [number for number in sorted(set(numbers)) if numbers.count(number) > 1] == []
    wrong = [p.name for p in tracked("docs/decisions/0*.md") if not p.read_text().startswith(f"# {p.name[:3]}")]
    assert wrong == []


def test_no_link_of_a_page_leads_nowhere() -> None:
    dead = [
        f"{shown(page)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if not target.startswith(("http", "mailto")) and not (page.parent / target).exists()
    ]
    assert dead == []
