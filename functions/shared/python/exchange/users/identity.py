"""The Cognito user pool: the only place that ever sees a password."""

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.errors import Code, OutcomeUnknownError, Refused, UnavailableError
from exchange.users.model import REFERRAL_ATTRIBUTE, Person, Session

_CREDENTIALS = Refused(Code.AUTH_INVALID, "the e-mail address or the password is wrong")
_CODE = Refused(Code.USER_CODE_INVALID, "the code is wrong, too old or used: ask for another, or log in")
_SLOWER = Refused(Code.RATE_LIMITED, "too many attempts; wait a while")
_FACTOR = Refused(Code.AUTH_MISSING, "send mfa_code too: the six digits that your authenticator shows")

# What Cognito's errors mean to a customer; any other is an outage. An unknown e-mail address and a wrong password
# are one and the same refusal.
_MEANING: Mapping[str, Refused] = {
    "UsernameExistsException": Refused(Code.USER_EXISTS, "this e-mail address is registered; log in"),
    "InvalidPasswordException": Refused(
        Code.USER_PASSWORD_WEAK, "password: use at least 12 characters: upper and lower case, digits and symbols"
    ),
    "CodeMismatchException": _CODE,
    "ExpiredCodeException": _CODE,
    "AliasExistsException": _CODE,
    "NotAuthorizedException": _CREDENTIALS,
    "UserNotFoundException": _CREDENTIALS,
    "PasswordResetRequiredException": _CREDENTIALS,
    "UserNotConfirmedException": Refused(
        Code.USER_UNCONFIRMED, "confirm the e-mail address first, by the code that was sent to it"
    ),
    "InvalidParameterException": Refused(Code.REQUEST_FIELD_INVALID, "the user pool does not take these values"),
    "TooManyRequestsException": _SLOWER,
    "TooManyFailedAttemptsException": _SLOWER,
    "LimitExceededException": _SLOWER,
}


class IdTokens(Protocol):
    """What reads the pool's id tokens."""

    def verify_id(self, token: str) -> Person | Refused:
        """Whom an id token describes."""
        ...


class CognitoIdentities:
    """Sign-up and login through one app client, with its public operations only: they need no rights of ours."""

    def __init__(self, client: Any, client_id: str, tokens: IdTokens) -> None:
        self._client = client
        self._client_id = client_id
        self._tokens = tokens

    def sign_up(self, *, email: str, password: str, name: str, referral_code: str = "") -> Refused | None:
        """Register, which sends a code to the address.

        Refuses:  USER_EXISTS, USER_PASSWORD_WEAK, REQUEST_FIELD_INVALID, RATE_LIMITED.
        Raises:   UnavailableError, OutcomeUnknownError.
        """
        attributes = [{"Name": "email", "Value": email}, {"Name": "name", "Value": name}]
        if referral_code:
            attributes.append({"Name": f"custom:{REFERRAL_ATTRIBUTE}", "Value": referral_code})
        answer = self._ask("sign_up", Username=email, Password=password, UserAttributes=attributes)
        return answer if isinstance(answer, Refused) else None

    def confirm(self, *, email: str, code: str) -> Refused | None:
        """Confirm an address by the code sent there. Refuses USER_CODE_INVALID, RATE_LIMITED. Raises OutageError."""
        answer = self._ask("confirm_sign_up", Username=email, ConfirmationCode=code)
        if isinstance(answer, Refused):
            # Unknown, confirmed already or a wrong code: who can't read the mail learns nothing from the answer.
            return answer if answer is _SLOWER else _CODE
        return None

    def resend(self, *, email: str) -> Refused | None:
        """Send another code, if anybody there is waiting for one. Refuses RATE_LIMITED. Raises OutageError."""
        answer = self._ask("resend_confirmation_code", Username=email)
        return answer if answer is _SLOWER else None

    def log_in(self, *, email: str, password: str, mfa_code: str | None) -> Session | Refused:
        """Exchange a password, and the second factor where one is set up, for tokens.

        Refuses:  AUTH_INVALID, USER_UNCONFIRMED, AUTH_MISSING (a second factor), RATE_LIMITED.
        Raises:   UnavailableError.
        """
        answer = self._initiate("USER_PASSWORD_AUTH", USERNAME=email, PASSWORD=password)
        if isinstance(answer, Refused):
            return answer
        if answer.get("ChallengeName") == "SOFTWARE_TOKEN_MFA":
            if mfa_code is None:
                return _FACTOR
            answer = self._second_factor(answer, email, mfa_code)
            if isinstance(answer, Refused):
                return answer
        return self._session(answer)

    def refresh(self, refresh_token: str) -> Session | Refused:
        """Exchange a refresh token for new tokens. Refuses AUTH_INVALID, RATE_LIMITED. Raises UnavailableError."""
        answer = self._initiate("REFRESH_TOKEN_AUTH", REFRESH_TOKEN=refresh_token)
        if isinstance(answer, Refused):
            slower = answer is _SLOWER
            return answer if slower else Refused(Code.AUTH_INVALID, "the refresh token is over or wrong; log in again")
        return self._session(answer)

    def _initiate(self, flow: str, **parameters: str) -> Mapping[str, Any] | Refused:
        return self._asking("initiate_auth", AuthFlow=flow, AuthParameters=parameters)

    def _second_factor(self, challenge: Mapping[str, Any], email: str, code: str) -> Mapping[str, Any] | Refused:
        answer = self._asking(
            "respond_to_auth_challenge",
            ChallengeName=challenge["ChallengeName"],
            Session=challenge["Session"],
            ChallengeResponses={
                "USERNAME": challenge.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", email),
                "SOFTWARE_TOKEN_MFA_CODE": code,
            },
        )
        return _CREDENTIALS if answer is _CODE else answer

    def _session(self, answer: Mapping[str, Any]) -> Session | Refused:
        tokens = answer.get("AuthenticationResult")
        if not tokens:
            return Refused(
                Code.AUTH_INVALID, f"the user pool asks for {answer.get('ChallengeName')} first; ask support"
            )
        person = self._tokens.verify_id(tokens["IdToken"])
        if isinstance(person, Refused):
            raise UnavailableError("the user pool's id token is none of its own")
        return Session(
            access_token=tokens["AccessToken"],
            id_token=tokens["IdToken"],
            refresh_token=tokens.get("RefreshToken"),
            expires_in_seconds=int(tokens["ExpiresIn"]),
            person=person,
        )

    def _asking(self, operation: str, **arguments: Any) -> Mapping[str, Any] | Refused:
        """Ask what changes nothing: no answer means that nothing happened."""
        try:
            return self._ask(operation, **arguments)
        except OutcomeUnknownError as error:
            raise UnavailableError(str(error)) from error

    def _ask(self, operation: str, **arguments: Any) -> Mapping[str, Any] | Refused:
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(ClientId=self._client_id, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            refusal = _MEANING.get(code)
            if refusal is None:
                raise UnavailableError(f"Cognito {operation}: {code}") from error
            return refusal
        except BotoCoreError as error:
            raise OutcomeUnknownError(f"Cognito {operation}: {type(error).__name__}") from error
        return answer
