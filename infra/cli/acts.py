"""What a command changes leaves an audit row too, in the one chain of all operators' acts.

A command reaches the exchange by the caller's own AWS credentials and not by the operators' API, so the row names whom
AWS knows: the ARN behind the credentials. It is written before the act, for no write can be made together with a record
of a stream: a row says what was asked for, and an act without a row there is not.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import typer
from exchange.approvals.model import Act
from exchange.approvals.store import bind_audit_rows, recorded
from exchange.aws.clients import client
from exchange.aws.dynamodb import connection
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import UnavailableError

from infra.cli.stack import Stack

REASON_CHARACTERS_MAX = 256
AT_THE_TERMINAL = "at the terminal"  # why, where nobody says why


def _bounded(text: str) -> str:
    if len(text) > REASON_CHARACTERS_MAX:
        raise typer.BadParameter(f"give at most {REASON_CHARACTERS_MAX} characters")
    return text


ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the audit row keeps it.", callback=_bounded)]


def record_act(found: Stack, action: str, subject: str, asked: Mapping[str, Any], reason: str) -> None:
    """Write the audit row of what is now to be done: `action` like product.phase, `subject` like ACME-USD.

    Raises:   OutageError, botocore's errors: nothing may be done then.
    """
    bind_audit_rows(found.tables["audit_rows"])
    actor = client("sts").get_caller_identity()["Arn"]
    request_id, row_id = str(uuid4()), str(uuid4())
    act = Act(actor, SystemClock().now_ns(), request_id, row_id, reason)
    row = act.row(action, subject, before=None, after=dict(asked))
    if not recorded(connection(), row, lambda _: None):
        raise UnavailableError(f"the audit row of {action} met another operator's; nothing was done, try again")
