"""`exchange up`, `down`, `status`, `logs`, `mail`: the laptop cloud from the command line."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psutil
import typer
import urllib3
from rich.console import Console
from rich.table import Table

from infra.cli.opening import DEMO
from infra.local import deployment, packaging
from infra.local.laptop import Laptop, LaptopError, Status
from infra.local.mail import messages
from infra.local.settings import LaptopSettings

console = Console(highlight=False)


@contextmanager
def _step(title: str) -> Iterator[None]:
    """Show a step while it lasts, and how long it took."""
    started = time.monotonic()
    try:
        with console.status(f"{title} ..."):
            yield
    except BaseException:
        console.print(f"[red]✗[/] {title}")
        raise
    console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - started:.1f} s[/]")


def _laptop() -> Laptop:
    try:
        return Laptop(LaptopSettings.load(), step=_step, opening=DEMO)
    except ValueError as error:
        _stop(str(error))
        raise


def _stop(message: str) -> None:
    console.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def up() -> None:
    """Start the laptop cloud, deploy into it, start the matcher, and fund demo customers. Twice is harmless."""
    laptop = _laptop()
    if laptop.forget_the_dead():
        laptop = _laptop()  # The ports may now be others.
    status = laptop.status()
    try:
        if status.running:
            console.print(
                "The exchange is running already." + (" What changed was deployed." if laptop.update() else "")
            )
            stack = status.stack
        elif mended := laptop.mend():
            console.print("The exchange is running again; nothing was lost.")
            stack = mended
        else:
            stack = laptop.up()
            console.print(f"\nReady in {stack['started_seconds']} s. An order can be placed.")
    except (LaptopError, deployment.DeploymentError, packaging.PackagingError) as error:
        _stop(str(error))
        return
    _print_where(laptop, stack)


def _print_where(laptop: Laptop, stack: dict[str, object]) -> None:
    table = Table.grid(padding=(0, 2))
    for title, key in (
        ("REST", "rest_url"),
        ("WebSocket", "websocket_url"),
        ("Web", "web_url"),
        ("AWS", "aws_endpoint_url"),
    ):
        table.add_row(title, str(stack[key]))
    table.add_row("Customers, keys, tables", str(laptop.settings.stack_path))
    table.add_row("Logs", str(laptop.settings.logs))
    console.print(table)


def down() -> None:
    """End what `exchange up` started. Its state is in memory and ends with it."""
    laptop = _laptop()
    with _step("Ending the exchange"):
        ended = laptop.down()
    console.print(f"Ended {', '.join(ended)}." if ended else "Nothing was running.")


def status() -> None:
    """Show what runs. Exits 1 unless everything does."""
    laptop = _laptop()
    found = laptop.status()
    table = Table("process", "pid", "state", "memory", "running for", "log", box=None)
    for record, alive in found.processes:
        process = record.process() if alive else None
        memory = f"{_memory(process) // 2**20} MB" if process else ""
        since = (
            str(datetime.now(UTC) - datetime.fromtimestamp(record.started, UTC)).partition(".")[0] if process else ""
        )
        table.add_row(
            record.name, str(record.pid), "running" if process else "[red]ended[/]", memory, since, record.log
        )
    if found.processes:
        console.print(table)
    _print_verdict(laptop, found)


def _print_verdict(laptop: Laptop, found: Status) -> None:
    if found.running:
        _print_where(laptop, found.stack)
        return
    remedy = "end what is left with `make down`, then `make up`" if found.processes else "start it with `make up`"
    console.print(f"The exchange is not running: {remedy}.")
    raise typer.Exit(1)


def _memory(process: psutil.Process) -> int:
    """Of a process and the workers forked for it; what they share counts once, where the system can tell."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            if os.getpgid(one.pid) != process.pid:
                continue  # A keeper's process has a line of its own.
            found = one.memory_full_info()
        except (psutil.Error, ProcessLookupError):
            continue
        total += getattr(found, "pss", found.rss)
    return total


def logs(
    name: Annotated[
        str, typer.Argument(help="cloud, edge, matcher, or a function as trading-api; none: list them")
    ] = "",
    lines: Annotated[int, typer.Option(help="how many of the last lines")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as it grows")] = False,
) -> None:
    """Show the log of a process or of a function."""
    folder = LaptopSettings.load().logs
    found = {_log_name(path): path for path in sorted(folder.rglob("*.log"))}
    if not name:
        for known, path in found.items():
            console.print(f"{known:32} {path.stat().st_size:>10} bytes  {path}")
        return
    if name not in found:
        _stop(f"There is no log of {name}. There are: {', '.join(found) or 'none yet, start with `make up`'}.")
        return
    _show(found[name], lines, follow=follow)


def _log_name(path: Path) -> str:
    return path.stem.removeprefix(f"{deployment.STACK_NAME}-")


def _show(path: Path, lines: int, *, follow: bool) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file.readlines()[-lines:]:
            console.out(line, end="")
        while follow:
            line = file.readline()
            if line:
                console.out(line, end="")
            else:
                time.sleep(0.2)


def mail(
    address: Annotated[str, typer.Argument(help="whose mail; none: everybody's")] = "",
) -> None:
    """Show the mail that the exchange sent: the laptop delivers none, it keeps all."""
    settings = LaptopSettings.load()
    try:
        kept = messages(settings, address)
    except urllib3.exceptions.HTTPError:
        _stop(f"The cloud at {settings.endpoint_url} does not answer: see what runs with `exchange status`.")
        return
    for message in kept:
        console.print(f"[bold]{', '.join(message.to)}[/]  {message.subject}")
        console.print(message.text, markup=False)
