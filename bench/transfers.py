"""What deposits and withdrawals ask of AWS, over the bank and over a chain, for docs/benchmarks.md:
`python -m bench.transfers`.

All of AWS is counted at the laptop cloud's door (bench/counting_cloud.py). Over the chain, watcher and payer run in
this process, so that the node's questions are counted too. What runs ask where nothing is to be done, and what goes on
meanwhile by itself, are counted apart and subtracted.
"""

import argparse
import asyncio
import importlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import urllib3
from exchange.chains.evm import EvmNode
from web3 import HTTPProvider, Web3

from bench.costs import MILLION, Phase, dollars_a_million
from bench.costs import Counter as Counting
from bench.laptop import Bench, running
from bench.machine import describe
from bench.page import PAGE, table, write_part
from infra.cli.chains import CONFIRMATIONS, UNLOCK_CONFIRMATIONS
from infra.demo.client import HttpTransport, Trader
from infra.local.clients import clients, environment

COUNT = 10
SECONDS_MAX = 60
BACKGROUND_SECONDS = 15
KEPT: Final = ("request ", "read ", "write ")
LEAST = 0.3
# Of Standard workflows; list price of us-east-1.
TRANSITION_DOLLARS = 25.00 / MILLION
NODE: Final = "the chain's node"
BY_BANK: Final = (
    ("deposit, bank", "/deposits/payment-method", "DepositMachineArn"),
    ("withdrawal, bank", "/withdrawals/payment-method", "WithdrawalMachineArn"),
)
# What the design reckons with: a read, and a transaction of a few items.
READ_SECONDS, COMMIT_SECONDS = 0.004, 0.0125
COUNTS_PATH = "/_bench/counts"
TABLES = ("chains", "transfers", "balances", "journal")

TEXT: Final = """
## Deposits and withdrawals

Made by `python -m bench.transfers` on a laptop cloud and its anvil. {machine}. Counted on {day}: {count} of each over
the bank, one after the other, each asked for about once a second until it has ended; {count} deposits from the chain in
one block, then {count} withdrawals to it at once. What goes on by itself, and what a scheduled run asks where nothing
is to be done, is subtracted. Statements are in it. Processor time and invocations of the chain's two functions are not,
for they run in the counting process; one run serves many payments.

{table}

The node is asked for each block once, two questions, however many deposits are in it. A withdrawal asks it for the gas,
two balances, to take the payment, and for its receipt; one that waits for longer asks more with each run.

What limits them:

- A rail is one chain of the journal, so what is booked on it is booked one after the other: a read of the chain's end
  and a transaction, {read:g} and {commit:g} ms as the design reckons, so {each:.0f} bookings a second a rail, or
  {daily:.0f} million a day. Who loses the race reads again; nobody is refused.
- A run of the payer is cut off after 50 seconds, and looks at 200 open payments at most, the oldest first. A payment is
  open from its request until its block is final, some seven minutes on Ethereum's main chain at a depth of 32: so about
  1,700 withdrawals an hour out of one hot wallet, as long as the node answers within 50 ms.
- Both are reckoned, not measured.
"""


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
        return {name: amount for name, amount in sorted(found.items()) if amount >= LEAST}


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
            AWS_ENDPOINT_URL=self._cloud_url,
            CHAIN_NODES_ARN=outputs["ChainNodesArn"],
            HOT_WALLET_KEY_ARN=outputs["HotWalletKeyArn"],
        )
        self.web3: Any = Web3(HTTPProvider(node_url))
        self._functions: dict[str, Any] = {
            name: importlib.import_module(f"functions.{name}.schedule") for name in ("chains", "payouts")
        }
        for function in self._functions.values():
            function.node_at = self._listened

    def _listened(self, url: str) -> EvmNode:
        node = EvmNode(url)
        provider: Any = node._web3.provider  # noqa: SLF001 - what is measured is private, and stays so
        ask = provider.make_request

        def counted(method: str, parameters: Any) -> Any:
            self._questions["node"] += 1
            return ask(method, parameters)

        provider.make_request = counted
        return node

    def run(self, name: str) -> None:
        """One run of a function."""
        self._functions[name].handler({"chain": "ethereum"}, None)

    def mine(self, blocks: int) -> None:
        """Let blocks pass."""
        self.web3.provider.make_request("anvil_mine", [hex(blocks)])

    def asked(self) -> Counter[str]:
        """All that was asked until now."""
        counts = json.loads(self._http.request("GET", self._cloud_url + COUNTS_PATH).data)
        return self._questions + Counter({name: n for name, n in counts.items() if name.startswith(KEPT)})

    def phase(self, work: Callable[[], None]) -> "Asked":
        """What a piece of work asks."""
        before = self.now()
        work()
        return self.now() - before

    def now(self) -> "Asked":
        """All that was asked until now, and when that is."""
        return Asked(self.asked(), time.monotonic())


async def count_bank(bench: Bench) -> list[Phase]:
    """Deposits, then withdrawals, one after the other, each until it has ended."""
    counter = Counting(bench)
    async with HttpTransport(bench.stack["rest_url"], connections=1) as transport:
        trader = Trader(bench.customers[0], transport)
        method = next(row["id"] for row in await trader.get("/payment-methods") if row["currency"] == "USD")

        moved: list[str] = []

        async def move(path: str, count: int) -> None:
            for _ in range(count):
                body = {"amount": "10", "currency": "USD", "payment_method_id": method}
                moved.append((await trader.call("POST", path, body))["id"])
                await asyncio.wait_for(_ended(trader, moved[-1:]), SECONDS_MAX)

        phases = []
        for title, path, state_machine in BY_BANK:
            await move(path, 2)
            await asyncio.sleep(BACKGROUND_SECONDS)
            await counter.idle()
            phase = await counter.phase(title, COUNT, partial(move, path, COUNT))
            phases.append(Phase(title, {**phase.counts, "states": transitions(bench, state_machine, moved[-1])}))
        return phases


async def count_chain(bench: Bench) -> list[Phase]:
    """Ten deposits in one block, then ten withdrawals at once, each by all runs that it takes."""
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
        await asyncio.wait_for(_ended(trader, ids[:]), SECONDS_MAX)
        states = {"states": transitions(bench, "WithdrawalMachineArn", ids[-1])}
        withdrawals = (counted.now() - before).each(idle, background) | states
    return [Phase("deposit, chain", deposits), Phase("withdrawal, chain", withdrawals)]


async def _ended(trader: Trader, ids: list[str]) -> None:
    while ids:
        if (await trader.get(f"/transfers/{ids[-1]}")).get("completed_at"):
            ids.pop()
        else:
            await asyncio.sleep(1)


def transitions(bench: Bench, machine: str, transfer_id: str) -> int:
    """The states that a transfer's execution came to."""
    name = bench.stack["outputs"][machine].replace(":stateMachine:", ":execution:")
    pages = clients(bench.settings)("stepfunctions").get_paginator("get_execution_history")
    rows = [row for page in pages.paginate(executionArn=f"{name}:{transfer_id}") for row in page["events"]]
    return sum(row["type"].endswith("StateEntered") for row in rows)


def part(described: str, phases: Sequence[Phase]) -> str:
    """The part of the page."""
    day = date.today().isoformat()  # noqa: DTZ011 - a day is enough.
    serial = READ_SECONDS + COMMIT_SECONDS
    return TEXT.format(
        machine=described,
        day=day,
        count=COUNT,
        table=table(_rows(phases)).rstrip(),
        read=READ_SECONDS * 1000,
        commit=COMMIT_SECONDS * 1000,
        each=1 / serial,
        daily=86_400 / serial / MILLION,
    )


def _rows(phases: Sequence[Phase]) -> Iterator[Sequence[str]]:
    yield ("asked for", *(phase.title for phase in phases))
    names = sorted({name for phase in phases for name in phase.counts if name.startswith(("request ", "node"))})
    for name in names:
        shown = name.removeprefix("request ").replace("TrentService", "KMS").replace("AWSStepFunctions", "States")
        amounts = [_amount(phase.counts.get(name, 0.0)) for phase in phases]
        if any(amounts):
            yield (NODE if shown == "node" else shown, *amounts)
    yield ("states of the machine", *(_amount(phase.counts.get("states", 0.0)) for phase in phases))
    for kind in ("write", "read"):
        yield (f"**{kind} units**", *(f"**{_amount(phase.sum(f'{kind} '))}**" for phase in phases))
    yield ("**dollars for a million**", *(f"**{_dollars(phase):,.0f}**" for phase in phases))


def _amount(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value >= LEAST else ""


def _dollars(phase: Phase) -> float:
    """What is counted of it at list price."""
    states = phase.counts.get("states", 0.0) * TRANSITION_DOLLARS * MILLION
    return dollars_a_million(phase) + states


def main() -> None:
    """Count, and write the part."""
    parser = argparse.ArgumentParser(prog="bench.transfers", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    described = describe()
    with running(customers=1, counting=True) as bench:
        phases = [*asyncio.run(count_bank(bench)), *asyncio.run(count_chain(bench))]
    write_part(options.output, "transfers", part(described, phases))
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
