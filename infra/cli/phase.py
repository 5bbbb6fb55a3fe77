"""`exchange phase`: halt a market, close it, open a call auction, or let it trade."""

import secrets
from enum import StrEnum
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.kinesis import StreamWriter
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.messages import Command, Op, Phase
from exchange.trading.store import KinesisCommandStream
from rich.console import Console

from infra.cli.acts import AT_THE_TERMINAL, ReasonOption, record_act
from infra.cli.stack import StackError, StackOption, open_stack

console = Console(highlight=False)


class MarketPhase(StrEnum):
    """The engine's phases, as a command line writes them."""

    CONTINUOUS = "continuous"
    AUCTION = "auction"
    HALTED = "halted"
    CLOSED = "closed"


def phase(
    product: Annotated[str, typer.Argument(help="The product, such as ACME-USD.")],
    to: Annotated[MarketPhase, typer.Argument(help="What it enters.")],
    stack: StackOption = "",
    reason: ReasonOption = AT_THE_TERMINAL,
) -> None:
    """Put a product into a phase: auction gathers orders without matching them, continuous trades (and first uncrosses
    what an auction gathered, at one price), halted and closed take cancels only. It takes its place in the log behind
    every order accepted before it.
    """
    try:
        found = open_stack(stack)
        bind(InstrumentItem, found.tables["instruments"])
        listed = InstrumentStore().products()
        if product not in listed:
            console.print(f"{product} is not listed; there are {', '.join(sorted(listed))}.", style="red")
            raise typer.Exit(1)
        record_act(found, "product.phase", product, {"phase": to.value}, reason)
        stream = KinesisCommandStream(StreamWriter(client("kinesis"), found.streams["orders"]))
        stream.send(product, [phase_command(Phase[to.name.upper()])])
    except (BotoCoreError, ClientError, StackError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except OutageError as error:
        console.print(f"{type(error).__name__}: {error}. Ask GET /products/{product} what it is in.", style="red")
        raise typer.Exit(1) from error
    console.print(f"{product} enters {to.value}; GET /products/{product} shows it.")


def phase_command(wanted: Phase) -> Command:
    """The command that puts a product into a phase, named anew each time: the same phase may come again."""
    return Command(op=Op.PHASE, command_id=secrets.token_bytes(16), phase=wanted)
