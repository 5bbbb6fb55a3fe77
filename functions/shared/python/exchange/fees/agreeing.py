"""Agreeing rates with one account: what one operator proposes, and what another one's approval does.

They are judged when they are proposed and again in the write of the approval, for times pass and others publish.
"""

from collections.abc import Callable, Mapping

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.fees.document import read_agreement
from exchange.fees.model import Agreements, FeeScheduleError, agreed
from exchange.fees.store import put_agreement, read_published
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import from_uuid

# Whose a profile is; None: nobody's. Raises UnavailableError.
OwnerOf = Callable[[int], object | None]


class RateAgreeing:
    """What a fees.agree has to be when it is proposed, and does when it is approved."""

    def __init__(self, owner_of: OwnerOf, clock: Clock) -> None:
        self._owner_of = owner_of
        self._clock = clock

    def refusal(self, payload: Mapping[str, str]) -> Refused | None:
        """Why rates can't be agreed, if so. Refuses REQUEST_FIELD_INVALID. Raises UnavailableError."""
        try:
            account_id, fresh = self._read(payload)
            found = read_published()
            agreed(found.agreements.get(account_id, ()), fresh, found.versions, self._clock.now_ns())
        except FeeScheduleError as error:
            return Refused(Code.REQUEST_FIELD_INVALID, f"payload.{error}")
        return None

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Agree the rates that were approved. Raises UnfitError where they can't be any more; UnavailableError."""
        try:
            put_agreement(transaction, *self._read(proposal.payload), now_ns=self._clock.now_ns())
        except FeeScheduleError as error:
            raise UnfitError(str(error)) from error

    def _read(self, payload: Mapping[str, str]) -> tuple[int, Agreements]:
        account_id = from_uuid(payload["profile_id"])
        if account_id is None or self._owner_of(account_id) is None:
            raise FeeScheduleError("profile_id: there is no such profile; give one as its customer's has it")
        return account_id, read_agreement(payload)
