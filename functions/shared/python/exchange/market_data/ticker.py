"""What a glance at a market tells: best prices, last trade, the trailing day."""

from dataclasses import dataclass

from exchange.market_data.bars import Bars
from exchange.market_data.model import MarketState, Trade
from exchange.messages import Phase, Side


@dataclass(frozen=True, slots=True)
class Ticker:
    """Prices in ticks, sizes in lots, and how many orders rest there; 0 where a side is empty."""

    sequence: int
    time_ns: int
    phase: Phase
    bid: int
    bid_size: int
    bid_orders: int
    ask: int
    ask_size: int
    ask_orders: int
    last_trade: Trade | None
    bars: Bars

    @classmethod
    def of(cls, state: MarketState) -> "Ticker":
        """The ticker of a state."""
        bid, bid_size = state.book.best(Side.BUY)
        ask, ask_size = state.book.best(Side.SELL)
        return cls(
            sequence=state.sequence,
            time_ns=state.time_ns,
            phase=state.phase,
            bid=bid,
            bid_size=bid_size,
            bid_orders=len(state.book.level(Side.BUY, bid)),
            ask=ask,
            ask_size=ask_size,
            ask_orders=len(state.book.level(Side.SELL, ask)),
            last_trade=state.last_trade,
            bars=state.bars,
        )
