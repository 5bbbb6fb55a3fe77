"""A short run of freqtrade with real orders here, told of our URLs by its `ccxt_config` and of nothing else of ours.

It enters a trade at the price it reads in our book, exits it, cancels an order that rests, and takes its orders with it
when it stops; what it says of its trade and of its wallet is what our books say.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.conformance.environments import make
from tests.fakes.ports import free_ports

pytestmark = pytest.mark.cloud

PACKAGES = ("freqtrade==2026.9",)
SYMBOL = "BTC/USD"
STAKE = 500
START_SECONDS_MAX = 300
STOP_SECONDS_MAX = 300
Eventually = Callable[[Callable[[], Any]], Any]

# It trades when it is told to, at the other side's best price; it is alive, for it reads our candles each turn.
STRATEGY = """
from freqtrade.strategy import IStrategy


class WhenTold(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 10}
    stoploss = -0.9

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


def settings(user: dict[str, str], urls: dict[str, str], port: int) -> dict[str, Any]:
    """What a user of freqtrade writes to trade here."""
    best = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
    return {
        "dry_run": False,
        "trading_mode": "spot",
        "stake_currency": "USD",
        "stake_amount": STAKE,
        "max_open_trades": 2,
        "fiat_display_currency": "",
        "initial_state": "running",
        "force_entry_enable": True,
        "cancel_open_orders_on_exit": True,
        "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
        "entry_pricing": best,
        "exit_pricing": best,
        "exchange": {
            "name": "coinbaseexchange",
            "key": user["api_key"],
            "secret": user["secret"],
            "password": user["passphrase"],
            "pair_whitelist": [SYMBOL],
            "ccxt_config": {"urls": {"api": urls}},
        },
        "pairlists": [{"method": "StaticPairList"}],
        "internals": {"process_throttle_secs": 1},
        "api_server": {
            "enabled": True,
            "listen_ip_address": "127.0.0.1",
            "listen_port": port,
            "username": "trader",
            "password": "trader",
            "jwt_secret_key": "of-this-test-alone-and-long-enough-for-it",
        },
    }


@dataclass(frozen=True)
class Bot:
    """freqtrade at work, its own REST API, and a ccxt of its customer's."""

    process: "subprocess.Popen[str]"
    log: Path
    port: int
    client: Any
    eventually: Eventually

    def ask(self, method: str, path: str, statuses: tuple[int, ...] = (200,), **body: Any) -> Any:
        """Its answer, which must have one of these statuses."""
        headers = urllib3.util.make_headers(basic_auth="trader:trader")
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        with urllib3.PoolManager(timeout=30, retries=False) as pool:
            answer = pool.request(method, url, json=body or None, headers=headers)
        assert answer.status in statuses, f"{answer.data!r}\n{self.log.read_text()}"
        return answer.json()

    def is_awake(self) -> bool:
        """Whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.ask("GET", "ping")["status"] == "pong")
        except urllib3.exceptions.HTTPError:
            return False

    def trade(self, trade_id: int, *, is_open: bool) -> dict[str, Any] | None:
        """The trade once none of its orders is open."""
        found: dict[str, Any] = self.ask("GET", f"trade/{trade_id}")
        return found if found["is_open"] == is_open and not found["has_open_orders"] and found["amount"] else None

    def balances(self) -> dict[str, Decimal]:
        """Our word on what its customer has."""
        return {one["currency"]: Decimal(one["balance"]) for one in self.client.fetch_balance()["info"]}

    def wallet(self) -> dict[str, tuple[float, float]]:
        """Its word on it: what is free and what there is, of money and of the coin."""
        rows = [row for row in self.ask("GET", "balance")["currencies"] if not row.get("is_position")]
        return {row["currency"]: (row["free"], row["balance"]) for row in rows if row["currency"] in {"USD", "BTC"}}

    def open_order(self) -> dict[str, Any] | None:
        """The one order of its customer's that rests in our book."""
        found: list[dict[str, Any]] = self.client.fetch_open_orders(SYMBOL)
        return found[0] if len(found) == 1 and found[0]["info"]["status"] == "open" else None


@pytest.fixture(scope="module")
def depth(newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any], eventually: Eventually) -> None:
    """Somebody to trade with."""
    maker = client_of(newcomer("freqtrade-maker"))
    for side, price in (("buy", 49_990), ("sell", 50_010)):
        maker.create_order(SYMBOL, "limit", side, 1, price)
    eventually(lambda: (book := maker.fetch_order_book(SYMBOL))["bids"] and book["asks"])


@pytest.fixture(scope="module")
def bot(
    tmp_path_factory: pytest.TempPathFactory, newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any],
    urls: dict[str, str], eventually: Eventually, depth: None,
) -> Iterator[Bot]:  # fmt: skip
    folder = tmp_path_factory.mktemp("freqtrade")
    program = make(folder, *PACKAGES) / "freqtrade"
    user, (port,) = newcomer("freqtrade"), free_ports(1)
    (folder / "user" / "strategies").mkdir(parents=True)
    (folder / "user" / "strategies" / "when_told.py").write_text(STRATEGY)
    (folder / "config.json").write_text(json.dumps(settings(user, urls, port)))
    log = folder / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(program), "trade", "--config", "config.json", "--userdir", "user", "--strategy", "WhenTold",
             "--db-url", f"sqlite:///{folder}/trades.sqlite"],
            cwd=folder, stdout=file, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        bot = Bot(process, log, port, client_of(user), eventually)
        _wait(bot)
        yield bot
    finally:
        process.kill()
        process.wait()


def _wait(bot: Bot) -> None:
    """It first imports half of the scientific Python."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not bot.is_awake():
        assert time.monotonic() < deadline, bot.log.read_text()
        time.sleep(0.2)


def _stopped(bot: Bot) -> None:
    """Wait until it has ended by itself."""
    try:
        bot.process.wait(timeout=STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it goes on after it was told to stop: {bot.log.read_text()}")


def test_its_trade_opens_and_closes_with_orders_in_our_books_and_both_sides_agree_on_every_amount(bot: Bot) -> None:
    before = bot.balances()
    entered = bot.ask("POST", "forceenter", pair=SYMBOL, side="long", ordertype="limit")
    trade = bot.eventually(partial(bot.trade, entered["trade_id"], is_open=True))
    (entry,) = trade["orders"]
    ours = bot.client.fetch_order(entry["order_id"], SYMBOL)
    assert (ours["side"], ours["type"], ours["status"]) == ("buy", "limit", "closed")
    assert (trade["amount"], trade["open_rate"]) == (ours["filled"], ours["average"])
    assert trade["fee_open_cost"] == float(ours["info"]["fill_fees"]) > 0
    assert STAKE - 50 < trade["stake_amount"] <= STAKE
    bought = bot.balances()
    spent = Decimal(ours["info"]["executed_value"]) + Decimal(ours["info"]["fill_fees"])
    assert bought["USD"] == before["USD"] - spent
    assert bought["BTC"] == before["BTC"] + Decimal(ours["info"]["filled_size"])
    expected = {currency: (float(bought[currency]), float(bought[currency])) for currency in ("USD", "BTC")}
    bot.eventually(lambda: bot.wallet() == expected)

    bot.ask("POST", "forceexit", tradeid=str(entered["trade_id"]))
    closed = bot.eventually(partial(bot.trade, entered["trade_id"], is_open=False))
    theirs = next(order for order in closed["orders"] if order["ft_order_side"] == "sell")
    sold = bot.client.fetch_order(theirs["order_id"], SYMBOL)
    assert (sold["side"], sold["status"], sold["filled"]) == ("sell", "closed", ours["filled"])
    assert (closed["close_rate"], closed["fee_close_cost"]) == (sold["average"], float(sold["info"]["fill_fees"]))
    after = bot.balances()
    earned = Decimal(sold["info"]["executed_value"]) - Decimal(sold["info"]["fill_fees"])
    assert after == {**before, "USD": before["USD"] - spent + earned}
    assert closed["close_profit_abs"] == pytest.approx(float(earned - spent), abs=1e-6)
    assert {order["id"] for order in bot.client.fetch_orders(SYMBOL)} == {entry["order_id"], theirs["order_id"]}


def test_an_order_that_rests_is_cancelled_when_told_and_its_hold_released(bot: Bot) -> None:
    before = bot.client.fetch_balance()["info"]
    entered = bot.ask("POST", "forceenter", pair=SYMBOL, side="long", ordertype="limit", price=41_000)
    resting = bot.eventually(bot.open_order)
    assert (resting["side"], resting["price"], resting["filled"]) == ("buy", 41_000.0, 0.0)
    (listed,) = bot.ask("GET", "status")
    assert [order["order_id"] for order in listed["orders"]] == [resting["id"]]
    # It cancels and at once asks for the order. If that is cancelled already, it forgets the trade that came to nothing
    # and then misses it for its own answer; else it looks again on its next turn.
    bot.ask("DELETE", f"trades/{entered['trade_id']}/open-order", statuses=(200, 502))
    bot.eventually(lambda: bot.client.fetch_order(resting["id"], SYMBOL)["status"] == "canceled")
    assert bot.client.fetch_balance()["info"] == before
    assert bot.eventually(lambda: bot.ask("GET", "status") == [])


def test_when_it_stops_it_takes_its_orders_with_it_and_had_no_trouble_with_us(bot: Bot) -> None:
    before = bot.client.fetch_balance()["info"]
    bot.ask("POST", "forceenter", pair=SYMBOL, side="long", ordertype="limit", price=40_500)
    resting = bot.eventually(bot.open_order)
    bot.process.terminate()
    _stopped(bot)
    assert bot.eventually(lambda: bot.client.fetch_order(resting["id"], SYMBOL)["status"] == "canceled")
    assert bot.client.fetch_balance()["info"] == before
    said = " ".join(bot.log.read_text().split())
    assert " - ERROR - " not in said.replace("ERROR - API Error calling: no active trade", ""), said
    assert "returned exception" not in said, said
