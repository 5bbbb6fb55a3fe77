"""L and H: the ledger adds up, and what is held is what is owed."""

from collections import Counter, defaultdict
from typing import Final

from exchange.audit.model import Finding, World, finding
from exchange.breaks.wording import off_by
from exchange.chains.departures import posts
from exchange.ledger.model import (
    GENESIS,
    custody_account,
    customer_account,
    may_be_negative,
    sub_balance,
    sum_by_asset,
    together,
)

EXPLAINED: Final = "each balance equals the fold of its journal entries"


def zero_sum(world: World) -> Finding:
    """L1: all balances together, custody included, are zero in each asset."""
    above: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for balance in world.balances:
        units = balance.available + balance.held
        (above if units > 0 else below)[balance.asset] += units
    breaches = [
        off_by(asset, above[asset] + below[asset], f"{above[asset]} above zero, {below[asset]} below")
        for asset in sorted(above.keys() | below.keys())
        if above[asset] + below[asset]
    ]
    return finding("L1", "balances sum to zero in each asset", f"{len(world.balances)} balances", breaches)


def batches_sum_to_zero(world: World) -> Finding:
    """L2: every journal batch sums to zero by itself."""
    breaches = [
        f"{partition} batch {batch.number}: {dict(sum_by_asset(batch.entries))}"
        for partition, batches in world.batches.items()
        for batch, _ in batches
        if any(sum_by_asset(batch.entries).values())
    ]
    entries = sum(len(batch.entries) for batches in world.batches.values() for batch, _ in batches)
    return finding("L2", "each journal batch sums to zero", f"{_batches(world)} batches, {entries} entries", breaches)


def no_negatives(world: World) -> Finding:
    """L3: nothing is below zero but what others hold for us or owe us."""
    breaches = [
        f"{balance.account} {balance.place}: available {balance.available}, held {balance.held}"
        for balance in world.balances
        if (balance.available < 0 or balance.held < 0) and not may_be_negative(balance.account)
    ]
    lowest = min((balance.available for balance in world.balances if not may_be_negative(balance.account)), default=0)
    return finding("L3", "no balance is negative", f"lowest available {lowest}", breaches)


def journal_explains_balances(world: World) -> Finding:
    """L4: each balance, its sub-balances with it, is what the journal's entries add up to; they shift nothing away."""
    folded: Counter[tuple[str, str]] = Counter()
    entries: Counter[tuple[str, str]] = Counter()
    for batches in world.batches.values():
        for batch, _ in batches:
            for entry in batch.entries:
                folded[entry.account, entry.asset] += entry.units
                entries[entry.account, entry.asset] += 1
    whole = together(world.balances)
    stored = {(b.account, b.asset): b.available + b.held for b in whole}
    breaches = []
    for key in sorted(stored.keys() | folded.keys()):
        off = stored.get(key, 0) - folded[key]
        if off:
            told = f"stored {stored.get(key, 0)}, {entries[key]} entries of the journal come to {folded[key]}"
            breaches.append(off_by(f"{key[0]} {key[1]}", off, told))
    breaches += [
        f"{b.account} {b.asset}: {b.shifted} units shifted from nowhere\n    available {b.available}, held {b.held}"
        for b in whole
        if b.shifted
    ]
    return finding("L4", EXPLAINED, f"{len(stored)} balances", breaches)


def journal_is_chained(world: World) -> Finding:
    """L5: batches are numbered without gaps and each carries the hash of the one before."""
    breaches: list[str] = []
    for partition, batches in world.batches.items():
        previous = GENESIS
        for number, (batch, stored_hash) in enumerate(batches, start=1):
            if batch.number != number or batch.previous_hash != previous or batch.hash() != stored_hash:
                breaches.append(f"{partition}: the chain breaks at batch {batch.number}")
                break
            previous = stored_hash
    return finding("L5", "the journal's hash chains are whole", f"{len(world.batches)} chains", breaches)


def transfers_are_posted(world: World) -> Finding:
    """D5: each completed transfer, from outside or between profiles, is in the journal once, and nothing else is but
    each departure of the house."""
    posted: Counter[str] = Counter()
    for partition, batches in world.batches.items():
        if not partition.startswith(("product:", "busts:", "awards:")):
            posted.update(batch.reference for batch, _ in batches)
    # What the house did with its own money on a chain has the name of its departure.
    posted.subtract(each.departure_id for view in world.chains for each in view.departures if posts(each))
    posted = Counter({name: count for name, count in posted.items() if count})
    completed = {row.transfer_id for row in world.transfers if row.completed}
    breaches = [f"transfer {ref} was posted {count} times" for ref, count in posted.items() if count != 1]
    breaches += [f"transfer {ref} is completed but not posted" for ref in sorted(completed - posted.keys())]
    breaches += [f"transfer {ref} is posted but not completed" for ref in sorted(posted.keys() - completed)]
    return finding("D5", "each completed transfer is posted exactly once", f"{len(completed)} transfers", breaches)


def paid_once(world: World) -> Finding:
    """D3: a withdrawal is paid at most once; it is completed if and only if it was paid."""
    paid = Counter(payment.transfer_id for payment in world.payments or () if payment.units < 0)
    breaches = [f"withdrawal {transfer_id} was paid {times} times" for transfer_id, times in paid.items() if times > 1]
    rows = [row for row in world.transfers if row.is_withdrawal] if world.payments is not None else []
    for row in rows:
        # While it holds its money the bank's answer may still be under way.
        if row.completed != bool(paid[row.transfer_id]) and not row.held_units:
            state = "completed" if row.completed else "given back"
            breaches.append(f"withdrawal {row.transfer_id} is {state} and was paid {paid[row.transfer_id]} times")
    return finding("D3", "a withdrawal is paid once or given back", f"{len(rows)} withdrawals", breaches)


def custody_is_outside(world: World) -> Finding:
    """L7: what the ledger says that others hold for us is what they collected less what they paid."""
    outside: Counter[tuple[str, str]] = Counter()
    for payment in world.payments or ():
        outside[custody_account(payment.rail), payment.asset] += payment.units
    booked = {(b.account, b.asset): -(b.available + b.held) for b in world.balances}
    breaches = [
        f"{account} {asset}: {has} there, {booked.get((account, asset), 0)} booked"
        for (account, asset), has in outside.items()
        if booked.get((account, asset), 0) != has
    ]
    return finding("L7", "custody is what others have of ours", f"{len(outside)} custody balances", breaches)


def held_is_owed(world: World) -> Finding:
    """H1: a sub-balance holds what its live orders need, a main balance what withdrawals do; orders are counted."""
    owed: dict[tuple[str, str], int] = defaultdict(int)
    count: Counter[tuple[str, str]] = Counter()
    for order in world.orders:
        if order.live:
            place = sub_balance(order.hold_asset(world.products[order.product_id]), order.hold_product)
            key = customer_account(order.account_id), place
            owed[key] += order.hold_units
            count[key] += 1
    for transfer in world.transfers:
        owed[customer_account(transfer.account_id), transfer.asset] += transfer.held_units
    breaches: list[str] = []
    for balance in world.balances:
        key = balance.account, balance.place
        if balance.held != owed[key] or balance.open_orders != count[key]:
            breaches.append(
                f"{balance.account} {balance.place}: held {balance.held} for {balance.open_orders} orders,"
                f" owed {owed[key]} for {count[key]}"
            )
    known = {(balance.account, balance.place) for balance in world.balances}
    breaches += [f"{key[0]} {key[1]}: owed {owed[key]}, no such balance" for key in owed.keys() - known if owed[key]]
    return finding(
        "H1", "held equals what live orders and withdrawals need", f"{sum(count.values())} live orders", breaches
    )


def holds_end_with_orders(world: World) -> Finding:
    """H5: an order holds funds if and only if it is live."""
    breaches = [
        f"order {order.order_id} is {order.status.value} and holds {order.hold_units}"
        for order in world.orders
        if order.live != (order.hold_units > 0)
    ]
    return finding("H5", "an order holds funds if and only if it is live", f"{len(world.orders)} orders", breaches)


def _batches(world: World) -> int:
    return sum(len(batches) for batches in world.batches.values())


__all__ = [
    "EXPLAINED",
    "batches_sum_to_zero",
    "custody_is_outside",
    "held_is_owed",
    "holds_end_with_orders",
    "journal_explains_balances",
    "journal_is_chained",
    "no_negatives",
    "paid_once",
    "transfers_are_posted",
    "zero_sum",
]
