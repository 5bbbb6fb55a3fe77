"""What operators do about settlement by their approved proposals, and the tables that takes."""

from collections.abc import Mapping

from exchange.approvals.store import Effect
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.clock import Clock
from exchange.settlement.bust_store import Busts, BustSettings
from exchange.settlement.busting import BUST
from exchange.settlement.failure_store import FailureItem, FailureStore, SettlementRetries
from exchange.settlement.failures import RETRY_SETTLEMENT


class SettlementSettings(BustSettings):
    """The tables of busts, and of what could not be settled."""

    settlement_failures_table: str

    def bind_settlement(self) -> None:
        """Tell their items which tables they are here."""
        self.bind_busts()
        bind(FailureItem, self.settlement_failures_table)


def settlement_effects(clock: Clock) -> Mapping[str, Effect]:
    """What each of these kinds does in the write of its approval."""
    return {BUST: Busts(clock).apply, RETRY_SETTLEMENT: SettlementRetries(FailureStore(connection()), clock).apply}
