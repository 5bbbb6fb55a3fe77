"""`exchange settlement`: what could not be settled, and trying it again, at the operators' API."""

import json
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from urllib3.exceptions import HTTPError

from infra.cli.acts import AT_THE_TERMINAL, ReasonOption
from infra.cli.operator_login import OperatorOption, open_session
from infra.cli.stack import StackError, StackOption, open_stack
from infra.local.operators import OperatorError, OperatorSession

console = Console(highlight=False)


class Verb(StrEnum):
    """What is asked about settlement."""

    FAILED = "failed"
    SHOW = "show"
    RETRY = "retry"


def settlement(
    verb: Annotated[Verb, typer.Argument(help="failed: what waits; show: a product's failures; retry.")] = Verb.FAILED,
    product: Annotated[str, typer.Argument(help="The product, such as ACME-USD; for show and retry.")] = "",
    *,
    who: OperatorOption = "",
    reason: ReasonOption = AT_THE_TERMINAL,
    stack: StackOption = "",
) -> None:
    """Show what could not be settled; have it tried again. What contradicts the records is proposed to a second one."""
    try:
        session = open_session(open_stack(stack), who)
        console.print_json(json.dumps(_do(session, verb, product, reason)))
    except (OperatorError, StackError, BotoCoreError, ClientError, HTTPError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _do(session: OperatorSession, verb: Verb, product: str, reason: str) -> Any:
    if verb is Verb.FAILED:
        return session.ask("GET", "/v1/settlement-failures")
    if not product:
        raise OperatorError(f"{verb.value} of which product? See: exchange settlement failed")
    if verb is Verb.SHOW:
        return session.ask("GET", f"/v1/settlement-failures?product_id={product}")
    status, said = session.send("POST", f"/v1/settlement-failures/{product}/retry", {"reason": reason})
    if said.get("code") == "SETTLEMENT_STOPPED":
        wanted = {"kind": "settlement.retry", "payload": {"product_id": product}, "reason": reason, "key": str(uuid4())}
        return session.ask("POST", "/v1/proposals", wanted)
    if status != 200:
        raise OperatorError(f"{said.get('message', said)} ({said.get('code')})")
    return said
