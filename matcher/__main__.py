"""`python -m matcher`: run the matcher, replay commands into events, pack commands into a journal."""

import argparse
import os
import sys
from pathlib import Path
from typing import BinaryIO

from matcher.replay import LineError, ReplayError, ReplayOptions, pack, replay

EXIT_FAILED = 1
EXIT_MALFORMED_LINE = 2


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command-line tool speaks to people
        return EXIT_MALFORMED_LINE
    except ReplayError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_FAILED


def _run(options: argparse.Namespace) -> int:
    if options.verb == "run":
        from matcher.service import main as run_service

        return run_service()
    return _use_tool(options)


def _use_tool(options: argparse.Namespace) -> int:
    """Replay or pack. Raises ReplayError; a reader of our output who has gone is no news."""
    if sys.stdin is None or sys.stdout is None:
        raise ReplayError("standard input and output must be open; /dev/null will do")
    try:
        _replay_or_pack(options, sys.stdin.buffer, sys.stdout.buffer)
    except OSError as error:
        # What is still in the output's buffer goes nowhere, or the interpreter complains about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_FAILED
        raise ReplayError(error.strerror or str(error)) from error
    return 0


def _replay_or_pack(options: argparse.Namespace, stdin: BinaryIO, stdout: BinaryIO) -> None:
    match options.verb:
        case "replay":
            tally = replay(
                ReplayOptions(
                    product=options.product,
                    commands=options.commands,
                    journals=tuple(options.journal),
                    snapshot_out=options.snapshot_out,
                    resume=options.resume,
                    hash_only=options.hash,
                ),
                stdin,
                stdout,
            )
            if tally is not None:
                print(tally, file=sys.stderr)  # noqa: T201 - as above
        case "pack":
            pack(options.product, options.commands, stdin, stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m matcher", description="The exchange's matching engine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run", help="match the orders stream, as the container does")

    tool = verbs.add_parser("replay", help="turn commands into events")
    tool.add_argument("--product", type=Path, required=True, help="PRODUCT.json")
    tool.add_argument("--snapshot-out", type=Path, help="write the state after the last command")
    tool.add_argument("--resume", type=Path, help="start from such a state")
    tool.add_argument("--hash", action="store_true", help="print only the SHA-256 of the packed events")
    source = tool.add_mutually_exclusive_group()
    source.add_argument(
        "--journal", type=Path, nargs="+", action="extend", default=[], help="packed commands instead of JSON"
    )
    source.add_argument("commands", type=Path, nargs="?", help="COMMANDS.jsonl; standard input if absent")

    packer = verbs.add_parser("pack", help="turn JSON commands into a journal on standard output")
    packer.add_argument("--product", type=Path, required=True, help="PRODUCT.json")
    packer.add_argument("commands", type=Path, nargs="?", help="COMMANDS.jsonl; standard input if absent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
