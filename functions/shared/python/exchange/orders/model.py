"""An order's life after its acceptance: fills, reductions and its end, and the funds it holds until then.

The rule of holds: a buy holds what its remainder can cost at worst, with the taker's fee on it; a sell holds its
remainder; an order with amends under way holds for the worst of all its terms (see `amends`). Fees are cumulative,
`ceil(sum of rate x value)` over the whole order, so rounding costs a customer less than one unit an order and an order
never costs more than its hold.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from exchange.instruments.model import PPM, Product
from exchange.kernel.errors import require
from exchange.kernel.money import divide_up
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.orders.amends import APPLIED, Amend, all_answered, with_answer, worst_lots, worst_value


class OrderStatus(StrEnum):
    """`pending`: not decided yet. `active`: a waiting stop. `done` and `rejected` are final."""

    PENDING = "pending"
    OPEN = "open"
    ACTIVE = "active"
    DONE = "done"
    REJECTED = "rejected"


LIVE = frozenset({OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.ACTIVE})


class Liquidity(StrEnum):
    """Whether a fill's side gave liquidity or took it."""

    MAKER = "M"
    TAKER = "T"


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one account.

    Units:    prices in ticks, sizes in lots, `funds` and `remaining_funds` in tick x lot units, rates in millionths,
              `specified_funds_units`, `executed_value_units`, `fees_charged_units` in quote units,
              `hold_units` in units of what it holds (quote for a buy, base for a sell).
    """

    order_id: int
    account_id: int
    product_id: str
    side: Side
    order_type: OrderType
    created_at_ns: int
    maker_ppm: int
    taker_ppm: int
    client_oid: str = ""
    payload_hash: str = ""
    price_ticks: int = 0
    size_lots: int = 0
    funds: int = 0
    specified_funds_units: int = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time_ns: int = 0
    post_only: bool = False
    stop: StopKind = StopKind.NONE
    stop_price_ticks: int = 0
    cap_ticks: int = 0
    trail_ticks: int = 0
    display_lots: int = 0  # what an iceberg shows at a time; 0: all of it
    oco_order_id: int = 0  # the order it was paired with when it was placed
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.DC
    status: OrderStatus = OrderStatus.PENDING
    remaining_lots: int = 0
    remaining_funds: int = 0
    filled_lots: int = 0
    executed_value_units: int = 0
    fee_numerator: int = 0
    fees_charged_units: int = 0
    hold_units: int = 0
    first_trade_id: int = 0
    last_trade_id: int = 0
    done_at_ns: int = 0
    done_reason: str = ""
    cancel_reason: str = ""
    reject_reason: str = ""
    amends: tuple[Amend, ...] = ()
    held_apart: bool = False  # its hold is in its product's sub-balance; of older orders in the main balance
    version: int = 0  # counts the changes since acceptance: who writes an order writes over what was read

    @property
    def unanswered(self) -> bool:
        """Whether something sent to its market waits for an answer: the order itself, or an amend."""
        return self.status is OrderStatus.PENDING or (self.live and any(amend.waits for amend in self.amends))

    @property
    def live(self) -> bool:
        """Whether anything may still happen to it."""
        return self.status in LIVE

    def hold_asset(self, product: Product) -> str:
        """What it holds: quote for a buy, base for a sell. The market decides, never the client."""
        return product.quote.asset_id if self.side is Side.BUY else product.base.asset_id

    @property
    def hold_product(self) -> str:
        """The product of the sub-balance that has its hold; "" for the main balance."""
        return self.product_id if self.held_apart else ""


def created_key(order: Order) -> str:
    """Sorts an account's orders by creation; the id makes it unique."""
    return f"{order.created_at_ns:020d}#{order.order_id:019d}"


def worst_hold(order: Order, product: Product) -> int:
    """What the remainder of a live order must hold, in units of `order.hold_asset`; zero when it is done."""
    if not order.live:
        return 0
    if order.side is Side.SELL:
        return product.size_units(worst_lots(order.remaining_lots, order.filled_lots, order.amends))
    value = order.remaining_funds or worst_value(
        order.remaining_lots, order.price_ticks or order.cap_ticks, order.filled_lots, order.amends
    )
    cost = value * product.units_per_tick_lot
    return cost + divide_up(order.fee_numerator + order.taker_ppm * cost, PPM) - order.fees_charged_units


def accepted(order: Order, product: Product) -> Order:
    """A new order with its remainder and its hold filled in."""
    whole = replace(order, remaining_lots=order.size_lots, remaining_funds=order.funds, held_apart=True)
    return replace(whole, hold_units=worst_hold(whole, product))


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of one trade. Units: ticks, lots; `value_units` and `fee_units` in quote units."""

    account_id: int
    order_id: int
    product_id: str
    trade_id: int
    side: Side
    liquidity: Liquidity
    price_ticks: int
    size_lots: int
    value_units: int
    fee_units: int
    created_at_ns: int
    busted_at_ns: int = 0  # when the trade was undone


def fill_order(
    order: Order,
    product: Product,
    *,
    liquidity: Liquidity,
    trade_id: int,
    price_ticks: int,
    size_lots: int,
    time_ns: int,
) -> tuple[Order, Fill]:
    """Apply one side of a trade: the order with less remaining and less held, and the fill with its exact fee.

    Raises:   InvariantError where the trade is larger than what remains.
    """
    value = product.value_units(price_ticks, size_lots)
    rate = order.maker_ppm if liquidity is Liquidity.MAKER else order.taker_ppm
    numerator = order.fee_numerator + rate * value
    fee = divide_up(numerator, PPM) - order.fees_charged_units
    remaining_funds = order.remaining_funds - price_ticks * size_lots if order.funds else 0
    remaining_lots = 0 if order.funds else order.remaining_lots - size_lots
    require(order.live, f"order {order.order_id} traded after its end")
    require(trade_id > order.last_trade_id, f"order {order.order_id} has trade {trade_id} already")
    require(remaining_lots >= 0 and remaining_funds >= 0, f"order {order.order_id} traded more than it had left")
    filled = replace(
        order,
        status=OrderStatus.OPEN if order.status is OrderStatus.PENDING else order.status,
        remaining_lots=remaining_lots,
        remaining_funds=remaining_funds,
        filled_lots=order.filled_lots + size_lots,
        executed_value_units=order.executed_value_units + value,
        fee_numerator=numerator,
        fees_charged_units=order.fees_charged_units + fee,
        first_trade_id=order.first_trade_id or trade_id,
        last_trade_id=trade_id,
    )
    fill = Fill(
        account_id=order.account_id,
        order_id=order.order_id,
        product_id=order.product_id,
        trade_id=trade_id,
        side=order.side,
        liquidity=liquidity,
        price_ticks=price_ticks,
        size_lots=size_lots,
        value_units=value,
        fee_units=fee,
        created_at_ns=time_ns,
    )
    return replace(filled, hold_units=worst_hold(filled, product)), fill


def reduce_order(
    order: Order, product: Product, *, remaining_lots: int, remaining_funds: int, price_ticks: int
) -> Order:
    """Apply a `change`: what remains now, and the price where that changed (else 0). The hold follows."""
    changed = replace(
        order,
        remaining_lots=remaining_lots,
        remaining_funds=remaining_funds,
        price_ticks=price_ticks or order.price_ticks,
    )
    return replace(changed, hold_units=worst_hold(changed, product))


def ask_amend(order: Order, product: Product, amend: Amend) -> Order:
    """The order with one more amend under way, and what it must hold from now on."""
    asked = replace(order, amends=(*order.amends, amend), version=order.version + 1)
    return replace(asked, hold_units=worst_hold(asked, product))


def apply_amend(order: Order, product: Product, amend_id: str, *, remaining_lots: int, price_ticks: int) -> Order:
    """Apply an amend as its market did: what remains now, and the price where that changed (else 0)."""
    changed = replace(
        order,
        size_lots=order.filled_lots + remaining_lots,
        remaining_lots=remaining_lots,
        price_ticks=price_ticks or order.price_ticks,
        amends=with_answer(order.amends, amend_id, APPLIED),
    )
    return replace(changed, hold_units=worst_hold(changed, product))


def refuse_amend(order: Order, product: Product, amend_id: str, reason: str) -> Order:
    """An amend that its market refused: its terms can't come to hold any more."""
    changed = replace(order, amends=with_answer(order.amends, amend_id, reason))
    return replace(changed, hold_units=worst_hold(changed, product))


def end_order(
    order: Order,
    *,
    status: OrderStatus,
    time_ns: int,
    done_reason: str,
    cancel_reason: str = "",
    reject_reason: str = "",
) -> Order:
    """Close an order for good; its whole hold is free."""
    require(order.live, f"order {order.order_id} ended twice")
    return replace(
        order,
        status=status,
        hold_units=0,
        done_at_ns=time_ns,
        done_reason=done_reason,
        cancel_reason=cancel_reason,
        reject_reason=reject_reason,
        # After its end no market knows it: that is what every amend still under way will be told.
        amends=all_answered(order.amends, "unknown_order"),
    )
