"""`exchange operator`: what operators do, at the operators' API, as one of the laptop's two demo operators."""

import json
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from urllib3.exceptions import HTTPError

from infra.local.operators import DEMO_OPERATORS, OperatorError, OperatorSession, demo_session
from infra.local.settings import LaptopSettings

console = Console(highlight=False)


class Verb(StrEnum):
    """What an operator does."""

    PROPOSALS = "proposals"
    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    FREEZE = "freeze"
    AUDIT = "audit"


def operator(
    verb: Annotated[Verb, typer.Argument(help="What to do.")] = Verb.PROPOSALS,
    subject: Annotated[str, typer.Argument(help="A proposal's id; to propose, its kind; to freeze, a user_id.")] = "",
    fields: Annotated[list[str] | None, typer.Argument(help="The payload to propose, as name=text.")] = None,
    who: Annotated[str, typer.Option("--as", help=f"Who: {' or '.join(DEMO_OPERATORS)}.")] = "olivia",
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit row.")] = "at the terminal",
) -> None:
    """Propose, approve or reject, see the audit rows, freeze a customer. Nobody approves what they proposed."""
    try:
        session = demo_session(LaptopSettings.load(), who)
        console.print_json(json.dumps(_do(session, verb, subject, fields or [], reason)))
    except (OperatorError, BotoCoreError, ClientError, HTTPError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error


def _do(session: OperatorSession, verb: Verb, subject: str, fields: list[str], reason: str) -> Any:
    if verb is Verb.PROPOSALS:
        return session.ask("GET", "/v1/proposals")
    if verb is Verb.AUDIT:
        return session.ask("GET", "/v1/audit-rows" + (f"?day={subject}" if subject else ""))
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
