"""An operator at a terminal: a demo one of the laptop by name, or a person, who is asked for both factors."""

import os
from collections.abc import Callable
from typing import Annotated, Any

import boto3
import typer

from infra.cli.stack import Stack
from infra.local.operators import DEMO_OPERATORS, OperatorError, OperatorSession, log_in

TOKEN = "EXCHANGE_OPERATOR_TOKEN"  # noqa: S105 - a variable's name
Ask = Callable[[str], str]

OperatorOption = Annotated[
    str, typer.Option("--as", help=f"Who asks. On this laptop: {' or '.join(DEMO_OPERATORS)}. Elsewhere: your mail.")
]


def open_session(stack: Stack, who: str) -> OperatorSession:
    """A session of an operator: of `who`, else of whom the environment has a token, else of the first demo operator.

    Raises:   OperatorError where nobody is named so, or the pool wants what nobody here has.
    """
    cognito, client_id = boto3.Session().client("cognito-idp"), stack.outputs["OperatorPoolClientId"]
    demo = {entry["name"]: entry for entry in stack.laptop.get("operators", ())}
    if demo:
        name = who or next(iter(demo))
        if name not in demo:
            raise OperatorError(f"There is no operator {name}; there are {', '.join(demo)}")
        return log_in(cognito, client_id, stack.operators_url, demo[name])
    if who:
        return OperatorSession(stack.operators_url, access_token(cognito, client_id, who, ask_hidden))
    if os.environ.get(TOKEN):
        return OperatorSession(stack.operators_url, os.environ[TOKEN])
    raise OperatorError(
        "Who asks? Give your mail by --as, or log in for a quarter of an hour:\n"
        f'  eval "$(exchange operator login --stack {stack.name} --as you@example.com)"'
    )


def access_token(cognito: Any, client_id: str, mail: str, ask: Ask) -> str:
    """Log a person in, through whatever the pool asks: a new password and the second factor at their first login.

    Raises:   OperatorError where it asks for something else; botocore's errors with the pool's own words.
    """
    proof = {"USERNAME": mail, "PASSWORD": ask("Password")}
    answer = cognito.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=proof)
    while "AuthenticationResult" not in answer:
        session, told = _response(cognito, answer, ask)
        user = answer.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", mail)
        answer = cognito.respond_to_auth_challenge(
            ClientId=client_id,
            ChallengeName=answer["ChallengeName"],
            Session=session,
            ChallengeResponses={"USERNAME": user, **told},
        )
    return str(answer["AuthenticationResult"]["AccessToken"])


def _response(cognito: Any, asked: Any, ask: Ask) -> tuple[str, dict[str, str]]:
    """What answers a challenge: the session to go on with, and the responses."""
    challenge, session = asked.get("ChallengeName"), str(asked.get("Session"))
    if challenge == "SOFTWARE_TOKEN_MFA":
        return session, {"SOFTWARE_TOKEN_MFA_CODE": ask("Code of your second factor")}
    if challenge == "NEW_PASSWORD_REQUIRED":
        return session, {"NEW_PASSWORD": ask("A new password, 14 characters of all kinds")}
    if challenge == "MFA_SETUP":
        begun = cognito.associate_software_token(Session=session)
        code = ask(f"Put {begun['SecretCode']} into your authenticator app, then give its code")
        return str(cognito.verify_software_token(Session=begun["Session"], UserCode=code)["Session"]), {}
    raise OperatorError(f"the pool asks for {challenge}, which this command does not know")


def ask_hidden(question: str) -> str:
    """Ask at the terminal and show nothing of the answer; what is printed stays free for a script to read."""
    return str(typer.prompt(question, hide_input=True, err=True))
