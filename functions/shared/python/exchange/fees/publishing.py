"""Publishing a version of the fee schedule: what one operator proposes, and what another one's approval does.

The schedule is one text of the proposal's payload, so its hash is over every rate: what is approved is what was seen.
It is judged when it is proposed and again in the write of its approval, for times pass and others publish.
"""

from collections.abc import Mapping

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal, UnfitError
from exchange.fees.document import read_schedule
from exchange.fees.model import SCHEDULE, FeeSchedule, FeeScheduleError, published
from exchange.fees.store import put_version, read_versions
from exchange.instruments.store import InstrumentStore
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.rest import MalformedJsonError, parse_object


def parse_schedule(text: str) -> FeeSchedule:
    """A version from JSON text. Raises FeeScheduleError naming table and place."""
    try:
        return read_schedule(parse_object(text.encode("utf-8")))
    except MalformedJsonError as error:
        raise FeeScheduleError(f"give one JSON object: {error}") from error


class FeePublishing:
    """What a fees.publish has to be when it is proposed, and does when it is approved."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def refusal(self, payload: Mapping[str, str]) -> Refused | None:
        """Why a version can't be proposed, if so. Refuses REQUEST_FIELD_INVALID. Raises UnavailableError."""
        try:
            published(read_versions(), self._schedule(payload), self._clock.now_ns())
        except FeeScheduleError as error:
            return Refused(Code.REQUEST_FIELD_INVALID, f"payload.{SCHEDULE}: {error}")
        return None

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Publish the version that was approved. Raises UnfitError where it can't be any more; UnavailableError."""
        try:
            put_version(transaction, self._schedule(proposal.payload), now_ns=self._clock.now_ns())
        except FeeScheduleError as error:
            raise UnfitError(str(error)) from error

    @staticmethod
    def _schedule(payload: Mapping[str, str]) -> FeeSchedule:
        schedule = parse_schedule(payload[SCHEDULE])
        schedule.require_listed(InstrumentStore().products())
        return schedule
