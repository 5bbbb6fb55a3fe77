"""Telling every product the time through its own stream, so that expiry is in the log like all else."""

from collections.abc import Callable, Iterable

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError
from exchange.messages import Command, Op, encode_commands

from matcher.publisher import PUT_RECORDS_MAX, RecordSink

logger = Logger(service="matcher", child=True)


class Ticker:
    """Puts a tick for each product of a shard, at most every so many seconds. A tick that gets lost is not missed."""

    def __init__(self, orders: RecordSink, *, seconds: float, monotonic: Callable[[], float]) -> None:
        """`seconds` of 0 puts none."""
        self._orders = orders
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = 0.0

    def tick(self, products: Iterable[str]) -> None:
        """Put the ticks if it is time."""
        now = self._monotonic()
        if not self._seconds or now < self._next:
            return
        # From now and not from the last: after a pause there is one tick, not all that were missed.
        self._next = now + self._seconds
        ticks = [
            # Without a command id: a tick that comes twice does no harm, and needs no place among those remembered.
            (product_id, encode_commands(product_id, [Command(Op.TICK)]))
            for product_id in products
        ]
        try:
            for start in range(0, len(ticks), PUT_RECORDS_MAX):
                self._orders.put(ticks[start : start + PUT_RECORDS_MAX])
        except OutageError as error:
            logger.warning("no tick", extra={"reason": str(error)})
