"""docs/benchmarks.md: a page of parts, each made by a command of its own, which leaves the others as they are."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PARTS: Final = ("engine", "cold_starts", "settlement", "trading", "transfers")
HEAD: Final = """# Benchmarks

Figures of one machine, made by the commands that each part names; they overwrite their part of this page and nothing
else. No test asserts any of it.
"""


def write_part(path: Path, name: str, text: str) -> None:
    """Put a part into the page in the place of the one before it; the others stay."""
    parts = read_parts(path) | {name: text.strip()}
    written = [f"<!-- part: {part} -->\n{parts[part]}\n<!-- end: {part} -->\n" for part in PARTS if part in parts]
    path.write_text("\n".join([HEAD, *written]), encoding="utf-8")


def replace_part(path: Path, name: str, text: str) -> None:
    """Put a part into a page between its marks; what people wrote around it stays."""
    page = path.read_text("utf-8")
    before, begins, rest = page.partition(f"<!-- part: {name} -->\n")
    _, ends, after = rest.partition(f"<!-- end: {name} -->")
    if not (begins and ends):
        raise ValueError(f"{path.name} has no part {name}: put <!-- part: {name} --> and <!-- end: {name} --> there")
    path.write_text(f"{before}{begins}{text.strip()}\n{ends}{after}", encoding="utf-8")


def read_parts(path: Path) -> dict[str, str]:
    """The parts of the page."""
    if not path.exists():
        return {}
    found = re.findall(r"<!-- part: (\w+) -->\n(.*?)\n<!-- end: \1 -->", path.read_text("utf-8"), re.DOTALL)
    return {str(name): str(text) for name, text in found}


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as a table, the first of them its head; all but the first column are numbers, so they stand right."""
    head, *body = rows
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in body]
    return "\n".join(lines) + "\n"
