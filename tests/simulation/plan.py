"""What a seed's customers want: drawn whole before anything happens, so that a list cut short is the same list."""

import random
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.fees.model import Rates
from exchange.instruments.model import Asset, Product, list_product
from exchange.messages import OrderType, SelfTradePrevention, Side, StopKind, TimeInForce
from exchange.risk.model import OrderTerms
from exchange.wallets.model import BankProvider, payment_methods

ASSETS = {
    asset.asset_id: asset
    for asset in (
        Asset("USD", "US dollar", 6, "fiat", withdrawal_fee_units=250_000),
        Asset("ACME", "Acme Corporation", 6, "stock"),
        Asset("BTC", "Bitcoin", 8, "crypto"),
    )
}
METHODS = payment_methods(ASSETS, BankProvider.SANDBOX)
PAIRS = (("ACME", "USD"), ("BTC", "USD"), ("BTC", "ACME"))


class Wish(StrEnum):
    """What a customer does."""

    PLACE = "place"
    BATCH = "batch"
    AMEND = "amend"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel all"
    LOOK = "look"
    REGRET = "place and cancel"
    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Intent:
    """One wish of one account. `earlier` picks one of the orders that the account has named so far."""

    wish: Wish
    account_id: int
    name: str
    wait_seconds: float
    product_id: str = ""
    orders: tuple[OrderTerms, ...] = ()
    whole: bool = False
    size: str = ""
    price: str = ""
    asset: str = ""
    amount: str = ""
    target: int = 0
    earlier: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A seed's products, accounts, fees and intents."""

    seed: int
    products: dict[str, Product]
    accounts: tuple[int, ...]
    rates: Rates
    intents: tuple[Intent, ...]
    matchers: int
    shards: int
    first_release: int
    lots: dict[str, int] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, *, intents_max: int | None = None) -> "Plan":
        """The plan of a seed, cut after so many intents."""
        draw = random.Random(f"{seed}/plan")
        open_orders_max = draw.choice((500, 500, 500, 6))
        products = _products(draw.choice((1, 1, 2, 3)), open_orders_max)
        accounts = tuple(range(1, draw.choice((2, 3, 5)) + 1))
        maker = draw.choice((0, 100, 1_500))
        rates = Rates(maker_ppm=maker, taker_ppm=maker + draw.choice((0, 1, 900, 4_001)))
        count = draw.choice((10, 18, 30))
        pace = draw.choice((0.02, 0.3, 1.0))
        intents = tuple(_intent(draw, number, tuple(products), accounts, pace) for number in range(count))
        return cls(
            seed=seed,
            products=products,
            accounts=accounts,
            rates=rates,
            intents=intents if intents_max is None else intents[:intents_max],
            matchers=draw.choice((1, 2, 2)),
            shards=draw.choice((1, 1, 2)),
            first_release=draw.randrange(2),
        )


def _products(count: int, open_orders_max: int) -> dict[str, Product]:
    found = {}
    for base, quote in PAIRS[:count]:
        product_id = f"{base}-{quote}"
        found[product_id] = list_product(
            product_id,
            base=ASSETS[base],
            quote=ASSETS[quote],
            base_increment="0.001",
            quote_increment="0.01",
            base_min_size="0.001",
            base_max_size="1000",
            min_market_funds="1",
            reference_price="100",
            price_band="0.2",
            open_orders_max=open_orders_max,
        )
    return found


def _intent(
    draw: random.Random, number: int, products: tuple[str, ...], accounts: tuple[int, ...], pace: float
) -> Intent:
    wish = draw.choices(tuple(Wish), weights=(56, 6, 9, 9, 3, 4, 4, 5, 4, 3 if len(accounts) > 1 else 0))[0]
    account_id = draw.choice(accounts)
    product_id = draw.choice(products)
    orders: tuple[OrderTerms, ...] = ()
    if wish in {Wish.PLACE, Wish.REGRET}:
        orders = (_terms(draw),)
    elif wish is Wish.BATCH:
        orders = tuple(_terms(draw) for _ in range(draw.randint(2, 5)))
    big = draw.random() < 0.2
    return Intent(
        wish=wish,
        account_id=account_id,
        name=f"i{number}",
        wait_seconds=draw.uniform(0.0, 2 * pace),
        product_id=product_id,
        orders=orders,
        whole=draw.random() < 0.3,
        size=_size(draw),
        price=draw.choice(("", _price(draw))),
        asset=draw.choice(("USD", "USD", "ACME", "BTC")),
        amount=f"{draw.randint(1, 900 if big else 60)}.{draw.randint(0, 99):02d}",
        target=draw.choice([other for other in accounts if other != account_id] or [account_id]),
        earlier=draw.random(),
    )


def _price(draw: random.Random) -> str:
    return f"{draw.randint(97, 103)}.{draw.choice(('00', '00', '01', '50', '37'))}"


def _size(draw: random.Random) -> str:
    return draw.choice((f"0.{draw.randint(1, 999):03d}", f"{draw.randint(1, 3)}", f"{draw.randint(1, 9)}.5"))


def _terms(draw: random.Random) -> OrderTerms:
    side = draw.choice((Side.BUY, Side.SELL))
    prevention = draw.choice(tuple(SelfTradePrevention))
    kind = draw.random()
    if kind < 0.08:
        return OrderTerms(side, OrderType.MARKET, size=_size(draw), self_trade_prevention=prevention)
    if kind < 0.14:
        funds = f"{draw.randint(1, 200)}.{draw.randint(0, 99):02d}"
        return OrderTerms(Side.BUY, OrderType.MARKET, funds=funds, self_trade_prevention=prevention)
    if kind < 0.2:
        stop = StopKind.ENTRY if side is Side.BUY else StopKind.LOSS
        return OrderTerms(side, OrderType.LIMIT, _price(draw), _size(draw), stop=stop, stop_price=_price(draw))
    force = draw.choices((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTT), weights=(8, 1, 1, 1))[0]
    return OrderTerms(
        side,
        OrderType.LIMIT,
        _price(draw),
        _size(draw),
        time_in_force=force,
        lifetime_ns=60_000_000_000 if force is TimeInForce.GTT else 0,
        post_only=force is TimeInForce.GTC and draw.random() < 0.15,
        self_trade_prevention=prevention,
    )
