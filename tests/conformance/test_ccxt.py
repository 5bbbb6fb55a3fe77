"""Stock ccxt, only its URLs overridden, trades here: its own words in, exact amounts out.

One market that no other test uses, customers that no other test knows. ccxt gives floats; what is exact is read from
`info`, the exchange's own answer. Every test speaks to the synchronous client and to the asynchronous one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

ccxt = pytest.importorskip("ccxt")
pytestmark = pytest.mark.cloud

SYMBOL = "ETH/BTC"
Eventually = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True)
class Pair:
    """Two customers' clients, and one that is nobody's."""

    connect: Callable[..., Any]
    maker: Any
    taker: Any
    public: Any
    eventually: Eventually

    def settled(self, client: Any, order_id: str) -> dict[str, Any]:
        """The order once it is done and in the balances."""

        def ask() -> dict[str, Any] | None:
            found: dict[str, Any] = client.fetch_order(order_id, SYMBOL)
            return found if found["info"]["settled"] else None

        answer: dict[str, Any] = self.eventually(ask)
        return answer

    def open(self, client: Any, order_id: str) -> dict[str, Any]:
        """The order once it is in the book."""

        def ask() -> dict[str, Any] | None:
            found: dict[str, Any] = client.fetch_order(order_id, SYMBOL)
            return found if found["info"]["status"] == "open" else None

        answer: dict[str, Any] = self.eventually(ask)
        return answer


@pytest.fixture(scope="module", params=["sync", "async"])
def pair(
    request: pytest.FixtureRequest, newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any],
    eventually: Eventually,
) -> Iterator[Pair]:  # fmt: skip
    connect = partial(client_of, flavour=request.param)
    maker, taker = newcomer("ccxt-maker"), newcomer("ccxt-taker")
    pair = Pair(connect, connect(maker), connect(taker), connect(), eventually)
    pair.maker.load_markets()
    pair.taker.load_markets()
    yield pair
    for client in (pair.maker, pair.taker):
        client.cancel_all_orders()


@pytest.fixture(autouse=True)
def empty_book(pair: Pair) -> Iterator[None]:
    """Each test leaves no order behind."""
    yield
    for client in (pair.maker, pair.taker):
        client.cancel_all_orders()
        pair.eventually(partial(_nothing_open, client))


def _nothing_open(client: Any) -> bool:
    return not client.fetch_open_orders(SYMBOL)


def exact_balances(client: Any) -> dict[str, Decimal]:
    """Balances as the exchange writes them."""
    return {account["currency"]: Decimal(account["balance"]) for account in client.fetch_balance()["info"]}


def available(client: Any, currency: str) -> Decimal:
    """What may be spent of one asset."""
    return next(Decimal(a["available"]) for a in client.fetch_balance()["info"] if a["currency"] == currency)


def test_markets_load_with_their_increments(pair: Pair) -> None:
    markets = pair.public.load_markets()
    assert set(markets) >= {"ACME/USD", "BTC/USD", "EUR/USD", "ETH/BTC", "GOOG/USD"}
    market = markets[SYMBOL]
    assert (market["id"], market["base"], market["quote"]) == ("ETH-BTC", "ETH", "BTC")
    assert market["active"] is True
    assert market["precision"] == {"amount": 0.001, "price": 0.00001}
    assert pair.public.currencies["BTC"]["precision"] == 1e-8


def test_the_clock_and_the_ticker_are_read(pair: Pair) -> None:
    assert abs(pair.public.fetch_time() - pair.public.milliseconds()) < 5_000
    assert pair.public.fetch_ticker(SYMBOL)["symbol"] == SYMBOL


def test_a_new_customer_sees_what_was_deposited(pair: Pair) -> None:
    balance = pair.taker.fetch_balance()
    assert balance["USD"] == {"free": 1_000_000.0, "used": 0.0, "total": 1_000_000.0}


def test_an_order_is_placed_found_shown_in_the_book_and_cancelled(pair: Pair) -> None:
    before = available(pair.maker, "BTC")
    placed = pair.maker.create_order(SYMBOL, "limit", "buy", 1.5, 0.04)
    found = pair.open(pair.maker, placed["id"])
    assert (found["side"], found["type"], found["price"], found["amount"], found["filled"], found["status"]) == (
        "buy", "limit", 0.04, 1.5, 0.0, "open",
    )  # fmt: skip
    # 0.06 for the order and 0.6 percent of it, should it take.
    assert available(pair.maker, "BTC") == before - Decimal("0.06036")
    assert [order["id"] for order in pair.maker.fetch_open_orders(SYMBOL)] == [placed["id"]]
    book = pair.eventually(lambda: (b := pair.public.fetch_order_book(SYMBOL))["bids"] and b)
    assert book["bids"][0][:2] == [0.04, 1.5]

    pair.maker.cancel_order(placed["id"], SYMBOL)
    cancelled = pair.settled(pair.maker, placed["id"])
    assert cancelled["status"] == "canceled"
    assert pair.maker.fetch_open_orders(SYMBOL) == []
    assert available(pair.maker, "BTC") == before
    pair.eventually(lambda: not pair.public.fetch_order_book(SYMBOL)["bids"])


def test_a_limit_order_takes_at_the_makers_price_and_every_digit_is_right(pair: Pair) -> None:
    before = {"maker": exact_balances(pair.maker), "taker": exact_balances(pair.taker)}
    resting = pair.maker.create_order(SYMBOL, "limit", "sell", 2, 0.05003)
    pair.open(pair.maker, resting["id"])
    taking = pair.taker.create_order(SYMBOL, "limit", "buy", 1.337, 0.06)
    taken = pair.settled(pair.taker, taking["id"])
    pair.eventually(lambda: Decimal(pair.maker.fetch_order(resting["id"], SYMBOL)["info"]["filled_size"]) > 0)

    value = Decimal("1.337") * Decimal("0.05003")
    taker_fee, maker_fee = Decimal("0.00040135"), Decimal("0.00026757")  # 0.6 and 0.4 percent, rounded up to 1e-8
    assert Decimal(taken["info"]["executed_value"]) == value
    assert Decimal(taken["info"]["fill_fees"]) == taker_fee
    assert (taken["status"], taken["filled"], taken["average"]) == ("closed", 1.337, 0.05003)

    after = {"maker": exact_balances(pair.maker), "taker": exact_balances(pair.taker)}
    assert after["taker"]["ETH"] - before["taker"]["ETH"] == Decimal("1.337")
    assert after["taker"]["BTC"] - before["taker"]["BTC"] == -value - taker_fee
    assert after["maker"]["ETH"] - before["maker"]["ETH"] == Decimal("-1.337")
    assert after["maker"]["BTC"] - before["maker"]["BTC"] == value - maker_fee

    (trade,) = pair.taker.fetch_my_trades(SYMBOL, params={"order_id": taking["id"]})
    assert (trade["price"], trade["amount"], trade["side"], trade["takerOrMaker"]) == (0.05003, 1.337, "buy", "taker")
    assert Decimal(trade["info"]["fee"]) == taker_fee
    newest = pair.maker.fetch_my_trades(SYMBOL)[-1]
    assert (newest["order"], newest["side"], newest["takerOrMaker"]) == (resting["id"], "sell", "maker")
    assert newest["info"]["trade_id"] == trade["info"]["trade_id"]
    public = pair.eventually(lambda: [t for t in pair.public.fetch_trades(SYMBOL) if t["id"] == trade["id"]])
    assert (public[0]["price"], public[0]["amount"]) == (0.05003, 1.337)


def test_the_ledger_tells_a_trade_and_its_fee_apart_and_ends_at_the_balance(pair: Pair) -> None:
    resting = pair.maker.create_order(SYMBOL, "limit", "sell", 1, 0.05)
    pair.open(pair.maker, resting["id"])
    taking = pair.taker.create_order(SYMBOL, "limit", "buy", 1, 0.05)
    pair.settled(pair.taker, taking["id"])

    def own() -> list[Any]:
        return [row for row in pair.taker.fetch_ledger("BTC") if row["referenceId"] == taking["id"]]

    trade, fee = sorted(pair.eventually(lambda: own() if len(own()) == 2 else []), key=lambda row: int(row["id"]))
    assert (trade["type"], trade["direction"], trade["info"]["amount"]) == ("trade", "out", "-0.05")
    assert (fee["type"], fee["info"]["amount"]) == ("fee", "-0.0003")
    assert Decimal(fee["info"]["balance"]) == exact_balances(pair.taker)["BTC"]
    assert Decimal(trade["info"]["balance"]) == Decimal(fee["info"]["balance"]) + Decimal("0.0003")
    deposit = min(pair.taker.fetch_ledger("BTC"), key=lambda row: int(row["id"]))
    assert (deposit["type"], deposit["before"]) == ("transfer", 0)


def test_a_market_order_takes_what_rests_level_by_level(pair: Pair) -> None:
    for price in (0.0501, 0.0502):
        pair.open(pair.maker, pair.maker.create_order(SYMBOL, "limit", "sell", 1, price)["id"])
    pair.eventually(lambda: len(pair.public.fetch_order_book(SYMBOL)["asks"]) == 2)
    placed = pair.taker.create_order(SYMBOL, "market", "buy", 1.5)
    taken = pair.settled(pair.taker, placed["id"])
    assert taken["filled"] == 1.5
    assert Decimal(taken["info"]["executed_value"]) == Decimal("0.0501") + Decimal("0.5") * Decimal("0.0502")
    trades = pair.taker.fetch_my_trades(SYMBOL, params={"order_id": placed["id"]})
    assert sorted((trade["price"], trade["amount"]) for trade in trades) == [(0.0501, 1.0), (0.0502, 0.5)]


def test_a_market_buy_by_cost_spends_no_more_than_it_was_given(pair: Pair) -> None:
    pair.open(pair.maker, pair.maker.create_order(SYMBOL, "limit", "sell", 5, 0.05)["id"])
    before = exact_balances(pair.taker)["BTC"]
    placed = pair.taker.create_order(SYMBOL, "market", "buy", 0, None, {"funds": "0.1"})
    pair.settled(pair.taker, placed["id"])
    spent = before - exact_balances(pair.taker)["BTC"]
    assert Decimal("0.099") < spent <= Decimal("0.1")


def test_client_order_ids_find_and_cancel(pair: Pair) -> None:
    name = pair.maker.uuid()
    placed = pair.maker.create_order(SYMBOL, "limit", "sell", 1, 0.07, {"clientOrderId": name})
    again = pair.maker.create_order(SYMBOL, "limit", "sell", 1, 0.07, {"clientOrderId": name})
    assert placed["id"] == again["id"]
    assert placed["clientOrderId"] == name
    found = pair.maker.fetch_order(None, SYMBOL, {"clientOrderId": name})
    assert found["id"] == placed["id"]
    pair.maker.cancel_order(None, SYMBOL, {"clientOrderId": name})
    assert pair.settled(pair.maker, placed["id"])["status"] == "canceled"


def test_cancel_all_and_the_closed_orders(pair: Pair) -> None:
    placed = {pair.maker.create_order(SYMBOL, "limit", "sell", 1, 0.06 + step / 1000)["id"] for step in range(3)}
    for order_id in placed:
        pair.open(pair.maker, order_id)
    pair.maker.cancel_all_orders(SYMBOL)
    for order_id in placed:
        pair.settled(pair.maker, order_id)
    assert placed <= {order["id"] for order in pair.maker.fetch_orders(SYMBOL)}
    closed = pair.maker.fetch_closed_orders(SYMBOL)
    assert placed <= {order["id"] for order in closed}


def test_the_trades_of_one_order_are_its_own_and_sum_to_it(pair: Pair) -> None:
    for price in (0.0501, 0.0503):
        pair.open(pair.maker, pair.maker.create_limit_order(SYMBOL, "sell", 1, price)["id"])
    placed = pair.taker.create_market_order(SYMBOL, "buy", 1.25)
    taken = pair.settled(pair.taker, placed["id"])
    trades = pair.taker.fetch_order_trades(placed["id"], SYMBOL)
    assert sorted((trade["price"], trade["amount"]) for trade in trades) == [(0.0501, 1.0), (0.0503, 0.25)]
    assert {(trade["order"], trade["side"], trade["takerOrMaker"]) for trade in trades} == {
        (placed["id"], "buy", "taker")
    }
    fees = [Decimal(trade["info"]["fee"]) for trade in trades]
    assert sum(fees) == Decimal(taken["info"]["fill_fees"]) == Decimal("0.00037605")  # 0.6 percent of 0.062675, up
    assert taken["fee"] == {"cost": 0.00037605, "currency": "BTC", "rate": None}


def test_the_aggregated_book_has_one_row_a_price(pair: Pair) -> None:
    for size in (1, 2):
        pair.open(pair.maker, pair.maker.create_limit_order(SYMBOL, "buy", size, 0.041)["id"])
    pair.open(pair.maker, pair.maker.create_limit_order(SYMBOL, "buy", 4, 0.0405)["id"])

    def both_prices() -> dict[str, Any] | None:
        book: dict[str, Any] = pair.public.fetch_l2_order_book(SYMBOL)
        return book if len(book["bids"]) == 2 else None

    book = pair.eventually(both_prices)
    assert [row[:2] for row in book["bids"]] == [[0.041, 3.0], [0.0405, 4.0]]
    assert book["asks"] == []


def test_an_edited_order_is_cancelled_and_replaced_and_only_the_new_one_holds(pair: Pair) -> None:
    before = available(pair.maker, "ETH")
    placed = pair.maker.create_limit_order(SYMBOL, "sell", 2, 0.06)
    pair.open(pair.maker, placed["id"])
    edited = pair.maker.edit_order(placed["id"], SYMBOL, "limit", "sell", 1.5, 0.065)
    assert edited["id"] != placed["id"]
    found = pair.open(pair.maker, edited["id"])
    assert (found["price"], found["amount"]) == (0.065, 1.5)
    assert pair.settled(pair.maker, placed["id"])["status"] == "canceled"
    assert available(pair.maker, "ETH") == before - Decimal("1.5")


def test_post_only_and_time_in_force_are_understood(pair: Pair) -> None:
    resting = pair.maker.create_order(SYMBOL, "limit", "sell", 1, 0.05, {"postOnly": True})
    pair.open(pair.maker, resting["id"])
    crossing = pair.taker.create_order(SYMBOL, "limit", "buy", 1, 0.05, {"postOnly": True})
    assert pair.settled(pair.taker, crossing["id"])["filled"] == 0
    partly = pair.taker.create_order(SYMBOL, "limit", "buy", 3, 0.05, {"timeInForce": "IOC"})
    assert pair.settled(pair.taker, partly["id"])["filled"] == 1


def test_a_stop_price_waits_for_its_price(pair: Pair) -> None:
    placed = pair.maker.create_order(SYMBOL, "limit", "buy", 1, 0.06, {"stopPrice": 0.059})
    pair.eventually(lambda: pair.maker.fetch_order(placed["id"], SYMBOL)["info"]["status"] == "active")
    pair.maker.cancel_order(placed["id"], SYMBOL)
    assert pair.settled(pair.maker, placed["id"])["status"] == "canceled"


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("create_stop_order", ("limit", "sell", 1, 0.04, 0.041), ("loss", "limit", 0.04, 0.041)),
        ("create_stop_limit_order", ("buy", 1, 0.06, 0.059), ("entry", "limit", 0.06, 0.059)),
        ("create_stop_market_order", ("sell", 1, 0.041), ("loss", "market", None, 0.041)),
    ],
)
def test_every_way_to_place_a_stop_waits_for_its_price_with_its_funds_held(
    pair: Pair, method: str, arguments: tuple[Any, ...], said: tuple[Any, ...]
) -> None:
    before = exact_balances(pair.maker), available(pair.maker, "ETH"), available(pair.maker, "BTC")
    placed = getattr(pair.maker, method)(SYMBOL, *arguments)

    def waiting() -> dict[str, Any] | None:
        found: dict[str, Any] = pair.maker.fetch_order(placed["id"], SYMBOL)
        return found if found["info"]["status"] == "active" else None

    found = pair.eventually(waiting)
    assert (found["info"]["stop"], found["info"]["type"], found["price"], found["triggerPrice"]) == said
    assert found["status"] == "open"
    assert (available(pair.maker, "ETH"), available(pair.maker, "BTC")) != before[1:]
    pair.maker.cancel_order(placed["id"], SYMBOL)
    pair.settled(pair.maker, placed["id"])
    assert (exact_balances(pair.maker), available(pair.maker, "ETH"), available(pair.maker, "BTC")) == before


def test_fees_are_told(pair: Pair) -> None:
    fees = pair.taker.fetch_trading_fees()[SYMBOL]
    assert (fees["maker"], fees["taker"]) == (0.004, 0.006)


def refuse(pair: Pair, kind: str, side: str, amount: Any, price: Any, expected: type[Exception]) -> str:
    """The words of a refusal, after making sure that it changed nothing."""
    before = pair.taker.fetch_balance()["info"]
    with pytest.raises(expected) as refusal:
        pair.taker.create_order(SYMBOL, kind, side, amount, price)
    assert pair.taker.fetch_balance()["info"] == before
    assert pair.taker.fetch_open_orders(SYMBOL) == []
    return str(refusal.value)


def test_lack_of_funds_is_the_error_that_ccxt_names_so(pair: Pair) -> None:
    assert "Insufficient funds" in refuse(pair, "limit", "buy", 5_000, 0.05, ccxt.InsufficientFunds)
    assert "Insufficient funds" in refuse(pair, "limit", "sell", 5_000, 0.05, ccxt.InsufficientFunds)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"price": "0", "size": "1"}, "price too small"),
        ({"price": "0.050000001", "size": "1"}, "price too precise"),
        ({"price": "0.05", "size": "0"}, "size is too small"),
        ({"price": "0.05", "size": "0.0001"}, "size is too small"),
    ],
)
def test_what_does_not_fit_the_market_is_an_invalid_order(pair: Pair, fields: dict[str, str], said: str) -> None:
    with pytest.raises(ccxt.InvalidOrder, match=said):
        pair.taker.private_post_orders({"product_id": "ETH-BTC", "side": "buy", "type": "limit", **fields})
    assert pair.taker.fetch_open_orders(SYMBOL) == []


def test_an_unknown_order_is_an_order_not_found(pair: Pair) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        pair.taker.fetch_order("0f0f0f0f-0000-0000-8000-000000000001", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        pair.taker.cancel_order("0f0f0f0f-0000-0000-8000-000000000001", SYMBOL)


def test_a_done_order_can_not_be_cancelled(pair: Pair) -> None:
    placed = pair.taker.create_order(SYMBOL, "limit", "buy", 1, 0.03)
    pair.taker.cancel_order(placed["id"], SYMBOL)
    pair.settled(pair.taker, placed["id"])
    with pytest.raises(ccxt.OrderNotFound, match="already done"):
        pair.taker.cancel_order(placed["id"], SYMBOL)


def test_anothers_order_is_as_absent_as_a_missing_one(pair: Pair) -> None:
    placed = pair.maker.create_order(SYMBOL, "limit", "buy", 1, 0.03)
    with pytest.raises(ccxt.OrderNotFound):
        pair.taker.fetch_order(placed["id"], SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        pair.taker.cancel_order(placed["id"], SYMBOL)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "d3Jvbmctc2VjcmV0"},
        {"password": "wrong"},
        {"apiKey": "f" * 32},
        {"apiKey": "nonsense"},
    ],
    ids=["secret", "passphrase", "unknown key", "no key at all"],
)
def test_forged_credentials_are_an_authentication_error(pair: Pair, changes: dict[str, str]) -> None:
    credentials = {"apiKey": pair.taker.apiKey, "secret": pair.taker.secret, "password": pair.taker.password}
    with pytest.raises(ccxt.AuthenticationError):
        pair.connect(**{**credentials, **changes}).fetch_balance()


def test_an_unknown_market_is_told(pair: Pair) -> None:
    with pytest.raises(ccxt.BadSymbol):
        pair.taker.create_order("XXX/YYY", "limit", "buy", 1, 1)
    with pytest.raises(ccxt.ExchangeError, match="Product not found"):
        pair.taker.private_post_orders({"product_id": "XXX-YYY", "side": "buy", "price": "1", "size": "1"})
