"""Failed settlements as operators see them, and what one operator may do about one: have it tried again at once."""

from typing import Any

from exchange.approvals.model import Act
from exchange.aws.dynamodb import connection
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.settlement.failure_store import FailureStore
from exchange.settlement.failures import Failure, FailureState, hurried

_NONE = Refused(Code.SETTLEMENT_FAILURE_NOT_FOUND, "settlement of this product has no such failure")


class FailureDesk:
    """What operators ask about settlement."""

    def __init__(self) -> None:
        self._failures = FailureStore(connection())

    def told(self, product_id: str | None) -> list[Any]:
        """Every open failure, oldest first; of a product all there were, newest first. Raises UnavailableError."""
        if product_id:
            return [failure_view(failure) for failure in self._failures.of(product_id)]
        found = sorted(self._failures.every_open(), key=lambda failure: failure.first_failed_at_ns)
        return [failure_view(failure) for failure in found]

    def hurry(self, product_id: str, act: Act) -> Any:
        """Have what is tried again by itself tried again at once: within the minute.

        Refuses:  SETTLEMENT_FAILURE_NOT_FOUND, SETTLEMENT_STOPPED (in this order).
        Raises:   OutageError; doing it again is harmless.
        """
        before = self._failures.open(product_id)
        if before is None:
            return _NONE
        if before.state is FailureState.STOPPED:
            return Refused(
                Code.SETTLEMENT_STOPPED,
                "this contradicts the records, so it takes two: propose settlement.retry once the cause is mended",
            )
        after = hurried(before, act.at_ns)
        row = act.row("retry settlement", product_id, before=failure_view(before), after=failure_view(after))
        if self._failures.put(after, row):
            return failure_view(after)
        now = self._failures.open(product_id)  # It was tried at that moment.
        return _NONE if now is None else failure_view(now)


def failure_view(failure: Failure) -> dict[str, Any]:
    """A failure as JSON."""
    moments = {"retry_at": failure.retry_at_ns, "settled_at": failure.settled_at_ns}
    return {
        "product_id": failure.product_id,
        "position": failure.position,
        "state": failure.state.value,
        "error": failure.error,
        "attempts": failure.attempts,
        "records_settled": failure.records_settled,
        "first_failed_at": iso_utc(failure.first_failed_at_ns),
        "last_failed_at": iso_utc(failure.last_failed_at_ns),
        **{name: iso_utc(at_ns) for name, at_ns in moments.items() if at_ns},
    }
