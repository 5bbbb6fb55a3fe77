"""R and S: the logs are whole, the engine says the same again, and everybody has read to the end."""

from exchange.audit.model import Finding, Saved, World, finding
from exchange.messages import ChainCheck, Op, genesis_hash
from exchange.settlement.model import Cursor


def log_is_gapless(world: World) -> Finding:
    """R3 and R4: sequences run 1, 2, 3, ... and whoever said a sequence again said the same bytes."""
    breaches: list[str] = []
    total = 0
    for product_id, records in world.executions.items():
        expected = records[0].first_sequence if records else 1
        hashes: dict[int, bytes] = {}
        chain = ChainCheck()
        for record in records:
            if not chain.take(record):
                breaches.append(
                    f"{product_id}: the record from {record.first_sequence} on doesn't hash to what it says"
                )
            if record.first_sequence > expected:
                breaches.append(f"{product_id}: events {expected} to {record.first_sequence - 1} are missing")
            if record.first_sequence == 1 and record.hash_before != genesis_hash(product_id):
                breaches.append(f"{product_id}: the chain doesn't start at its beginning")
            for at, hash_after in record.points():
                if hashes.setdefault(at, hash_after) != hash_after:
                    breaches.append(f"{product_id}: sequence {at} was said twice, with different bytes")
            expected = max(expected, record.last_sequence + 1)
        total += expected - 1
    return finding("R3", "the event log has no gap and one truth a sequence", f"{total} events", breaches)


def epochs_rise(world: World) -> Finding:
    """R7: where a writer came late, after the next epoch had begun, a later epoch has said the same itself.

    A request that was under way when its lease ran out can't be called back. It does no harm (R3 sees to the bytes),
    but whoever comes after must not have counted on it.
    """
    breaches: list[str] = []
    highest = 0
    for product_id, records in world.executions.items():
        epoch, reached, late = 0, 0, [0, 0]
        for record in records:
            if record.epoch < epoch and record.last_sequence > reached:
                late = max(late, [record.last_sequence, record.epoch])
            elif record.epoch > late[1] and record.last_sequence >= late[0]:
                late = [0, 0]
            epoch, reached = max(epoch, record.epoch), max(reached, record.last_sequence)
        if late[0]:
            breaches.append(f"{product_id}: epoch {late[1]} wrote {late[0]} after epoch {epoch}, which never did")
        highest = max(highest, epoch)
    return finding("R7", "one writer an epoch", f"highest epoch {highest}", breaches)


def replay_agrees(world: World) -> Finding:
    """R1: the engine, run again over the command log, ends at the very hash that was published."""
    breaches: list[str] = []
    for product_id, replayed in world.replayed.items():
        records = world.executions.get(product_id, ())
        hashes = {at: hash_after for record in records for at, hash_after in record.points()}
        if replayed.sequence and hashes.get(replayed.sequence) != replayed.hash:
            breaches.append(f"{product_id}: replay ends at {replayed.sequence} with another hash")
        elif hashes and max(hashes) != replayed.sequence:
            breaches.append(f"{product_id}: published up to {max(hashes)}, replay ends at {replayed.sequence}")
    commands = sum(len(record.commands) for records in world.commands.values() for record in records)
    figure = f"{commands} commands in {len(world.replayed)} of {len(world.products)} products"
    return finding("R1", "replaying the command log gives the published events", figure, breaches)


def snapshots_are_published(world: World) -> Finding:
    """R2: each snapshot is a point of the published log: what it holds was said, and in these very bytes."""
    breaches: list[str] = []
    points = {
        product_id: {at: hash_after for record in records for at, hash_after in record.points()}
        for product_id, records in world.executions.items()
    }
    for saved in world.saved:
        said = points.get(saved.product_id, {}).get(saved.sequence)
        if said is None and _has_left_the_log(world, saved):
            continue
        if saved.sequence and said != saved.hash:
            what = "was never published" if said is None else "was published with other bytes"
            breaches.append(f"{saved.key}: {saved.product_id} {saved.sequence} {what}")
    return finding("R2", "snapshots hold what was published", f"{len(world.saved)} markets in snapshots", breaches)


def _has_left_the_log(world: World, saved: Saved) -> bool:
    """Whether a snapshot's last event was settled, and is older than what the stream still has."""
    records = world.executions.get(saved.product_id, ())
    is_older = not records or saved.sequence < records[0].first_sequence
    return is_older and saved.sequence <= world.cursors.get(saved.product_id, Cursor()).sequence


def commands_apply_once(world: World) -> Finding:
    """R5: a command that came several times was answered once."""
    breaches: list[str] = []
    count = 0
    for product_id, records in world.executions.items():
        answered: dict[bytes, int] = {}
        for record in records:
            for result in record.results:
                if not result.events or not any(result.command_id):
                    continue
                first = result.events[0].sequence - result.first_index
                count += 1
                if answered.setdefault(result.command_id, first) != first:
                    breaches.append(f"{product_id}: command {result.command_id.hex()} at {first} was answered before")
    return finding("R5", "a command is applied at most once", f"{count} answers", breaches)


def accepted_is_published(world: World) -> Finding:
    """R6: every accepted order's command is on the stream, and each order has been answered."""
    placed = {
        command.order_id
        for records in world.commands.values()
        for record in records
        for command in record.commands
        # An order canceled before it was published reached the market as the command that closed the door on it.
        if command.op in {Op.PLACE, Op.CANCEL_IF_UNSEEN}
    }
    whole = {product_id for product_id in world.products if product_id in world.replayed}
    breaches = [
        f"order {o.order_id} was never published"
        for o in world.orders
        if o.product_id in whole and o.order_id not in placed
    ]
    breaches += [f"order {o.order_id} waits for an answer" for o in world.orders if o.unanswered]
    known = {order.order_id for order in world.orders}
    breaches += [f"order {order_id} is on the stream but was never accepted" for order_id in sorted(placed - known)]
    return finding("R6", "nothing accepted is lost", f"{len(world.orders)} orders, {len(placed)} published", breaches)


def everybody_has_caught_up(world: World) -> Finding:
    """S4: settlement and market data stand at the log's last event, and nothing is paused."""
    breaches = [f"{product_id} is paused: {reason}" for product_id, reason in sorted(world.paused.items())]
    for product_id, records in world.executions.items():
        last = max((record.last_sequence for record in records), default=0)
        settled = world.cursors.get(product_id, Cursor()).sequence
        if settled != last:
            breaches.append(f"{product_id}: settled up to {settled} of {last}")
        folded = world.book_sequences.get(product_id, last)
        if folded != last:
            breaches.append(f"{product_id}: market data up to {folded} of {last}")
    return finding("S4", "settlement and market data have caught up", f"{len(world.executions)} products", breaches)
