"""The checks an order passes before its funds are held. Pure: the market's state and the time are arguments.

Checked in this order, so the same bad request always earns the same code: what the product admits now; size; price;
stop price; trail; funds; the price band; the value's upper limit. `base_max_size` comes after the funds (see trading).
"""

from dataclasses import dataclass

from exchange.instruments.model import PPM, TICKS_MAX, VALUE_MAX, Product, ProductStatus
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import DecimalError, DecimalTooPreciseError, divide_down, divide_up
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.orders.model import Order, OrderStatus, accepted

# Without a band a market buy may pay this much over the best ask or its stop price.
_CAP_WITHOUT_BAND_PPM = 100_000
# Each part of an iceberg is shown by itself: without a bound one order could make a thousand million events at once.
ICEBERG_PARTS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class MarketView:
    """The market as the gateway sees it, at most a second old. Units: ticks; 0 where there is none."""

    best_bid_ticks: int = 0
    best_ask_ticks: int = 0
    last_ticks: int = 0


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What a customer asked for, amounts still as text ("" where absent)."""

    side: Side
    order_type: OrderType
    price: str = ""
    size: str = ""
    funds: str = ""
    stop: StopKind = StopKind.NONE
    stop_price: str = ""
    trail_amount: str = ""
    display_size: str = ""
    oco_order: str = ""  # the live order to be paired with, as its owner names it
    stop_wanted: bool = False  # asked for as a stop order, whatever else was given
    time_in_force: TimeInForce = TimeInForce.GTC
    lifetime_ns: int = 0
    post_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.DC


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose order it is, what it is called, and the fee rates it pins at acceptance."""

    account_id: int
    order_id: int
    client_oid: str
    payload_hash: str
    maker_ppm: int
    taker_ppm: int


def assess(terms: OrderTerms, product: Product, market: MarketView, owner: Owner, *, now_ns: int) -> Order | Refused:
    """Turn terms into an order with its hold, or refuse them.

    Refuses:  REQUEST_FIELD_INVALID, RISK_TRADING_DISABLED, RISK_SIZE_*, RISK_PRICE_*, RISK_FUNDS_*,
              RISK_NO_REFERENCE_PRICE, RISK_PRICE_OUT_OF_BAND (in this order).
    """
    refusal = _refuse_combination(terms) or _refuse_status(terms, product)
    if refusal:
        return refusal
    amounts = _read_amounts(terms, product, owner.taker_ppm)
    if isinstance(amounts, Refused):
        return amounts
    size, price, stop_price, funds = amounts.size_lots, amounts.price_ticks, amounts.stop_price_ticks, amounts.funds
    cap = _cap_ticks(terms, product, market, stop_price)
    if isinstance(cap, Refused):
        return cap
    if not terms.stop_price and price and (refusal := _refuse_band(terms.side, price, product, market)):
        return refusal
    if max(price, cap, 1) * size > VALUE_MAX or funds > VALUE_MAX:
        return Refused(Code.RISK_FUNDS_TOO_LARGE, "the order's value is too large for one order; split it")
    order = Order(
        order_id=owner.order_id,
        account_id=owner.account_id,
        product_id=product.product_id,
        side=terms.side,
        order_type=terms.order_type,
        created_at_ns=now_ns,
        maker_ppm=owner.maker_ppm,
        taker_ppm=owner.taker_ppm,
        client_oid=owner.client_oid,
        payload_hash=owner.payload_hash,
        price_ticks=price,
        size_lots=size,
        funds=funds,
        specified_funds_units=amounts.specified_units,
        time_in_force=terms.time_in_force,
        expire_time_ns=now_ns + terms.lifetime_ns if terms.lifetime_ns else 0,
        post_only=terms.post_only,
        stop=terms.stop,
        stop_price_ticks=stop_price,
        trail_ticks=amounts.trail_ticks,
        display_lots=amounts.display_lots,
        cap_ticks=cap,
        self_trade_prevention=terms.self_trade_prevention,
    )
    return accepted(order, product)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """The terms' amounts in the engine's units; 0 where absent."""

    size_lots: int
    display_lots: int
    price_ticks: int
    stop_price_ticks: int
    trail_ticks: int
    specified_units: int
    funds: int


def _read_amounts(terms: OrderTerms, product: Product, taker_ppm: int) -> _Amounts | Refused:
    size = _size_lots(terms.size, product)
    if isinstance(size, Refused):
        return size
    display = _display_lots(terms.display_size, size, product)
    if isinstance(display, Refused):
        return display
    prices = []
    for name, text in (
        ("price", terms.price),
        ("stop_price", terms.stop_price),
        ("trail_amount", terms.trail_amount),
    ):
        ticks = _price_ticks(name, text, product)
        if isinstance(ticks, Refused):
            return ticks
        prices.append(ticks)
    price, stop_price, trail = prices
    if trail and trail >= stop_price:
        return Refused(Code.RISK_PRICE_TOO_LARGE, "trail_amount: price too large, it must be below stop_price")
    specified = _funds_units(terms, product)
    if isinstance(specified, Refused):
        return specified
    funds = _funds_after_fee(specified, product, taker_ppm)
    if specified and funds * product.units_per_tick_lot < max(product.market_funds_min_units, 1):
        return Refused(
            Code.RISK_FUNDS_TOO_SMALL, f"funds is too small: the least is {_min_funds(product)} after the fee"
        )
    return _Amounts(size, display, price, stop_price, trail, specified, funds)


def assess_amend(
    order: Order, *, size: str, price: str, product: Product, market: MarketView
) -> tuple[int, int] | Refused:
    """The new total size in lots and the new price in ticks (0: as it is) that a live order may be given.

    Refuses:  RISK_TRADING_DISABLED, REQUEST_FIELD_INVALID, RISK_SIZE_*, RISK_PRICE_*, RISK_PRICE_OUT_OF_BAND,
              RISK_FUNDS_TOO_LARGE (in this order).
    """
    if product.status in {ProductStatus.HALTED, ProductStatus.CANCEL_ONLY}:
        return Refused(Code.RISK_TRADING_DISABLED, f"{product.product_id} takes no amends now; cancels work")
    if order.funds:
        return Refused(Code.REQUEST_FIELD_INVALID, "size: an order by funds has no size to amend; cancel it")
    if price and order.order_type is OrderType.MARKET:
        return Refused(Code.REQUEST_FIELD_INVALID, "price: a market order takes no price; leave it out")
    lots = _amended_lots(order, size, product)
    if isinstance(lots, Refused):
        return lots
    ticks = _price_ticks("price", price, product)
    if isinstance(ticks, Refused):
        return ticks
    if ticks and order.status is not OrderStatus.ACTIVE and ticks != order.price_ticks:
        refusal = _refuse_band(order.side, ticks, product, market)
        if refusal:
            return refusal
    if max(ticks or order.price_ticks, order.cap_ticks, 1) * lots > VALUE_MAX:
        return Refused(Code.RISK_FUNDS_TOO_LARGE, "the order's value would be too large for one order; split it")
    return lots, ticks


def _amended_lots(order: Order, size: str, product: Product) -> int | Refused:
    lots = _size_lots(size, product)
    if isinstance(lots, Refused):
        return lots
    if order.display_lots and lots > order.display_lots * ICEBERG_PARTS_MAX:
        most = product.format_size(order.display_lots * ICEBERG_PARTS_MAX)
        return Refused(Code.RISK_SIZE_TOO_LARGE, f"size: too large for what the order displays; the most is {most}")
    if lots <= order.filled_lots:
        filled = product.format_size(order.filled_lots)
        return Refused(Code.RISK_SIZE_TOO_SMALL, f"size is too small: {filled} is filled already; or cancel the order")
    return lots


def refuse_size_above_max(size_lots: int, product: Product) -> Refused | None:
    """The last check: told only to those who could have paid."""
    if size_lots > product.size_max_lots:
        limit = product.format_size(product.size_max_lots)
        return Refused(Code.RISK_SIZE_TOO_LARGE, f"size is too large: the most is {limit} {product.base.asset_id}")
    return None


def _refuse_combination(terms: OrderTerms) -> Refused | None:
    market = terms.order_type is OrderType.MARKET
    resting = terms.time_in_force in {TimeInForce.GTC, TimeInForce.GTT}
    rules = (
        (market and bool(terms.price), "price: a market order takes no price; leave it out"),
        (market and bool(terms.size) == bool(terms.funds), "size: a market order takes either size or funds"),
        (market and bool(terms.funds) and terms.side is Side.SELL, "funds: a sell is by size; give size instead"),
        (not market and bool(terms.funds), "funds: a limit order takes price and size; leave funds out"),
        (not market and not terms.price, "price: a limit order needs a price"),
        (not market and not terms.size, "size: a limit order needs a size"),
        ((bool(terms.stop) or terms.stop_wanted) and not terms.stop_price, "stop_price: a stop order needs stop_price"),
        (bool(terms.stop_price) and not terms.stop, "stop: say loss or entry with stop_price"),
        (bool(terms.trail_amount) and not terms.stop, "trail_amount: only a stop order trails; give stop_price too"),
        (
            bool(terms.oco_order) and not terms.stop and (market or not resting),
            "oco_order_id: only a stop order or a limit order that may rest can be one of two",
        ),
        (
            bool(terms.display_size) and (market or not resting),
            "display_size: only a limit order that may rest can hide a part of itself",
        ),
        (terms.post_only and (market or not resting), "post_only: only a limit order that may rest can be post only"),
        (terms.post_only and bool(terms.stop), "post_only: a stop order can't be post only"),
        (
            (terms.time_in_force is TimeInForce.GTT) != bool(terms.lifetime_ns),
            "cancel_after: give min, hour or day together with time_in_force GTT",
        ),
    )
    for broken, message in rules:
        if broken:
            return Refused(Code.REQUEST_FIELD_INVALID, message)
    return None


def _refuse_status(terms: OrderTerms, product: Product) -> Refused | None:
    if product.status in {ProductStatus.HALTED, ProductStatus.CANCEL_ONLY}:
        return Refused(Code.RISK_TRADING_DISABLED, f"{product.product_id} takes no new orders now; cancels work")
    rests = terms.order_type is OrderType.LIMIT and terms.time_in_force in {TimeInForce.GTC, TimeInForce.GTT}
    if product.status is ProductStatus.AUCTION and (not rests or terms.stop):
        return Refused(
            Code.RISK_TRADING_DISABLED, f"{product.product_id} is in an auction: only GTC and GTT limit orders"
        )
    return None


def _size_lots(text: str, product: Product) -> int | Refused:
    if not text:
        return 0
    least = product.format_size(product.size_min_lots)
    try:
        lots = product.parse_size(text)
    except DecimalTooPreciseError:
        if _below(text, product):
            return Refused(Code.RISK_SIZE_TOO_SMALL, f"size is too small: the least is {least} {product.base.asset_id}")
        step = product.format_size(1)
        return Refused(
            Code.RISK_SIZE_TOO_PRECISE, f"size too precise: it goes in steps of {step} {product.base.asset_id}"
        )
    except DecimalError as error:
        return Refused(Code.REQUEST_FIELD_INVALID, f"size: {error}")
    if lots < product.size_min_lots:
        return Refused(Code.RISK_SIZE_TOO_SMALL, f"size is too small: the least is {least} {product.base.asset_id}")
    return lots


def _display_lots(text: str, size_lots: int, product: Product) -> int | Refused:
    """What an iceberg shows at a time; 0 where the order hides nothing."""
    if not text:
        return 0
    try:
        lots = product.parse_size(text)
    except DecimalTooPreciseError:
        step = product.format_size(1)
        return Refused(
            Code.RISK_SIZE_TOO_PRECISE,
            f"display_size: size too precise, it goes in steps of {step} {product.base.asset_id}",
        )
    except DecimalError as error:
        return Refused(Code.REQUEST_FIELD_INVALID, f"display_size: {error}")
    if lots > size_lots:
        return Refused(Code.RISK_SIZE_TOO_LARGE, "display_size: size is too large, it can't be above the order's own")
    least = max(1, divide_up(size_lots, ICEBERG_PARTS_MAX))
    if lots < least:
        told = f"the least of this order is {product.format_size(least)} {product.base.asset_id}"
        return Refused(Code.RISK_SIZE_TOO_SMALL, f"display_size: size is too small, {told}")
    return lots


def _below(text: str, product: Product) -> bool:
    """Whether an off-lot size is below one lot: then it is small before it is precise."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(18, "0")) < product.lot_units * int(10 ** (18 - product.base.scale))


def _price_ticks(name: str, text: str, product: Product) -> int | Refused:
    if not text:
        return 0
    try:
        ticks = product.parse_price(text)
    except DecimalTooPreciseError:
        step = product.format_price(1)
        return Refused(Code.RISK_PRICE_TOO_PRECISE, f"{name}: price too precise, it goes in steps of {step}")
    except DecimalError as error:
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: {error}")
    if ticks == 0:
        return Refused(Code.RISK_PRICE_TOO_SMALL, f"{name}: price too small, the least is {product.format_price(1)}")
    if ticks > TICKS_MAX:
        return Refused(
            Code.RISK_PRICE_TOO_LARGE, f"{name}: price too large, the most is {product.format_price(TICKS_MAX)}"
        )
    return ticks


def _funds_units(terms: OrderTerms, product: Product) -> int | Refused:
    if not terms.funds:
        return 0
    try:
        units = product.quote.parse(terms.funds)
    except DecimalTooPreciseError:
        step = product.format_price(1)
        return Refused(Code.RISK_FUNDS_TOO_PRECISE, f"funds too precise: it goes in steps of {step}")
    except DecimalError as error:
        return Refused(Code.REQUEST_FIELD_INVALID, f"funds: {error}")
    if units % product.tick_units:
        step = product.format_price(1)
        return Refused(Code.RISK_FUNDS_TOO_PRECISE, f"funds too precise: it goes in steps of {step}")
    if units < product.market_funds_min_units or units == 0:
        return Refused(Code.RISK_FUNDS_TOO_SMALL, f"funds is too small: the least is {_min_funds(product)}")
    return units


def _min_funds(product: Product) -> str:
    return f"{product.quote.format(product.market_funds_min_units)} {product.quote.asset_id}"


def _funds_after_fee(specified_units: int, product: Product, taker_ppm: int) -> int:
    """What may be spent of `specified_units` so that the taker's fee still fits, in tick x lot units."""
    spendable = divide_down(specified_units * PPM, PPM + taker_ppm)
    return spendable // product.tick_units * product.tick_units // product.units_per_tick_lot


def _cap_ticks(terms: OrderTerms, product: Product, market: MarketView, stop_price: int) -> int | Refused:
    """Where a market buy by size stops, so that its hold is known; 0 for every other order."""
    if terms.order_type is not OrderType.MARKET or terms.side is not Side.BUY or terms.funds:
        return 0
    if stop_price:
        room = product.band_ppm or _CAP_WITHOUT_BAND_PPM
        return divide_up(stop_price * (PPM + room), PPM)
    band = product.band_ticks(market.last_ticks or product.reference_price_ticks)
    if band:
        return band[1]
    if not market.best_ask_ticks:
        return Refused(Code.RISK_NO_REFERENCE_PRICE, "there is no price to go by yet; place a limit order")
    return divide_up(market.best_ask_ticks * (PPM + _CAP_WITHOUT_BAND_PPM), PPM)


def _refuse_band(side: Side, price_ticks: int, product: Product, market: MarketView) -> Refused | None:
    band = product.band_ticks(market.last_ticks or product.reference_price_ticks)
    if band is None:
        return None
    lower, upper = band
    if side is Side.BUY and price_ticks > upper:
        return Refused(Code.RISK_PRICE_OUT_OF_BAND, f"price: a buy may be at most {product.format_price(upper)} now")
    if side is Side.SELL and price_ticks < lower:
        return Refused(Code.RISK_PRICE_OUT_OF_BAND, f"price: a sell must be at least {product.format_price(lower)} now")
    return None
