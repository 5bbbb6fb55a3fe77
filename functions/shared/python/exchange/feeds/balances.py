"""Balances that have moved, told to their owners.

The balances table's own stream wakes this, so whatever moved a balance is told: holds, fills, fees, transfers.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.feeds.model import account_topic
from exchange.feeds.private import balance_message
from exchange.feeds.publishing import Audience, Pusher, to_text
from exchange.instruments.catalogue import Catalogue
from exchange.kernel.clock import Clock
from exchange.ledger.model import Balance
from exchange.ledger.store import assets_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """A balance of a customer's account that moved at `updated_ns`."""

    account_id: int
    asset: str
    updated_ns: int


class Balances(Protocol):
    """Where balances are read."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance as it is now, its sub-balances with it."""
        ...


class BalanceFeed:
    """Tells the `balance` channel."""

    def __init__(
        self, audience: Audience, pusher: Pusher, balances: Balances, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._audience = audience
        self._balances = balances
        self._pusher = pusher
        self._catalogue = catalogue
        self._clock = clock

    def publish(self, moved: Iterable[Moved]) -> int:
        """Push the present state of every balance of a batch; return how many connections were told.

        It is read, because what moved may be one of its sub-balances.
        Who does not take it all is ended, since nothing would show the gap; who comes again gets every balance.
        Raises:   OutageError before anything was pushed to the account in question.
        """
        latest = {(one.account_id, one.asset): one for one in moved}
        by_account: dict[int, list[Moved]] = {}
        for one in latest.values():
            by_account.setdefault(one.account_id, []).append(one)
        outgoing: dict[str, list[str]] = {}
        for account_id, own in by_account.items():
            listeners = self._audience.listeners(account_topic(account_id))
            texts = self._texts(own) if listeners else []
            for subscription in listeners:
                outgoing[subscription.connection_id] = texts
        if not outgoing:
            return 0
        pushed = self._pusher.push(outgoing)
        for connection_id in pushed.failed:
            self._pusher.disconnect(connection_id)
        for connection_id in pushed.gone | pushed.failed:
            self._audience.close(connection_id)
        return len(outgoing.keys() - pushed.gone - pushed.failed)

    def _texts(self, own: Sequence[Moved]) -> list[str]:
        assets, now_ns = self._catalogue.assets(), self._clock.now_ns()
        return [
            to_text(
                balance_message(
                    self._balances.balance(one.account_id, one.asset),
                    one.account_id,
                    assets[one.asset],
                    updated_ns=one.updated_ns,
                    now_ns=now_ns,
                )
            )
            for one in own
            if one.asset in assets
        ]


def moved_from_stream(records: Iterable[dict[str, object]]) -> list[Moved]:
    """The customers' balances among a batch of the balances table's stream, oldest first; the house's are left out."""
    moved: list[Moved] = []
    for record in records:
        change = record["dynamodb"]
        image = change.get("NewImage") if isinstance(change, dict) else None
        if not image or not image["account"]["S"].isdigit():
            continue
        seconds = int(change["ApproximateCreationDateTime"]) if isinstance(change, dict) else 0
        account_id = int(image["account"]["S"])
        moved += [Moved(account_id, asset, seconds * 1_000_000_000) for asset in assets_of(image)]
    return moved
