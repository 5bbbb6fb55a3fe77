"""Balances that have moved, told to their owners.

The balances table's own stream wakes this, so whatever moved a balance is told: holds, fills, fees, transfers.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exchange.feeds.model import account_topic
from exchange.feeds.private import balance_message
from exchange.feeds.publishing import Audience, Pusher, to_text
from exchange.instruments.catalogue import Catalogue
from exchange.kernel.clock import Clock
from exchange.ledger.model import Balance, customer_account

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """A balance of a customer's account as it is since `updated_ns`."""

    account_id: int
    balance: Balance
    updated_ns: int


class BalanceFeed:
    """Tells the `balance` channel."""

    def __init__(self, audience: Audience, pusher: Pusher, catalogue: Catalogue, clock: Clock) -> None:
        self._audience = audience
        self._pusher = pusher
        self._catalogue = catalogue
        self._clock = clock

    def publish(self, moved: Iterable[Moved]) -> int:
        """Push the last state of every balance of a batch; return how many connections were told.

        Who does not take it all is ended, since nothing would show the gap; who comes again gets every balance.
        Raises:   OutageError before anything was pushed to the account in question.
        """
        latest = {(one.account_id, one.balance.asset): one for one in moved}
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
                    one.balance,
                    one.account_id,
                    assets[one.balance.asset],
                    updated_ns=one.updated_ns,
                    now_ns=now_ns,
                )
            )
            for one in own
            if one.balance.asset in assets
        ]


def moved_from_stream(records: Iterable[dict[str, object]]) -> list[Moved]:
    """The customers' balances among a batch of the balances table's stream, oldest first; the house's are left out."""
    moved: list[Moved] = []
    for record in records:
        change = record["dynamodb"]
        image = change.get("NewImage") if isinstance(change, dict) else None
        if not image or not image["account"]["S"].isdigit():
            continue
        account_id = int(image["account"]["S"])
        units = {name: int(image[name]["N"]) if name in image else 0 for name in ("available", "held")}
        balance = Balance(customer_account(account_id), image["asset"]["S"], units["available"], units["held"])
        seconds = int(change["ApproximateCreationDateTime"]) if isinstance(change, dict) else 0
        moved.append(Moved(account_id, balance, seconds * 1_000_000_000))
    return moved
