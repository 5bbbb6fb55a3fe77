"""What an operator does to a customer alone: freezing, which bites at the next request."""

from dataclasses import replace
from typing import Protocol

from exchange.approvals.model import Act, AuditRow
from exchange.kernel.errors import Code, Refused
from exchange.users.model import Customer, CustomerStatus

_NOBODY = Refused(Code.USER_NOT_FOUND, "no customer has this id")


class Customers(Protocol):
    """Where customers are kept."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id."""
        ...


class Statuses(Protocol):
    """The write that changes what a customer may do."""

    def change_status(self, before: Customer, after: Customer, row: AuditRow) -> bool:
        """Change a customer's status together with its audit row; False where it is not any more as it was."""
        ...


def freeze_customer(user_id: str, act: Act, *, customers: Customers, statuses: Statuses) -> Customer | Refused:
    """Freeze a customer: no login, no key and no withdrawal of theirs goes on. Freezing again changes nothing.

    Refuses:  USER_NOT_FOUND.
    Raises:   OutageError; freezing again is harmless.
    """
    before = find_customer(user_id, customers=customers)
    if isinstance(before, Refused) or before.status is CustomerStatus.FROZEN:
        return before
    after = replace(before, status=CustomerStatus.FROZEN)
    row = act.row("freeze customer", user_id, before=_hashed(before), after=_hashed(after))
    if statuses.change_status(before, after, row):
        return after
    # Another operator did the same at that moment, or undid it: the truth is what is there now.
    return find_customer(user_id, customers=customers)


def find_customer(user_id: str, *, customers: Customers) -> Customer | Refused:
    """One customer. Refuses USER_NOT_FOUND. Raises UnavailableError."""
    return customers.find(user_id) or _NOBODY


def _hashed(customer: Customer) -> dict[str, str]:
    return {"user_id": customer.user_id, "status": customer.status.value}
