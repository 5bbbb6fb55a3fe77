"""Who an operator is: an access token of the operators' pool, and the roles that its groups give."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from exchange.admin.model import Action, Operator, Role, refuse_alone
from exchange.kernel.errors import Code, Refused
from exchange.users.model import Person

_BEARER = "bearer "


class Request(Protocol):
    """What is read of a request."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, names in lower case."""
        ...


class AccessTokens(Protocol):
    """What knows the operators' pool's access tokens from all others, a customer's among them."""

    def verify_access(self, token: str) -> Person | Refused:
        """Whom a token belongs to, and their groups. Refuses AUTH_INVALID, AUTH_EXPIRED."""
        ...


class OperatorAuthenticator:
    """Proves who asks. The token is good for 15 minutes, and so is a role that was taken away."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def may(self, action: Action) -> Callable[[Request], Operator | Refused]:
        """What proves who asks and that a role of theirs lets them do `action`."""
        return partial(self.authenticate, action=action)

    def authenticate(self, request: Request, action: Action | None = None) -> Operator | Refused:
        """Prove who asks, and that they may do `action`. An operator without a role is nobody.

        Refuses:  AUTH_MISSING, AUTH_INVALID, AUTH_EXPIRED, AUTH_ROLE (in this order).
        Raises:   UnavailableError.
        """
        header = request.headers.get("authorization", "")
        if not header.lower().startswith(_BEARER):
            return Refused(Code.AUTH_MISSING, "send Authorization: Bearer with an access token of the operators' pool")
        person = self._tokens.verify_access(header[len(_BEARER) :].strip())
        if isinstance(person, Refused):
            return person
        operator = Operator(person.user_id, frozenset(role for role in Role if role.value in person.groups))
        if not operator.roles:
            return Refused(Code.AUTH_ROLE, "you have no role yet; a superadmin gives roles")
        refusal = refuse_alone(operator, action) if action is not None else None
        return refusal or operator
