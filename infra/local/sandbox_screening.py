"""A screening service for the laptop: clear, but for amounts by which the other answers can be tried.

An amount that ends in 444 is a hit. One that ends in 555 is not known the first two times of asking.
"""

import json
import threading
from collections import Counter
from typing import Any

HIT_ENDING, UNKNOWN_ENDING = "444", "555"
UNKNOWN_TIMES = 2


class SandboxScreening:
    """Answers questions about withdrawals; remembers how often it was asked about which."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def handle(self, body: str) -> tuple[int, Any]:
        """A status and a verdict."""
        try:
            asked = json.loads(body)
            amount, transfer_id = str(asked["amount"]), str(asked["transfer_id"])
        except (ValueError, TypeError, KeyError):
            return 400, {"error": "send amount and transfer_id as JSON"}
        if amount.endswith(HIT_ENDING):
            return 200, {"verdict": "hit", "reason": "the destination is on a sandbox's list"}
        with self._lock:
            self._asked[transfer_id] += 1
            known = not amount.endswith(UNKNOWN_ENDING) or self._asked[transfer_id] > UNKNOWN_TIMES
        return (200, {"verdict": "clear"}) if known else (202, {"verdict": "pending"})
