"""D8 and D9: what chains have for us is what the ledger says, to the last unit."""

from collections import Counter

from exchange.audit.model import ChainView, Finding, World, finding
from exchange.chains.model import CREDITED, FAILED, GONE, Stage
from exchange.ledger.model import custody_account


def custody_is_what_was_credited(world: World) -> Finding:
    """D8: custody of a chain is the sum of its credited arrivals, each a payment credited once."""
    booked = {(b.account, b.asset): b.available + b.held for b in world.balances}
    breaches: list[str] = []
    count = 0
    for view in world.chains:
        credited: Counter[str] = Counter()
        payments: Counter[str] = Counter()
        for arrival in view.arrivals:
            if arrival.stage in CREDITED:
                count += 1
                credited[arrival.asset] += arrival.units
                payments[arrival.mark] += 1
        for token in view.listing.tokens:
            custody = -booked.get((custody_account(view.listing.rail), token.asset), 0)
            if custody != credited[token.asset]:
                breaches.append(
                    f"{view.listing.chain} {token.asset}: custody {custody}, credited {credited[token.asset]}"
                )
        breaches += [f"{view.listing.chain} {mark}: credited {n} times" for mark, n in payments.items() if n > 1]
    return finding("D8", "custody of a chain is what was credited, each payment once", f"{count} deposits", breaches)


def chains_have_what_arrived(world: World) -> Finding:
    """D9: what a node says that our addresses have is what arrived there: credited, waiting and ignored."""
    breaches = [breach for view in world.chains for breach in _against_the_node(view)]
    arrivals = sum(len(view.arrivals) for view in world.chains)
    return finding("D9", "our addresses have on the chain what arrived at them", f"{arrivals} arrivals", breaches)


def _against_the_node(view: ChainView) -> list[str]:
    if view.reason:
        return [f"{view.listing.chain}: {view.reason}"]
    arrived: Counter[str] = Counter()
    for arrival in view.arrivals:
        failed = arrival.stage is Stage.IGNORED and arrival.reason == FAILED
        if arrival.stage not in GONE and not failed:
            arrived[arrival.contract] += arrival.base_units
    rows = [(t.asset, view.on_chain.get(t.contract, 0), arrived[t.contract]) for t in view.listing.tokens]
    return [f"{view.listing.chain} {asset}: {has} there, {came} arrived" for asset, has, came in rows if has != came]


__all__ = ["chains_have_what_arrived", "custody_is_what_was_credited"]
