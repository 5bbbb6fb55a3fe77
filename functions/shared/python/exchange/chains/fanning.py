"""One run for each chain: a schedule wakes a function, and the function wakes itself once for every chain there is.

Each chain is an invocation of its own, so one whose node hangs until the time is up keeps no other waiting.
"""

import json
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.chains.model import Listing
from exchange.kernel.errors import UnavailableError


def run_each(listings: Iterable[Listing], function: str, invoker: Any) -> list[str]:
    """Have a function run for every listed chain; returns their names. `invoker` is a client of Lambda.

    Raises:   UnavailableError where some were not woken, after all were tried: the next minute tries again.
    """
    woken, lost = [], []
    for chain in (listing.chain for listing in listings):
        payload = json.dumps({"chain": chain}).encode()
        try:
            invoker.invoke(FunctionName=function, InvocationType="Event", Payload=payload)
        except (ClientError, BotoCoreError):
            lost.append(chain)
        else:
            woken.append(chain)
    if lost:
        raise UnavailableError(f"not woken: {', '.join(lost)}")
    return woken
