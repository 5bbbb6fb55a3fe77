"""L6, M and S: every trade is two fills at the maker's price with exact fees, settled exactly once."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from exchange.audit.model import Finding, World, finding
from exchange.instruments.model import PPM
from exchange.kernel.money import divide_up
from exchange.ledger.model import EntryKind
from exchange.messages import Event, EventType, Op, OrderType, RejectReason, Side
from exchange.orders.model import Fill, Liquidity, Order
from exchange.settlement.model import journal_partition

_PLACING = frozenset({Op.PLACE, Op.CANCEL_IF_UNSEEN})


def events_of(world: World, product_id: str) -> Iterator[Event]:
    """A product's events, each sequence once, in order."""
    return (event for event, _ in _with_commands(world, product_id))


def trades_settled_once(world: World, until: Mapping[str, int] | None = None) -> Finding:
    """S1: the trades the engine made are the trades in the journal and the fills, each once.

    `until` has the last trade of each product that is due; without it all are.
    """
    breaches: list[str] = []
    total = 0
    for product_id in world.products:
        traded = Counter(event.trade_id for event in events_of(world, product_id) if event.type == EventType.MATCH)
        posted: Counter[int] = Counter()
        for batch, _ in world.batches.get(journal_partition(product_id), ()):
            posted.update(int(e.reference) for e in batch.entries if e.kind is EntryKind.MATCH)
        filled = Counter(fill.trade_id for fill in world.fills if fill.product_id == product_id)
        total += len(traded)
        due = until.get(product_id, 0) if until is not None else max((*traded, *posted, *filled), default=0)
        for trade_id in sorted(each for each in traded.keys() | posted.keys() | filled.keys() if each <= due):
            counts = traded[trade_id], posted[trade_id], filled[trade_id]
            if counts != (1, 4, 2):
                breaches.append(
                    f"{product_id} trade {trade_id}: {counts[0]} matches, {counts[1]} entries, {counts[2]} fills"
                )
    return finding("S1", "each trade is settled exactly once", f"{total} trades", breaches)


def settled_whole(world: World) -> Finding:
    """S3: of a trade either everything is written or nothing, and nothing of a trade that never was.

    Both fills may stand a moment before the rest: they are put just before their part.
    """
    breaches: list[str] = []
    total = 0
    for product_id in world.products:
        traded = {event.trade_id for event in events_of(world, product_id) if event.type == EventType.MATCH}
        posted: Counter[int] = Counter()
        for batch, _ in world.batches.get(journal_partition(product_id), ()):
            posted.update(int(e.reference) for e in batch.entries if e.kind is EntryKind.MATCH)
        filled = Counter(fill.trade_id for fill in world.fills if fill.product_id == product_id)
        total += len(posted)
        breaches += [
            f"{product_id} trade {trade_id}: {posted[trade_id]} entries, {filled[trade_id]} fills"
            for trade_id in sorted(posted.keys() | filled.keys())
            if (posted[trade_id], filled[trade_id]) not in {(4, 2), (0, 2)} or trade_id not in traded
        ]
    return finding("S3", "a trade is written whole or not at all", f"{total} trades", breaches)


def quantities_add_up(world: World) -> Finding:
    """M4: what is filled and what remains are within what was ordered, and "filled" leaves nothing."""
    breaches = [
        f"order {order.order_id}: {order.filled_lots} filled and {order.remaining_lots} left of {order.size_lots}"
        for order in world.orders
        if min(order.filled_lots, order.remaining_lots, order.remaining_funds) < 0
        or (order.size_lots and not order.funds and order.filled_lots + order.remaining_lots > order.size_lots)
        or (order.done_reason == "filled" and order.size_lots and order.remaining_lots)
    ]
    return finding("M4", "filled and remaining make up the order", f"{len(world.orders)} orders", breaches)


def fills_are_exact(world: World) -> Finding:
    """L6: a trade's two fills agree, and each order's fees are the ceiling of its rate over all it traded."""
    breaches: list[str] = []
    orders = {order.order_id: order for order in world.orders}
    by_trade: dict[tuple[str, int], list[Fill]] = defaultdict(list)
    by_order: dict[int, list[Fill]] = defaultdict(list)
    for fill in world.fills:
        by_trade[fill.product_id, fill.trade_id].append(fill)
        order = orders.get(fill.order_id)
        # A fill whose part is not committed yet is not of the order yet.
        if order is None or fill.trade_id <= order.last_trade_id:
            by_order[fill.order_id].append(fill)
    for (product_id, trade_id), sides in by_trade.items():
        value = world.products[product_id].value_units(sides[0].price_ticks, sides[0].size_lots)
        same = {(side.price_ticks, side.size_lots, side.value_units) for side in sides}
        if same != {(sides[0].price_ticks, sides[0].size_lots, value)} or {side.side for side in sides} != set(Side):
            breaches.append(f"{product_id} trade {trade_id}: its two sides don't agree")
    for order_id, fills in by_order.items():
        breaches += _order_breaches(orders.get(order_id), fills)
    fees = sum(fill.fee_units for fill in world.fills)
    return finding("L6", "fills agree and fees are exact", f"{len(world.fills)} fills, {fees} fee units", breaches)


def _order_breaches(order: Order | None, fills: list[Fill]) -> list[str]:
    if order is None:
        return [f"order {fills[0].order_id} traded and doesn't exist"]
    rates = {Liquidity.MAKER: order.maker_ppm, Liquidity.TAKER: order.taker_ppm}
    numerator = sum(rates[fill.liquidity] * fill.value_units for fill in fills)
    fees, lots = sum(fill.fee_units for fill in fills), sum(fill.size_lots for fill in fills)
    value = sum(fill.value_units for fill in fills)
    told = order.fees_charged_units, order.filled_lots, order.executed_value_units
    if (fees, lots, value) != told or fees != divide_up(numerator, PPM):
        return [f"order {order.order_id}: its fills say {(fees, lots, value)}, it says {told}"]
    if order.size_lots and lots > order.size_lots:
        return [f"order {order.order_id}: filled {lots} of {order.size_lots} lots"]
    return []


def trades_keep_limits(world: World) -> Finding:
    """M3 and M6: no fill is worse than its order's limit, and nobody trades with oneself."""
    breaches: list[str] = []
    orders = {order.order_id: order for order in world.orders}
    trades = 0
    for product_id in world.products:
        limits = _first_prices(world, product_id)
        for event in events_of(world, product_id):
            if event.type == EventType.CHANGE and event.new_price:
                limits[event.order_id] = event.new_price
            if event.type != EventType.MATCH:
                continue
            trades += 1
            if event.account_id == event.maker_account_id:
                breaches.append(f"{product_id} trade {event.trade_id}: account {event.account_id} met itself")
            for order_id in (event.order_id, event.maker_order_id):
                order = orders.get(order_id)
                if order is None or _is_worse(event.price, order, limits.get(order_id, order.price_ticks)):
                    breaches.append(f"{product_id} trade {event.trade_id}: worse than order {order_id} allows")
    return finding("M3", "no fill beyond a limit, no self-trade", f"{trades} trades", breaches)


def _first_prices(world: World, product_id: str) -> dict[int, int]:
    """The prices that orders had before their first amend."""
    prices: dict[int, int] = {}
    for event in events_of(world, product_id):
        if event.type == EventType.CHANGE and event.new_price:
            prices.setdefault(event.order_id, event.old_price)
    return prices


def _is_worse(price_ticks: int, order: Order, limit_ticks: int) -> bool:
    limit = limit_ticks if order.order_type is OrderType.LIMIT else order.cap_ticks
    if not limit:
        return False
    return price_ticks > limit if order.side is Side.BUY else price_ticks < limit


def orders_follow_the_log(world: World) -> Finding:
    """H4: an order has ended if and only if the log ended it, and has traded what the log says, no more and no less."""
    breaches: list[str] = []
    ended: set[int] = set()
    filled: Counter[int] = Counter()
    whole = {
        product_id for product_id, records in world.executions.items() if records and records[0].first_sequence == 1
    }
    for product_id in world.products:
        for event, op in _with_commands(world, product_id):
            refused = event.type == EventType.REJECTED and op in _PLACING
            if event.type == EventType.DONE or (refused and event.reason != RejectReason.DUPLICATE_ORDER_ID):
                ended.add(event.order_id)
            if event.type == EventType.MATCH:
                filled[event.order_id] += event.size
                filled[event.maker_order_id] += event.size
    for order in world.orders:
        if order.live and order.order_id in ended:
            breaches.append(f"order {order.order_id} is {order.status.value}, and the log has ended it")
        elif order.product_id in whole and not order.live and order.order_id not in ended:
            breaches.append(f"order {order.order_id} is {order.status.value}, and the log never ended it")
        elif order.product_id in whole and order.filled_lots != filled[order.order_id]:
            breaches.append(
                f"order {order.order_id}: {order.filled_lots} filled, the log says {filled[order.order_id]}"
            )
    return finding("H4", "orders are what the log made of them", f"{len(ended)} orders ended", breaches)


def _with_commands(world: World, product_id: str) -> Iterator[tuple[Event, int]]:
    """A product's events, each sequence once, with what the command was that caused it."""
    seen = 0
    for record in world.executions.get(product_id, ()):
        for result in record.results:
            for event in result.events:
                if event.sequence > seen:
                    seen = event.sequence
                    yield event, result.op


def done_is_final(world: World) -> Finding:
    """M5: nothing happens to an order after its `done`."""
    breaches: list[str] = []
    ended = 0
    for product_id in world.products:
        done: set[int] = set()
        for event in events_of(world, product_id):
            touched = {event.order_id, event.maker_order_id} & done
            if touched and event.type != EventType.REJECTED:
                breaches.append(f"{product_id} sequence {event.sequence}: order {touched} had ended")
            if event.type == EventType.DONE:
                done.add(event.order_id)
        ended += len(done)
    return finding("M5", "nothing happens to an order after its end", f"{ended} orders ended", breaches)
