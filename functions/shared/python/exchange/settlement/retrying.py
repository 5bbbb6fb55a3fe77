"""Trying again what could not be settled: what was kept of the product, in its order, through the same machine.

A try that meets what has settled meanwhile changes nothing: the product's cursor drops it.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.settlement.delivery import KeptRecords, SettlementMachine, release
from exchange.settlement.failures import Failure, FailureState, failed_again, hurried, settled


class Failures(Protocol):
    """Where failures are kept."""

    def every_open(self) -> Iterable[Failure]:
        """Every open failure."""
        ...

    def put(self, failure: Failure) -> bool:
        """Write a failure in the place of the version before it; False where that is not there any more."""
        ...


def retry_due(
    *, failures: Failures, machine: SettlementMachine, quarantine: KeptRecords, clock: Clock
) -> Sequence[Failure]:
    """Try again what is due, and return what was open as it is now.

    Raises:   UnavailableError where the rows can't be read or written; running it again is harmless.
    """
    return [
        retry(failure, failures=failures, machine=machine, quarantine=quarantine, clock=clock)
        if failure.due(clock.now_ns())
        else failure
        for failure in failures.every_open()
    ]


def retry(
    failure: Failure, *, failures: Failures, machine: SettlementMachine, quarantine: KeptRecords, clock: Clock
) -> Failure:
    """Settle what was kept of a product, and note what came of it. Raises OutageError of the rows' table alone."""
    tried = release(failure.product_id, machine=machine, quarantine=quarantine)
    now_ns = clock.now_ns()
    if tried.stop is None:
        after = settled(failure, records_settled=tried.records, now_ns=now_ns)
    else:
        after = failed_again(failure, tried.stop, records_settled=tried.records, now_ns=now_ns)
    # An operator who hurried it meanwhile has the word: the next run finds nothing kept, or tries again.
    if not failures.put(after):
        return failure
    if not after.open and quarantine.holds(failure.product_id):
        # The stream kept something between the last look and this row, and may have seen the row open.
        again = hurried(after, now_ns)
        return again if failures.put(again) else after
    return after


def alarming(failures: Iterable[Failure]) -> list[Failure]:
    """Those for a person to look at: stopped, or tried again in vain."""
    return [each for each in failures if each.state is FailureState.STOPPED or (each.open and each.attempts > 1)]
