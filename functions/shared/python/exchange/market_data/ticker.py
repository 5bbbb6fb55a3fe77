"""What a glance at a market tells: best prices, last trade, the trailing day."""

from dataclasses import dataclass

from exchange.market_data.bars import Bars
from exchange.market_data.model import MarketState, Trade
from exchange.messages import Phase, Side


@dataclass(frozen=True, slots=True)
class Ticker:
    """Prices in ticks, sizes in lots; 0 where a side is empty."""

    sequence: int
    time_ns: int
    phase: Phase
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    last_trade: Trade | None
    bars: Bars

    @classmethod
    def of(cls, state: MarketState) -> "Ticker":
        """The ticker of a state."""
        bid, bid_size = state.book.best(Side.BUY)
        ask, ask_size = state.book.best(Side.SELL)
        return cls(
            state.sequence, state.time_ns, state.phase, bid, bid_size, ask, ask_size, state.last_trade, state.bars
        )
