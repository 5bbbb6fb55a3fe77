"""A payer that is killed at the worst moment: its payment is signed, stored and bound to its nonce, and no node knows.

`python -m tests.integration.killed_payer` with the environment of the payer's function.
"""

import os
import signal

from exchange.chains.departures import Version
from exchange.chains.evm import EvmNode


class KilledNode(EvmNode):
    """The process ends where a payment would be sent."""

    def broadcast(self, version: Version) -> None:
        """End, with nothing cleaned up."""
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the payer's function over it."""
    from functions.payouts import schedule

    schedule.node_at = KilledNode
    schedule.handler({"chain": "ethereum"}, None)


if __name__ == "__main__":
    main()
