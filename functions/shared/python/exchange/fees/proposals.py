"""What operators propose about fees: versions of the schedule, and rates of one account."""

from collections.abc import Callable, Mapping

from exchange.approvals.store import Effect
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.fees.agreeing import OwnerOf, RateAgreeing
from exchange.fees.model import AGREE, PUBLISH
from exchange.fees.publishing import FeePublishing
from exchange.fees.store import FeeScheduleItem
from exchange.instruments.store import InstrumentItem
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused

Check = Callable[[Mapping[str, str]], Refused | None]


class PublishSettings(EnvironmentSettings):
    """The tables that publishing reads and writes."""

    fee_schedules_table: str
    instruments_table: str

    def bind_fees(self) -> None:
        """Tell their items which tables they are here."""
        bind(FeeScheduleItem, self.fee_schedules_table)
        bind(InstrumentItem, self.instruments_table)


class FeeProposals:
    """All kinds of proposals about fees together."""

    def __init__(self, owner_of: OwnerOf, clock: Clock) -> None:
        publishing, agreeing = FeePublishing(clock), RateAgreeing(owner_of, clock)
        # What each kind does in the write of its approval, and what its payload has to be when it is proposed.
        self.effects: Mapping[str, Effect] = {PUBLISH: publishing.apply, AGREE: agreeing.apply}
        self.checks: Mapping[str, Check] = {PUBLISH: publishing.refusal, AGREE: agreeing.refusal}
