"""ccxt's own exchange tests, from its wheel of the index, run against the laptop cloud in a Python of their own.

Its newer wheels bear them; our lock has an older one, for the newer pin what our Lambdas run. The tests refuse to run
where pip put them, so the package is copied beside a `keys.local.json`, which gives it our URLs and a customer's key,
and a `skip-tests.json`. A flow of orders keeps the market moving, since what is watched must happen.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.environments import make, run

pytestmark = pytest.mark.cloud

PACKAGES = ("ccxt==4.5.90", "psutil")
SYMBOL = "BTC/USD"
SECONDS_MAX = 150

# Single fields and methods that no server can make right, by ccxt's name for them, with the reason.
CLIENT_FAULTS = {
    "orderBook": {"timestamp": "its parser leaves out the book's time, which we send"},
    "fetchAccounts": {"type": "its parser never sets it"},
    "fetchCurrencies": {
        "deposit": "its class sets this and the next to nothing, whatever the exchange says",
        "withdraw": "the same",
        "activeMajorCurrencies": "asks for both of them",
    },
    "ledger": {"account": "its parser never sets it", "fee": "the same; a fee is an entry of its own here"},
    "depositWithdraw": {
        "txid": "a deposit by payment method is on no chain, and its test knows only deposits that are",
        "network": "the same",
    },
    "watchTradesForSymbols": "waits for a name that no message bears, and so never resolves",
}

# Its test of orders was translated to Python and not run there: each repair of the copy, with the reason.
REPAIRS = {
    "import os\n": (
        "import math\nimport os\nimport time\nfrom ccxt.base.exchange import Exchange\n"
        "Exchange.__getitem__ = lambda self, name: getattr(self, name)\nError = Exception\n",
        "uses names that it does not import, and asks an exchange for its methods as for a table's rows",
    ),
    "+ initial_quote_balance +": ("+ str(initial_quote_balance) +", "adds a number to a text"),
    "+ amount + ' ' + price +": ("+ str(amount) + ' ' + str(price) +", "adds numbers to a text"),
    "+ cancel_result['id'])": ("+ str(cancel_result['id']))", "cancel_order of this exchange's class has no id"),
    "safe_number(amount_values, 'min')": (
        "safe_number(market['info'], 'base_min_size')",
        "its class leaves out the least size, which we send",
    ),
    "(final_amount, 2, market": ("(final_amount, ROUND, market", "Python's decimal_to_precision knows no mode 2"),
    "'createdOrder', created_order, 'closed', False)": (
        "'createdOrder', fetched_order, 'closed', False)",
        "an order is answered before it is matched, here as at the exchange whose API this is",
    ),
}


@dataclass(frozen=True)
class Suite:
    """A copy of the package with keys beside it, and the Python that runs it."""

    python: Path
    package: Path

    def start(self, *arguments: str) -> "Run":
        """Run its tests with these arguments."""
        return Run(
            subprocess.Popen(
                [str(self.python), "tests_init.py", "coinbaseexchange", *arguments],
                cwd=self.package / "test", env=self.environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """What makes Python take the copy, which it else finds where pip put the package."""
        return {"PYTHONPATH": str(self.package.parent), "PATH": str(self.python.parent)}


@dataclass(frozen=True)
class Run:
    """Its tests at work."""

    process: "subprocess.Popen[str]"

    def passed(self) -> set[str]:
        """The methods it tested, each of which must have passed."""
        said, _ = self.process.communicate(timeout=SECONDS_MAX)
        assert self.process.returncode == 0, said
        assert "[TEST_FAILURE]" not in said, said
        assert "could not be tested" not in said, said
        begun = set(re.findall(r"\[INFO\] TESTING +coinbaseexchange (\w+)", said))
        done = set(re.findall(r"\[INFO\] TESTING DONE +coinbaseexchange (\w+)", said))
        assert begun == done, said
        return done


@pytest.fixture(scope="module")
def customer(newcomer: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The one who watches, and who trades meanwhile."""
    return newcomer("suite-watcher")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, customer: dict[str, str], urls: dict[str, str]) -> Suite:
    """The package with its tests, their faults repaired. A repair that fits no more fails: then ccxt made it right."""
    folder = tmp_path_factory.mktemp("ccxt-suite")
    made = Suite(make(folder, *PACKAGES) / "python", folder / "copy" / "ccxt")
    (installed,) = folder.glob("venv/lib/python*/site-packages/ccxt")
    shutil.copytree(installed, made.package)
    target = made.package / "test" / "exchange" / "sync" / "test_create_order.py"
    text = target.read_text()
    for fault, (right, reason) in REPAIRS.items():
        assert text.count(fault) == 1, f"{fault} is mended or moved ({reason})"
        text = text.replace(fault, right)
    target.write_text(text)
    # It looks for settings above the folder of the package. Its pause between two requests is longer here than usual,
    # for it asks for an order right after placing it, and wants it filled.
    keys = {"apiKey": customer["api_key"], "secret": customer["secret"], "password": customer["passphrase"]}
    settings = {**keys, "rateLimit": 400, "urls": {"api": urls}}
    (folder / "keys.local.json").write_text(json.dumps({"coinbaseexchange": settings}))
    (folder / "skip-tests.json").write_text(json.dumps({"coinbaseexchange": {"skipMethods": CLIENT_FAULTS}}))
    # Compiled once, not by each of the processes that come.
    run(folder, str(made.python), "-c", "import ccxt, ccxt.async_support, ccxt.pro", **made.environment)
    return made


@pytest.fixture(scope="module")
def moving_market(
    customer: dict[str, str], newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any],
    eventually: Callable[[Callable[[], Any]], Any],
) -> Iterator[None]:  # fmt: skip
    """Depth on both sides, and a trade of the customer's a few times a second."""
    maker, taker = client_of(newcomer("suite-maker")), client_of(customer)
    for side, price in (("buy", 49_990), ("sell", 50_010)):
        maker.create_order(SYMBOL, "limit", side, 10, price)
    eventually(lambda: (book := maker.fetch_order_book(SYMBOL))["bids"] and book["asks"])
    taker.create_order(SYMBOL, "market", "buy", 0.01)
    with beside(lambda turn: taker.create_order(SYMBOL, "market", "sell" if turn % 2 else "buy", 0.01)):
        eventually(lambda: maker.fetch_trades(SYMBOL))
        yield
    maker.cancel_all_orders(SYMBOL)


@contextmanager
def beside(act: Callable[[int], object]) -> Iterator[None]:
    """Do it again and again, and stop."""
    over = threading.Event()
    failed: list[Exception] = []

    def repeat() -> None:
        turn = 0
        while not over.wait(0.3):
            turn += 1
            try:
                act(turn)
            except Exception as error:  # noqa: BLE001 - told in the test's own thread
                failed.append(error)

    worker = threading.Thread(target=repeat)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()
    assert not failed, failed


PUBLIC = {
    "afterConstruct", "features", "fetchCurrencies", "fetchOHLCV", "fetchOrderBook", "fetchTicker", "fetchTickers",
    "fetchTrades", "loadMarkets",
}  # fmt: skip
PRIVATE = {
    "fetchAccounts", "fetchBalance", "fetchClosedOrders", "fetchDeposits", "fetchLedger", "fetchMyTrades",
    "fetchOpenOrders", "fetchOrders", "fetchTradingFees", "fetchWithdrawals",
}  # fmt: skip
WATCHED = {
    "loadMarkets", "watchMyTrades", "watchOrderBook", "watchOrderBookForSymbols", "watchOrders", "watchTicker",
    "watchTickers", "watchTrades",
}  # fmt: skip


@pytest.mark.usefixtures("moving_market")
def test_ccxts_own_tests_pass(suite: Suite) -> None:
    """All beside one another, for the WebSocket's watch half a minute."""
    runs = {
        suite.start(SYMBOL, "--ws", "--private"): WATCHED,
        suite.start("createOrder()", "--sync", "--privateOnly", "--fundedTests"): {"loadMarkets", "createOrder"},
        suite.start(SYMBOL, "--sync", "--private"): PUBLIC | PRIVATE,
        suite.start(SYMBOL, "--private"): PUBLIC | PRIVATE,
    }
    try:
        for one, methods in runs.items():
            assert one.passed() == methods
    finally:
        for one in runs:
            one.process.kill()
            one.process.communicate()
