"""A progress bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 5.0

Advance = Callable[[int, str], None]


@contextmanager
def progress_of(console: Console, title: str, total: int) -> Iterator[Advance]:
    """A function that is told how much more is done, and a word about where that is."""
    if console.is_terminal:
        with _bar(console, title, total) as advance:
            yield advance
        return
    done = 0
    last = time.monotonic()

    def line(more: int, note: str) -> None:
        nonlocal done, last
        done += more
        if done >= total or time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            console.print(f"{title}: {done:,} of {total:,} {note}".rstrip())

    console.print(f"{title}: {total:,}")
    yield line


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total, note="")
        yield lambda more, note: progress.update(task, advance=more, note=note)
