"""Two chains in one stack: deposits and withdrawals of both, and one whose node hangs does nothing to the other."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from web3 import HTTPProvider, Web3

from infra.cli.chains import UNLOCK_CONFIRMATIONS
from infra.local import chain_node
from infra.local.clients import clients
from infra.local.laptop import read_stack
from infra.local.settings import HOST, ROOT, LaptopSettings
from tests.fakes.ports import free_ports
from tests.integration.conftest import RunningLaptop
from tests.integration.test_chain_withdrawals import Eventually, somebody
from tests.integration.test_chains import ETHER, Chain, assert_all_holds, chain, wallet_of
from tests.integration.test_deposits import Customer
from tests.integration.test_sweeps import told

pytestmark = pytest.mark.cloud

__all__ = ["chain"]

SECOND, SECOND_ID = "base", 31338
HASH = "crypto_transaction_hash"
TERMS = f"""
chain = "{SECOND}"
chain_id = {SECOND_ID}
confirmations = 2
unlock_confirmations = 4
fee_max_gwei = 300

[[tokens]]
asset = "ETH"
decimals = 18
"""
NODE_SECONDS_MAX = 30


class SecondChain(Chain):
    """A chain whose node is ours to stop."""

    pid: int

    def hang(self) -> None:
        """Its node takes requests, and answers none."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # Until it has stopped: the signal alone lets an answer slip out.

    def go_on(self) -> None:
        """Its node is back, with all that it knew."""
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLaptop]:
    """A laptop cloud of this module's own: others would have to name a network, and audit a chain without a node."""
    edge, cloud, matcher, node = free_ports(4)
    home = tmp_path_factory.mktemp("several")
    settings = LaptopSettings(home=home, port=edge, cloud_port=cloud, matcher_port=matcher, chain_port=node)
    _exchange(settings, "up")
    yield RunningLaptop(settings, read_stack(settings), clients(settings))
    _exchange(settings, "down")


def _exchange(settings: LaptopSettings, command: str) -> None:
    """In a process of its own: this one's tables belong to another laptop."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    variables = {**os.environ, **ports, "EXCHANGE_HOME": str(settings.home)}
    words = [sys.executable, "-m", "infra.cli.main", command]
    done = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def second(laptop: RunningLaptop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondChain]:
    """A second chain, listed by the command as an operator does it."""
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    node = subprocess.Popen(chain_node.command(port, SECOND_ID), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        made = SecondChain(laptop, _reached(url), SECOND)
        made.pid = node.pid
        terms = tmp_path_factory.mktemp("terms") / "second.toml"
        _list(laptop, terms, url)
        made.send(made.web3.to_checksum_address(laptop.stack["chain"]["hot_address"]), 100 * ETHER)
        made.mine(4)
        yield made
    finally:
        node.kill()
        node.wait()


def _reached(url: str) -> Any:
    web3 = Web3(HTTPProvider(url))
    until = time.monotonic() + NODE_SECONDS_MAX
    while not web3.is_connected():
        assert time.monotonic() < until, "the node did not start"
        time.sleep(0.1)
    return web3


def _list(laptop: RunningLaptop, terms: Path, url: str) -> None:
    terms.write_text(TERMS)
    listed = told(laptop, "--list", str(terms), "--node-url", url)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert laptop.stack["chain"]["hot_address"] in listed.stdout
    assert f"{SECOND}, read to block" in told(laptop, "--chain", SECOND).stdout


@pytest.fixture
def customer(laptop: RunningLaptop) -> Customer:
    return Customer(laptop.stack["rest_url"], laptop.user("alice"))


def woken(laptop: RunningLaptop, function: str) -> list[str]:
    """Which chains a function runs for when its schedule wakes it."""
    answer = laptop.client("lambda").invoke(FunctionName=laptop.stack["outputs"][function], Payload=b"{}")
    found: dict[str, list[str]] = json.loads(answer["Payload"].read())
    return found["woken"]


def address_on(customer: Customer, network: str) -> str:
    path = f"/coinbase-accounts/{wallet_of(customer, 'ETH')['id']}/addresses"
    made = customer.ask("POST", path, {"network": network})
    assert made["network"] == network
    return str(made["address"])


def available(customer: Customer) -> Decimal:
    return Decimal(wallet_of(customer, "ETH")["available"])


def withdrawn(customer: Customer, network: str) -> str:
    """A withdrawal that is asked for."""
    body = {"amount": "0.5", "currency": "ETH", "crypto_address": somebody(), "network": network}
    return str(customer.ask("POST", "/withdrawals/crypto", body)["id"])


def paid(chain: Chain, customer: Customer, transfer_id: str, eventually: Eventually) -> None:
    """Have the payer run, as its schedule does, until a withdrawal is completed."""
    eventually(lambda: chain.pay() and customer.ask("GET", f"/transfers/{transfer_id}")["details"].get(HASH))
    chain.mine(UNLOCK_CONFIRMATIONS)
    chain.pay()
    assert eventually(lambda: customer.ended(transfer_id))["status"] == "completed"


def test_a_network_is_named_where_several_have_the_asset(second: SecondChain, customer: Customer) -> None:
    path = f"/coinbase-accounts/{wallet_of(customer, 'ETH')['id']}/addresses"
    to = {"amount": "1", "currency": "ETH", "crypto_address": somebody()}
    for where, body in ((path, {}), ("/withdrawals/crypto", to)):
        status, said = customer.try_to("POST", where, body)
        assert (status, said["code"]) == (400, "REQUEST_FIELD_INVALID"), said
        assert "base, ethereum" in said["message"]
        status, said = customer.try_to("POST", where, {**body, "network": "bitcoin"})
        assert (status, said["code"]) == (404, "CHAIN_NOT_LISTED"), said
        assert "base, ethereum" in said["message"]
    only = customer.ask("POST", f"/coinbase-accounts/{wallet_of(customer, 'BTC')['id']}/addresses", {})
    assert only["network"] == "ethereum"
    assert address_on(customer, "ethereum") != address_on(customer, SECOND)


def test_one_schedule_follows_both_and_the_audit_holds_both(
    laptop: RunningLaptop, chain: Chain, second: SecondChain, customer: Customer, eventually: Eventually
) -> None:
    had = available(customer)
    chain.send(address_on(customer, "ethereum"), ETHER)
    second.send(address_on(customer, SECOND), 2 * ETHER)
    for each in (chain, second):
        each.mine(UNLOCK_CONFIRMATIONS)
    assert woken(laptop, "ChainsScheduleFunction") == [SECOND, "ethereum"]
    eventually(lambda: Decimal(wallet_of(customer, "ETH")["balance"]) >= had + 3)
    assert woken(laptop, "ChainsScheduleFunction") == [SECOND, "ethereum"]  # One run credits, the next one frees.
    eventually(lambda: available(customer) == had + 3)

    for each in (second, chain):
        paid(each, customer, withdrawn(customer, each.name), eventually)
    for each in (second, chain):
        each.watch()
    assert_all_holds(laptop)


def test_a_node_that_hangs_stops_no_other_chain_and_its_own_catches_up(
    laptop: RunningLaptop, chain: Chain, second: SecondChain, customer: Customer, eventually: Eventually
) -> None:
    had, there, here = available(customer), address_on(customer, SECOND), address_on(customer, "ethereum")
    second.send(there, 3 * ETHER)
    second.mine(UNLOCK_CONFIRMATIONS)
    second.hang()
    try:
        with pytest.raises(requests.Timeout):
            requests.post(second.web3.provider.endpoint_uri, json={}, timeout=1)
        late = withdrawn(customer, SECOND)
        chain.send(here, ETHER)
        chain.mine(UNLOCK_CONFIRMATIONS)
        for function in ("ChainsScheduleFunction", "PayoutsScheduleFunction", "SweepsScheduleFunction"):
            assert woken(laptop, function) == [SECOND, "ethereum"]
        eventually(lambda: Decimal(wallet_of(customer, "ETH")["balance"]) >= had + 1)
        chain.watch()
        paid(chain, customer, withdrawn(customer, "ethereum"), eventually)
        assert not customer.ended(late)
    finally:
        second.go_on()
    paid(second, customer, late, eventually)
    eventually(lambda: second.watch() and available(customer) > had + 2)
    chain.watch()
    assert_all_holds(laptop)
