"""Publishing on EventBridge."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.errors import UnavailableError

ENTRIES_MAX = 10  # EventBridge's own limit of a request


class EventBus:
    """One bus, as one source writes to it."""

    def __init__(self, client: Any, bus_name: str, source: str) -> None:
        self._client = client
        self._told = {"EventBusName": bus_name, "Source": source}

    def publish(self, kind: str, details: Sequence[Mapping[str, Any]]) -> None:
        """Publish events of one kind. Raises UnavailableError where one was not taken; the others may have been."""
        entries = [{**self._told, "DetailType": kind, "Detail": json.dumps(detail)} for detail in details]
        for first in range(0, len(entries), ENTRIES_MAX):
            try:
                answer = self._client.put_events(Entries=entries[first : first + ENTRIES_MAX])
            except (ClientError, BotoCoreError) as error:
                raise UnavailableError(f"EventBridge: {error}") from error
            if answer["FailedEntryCount"]:
                raise UnavailableError(f"EventBridge did not take {answer['FailedEntryCount']} events")
