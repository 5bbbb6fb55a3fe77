"""C1 to C4: what was said to clients is so, and stays so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from exchange.audit.model import Finding, Said, Told, World, finding
from exchange.kernel.ids import order_id_for
from exchange.orders.model import OrderStatus
from exchange.transfers.model import transfer_id_for

Intent = tuple[int, str, bool]
# Open and active may follow each other either way: a stop that waits is active, one that was triggered is open.
_RANK: Final = {
    OrderStatus.PENDING.value: 0,
    OrderStatus.OPEN.value: 1,
    OrderStatus.ACTIVE.value: 1,
    OrderStatus.DONE.value: 2,
    OrderStatus.REJECTED.value: 2,
}


def rejected_means_never(world: World) -> Finding:
    """C1: what a client was told is refused, and was never left in doubt about, has no effect."""
    intents, existing = _by_intent(world), _existing(world)
    breaches = [
        f"account {intent[0]}: {intent[1]!r} was {answers[-1].said}, and is there"
        for intent, answers in intents.items()
        if intent in existing and _is_denied(answers)
    ]
    return finding("C1", "what was refused never happens", f"{len(intents)} intents", breaches)


def unknown_is_unknown(world: World) -> Finding:
    """C2: once all is quiet, asking by the client's own name says the one truth, whatever was answered before."""
    existing = _existing(world)
    last_words = [told for told in world.history if told.last_word]
    breaches = [
        f"account {told.account_id}: {told.name!r} is {told.said}, and {'is' if is_there else 'is not'} there"
        for told in last_words
        if (told.said is Said.SEEN) is not (is_there := _intent(told) in existing)
    ]
    lost = {_intent(told) for told in world.history if told.said in {Said.ACCEPTED, Said.SEEN}} - existing
    breaches += [f"account {account}: {name!r} was accepted, and is not there" for account, name, _ in sorted(lost)]
    return finding("C2", "whoever asks by name hears the truth", f"{len(last_words)} questions", breaches)


def cancels_end_orders(world: World) -> Finding:
    """C6: an order whose cancel was taken is not live once all is quiet, wherever the cancel overtook it."""
    orders = {order.order_id: order for order in world.orders}
    taken = [told for told in world.history if told.said is Said.CANCELING]
    breaches = [
        f"account {told.account_id}: {told.name!r} was canceled, and is {orders[told.order_id].status.value}"
        for told in taken
        if told.order_id in orders and orders[told.order_id].live
    ]
    return finding("C6", "a cancel that was taken ends its order", f"{len(taken)} cancels", breaches)


def one_intent_one_effect(world: World) -> Finding:
    """C3: however often a client sends it, an intent makes one order or one transfer, the one that it was told of."""
    made: dict[Intent, set[int | str]] = defaultdict(set)
    for order in world.orders:
        if order.client_oid:
            made[order.account_id, order.client_oid, False].add(order.order_id)
    for row in world.transfers:
        if row.client_transfer_id:
            made[row.account_id, row.client_transfer_id, True].add(row.transfer_id)
    breaches = [
        f"account {i[0]}: {i[1]!r} made {len(ids)}: {sorted(map(str, ids))}" for i, ids in made.items() if len(ids) > 1
    ]
    for told in world.history:
        named = told.transfer_id if told.is_transfer else told.order_id
        if named and named not in made[_intent(told)]:
            breaches.append(f"account {told.account_id}: {told.name!r} was told of {named}, which is another's")
    return finding("C3", "one intent, one effect", f"{len(made)} named intents", breaches)


def reads_move_forward(world: World) -> Finding:
    """C4: what was accepted is visible, and no later answer about an order is older than an earlier one."""
    breaches: list[str] = []
    for intent, answers in _by_intent(world).items():
        breaches += [f"account {intent[0]}: {intent[1]!r} {reason}" for reason in _backwards(answers)]
    return finding("C4", "clients read their writes and never the past", f"{len(world.history)} answers", breaches)


def _backwards(answers: Sequence[Told]) -> Iterator[str]:
    # Of two answers only that is later whose question was asked when the other had been given.
    newest: Told | None = None
    for told in sorted(answers, key=lambda told: told.asked_at):
        if newest is not None and told.asked_at >= newest.told_at:
            if told.said in {Said.ABSENT, Said.REFUSED}:
                yield f"was {newest.said}, and then {told.said}"
            elif told.status and newest.status and _is_older(told, newest):
                yield f"was {newest.status} with {newest.filled_lots}, then {told.status} with {told.filled_lots}"
        if told.said in {Said.ACCEPTED, Said.SEEN} and (newest is None or told.told_at > newest.told_at):
            newest = told


def _is_older(told: Told, before: Told) -> bool:
    return _RANK[told.status] < _RANK[before.status] or told.filled_lots < before.filled_lots


def _is_denied(answers: Sequence[Told]) -> bool:
    said = {told.said for told in answers if not told.last_word}
    return bool(said) and said <= {Said.REFUSED, Said.UNAVAILABLE}


def _intent(told: Told) -> Intent:
    return told.account_id, told.name, told.is_transfer


def _by_intent(world: World) -> dict[Intent, list[Told]]:
    found: dict[Intent, list[Told]] = defaultdict(list)
    for told in world.history:
        found[_intent(told)].append(told)
    return found


def _existing(world: World) -> set[Intent]:
    """Every named intent of which something is there: its order, its transfer."""
    orders = {order.order_id for order in world.orders}
    transfers = {row.transfer_id for row in world.transfers}
    named = {(o.account_id, o.client_oid, False) for o in world.orders}
    named |= {(row.account_id, row.client_transfer_id, True) for row in world.transfers}
    for account_id, name, is_transfer in {_intent(told) for told in world.history} - named:
        found = (
            transfer_id_for(account_id, name) in transfers if is_transfer else order_id_for(account_id, name) in orders
        )
        if found:
            named.add((account_id, name, is_transfer))
    return named


__all__ = [
    "cancels_end_orders",
    "one_intent_one_effect",
    "reads_move_forward",
    "rejected_means_never",
    "unknown_is_unknown",
]
