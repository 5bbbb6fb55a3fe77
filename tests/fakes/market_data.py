"""A toy market that speaks the engine's events, and market data kept in memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from exchange.instruments.model import Asset, Product, list_product
from exchange.market_data.bars import MINUTES, Bar, Page, Scale, pages_held, pages_of_days
from exchange.market_data.history import cut, decode_chunk, encode_chunk
from exchange.market_data.model import Batch, MarketState, PublicEvent, StaleStateError, Trade, trades_of
from exchange.market_data.service import Update
from exchange.market_data.snapshot import decode_bars, decode_state, encode_bars, encode_state
from exchange.market_data.ticker import Ticker
from exchange.messages import (
    CancelReason,
    ChangeReason,
    CommandResult,
    DoneReason,
    Event,
    EventRecord,
    EventType,
    Op,
    OrderType,
    Phase,
    Side,
    StopKind,
    chain_hash,
    encode_event_records,
    genesis_hash,
    pack_result,
)

EPOCH_NS = 1_700_000_000_000_000_000


@dataclass(slots=True)
class ToyOrder:
    """An order of the toy market; `shown` is what its book displays."""

    order_id: int
    side: Side
    price: int
    remaining: int
    display: int
    shown: int


@dataclass
class ToyMarket:
    """Price, then time; icebergs, amends and waiting stops. Lists and loops: slow and easy to believe."""

    product_id: str = "ACME-USD"
    now_ns: int = EPOCH_NS
    resting: list[ToyOrder] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    results: list[CommandResult] = field(default_factory=list)
    _events: list[Event] = field(default_factory=list)
    _sequence: int = 0
    _next_id: int = 1

    def place(self, side: Side, price: int, size: int, *, display: int = 0) -> int:
        """Place a limit order and match it."""
        order_id, self._next_id = self._next_id, self._next_id + 1
        self._say(
            EventType.RECEIVED,
            order_id=order_id,
            side=side,
            order_type=OrderType.LIMIT,
            price=price,
            size=size,
            display_size=display,
        )
        self._act(ToyOrder(order_id, side, price, size, display, 0))
        self._close(Op.PLACE, order_id)
        return order_id

    def place_stop(self) -> int:
        """Place a stop order that waits."""
        order_id, self._next_id = self._next_id, self._next_id + 1
        self._say(EventType.RECEIVED, order_id=order_id, side=Side.BUY, order_type=OrderType.LIMIT, price=7, size=3)
        self._say(EventType.ACTIVATE, order_id=order_id, stop=StopKind.ENTRY, stop_price=9)
        self.stops.append(order_id)
        self._close(Op.PLACE, order_id)
        return order_id

    def trigger(self, order_id: int, side: Side, price: int, size: int) -> None:
        """Let a waiting stop act as a limit order."""
        self.stops.remove(order_id)
        self._say(EventType.TRIGGERED, order_id=order_id)
        self._act(ToyOrder(order_id, side, price, size, 0, 0))
        self._close(Op.TICK, 0)

    def cancel(self, order_id: int) -> None:
        """Cancel a resting order or a waiting stop; refuse any other."""
        found = [order for order in self.resting if order.order_id == order_id]
        if found:
            self.resting.remove(found[0])
            self._done(found[0], DoneReason.CANCELED)
        elif order_id in self.stops:
            self.stops.remove(order_id)
            self._say(EventType.DONE, order_id=order_id, done_reason=DoneReason.CANCELED, reason=CancelReason.USER)
        else:
            self._say(EventType.REJECTED, order_id=order_id, op=Op.CANCEL, reason=2)
        self._close(Op.CANCEL, order_id)

    def amend(self, order: ToyOrder, remaining: int, price: int) -> None:
        """Give a resting order another remaining size or price."""
        moves = price != order.price
        loses_place = moves or remaining > order.remaining
        self._say(
            EventType.CHANGE,
            order_id=order.order_id,
            side=order.side,
            price=price,
            old_size=order.remaining,
            new_size=remaining,
            old_price=order.price if moves else 0,
            new_price=price if moves else 0,
            reason=ChangeReason.AMEND,
        )
        order.remaining, order.price = remaining, price
        order.shown = min(order.shown, remaining)
        if loses_place:
            self.resting.remove(order)
            self._act(order)
        self._close(Op.AMEND, order.order_id)

    def reduce(self, order: ToyOrder, remaining: int) -> None:
        """Take size off a resting order, as self-trade prevention does."""
        self._say(
            EventType.CHANGE,
            order_id=order.order_id,
            side=order.side,
            price=order.price,
            old_size=order.remaining,
            new_size=remaining,
            reason=ChangeReason.STP,
        )
        order.remaining = remaining
        order.shown = min(order.shown, remaining)
        self._close(Op.PLACE, 0)

    def enter(self, phase: Phase) -> None:
        """Enter a phase."""
        self._say(EventType.PHASE, phase=phase)
        self._close(Op.PHASE, 0)

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.now_ns += nanoseconds

    def levels(self, side: Side) -> list[tuple[int, list[tuple[int, int]]]]:
        """The displayed book of one side: price and (order id, size) in time order, best price first."""
        prices = sorted({order.price for order in self.resting if order.side is side}, reverse=side is Side.BUY)
        return [
            (
                price,
                [(order.order_id, order.shown) for order in self.resting if (order.side, order.price) == (side, price)],
            )
            for price in prices
        ]

    def records(self, cuts: Iterable[int] = ()) -> list[EventRecord]:
        """All that was said, as records that end behind the events with these sequences (and at the end)."""
        return list(_cut(self.product_id, self.results, sorted({*cuts, self._sequence})))

    def encoded(self, commands_per_record: int = 1_000_000) -> list[bytes]:
        """All that was said, as the stream's bytes."""
        chain, encoded = genesis_hash(self.product_id), []
        for start in range(0, len(self.results), commands_per_record):
            results = self.results[start : start + commands_per_record]
            encoded += encode_event_records(self.product_id, 1, results, hash_before=chain)
            chain = results[-1].hash_after
        return encoded

    def _act(self, taker: ToyOrder) -> None:
        while taker.remaining and (maker := self._best_against(taker)) is not None:
            self._trade(taker, maker)
        if not taker.remaining:
            self._done(taker, DoneReason.FILLED)
            return
        self._rest(taker)

    def _best_against(self, taker: ToyOrder) -> ToyOrder | None:
        sign = 1 if taker.side is Side.BUY else -1
        crossing = [
            order for order in self.resting if order.side is not taker.side and order.price * sign <= taker.price * sign
        ]
        return min(crossing, key=lambda order: order.price * sign, default=None)

    def _trade(self, taker: ToyOrder, maker: ToyOrder) -> None:
        size = min(taker.remaining, maker.shown)
        self._say(
            EventType.MATCH,
            order_id=taker.order_id,
            maker_order_id=maker.order_id,
            trade_id=len(self.trades) + 1,
            side=maker.side,
            price=maker.price,
            size=size,
        )
        self.trades.append(
            Trade(
                len(self.trades) + 1,
                self._sequence,
                self.now_ns,
                maker.price,
                size,
                maker.side,
                maker.order_id,
                taker.order_id,
            )
        )
        taker.remaining -= size
        maker.remaining -= size
        maker.shown -= size
        if not maker.shown:
            self.resting.remove(maker)
            if maker.remaining:
                self._rest(maker)
            else:
                self._done(maker, DoneReason.FILLED)

    def _rest(self, order: ToyOrder) -> None:
        order.shown = min(order.display or order.remaining, order.remaining)
        self.resting.append(order)
        self._say(
            EventType.OPEN,
            order_id=order.order_id,
            side=order.side,
            price=order.price,
            size=order.shown,
            remaining_size=order.remaining,
        )

    def _done(self, order: ToyOrder, done_reason: DoneReason) -> None:
        self._say(
            EventType.DONE,
            order_id=order.order_id,
            side=order.side,
            order_type=OrderType.LIMIT,
            price=order.price,
            remaining_size=order.remaining,
            done_reason=done_reason,
            reason=CancelReason.USER if done_reason is DoneReason.CANCELED else 0,
        )

    def _say(self, event_type: EventType, **fields: int) -> None:
        self._sequence += 1
        owners = {
            name: self.owner(fields[order])
            for name, order in (("account_id", "order_id"), ("maker_account_id", "maker_order_id"))
            if order in fields
        }
        self._events.append(Event(event_type, self._sequence, self.now_ns, **fields, **owners))  # type: ignore[arg-type]

    @staticmethod
    def owner(order_id: int) -> int:
        """Whose account an order is of: the odd ones are the first account's, the even ones the second's."""
        return 1 if order_id % 2 else 2

    def _close(self, op: Op, order_id: int) -> None:
        command_id = self._sequence.to_bytes(16, "little")
        result = CommandResult(command_id, op, order_id, 0, self.now_ns, tuple(self._events))
        before = self.results[-1].hash_after if self.results else genesis_hash(self.product_id)
        self.results.append(replace(result, hash_after=chain_hash(before, pack_result(result))))
        self._events.clear()


def _cut(product_id: str, results: Sequence[CommandResult], ends: Sequence[int]) -> Iterator[EventRecord]:
    first = 1
    for end in ends:
        chain, hash_before, parts = genesis_hash(product_id), b"", []
        for result in results:
            events = tuple(event for event in result.events if first <= event.sequence <= end)
            if events:
                hash_before = hash_before or chain
                index = result.events.index(events[0])
                hash_after = result.hash_after if events[-1] is result.events[-1] else b""
                parts.append(
                    replace(
                        result,
                        events=events,
                        hash_after=hash_after,
                        first_index=index,
                        total_events=len(result.events),
                    )
                )
            chain = result.hash_after
        if parts:
            begins_within = bool(parts[0].first_index)
            yield EventRecord(product_id, 1, first, end, hash_before, tuple(parts), begins_within)
            first = end + 1


class MemoryMarkets:
    """The market_data table, in memory. Keeps bytes, as the real one does."""

    def __init__(self) -> None:
        self.books: dict[str, bytes] = {}
        self.pages: dict[tuple[str, Scale, int], bytes] = {}
        self.trade_rows: dict[tuple[str, int], Trade] = {}
        self.event_rows: dict[tuple[str, int], bytes] = {}
        self.commits = 0
        self.failures: list[Exception] = []  # what the next commits raise, after what is final is written

    def load(self, product_id: str) -> MarketState:
        """The state where the fold stands."""
        state = self.book(product_id)
        if state is None:
            return MarketState.genesis(product_id)
        return self._with_pages(state, pages_held(state.bars))

    def commit(self, batch: Batch) -> None:
        """What is final first, then all the rest at once."""
        name = batch.state.product_id
        for trade in trades_of(batch.events):
            self.trade_rows[name, trade.trade_id] = trade
        for chunk in cut(batch.events):
            self.event_rows[name, chunk.last] = encode_chunk(chunk)
        self._put_pages(name, [page for page in batch.pages if page.is_final])
        if self.failures:
            raise self.failures.pop(0)
        held = self.book(name) or MarketState.genesis(name)
        if (held.sequence, held.edition) != (batch.begun_at, batch.state.edition):
            raise StaleStateError("the fold is elsewhere")
        self.books[name] = encode_state(batch.state)
        self._put_pages(name, [page for page in batch.pages if not page.is_final])
        self.commits += 1

    def book(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed, without closed bars."""
        return decode_state(self.books[product_id]) if product_id in self.books else None

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed, with its trailing day."""
        state = self.book(product_id)
        return self._with_pages(state, pages_of_days(state.time_ns, 1)) if state else None

    def sequence(self, product_id: str) -> int:
        """The last sequence committed."""
        return self.load(product_id).sequence

    def ticker(self, product_id: str, *, now_ns: int, days: int = 1) -> Ticker | None:
        """The ticker with the bars of so many days."""
        state = self.book(product_id)
        return Ticker.of(self._with_pages(state, pages_of_days(now_ns, days))) if state else None

    def tickers(self, product_ids: Iterable[str]) -> dict[str, Ticker]:
        """The tickers of many products."""
        return {name: Ticker.of(state) for name in product_ids if (state := self.book(name)) is not None}

    def bars(self, product_id: str, scale: Scale, *, first_page: int, last_page: int) -> list[Bar]:
        """The bars of these pages."""
        state = self.book(product_id)
        if state is None:
            return []
        self._with_pages(state, [(scale, page) for _, scale_of, page in self.pages if scale_of == scale])
        series = state.bars.minutes if scale == MINUTES else state.bars.hours
        return [bar for bar in series.after(-1) if first_page <= bar.start // scale.page_bars <= last_page]

    def bars_before(self, product_id: str, scale: Scale, *, end: int, count: int) -> list[Bar]:
        """The newest `count` bars that begin before `end`, oldest first."""
        found = self.bars(product_id, scale, first_page=0, last_page=max(end, 0) // scale.page_bars)
        return [bar for bar in found if bar.start < end][-count:]

    def close_before(self, product_id: str, minute: int) -> int | None:
        """The last price before a minute."""
        before = self.bars(product_id, MINUTES, first_page=0, last_page=minute // MINUTES.page_bars)
        closes = [bar.close for bar in before if bar.start < minute]
        return closes[-1] if closes else None

    def events(self, product_id: str, *, first: int, last: int) -> list[PublicEvent]:
        """The public events from one sequence to another, as far as they are kept without a gap."""
        chunks = [decode_chunk(data) for (name, _), data in self.event_rows.items() if name == product_id]
        by_sequence = {event.sequence: event for chunk in chunks for event in chunk.events}
        found = []
        while first <= last and first in by_sequence:
            found.append(by_sequence[first])
            first += 1
        return found

    def trades(self, product_id: str, *, limit: int, before: int | None, after: int | None) -> list[Trade]:
        """Trades newest first."""
        rows = [trade for (product, _), trade in self.trade_rows.items() if product == product_id]
        rows = [
            trade
            for trade in rows
            if (before is None or trade.trade_id > before) and (after is None or trade.trade_id < after)
        ]
        rows.sort(key=lambda trade: trade.trade_id)
        chosen = rows[:limit] if before is not None else rows[-limit:]
        return chosen[::-1]

    def _put_pages(self, product_id: str, pages: Iterable[Page]) -> None:
        for page in pages:
            self.pages[product_id, page.scale, page.number] = encode_bars(page.bars)

    def _with_pages(self, state: MarketState, wanted: Iterable[tuple[Scale, int]]) -> MarketState:
        for scale, number in wanted:
            data = self.pages.get((state.product_id, scale, number))
            series = state.bars.minutes if scale == MINUTES else state.bars.hours
            series.keep({number: decode_bars(data)} if data else {})
        return state


class RecordingFeed:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.repeated: list[int] = []

    def publish(self, update: Update) -> None:
        """Remember it."""
        self.updates.append(update)

    def repeat(self, product_id: str, said: Sequence[Event]) -> None:
        """Remember the sequences."""
        self.repeated += [event.sequence for event in said]


class SteppingClock:
    """A clock that moves a little whenever it is read."""

    def __init__(self, now_ns: int = EPOCH_NS) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """A moment after the last."""
        self._now_ns += 1000
        return self._now_ns


class Listing:
    """A catalogue's source with these products."""

    def __init__(self, *products: Product) -> None:
        self._products = products

    def products(self) -> dict[str, Product]:
        """Every product by id."""
        return {product.product_id: product for product in self._products}

    def assets(self) -> dict[str, Asset]:
        """Every asset by id."""
        return {asset.asset_id: asset for product in self._products for asset in (product.base, product.quote)}


def acme() -> Product:
    """ACME-USD as the demo lists it."""
    return list_product(
        "ACME-USD",
        base=Asset("ACME", "Acme Corporation", 4, "stock"),
        quote=Asset("USD", "US dollar", 6),
        base_increment="0.001",
        quote_increment="0.01",
        base_min_size="0.001",
        base_max_size="1000000",
        min_market_funds="1",
        reference_price="100",
        price_band="0.5",
    )
