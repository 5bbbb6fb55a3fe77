"""D8 to D10: what chains have for us, at each place, is what the ledger says, to the last unit."""

from collections import Counter

from exchange.audit.model import ChainView, Finding, World, finding
from exchange.breaks.wording import off_by
from exchange.chains.departures import PLACES, Progress, Purpose
from exchange.chains.model import CREDITED, FAILED, GONE, Place, Stage

Held = Counter[tuple[str, str]]  # by the ledger's account and asset


def custody_is_what_was_moved(world: World) -> Finding:
    """D8: custody of each place is what was credited there and moved there, less what left and what that cost."""
    booked = {(b.account, b.asset): b.available + b.held for b in world.balances}
    completed = {row.transfer_id for row in world.transfers if row.completed}
    breaches: list[str] = []
    for view in world.chains:
        due = _credited(view)
        due.subtract(_departed(view, completed))
        for token in view.listing.tokens:
            for place in Place:
                key = view.listing.custody(place), token.asset
                has = -booked.get(key, 0)
                if has != due[key]:
                    told = f"has {has}, its payments come to {due[key]}"
                    breaches.append(off_by(f"{key[0]} {key[1]}", has - due[key], told))
        marks = Counter(arrival.mark for arrival in view.arrivals if arrival.stage in CREDITED)
        breaches += [
            f"{view.listing.chain} {mark}: credited {count} times" for mark, count in marks.items() if count > 1
        ]
    count = sum(len(view.arrivals) + len(view.departures) for view in world.chains)
    return finding("D8", "custody of each place of a chain is what came, went and cost", f"{count} payments", breaches)


def _credited(view: ChainView) -> Held:
    found: Held = Counter()
    for arrival in view.arrivals:
        if arrival.stage in CREDITED:
            found[arrival.custody, arrival.asset] += arrival.units
            if arrival.giver == view.listing.custody(Place.COLD):
                found[arrival.giver, arrival.asset] -= arrival.units
    return found


def _departed(view: ChainView, completed: set[str]) -> Held:
    found: Held = Counter()
    for departure in view.departures:
        place = view.listing.custody(departure.place)
        if departure.purpose is Purpose.WITHDRAWAL and departure.transfer_id in completed:
            found[place, departure.asset] += departure.units
        if not departure.posted:
            continue
        found[place, view.listing.coin.asset] += departure.cost_units
        if departure.progress is Progress.PAID and departure.purpose in PLACES:
            found[place, departure.asset] += departure.units
            found[view.listing.custody(PLACES[departure.purpose][1]), departure.asset] -= departure.units
    return found


def chains_have_what_came_and_stayed(world: World) -> Finding:
    """D9: what a node says that our addresses have is what arrived there, ignored or not, less what left them."""
    breaches = [breach for view in world.chains for breach in _against_the_node(view)]
    count = sum(len(view.arrivals) + len(view.left) for view in world.chains)
    return finding("D9", "our addresses have on the chain what came and did not leave", f"{count} payments", breaches)


def _against_the_node(view: ChainView) -> list[str]:
    if view.reason:
        return [f"{view.listing.chain}: {view.reason}"]
    due: Counter[tuple[Place, str]] = Counter()
    for arrival in view.arrivals:
        failed = arrival.stage is Stage.IGNORED and arrival.reason == FAILED
        if arrival.stage not in GONE and not failed:
            due[arrival.place, arrival.contract] += arrival.base_units
            if arrival.giver == view.listing.custody(Place.COLD):
                due[Place.COLD, arrival.contract] -= arrival.base_units
    for departure, mined in view.left:
        due[departure.place, ""] -= mined.cost_base_units
        if mined.paid:
            due[departure.place, departure.contract] -= departure.base_units
    return [
        off_by(
            f"{view.listing.chain} {place} {token.asset}",
            has - due[place, token.contract],
            f"{has} there, {due[place, token.contract]} came and stayed",
        )
        for token in view.listing.tokens
        for place in Place
        if (has := view.on_chain.get((place, token.contract), 0)) != due[place, token.contract]
    ]


def nonces_are_used_once(world: World) -> Finding:
    """D10: the nonces of each of our addresses rise by one, each bound to one payment; a withdrawal has one at most."""
    breaches: list[str] = []
    count = 0
    for view in world.chains:
        bound = [departure for departure in view.departures if departure.nonce >= 0]
        count += len(bound)
        for sender in sorted({departure.sender for departure in bound}):
            nonces = sorted(departure.nonce for departure in bound if departure.sender == sender)
            wrong = next((place for place, nonce in enumerate(nonces) if nonce != place), None)
            if wrong is not None:
                told = f"{len(nonces)} payments, and nonces are not 0 to {len(nonces) - 1}, each once"
                breaches.append(f"{view.listing.chain} {sender}: nonce {wrong} is not there once\n    {told}")
        paid = Counter(each.transfer_id for each in bound if each.transfer_id and each.progress is Progress.PAID)
        breaches += [f"transfer {name} was paid {times} times" for name, times in paid.items() if times > 1]
    return finding("D10", "each nonce pays one thing and each withdrawal is paid once", f"{count} departures", breaches)


__all__ = ["chains_have_what_came_and_stayed", "custody_is_what_was_moved", "nonces_are_used_once"]
