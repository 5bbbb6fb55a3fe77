"""Deposits from a real chain on the laptop cloud: seen, credited but locked, freed; taken back when a block leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from exchange.kernel.ids import from_uuid
from web3 import HTTPProvider, Web3

from infra.cli.chains import CONFIRMATIONS, TOKEN_DECIMALS, UNLOCK_CONFIRMATIONS
from infra.local import chain_node
from infra.local.settings import ROOT
from tests.integration.conftest import RunningLaptop
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud

Make = Callable[[str], dict[str, str]]
ETHER = 10**18


@dataclass
class Chain:
    """A chain that the laptop follows, and the watcher's function beside it."""

    laptop: RunningLaptop
    web3: Any
    name: str = "ethereum"

    def send(self, address: str, base_units: int) -> str:
        """Send the chain's coin from the node's own first account. It is mined at once."""
        owner = self.web3.eth.accounts[0]
        return str(self.web3.eth.send_transaction({"from": owner, "to": address, "value": base_units}).hex())

    def send_token(self, address: str, base_units: int, contract: str = "") -> str:
        """Send a token."""
        at = self.web3.to_checksum_address(contract or self.laptop.stack["chain"]["tokens"]["BTC"])
        token = self.web3.eth.contract(address=at, abi=chain_node.token_contract()["abi"])
        return str(token.functions.transfer(address, base_units).transact({"from": self.web3.eth.accounts[0]}).hex())

    def mine(self, blocks: int) -> None:
        """Let blocks pass."""
        self.ask("anvil_mine", hex(blocks))

    def ask(self, method: str, *parameters: Any) -> Any:
        """Anything of the node."""
        answer = self.web3.provider.make_request(method, list(parameters))
        assert "error" not in answer, answer
        return answer["result"]

    def watch(self) -> dict[str, Any]:
        """One run of the watcher, again where the schedule's own run was beside it."""
        for _ in range(5):
            found = self.run("ChainsScheduleFunction")
            if "errorMessage" not in found:
                return found
            assert "another run is at work" in found["errorMessage"], found
        pytest.fail("the watcher never ran alone")

    def pay(self) -> dict[str, Any]:
        """One run of the payer."""
        found = self.run("PayoutsScheduleFunction")
        assert "errorMessage" not in found, found
        return found

    def sweep(self) -> dict[str, Any]:
        """One run of the sweeper."""
        found = self.run("SweepsScheduleFunction")
        assert "errorMessage" not in found, found
        return found

    def run(self, function: str) -> dict[str, Any]:
        """One run of a function of the chain's."""
        name = self.laptop.stack["outputs"][function]
        answer = self.laptop.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"chain": self.name}))
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found


@pytest.fixture(scope="module")
def chain(laptop: RunningLaptop) -> Chain:
    return Chain(laptop, Web3(HTTPProvider(laptop.stack["chain"]["node_url"])))


def wallet_of(customer: Customer, currency: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in customer.ask("GET", "/accounts") if row["currency"] == currency)
    return found


def address_of(customer: Customer, currency: str) -> dict[str, Any]:
    made: dict[str, Any] = customer.ask(
        "POST", f"/coinbase-accounts/{wallet_of(customer, currency)['id']}/addresses", {}
    )
    return made


def _received(customer: Customer, currency: str) -> list[dict[str, Any]]:
    rows = customer.ask("GET", "/transfers?limit=50")
    return [row for row in rows if row["currency"] == currency and "crypto_transaction_hash" in row["details"]]


def assert_all_holds(laptop: RunningLaptop) -> None:
    """Every invariant holds. In a process of its own: this one's tables belong to other stacks too."""
    command = [sys.executable, "-m", "infra.cli.main", "audit", "--wait", "60"]
    home = {"EXCHANGE_HOME": str(laptop.settings.home), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **home}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("D8", "D9", "D10"):
        assert name in done.stdout


def test_a_deposit_is_credited_locked_and_freed_and_taken_back_when_its_block_leaves(
    laptop: RunningLaptop, chain: Chain, newcomer: Make
) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("chain"))
    before = wallet_of(customer, "ETH")
    to = address_of(customer, "ETH")
    assert (to["network"], to["contract"]) == ("ethereum", "")
    assert address_of(customer, "ETH")["address"] == to["address"]
    assert address_of(customer, "BTC")["address"] != to["address"]

    chain.watch()
    sent = chain.send(to["address"], 3 * ETHER // 2)
    chain.watch()
    assert _received(customer, "ETH") == []  # One block is not deep enough.
    chain.mine(CONFIRMATIONS - 1)
    chain.watch()
    (row,) = _received(customer, "ETH")
    assert (row["amount"], row["status"], row["details"]["locked"]) == ("1.5", "completed", "1.5")
    assert row["details"]["crypto_transaction_hash"].removeprefix("0x") == sent.removeprefix("0x")
    locked = wallet_of(customer, "ETH")
    assert Decimal(locked["hold"]) == Decimal(before["hold"]) + Decimal("1.5")
    assert locked["available"] == before["available"]

    # The chain thinks again: the block, and all on top of it, are replaced by others without the payment.
    chain.ask("anvil_reorg", CONFIRMATIONS, [])
    chain.mine(1)
    chain.watch()
    chain.watch()
    after = wallet_of(customer, "ETH")
    assert (after["balance"], after["hold"]) == (before["balance"], before["hold"])
    kinds = [row["type"] for row in _received(customer, "ETH")]
    assert sorted(kinds) == ["deposit", "reversal"]


def test_a_token_is_credited_by_what_its_log_says_was_delivered_and_then_may_be_spent(
    laptop: RunningLaptop, chain: Chain, newcomer: Make
) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("token"))
    before = wallet_of(customer, "BTC")
    to = address_of(customer, "BTC")["address"]
    chain.send_token(to, 25 * 10 ** (TOKEN_DECIMALS - 2))
    chain.mine(UNLOCK_CONFIRMATIONS)
    chain.watch()
    chain.watch()  # One run credits, the next one frees.
    after = wallet_of(customer, "BTC")
    assert Decimal(after["available"]) == Decimal(before["available"]) + Decimal("0.25")
    assert after["hold"] == before["hold"]
    (row,) = _received(customer, "BTC")
    assert "locked" not in row["details"]


def test_what_cannot_be_credited_is_kept_with_its_reason(laptop: RunningLaptop, chain: Chain, newcomer: Make) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("stranger"))
    to = address_of(customer, "BTC")["address"]
    owner, compiled = chain.web3.eth.accounts[0], chain_node.token_contract()
    factory = chain.web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    made = chain.web3.eth.wait_for_transaction_receipt(
        factory.constructor("Stranger", "STR", 10**20, owner).transact({"from": owner})
    )
    chain.send_token(to, 10**18, made["contractAddress"])
    chain.send_token(to, 1)
    with suppress(ValueError):
        chain.send_token(to, 0)
    chain.mine(UNLOCK_CONFIRMATIONS)
    chain.watch()
    assert _received(customer, "BTC") == []
    table = laptop.stack["outputs"]["ChainsTable"]
    rows = laptop.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="chain = :chain AND begins_with(#key, :prefix)",
        ExpressionAttributeNames={"#key": "key"},
        ExpressionAttributeValues={":chain": {"S": "ethereum"}, ":prefix": {"S": "arrival#"}},
    )["Items"]
    told = [json.loads(row["body"]["S"]) for row in rows]
    reasons = {each["reason"] for each in told if each["address"] == to.lower()}
    assert reasons == {"this token is not listed", "less than the smallest deposit"}


def test_the_audit_holds_the_ledger_against_the_chain(laptop: RunningLaptop, chain: Chain, newcomer: Make) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("audited"))
    chain.send(address_of(customer, "ETH")["address"], ETHER + 1)  # The last one is finer than our units.
    chain.mine(CONFIRMATIONS)
    chain.watch()
    assert_all_holds(laptop)


def test_somebody_elses_wallet_and_a_share_have_no_address(laptop: RunningLaptop, newcomer: Make) -> None:
    customer = Customer(laptop.stack["rest_url"], newcomer("nobody"))
    assert from_uuid(wallet_of(customer, "ACME")["id"]) is None
    for wire_id in (wallet_of(customer, "ACME")["id"], "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(AssertionError, match="NOT_"):
            customer.ask("POST", f"/coinbase-accounts/{wire_id}/addresses", {})
