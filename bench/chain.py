"""What a deposit from a chain and a withdrawal to one ask of AWS and of the node: `python -m bench.chain`.

Watcher and payer run in this process, so that the node's questions are counted too; all of AWS is counted at the laptop
cloud's door (bench/counting_cloud.py). What runs ask where nothing is to be done, and what goes on meanwhile by itself,
are counted apart and subtracted.
"""

import asyncio
import importlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from web3 import HTTPProvider, Web3

from bench.laptop import Bench, running
from infra.cli.chains import CONFIRMATIONS, UNLOCK_CONFIRMATIONS
from infra.demo.client import HttpTransport, Trader
from infra.local.clients import environment

COUNT = 10
SECONDS_MAX = 60
BACKGROUND_SECONDS = 15
LEAST = 0.45
COUNTS_PATH = "/_bench/counts"
TABLES = ("chains", "transfers", "balances", "journal")


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions by name, and the seconds that they took."""

    counts: Counter[str]
    seconds: float

    def __sub__(self, other: "Asked") -> "Asked":
        """What was asked between."""
        return Asked(self.counts - other.counts, self.seconds - other.seconds)

    def each(self, idle: "Asked", background: "Asked") -> dict[str, float]:
        """What one of many asks: without what is asked for none, and what goes on by itself."""
        longer = (self.seconds - idle.seconds) / background.seconds
        found = {
            name: (amount - idle.counts[name] - background.counts[name] * longer) / COUNT
            for name, amount in self.counts.items()
        }
        return {name: round(amount, 1) for name, amount in sorted(found.items()) if amount >= LEAST}


class Counted:
    """The chain's functions in this process, the node behind them, and every question that either asks."""

    def __init__(self, bench: Bench) -> None:
        self._cloud_url = bench.stack["aws_endpoint_url"]
        self._http = urllib3.PoolManager()
        self._questions: Counter[str] = Counter()
        outputs, node_url = bench.stack["outputs"], bench.stack["chain"]["node_url"]
        os.environ.update(environment(bench.settings))
        os.environ.update({f"{name.upper()}_TABLE": bench.stack["tables"][name] for name in TABLES})
        os.environ.update(
            AWS_ENDPOINT_URL=self._cloud_url, CHAIN_NODE_URL=node_url, HOT_WALLET_KEY_ARN=outputs["HotWalletKeyArn"]
        )
        self.web3: Any = Web3(HTTPProvider(node_url))
        self._functions = {
            name: importlib.import_module(f"functions.{name}.schedule") for name in ("chains", "payouts")
        }
        for function in self._functions.values():
            self._listen(function.node)

    def _listen(self, node: Any) -> None:
        provider = node._web3.provider  # noqa: SLF001 - what is measured is private, and stays so
        ask = provider.make_request

        def counted(method: str, parameters: Any) -> Any:
            self._questions[f"node {method}"] += 1
            return ask(method, parameters)

        provider.make_request = counted

    def run(self, name: str) -> None:
        """One run of a function."""
        self._functions[name].handler({"chain": "ethereum"}, None)

    def mine(self, blocks: int) -> None:
        """Let blocks pass."""
        self.web3.provider.make_request("anvil_mine", [hex(blocks)])

    def asked(self) -> Counter[str]:
        """All that was asked until now."""
        counts = json.loads(self._http.request("GET", self._cloud_url + COUNTS_PATH).data)
        requests = {name.removeprefix("request "): n for name, n in counts.items() if name.startswith("request ")}
        return self._questions + Counter({name: int(amount) for name, amount in requests.items()})

    def phase(self, work: Callable[[], None]) -> "Asked":
        """What a piece of work asks."""
        before = self.now()
        work()
        return self.now() - before

    def now(self) -> "Asked":
        """All that was asked until now, and when that is."""
        return Asked(self.asked(), time.monotonic())


async def count(bench: Bench) -> dict[str, Mapping[str, float]]:
    """Ten deposits, then ten withdrawals, each by all runs that it takes."""
    counted = Counted(bench)
    async with HttpTransport(bench.stack["rest_url"], connections=1) as transport:
        trader = Trader(bench.customers[0], transport)
        wallet = next(row["id"] for row in await trader.get("/accounts") if row["currency"] == "ETH")
        address = (await trader.call("POST", f"/coinbase-accounts/{wallet}/addresses", {}))["address"]

        def watched() -> None:
            counted.mine(CONFIRMATIONS)
            counted.run("chains")
            counted.mine(UNLOCK_CONFIRMATIONS - CONFIRMATIONS)
            counted.run("chains")
            counted.run("chains")

        watched()
        background = counted.phase(lambda: time.sleep(BACKGROUND_SECONDS))
        idle = counted.phase(watched)
        owner = counted.web3.eth.accounts[0]
        counted.web3.provider.make_request("evm_setAutomine", [False])
        for _ in range(COUNT):
            counted.web3.eth.send_transaction({"from": owner, "to": address, "value": 10**17})
        counted.web3.provider.make_request("evm_setAutomine", [True])
        deposits = counted.phase(watched).each(idle, background)

        def paid() -> None:
            counted.run("payouts")
            counted.mine(UNLOCK_CONFIRMATIONS)
            counted.run("payouts")

        paid()
        idle = counted.phase(paid)
        before = counted.now()
        ids = []
        for _ in range(COUNT):
            body = {"amount": "0.01", "currency": "ETH", "crypto_address": f"0x{secrets.token_hex(20)}"}
            ids.append((await trader.call("POST", "/withdrawals/crypto", body))["id"])
        await asyncio.sleep(3)  # The machines ask for their payments.
        paid()
        await asyncio.wait_for(_ended(trader, ids), SECONDS_MAX)
        withdrawals = (counted.now() - before).each(idle, background)
    return {"a deposit": deposits, "a withdrawal": withdrawals}


async def _ended(trader: Trader, ids: list[str]) -> None:
    while ids:
        if (await trader.get(f"/transfers/{ids[-1]}")).get("completed_at"):
            ids.pop()
        else:
            await asyncio.sleep(1)


def main() -> None:
    """Count, and print a table of each."""
    with running(customers=1, counting=True) as bench:
        found = asyncio.run(count(bench))
    for title, counts in found.items():
        print(f"| requests | {title} |\n|---|---:|")
        for name, amount in counts.items():
            print(f"| {name} | {amount:g} |")


if __name__ == "__main__":
    main()
