"""How a withdrawal ends for whoever has heard what became of its payment and has no state machine to tell."""

from collections.abc import Callable
from functools import partial

from exchange.kernel.clock import Clock
from exchange.transfers.model import Transfer
from exchange.wallets.withdrawing import Journal, Postings, Transfers, post_withdrawal, return_withdrawal

End = Callable[[str], Transfer]


def endings(
    transfers: Transfers, journal: Journal, postings: Postings, *, clock: Clock, pause: Callable[[int], None]
) -> tuple[End, End]:
    """Posting a withdrawal that was paid, and giving back one that was declined; by its id, each once."""
    post = partial(post_withdrawal, transfers=transfers, journal=journal, postings=postings, clock=clock, pause=pause)
    give_back = partial(return_withdrawal, transfers=transfers, postings=postings, clock=clock, pause=pause)
    return post, give_back
