"""`exchange`: the exchange's command line. Each command's module is imported only when it is called."""

import importlib
import importlib.util
import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

# Where each command lives: its function has the options and the help.
COMMANDS = {
    "up": "infra.cli.laptop:up",
    "down": "infra.cli.laptop:down",
    "status": "infra.cli.laptop:status",
    "logs": "infra.cli.laptop:logs",
    "mail": "infra.cli.laptop:mail",
    "demo": "infra.cli.demo:demo",
    "audit": "infra.cli.audit:audit",
    "operator": "infra.cli.operator:operator",
    "fees": "infra.cli.fees:fees",
    "books": "infra.cli.books:books",
    "chains": "infra.cli.custody:chains",
    "debts": "infra.cli.debts:debts",
    "bank": "infra.cli.bank:bank",
    "reconcile": "infra.cli.reconcile:reconcile",
    "phase": "infra.cli.phase:phase",
    "settlement": "infra.cli.settlement:settlement",
    "release": "infra.cli.release:release",
    "rebuild": "infra.cli.rebuild:rebuild",
    "bench": "infra.cli.bench:bench",
    "deploy": "infra.deploy.command:deploy",
}


class LazyGroup(TyperGroup):
    """Finds a command's module by its name."""

    # Typer brings its own copy of click, whose types have no public name.
    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order of a day's work."""
        del ctx
        return [name for name, place in COMMANDS.items() if importlib.util.find_spec(place.partition(":")[0])]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None where there is no such."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module_name, _, function_name = COMMANDS[cmd_name].partition(":")
        function: Any = getattr(importlib.import_module(module_name), function_name)
        single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        single.command(name=cmd_name)(function)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="A complete stock exchange, on your laptop and on AWS.",
)


@app.callback()
def exchange() -> None:
    """A complete stock exchange, on your laptop and on AWS."""


def main() -> None:
    """The entry point `exchange`. A polite end (a canceled CI job) unwinds like Ctrl-C: what was started is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()


if __name__ == "__main__":
    main()
