"""`exchange operator`: what operators do, at the operators' API, here or of a stack on AWS."""

import json
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from urllib3.exceptions import HTTPError

from infra.cli.acts import AT_THE_TERMINAL, ReasonOption
from infra.cli.operator_login import TOKEN, OperatorOption, open_session
from infra.cli.stack import StackError, StackOption, open_stack
from infra.local.operators import OperatorError, OperatorSession

console = Console(highlight=False)


class Verb(StrEnum):
    """What an operator does."""

    PROPOSALS = "proposals"
    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    FREEZE = "freeze"
    AUDIT = "audit"
    LOGIN = "login"


def operator(
    verb: Annotated[Verb, typer.Argument(help="What to do.")] = Verb.PROPOSALS,
    subject: Annotated[
        str, typer.Argument(help="A proposal's id; to propose, its kind; to freeze, a user_id; for audit, a day.")
    ] = "",
    fields: Annotated[list[str] | None, typer.Argument(help="The payload to propose, as name=text.")] = None,
    *,
    who: OperatorOption = "",
    reason: ReasonOption = AT_THE_TERMINAL,
    stack: StackOption = "",
) -> None:
    """Propose, approve or reject, see the audit rows, freeze a customer. Nobody approves what they proposed. `login`
    prints an access token as a line for the shell, good for a quarter of an hour."""
    try:
        session = open_session(open_stack(stack), who)
        if verb is Verb.LOGIN:
            typer.echo(f"export {TOKEN}={session.access_token}")
            return
        console.print_json(json.dumps(_do(session, verb, subject, fields or [], reason)))
    except (OperatorError, StackError, BotoCoreError, ClientError, HTTPError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _do(session: OperatorSession, verb: Verb, subject: str, fields: list[str], reason: str) -> Any:
    if verb is Verb.PROPOSALS:
        return session.ask("GET", "/v1/proposals")
    if verb is Verb.AUDIT:
        return list(session.pages("/v1/audit-rows" + (f"?day={subject}" if subject else "")))
    if not subject:
        raise OperatorError(f"{verb.value} what? Give its id, or to propose its kind")
    if verb is Verb.FREEZE:
        return session.ask("POST", f"/v1/customers/{subject}/freeze", {"reason": reason})
    if verb is Verb.PROPOSE:
        payload = dict(field.split("=", 1) for field in fields if "=" in field)
        wanted = {"kind": subject, "payload": payload, "reason": reason, "key": str(uuid4())}
        return session.ask("POST", "/v1/proposals", wanted)
    seen = session.ask("GET", f"/v1/proposals/{subject}")
    decision = {"payload_hash": seen["payload_hash"], "reason": reason}
    way = "approvals" if verb is Verb.APPROVE else "rejections"
    return session.ask("POST", f"/v1/proposals/{subject}/{way}", decision)
