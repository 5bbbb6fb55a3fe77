"""Logging in at a terminal: what AWS's pool asks for, in its order, and nothing that the command does not know."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.cli.operator_login import access_token
from infra.local.operators import OperatorError

DONE = {"AuthenticationResult": {"AccessToken": "token"}}


class FakePool:
    """A user pool that asks one challenge after the other, and writes down what it was told."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers: Iterator[dict[str, Any]] = iter(answers)
        self.told: list[tuple[str, str, dict[str, str]]] = []

    def initiate_auth(self, *, ClientId: str, AuthFlow: str, AuthParameters: dict[str, str]) -> Any:  # noqa: N803
        assert (ClientId, AuthFlow) == ("client", "USER_PASSWORD_AUTH")
        self.told.append(("begin", "", AuthParameters))
        return next(self._answers)

    def respond_to_auth_challenge(self, **asked: Any) -> Any:
        assert asked["ClientId"] == "client"
        self.told.append((asked["ChallengeName"], asked["Session"], asked["ChallengeResponses"]))
        return next(self._answers)

    def associate_software_token(self, *, Session: str) -> Any:  # noqa: N803
        return {"SecretCode": "SECRET", "Session": f"{Session}+associated"}

    def verify_software_token(self, *, Session: str, UserCode: str) -> Any:  # noqa: N803
        assert UserCode == "answer to Put SECRET into your authenticator app, then give its code"
        return {"Session": f"{Session}+verified"}


def answer(question: str) -> str:
    return f"answer to {question}"


def challenge(name: str, session: str, **parameters: str) -> dict[str, Any]:
    return {"ChallengeName": name, "Session": session, "ChallengeParameters": parameters}


def test_a_first_login_sets_a_password_and_the_second_factor() -> None:
    pool = FakePool(
        challenge("NEW_PASSWORD_REQUIRED", "one", USER_ID_FOR_SRP="sub"), challenge("MFA_SETUP", "two"), DONE
    )
    assert access_token(pool, "client", "me@example.com", answer) == "token"
    assert pool.told == [
        ("begin", "", {"USERNAME": "me@example.com", "PASSWORD": "answer to Password"}),
        (
            "NEW_PASSWORD_REQUIRED",
            "one",
            {"USERNAME": "sub", "NEW_PASSWORD": "answer to A new password, 14 characters of all kinds"},
        ),
        ("MFA_SETUP", "two+associated+verified", {"USERNAME": "me@example.com"}),
    ]


def test_every_later_login_takes_a_code() -> None:
    pool = FakePool(challenge("SOFTWARE_TOKEN_MFA", "one", USER_ID_FOR_SRP="sub"), DONE)
    assert access_token(pool, "client", "me@example.com", answer) == "token"
    code = {"USERNAME": "sub", "SOFTWARE_TOKEN_MFA_CODE": "answer to Code of your second factor"}
    assert pool.told[1:] == [("SOFTWARE_TOKEN_MFA", "one", code)]


def test_what_the_command_does_not_know_ends_it() -> None:
    with pytest.raises(OperatorError, match="SMS_MFA"):
        access_token(FakePool(challenge("SMS_MFA", "one")), "client", "me@example.com", answer)
