"""What CloudWatch learns of each product, as lines in its embedded metric format; the log is the only transport."""

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NAMESPACE: Final = "Exchange/Matcher"
_UNITS: Final = {
    "Commands": "Count",
    "CommandsPerSecond": "Count/Second",
    "Events": "Count",
    "BatchCommands": "Count",
    "LagMilliseconds": "Milliseconds",
    "PublishMilliseconds": "Milliseconds",
    "BookOrders": "Count",
}


_STANDBY_UNITS: Final = {"StandbyBehindMilliseconds": "Milliseconds"}


@dataclass(slots=True)
class _Tally:
    commands: int = 0
    events: int = 0
    batch_commands: int = 0
    lag_milliseconds: int = 0
    publish_milliseconds: int = 0
    book_orders: int = 0


class Meter:
    """Counts for all shards of the process; of what is measured, the worst of each interval is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[str, _Tally] = defaultdict(_Tally)
        self._behind: dict[str, int] = {}

    def batch(
        self,
        product_id: str,
        *,
        commands: int,
        events: int,
        lag_milliseconds: int,
        publish_milliseconds: int,
        book_orders: int,
    ) -> None:
        """Count one published batch of one product."""
        with self._lock:
            tally = self._tallies[product_id]
            tally.commands += commands
            tally.events += events
            tally.batch_commands = max(tally.batch_commands, commands)
            tally.lag_milliseconds = max(tally.lag_milliseconds, lag_milliseconds)
            tally.publish_milliseconds = max(tally.publish_milliseconds, publish_milliseconds)
            tally.book_orders = book_orders

    def followed(self, product_id: str, *, behind_milliseconds: int) -> None:
        """Note how far this process, standing by for a product, is behind the stream's end."""
        with self._lock:
            self._behind[product_id] = max(self._behind.get(product_id, 0), behind_milliseconds)

    def lines(self, *, time_ms: int, seconds: float) -> list[str]:
        """One line a product for the interval that ends now; a new interval begins."""
        with self._lock:
            tallies, self._tallies = self._tallies, defaultdict(_Tally)
            behind, self._behind = self._behind, {}
        return [
            *(
                _line(product_id, _UNITS, _values(tally, seconds), time_ms)
                for product_id, tally in sorted(tallies.items())
            ),
            *(
                _line(product_id, _STANDBY_UNITS, {"StandbyBehindMilliseconds": milliseconds}, time_ms)
                for product_id, milliseconds in sorted(behind.items())
            ),
        ]


def _values(tally: _Tally, seconds: float) -> Mapping[str, float]:
    return {
        "Commands": tally.commands,
        "CommandsPerSecond": round(tally.commands / max(seconds, 0.001), 3),
        "Events": tally.events,
        "BatchCommands": tally.batch_commands,
        "LagMilliseconds": tally.lag_milliseconds,
        "PublishMilliseconds": tally.publish_milliseconds,
        "BookOrders": tally.book_orders,
    }


def _line(product_id: str, units: Mapping[str, str], values: Mapping[str, float], time_ms: int) -> str:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["product"]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
    }
    return json.dumps(
        {"_aws": {"Timestamp": time_ms, "CloudWatchMetrics": [directive]}, "product": product_id, **values}
    )
