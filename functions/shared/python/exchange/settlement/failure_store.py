"""Failed settlements in DynamoDB. A row is never deleted: it is evidence."""

from collections.abc import Iterator
from dataclasses import asdict

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.approvals.model import AuditRow, Proposal, UnfitError
from exchange.approvals.store import committed, recorded
from exchange.aws.dynamodb import UnitsAttribute, reading
from exchange.kernel.clock import Clock
from exchange.settlement.failures import Failure, FailureState, hurried

LISTED_MAX = 100
PRODUCT_CHARACTERS_MAX = 64
_POSITION_DIGITS = 64


class FailureItem(Model):
    """One failure of a product. Padded, so that the keys' order is the stream's."""

    class Meta:
        table_name = "settlement_failures"

    product_id = UnicodeAttribute(hash_key=True)
    position = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    error = UnicodeAttribute()
    attempts = UnitsAttribute()
    first_failed_at_ns = UnitsAttribute()
    last_failed_at_ns = UnitsAttribute()
    retry_at_ns = UnitsAttribute()
    settled_at_ns = UnitsAttribute()
    records_settled = UnitsAttribute()
    version = UnitsAttribute()


class FailureStore:
    """Failures by product, read consistently."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, product_id: str) -> Failure | None:
        """A product's open failure, which is its newest. Raises UnavailableError."""
        newest = self.newest(product_id)
        return newest if newest is not None and newest.open else None

    def newest(self, product_id: str) -> Failure | None:
        """A product's newest failure. Raises UnavailableError."""
        return next(iter(self.of(product_id, limit=1)), None)

    def of(self, product_id: str, *, limit: int = LISTED_MAX) -> list[Failure]:
        """A product's failures, newest first; what is no product has none. Raises UnavailableError."""
        if len(product_id) > PRODUCT_CHARACTERS_MAX:
            return []  # It would be no key of the table either.
        with reading():
            found = FailureItem.query(product_id, scan_index_forward=False, limit=limit, consistent_read=True)
            return [_failure(item) for item in found]

    def every_open(self) -> Iterator[Failure]:
        """Every open failure. Reads all there ever were: they are few. Raises UnavailableError."""
        with reading():
            still = FailureItem.state != FailureState.SETTLED.value
            for item in FailureItem.scan(still, consistent_read=True):
                yield _failure(item)

    def put(self, failure: Failure, row: AuditRow | None = None) -> bool:
        """Write a failure in the place of the version before it, with its audit row; False where that is not there.

        Raises:   OutageError.
        """

        def fill(transaction: TransactWrite) -> None:
            _put(transaction, failure)

        return recorded(self._connection, row, fill) if row is not None else committed(self._connection, fill)


class SettlementRetries:
    """What an approved settlement.retry does: the product's stopped settlement is tried again at once."""

    def __init__(self, failures: FailureStore, clock: Clock) -> None:
        self._failures = failures
        self._clock = clock

    def apply(self, transaction: TransactWrite, proposal: Proposal) -> None:
        """Let it be tried again. Raises UnfitError where the product is not stopped; UnavailableError."""
        failure = self._failures.open(proposal.payload["product_id"])
        if failure is None or failure.state is not FailureState.STOPPED:
            raise UnfitError("settlement of this product is not stopped")
        _put(transaction, hurried(failure, self._clock.now_ns()))


def _put(transaction: TransactWrite, failure: Failure) -> None:
    fields = {**asdict(failure), "state": failure.state.value, "position": _key(failure.position)}
    before = FailureItem.version == failure.version - 1
    condition = before if failure.version > 1 else FailureItem.product_id.does_not_exist()
    transaction.save(FailureItem(**fields), condition=condition)


def _key(position: str) -> str:
    return position.rjust(_POSITION_DIGITS, "0")


def _failure(item: FailureItem) -> Failure:
    return Failure(
        product_id=item.product_id,
        position=item.position.lstrip("0") or "0",
        state=FailureState(item.state),
        error=item.error,
        attempts=item.attempts,
        first_failed_at_ns=item.first_failed_at_ns,
        last_failed_at_ns=item.last_failed_at_ns,
        retry_at_ns=item.retry_at_ns,
        settled_at_ns=item.settled_at_ns,
        records_settled=item.records_settled,
        version=item.version,
    )
