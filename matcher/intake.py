"""Applying a shard's records to its markets, one after the other; what can't be applied goes into quarantine."""

from typing import Final

from aws_lambda_powertools import Logger
from exchange.messages import MalformedRecordError

from matcher.markets import Markets
from matcher.patience import Patience
from matcher.quarantine import Quarantine
from matcher.snapshots import ShardState
from matcher.stream_reader import StreamRecord

SKIPPED: Final = -1
logger = Logger(service="matcher", child=True)


class HistoryLostError(Exception):
    """The stream no longer begins where the shard's history did, and no snapshot is left: restore from the archive."""


class Intake:
    """Takes in one shard's records. `position` is the last one, `first_record` the first ever; empty before it."""

    def __init__(
        self,
        state: ShardState,
        markets: Markets,
        quarantine: Quarantine,
        patience: Patience,
        *,
        expected_first: str,
    ) -> None:
        """`state` is where to go on; a history without a state must begin with the record `expected_first`, if any."""
        self.position = state.position
        self.first_record = state.first_record
        self._shard_id = state.shard_id
        self._markets = markets
        self._quarantine = quarantine
        self._patience = patience
        self._expected_first = expected_first

    def take(self, record: StreamRecord) -> int:
        """Apply the shard's next record; return how many commands it brought, or SKIPPED where it was not applied.

        Raises:   LeaseLostError, UnknownVersionError, UnknownRulesError, HistoryLostError.
        """
        if not self.first_record:
            self._begin(record)
        commands = SKIPPED if record.partition_key in self._markets.paused else self.apply(record)
        self.position = record.sequence_number
        return commands

    def apply(self, record: StreamRecord) -> int:
        """Apply a record wherever it stands, as `take` does."""
        product_id = record.partition_key
        market = self._patience.insist(lambda: self._markets.find(record))
        if market is None:
            self._isolate(record, f"{product_id} is not a product")
            return SKIPPED
        try:
            return market.accept(record)
        except MalformedRecordError as error:
            self._isolate(record, str(error))
            self._markets.paused[product_id] = record.sequence_number
            return SKIPPED

    def _begin(self, record: StreamRecord) -> None:
        if self._expected_first and record.sequence_number != self._expected_first:
            raise HistoryLostError(
                f"{self._shard_id}: the stream begins with {record.sequence_number}, the shard's history with "
                f"{self._expected_first}, and no snapshot can be read: restore one, or the stream from its archive"
            )
        self.first_record = record.sequence_number

    def _isolate(self, record: StreamRecord, reason: str) -> None:
        logger.error(
            "a record can't be applied: quarantined",
            extra={"shard": self._shard_id, "record": record.sequence_number, "reason": reason},
        )
        self._patience.insist(lambda: self._quarantine.keep(self._shard_id, record, reason))
