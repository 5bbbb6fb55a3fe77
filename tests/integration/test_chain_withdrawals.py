"""Withdrawals to a real chain on the laptop cloud: of coin and of a token, stuck and replaced, killed in the middle."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyotp
import pytest

from infra.cli.chains import RAISE_AFTER_SECONDS, TOKEN_DECIMALS, UNLOCK_CONFIRMATIONS
from infra.local import chain_node
from infra.local.clients import environment
from infra.local.settings import ROOT
from tests.integration.conftest import Login, RunningLaptop
from tests.integration.test_bad_input import Enemy
from tests.integration.test_chains import ETHER, Chain, Make, chain, wallet_of
from tests.integration.test_deposits import Customer
from tests.integration.test_safeguards import decided

pytestmark = pytest.mark.cloud

Eventually = Callable[[Callable[[], Any]], Any]

__all__ = ["chain"]


@pytest.fixture
def customer(laptop: RunningLaptop, newcomer: Make) -> Customer:
    return Customer(laptop.stack["rest_url"], newcomer("payee"))


def somebody() -> str:
    """An address that nobody ever used."""
    return f"0x{secrets.token_hex(20)}"


def sent(chain: Chain, customer: Customer, transfer_id: str, eventually: Eventually) -> str:
    """The transaction that pays a withdrawal, once the payer has sent it."""

    def paid() -> Any:
        chain.pay()
        return customer.ask("GET", f"/transfers/{transfer_id}")["details"].get("crypto_transaction_hash")

    return str(eventually(paid))


def finished(chain: Chain, customer: Customer, transfer_id: str, eventually: Eventually) -> dict[str, Any]:
    """The withdrawal once it lies deep enough and is posted or given back."""
    chain.mine(UNLOCK_CONFIRMATIONS)
    chain.pay()
    found: dict[str, Any] = eventually(lambda: customer.ended(transfer_id))
    return found


def test_coin_leaves_the_hot_wallet_once_and_its_fees_are_postings_of_their_own(
    chain: Chain, customer: Customer, eventually: Eventually
) -> None:
    before, to = wallet_of(customer, "ETH"), somebody()
    told = customer.ask("GET", f"/withdrawals/fee-estimate?currency=ETH&crypto_address={to}")
    body = {"amount": 1e-05 * 125000, "currency": "ETH", "crypto_address": to, "client_transfer_id": "rent"}
    made = customer.ask("POST", "/withdrawals/crypto", body)
    assert (made["amount"], made["status"]) == ("1.25", "pending")
    assert Decimal(made["network_fee"]) > 0
    assert Decimal(told["network_fee"]) > 0
    assert customer.ask("POST", "/withdrawals/crypto", body)["id"] == made["id"]
    held = wallet_of(customer, "ETH")
    assert Decimal(held["hold"]) - Decimal(before["hold"]) == Decimal("1.25") + Decimal(made["fee"])

    name = sent(chain, customer, made["id"], eventually)
    done = finished(chain, customer, made["id"], eventually)
    assert (done["status"], done["details"]["crypto_transaction_hash"]) == ("completed", name)
    assert done["details"]["sent_to_address"].lower() == to
    assert chain.web3.eth.get_balance(chain.web3.to_checksum_address(to)) == 5 * ETHER // 4
    after = wallet_of(customer, "ETH")
    assert after["hold"] == before["hold"]
    assert Decimal(before["balance"]) - Decimal(after["balance"]) == Decimal("1.25") + Decimal(made["fee"])


def test_a_code_of_the_second_factor_serves_for_one_withdrawal(
    laptop: RunningLaptop, chain: Chain, newcomer: Make, login: Login, eventually: Eventually
) -> None:
    user = newcomer("payee")
    person, customer = Enemy(laptop, user), Customer(laptop.stack["rest_url"], user)
    totp = pyotp.TOTP(person.ask("POST", "/v1/withdrawals/totp", {})[1]["secret"])
    assert person.ask("POST", "/v1/withdrawals/totp/confirm", {"two_factor_code": totp.now()})[0] == 200
    user_id = person.ask("GET", "/v1/users/self")[1]["user_id"]
    decided(login, "customer.set_kyc_level", user_id=user_id, level="3")  # whom no cool-down binds

    def withdraw(code: str) -> tuple[int, Any]:
        body = {"amount": "0.5", "currency": "ETH", "crypto_address": somebody(), "two_factor_code": code}
        return customer.try_to("POST", "/withdrawals/crypto", body)

    code = totp.at(time.time() + 30)
    status, made = withdraw(code)
    assert status == 200, made
    status, said = withdraw(code)
    assert (status, said["code"]) == (400, "WITHDRAWAL_CODE_INVALID")
    sent(chain, customer, made["id"], eventually)
    assert finished(chain, customer, made["id"], eventually)["status"] == "completed"


def test_a_token_leaves_by_its_contract(chain: Chain, customer: Customer, eventually: Eventually) -> None:
    to = somebody()
    made = customer.ask("POST", "/withdrawals/crypto", {"amount": "0.75", "currency": "BTC", "crypto_address": to})
    sent(chain, customer, made["id"], eventually)
    assert finished(chain, customer, made["id"], eventually)["status"] == "completed"
    at = chain.web3.to_checksum_address(chain.laptop.stack["chain"]["tokens"]["BTC"])
    token = chain.web3.eth.contract(address=at, abi=chain_node.token_contract()["abi"])
    has = token.functions.balanceOf(chain.web3.to_checksum_address(to)).call()
    assert has == 75 * 10 ** (TOKEN_DECIMALS - 2)


def test_a_stuck_payment_is_replaced_and_paid_once(chain: Chain, customer: Customer, eventually: Eventually) -> None:
    to = somebody()
    made = customer.ask("POST", "/withdrawals/crypto", {"amount": "0.5", "currency": "ETH", "crypto_address": to})
    chain.ask("evm_setAutomine", False)
    try:
        first = sent(chain, customer, made["id"], eventually)
        time.sleep(RAISE_AFTER_SECONDS + 1)
        chain.pay()
        second = sent(chain, customer, made["id"], eventually)
        assert second != first
        pooled = [chain.web3.eth.get_transaction(name) for name in (second,)]
        assert pooled[0]["maxFeePerGas"] > 0
    finally:
        chain.ask("evm_setAutomine", True)
    done = finished(chain, customer, made["id"], eventually)
    assert (done["status"], done["details"]["crypto_transaction_hash"]) == ("completed", second)
    assert chain.web3.eth.get_balance(chain.web3.to_checksum_address(to)) == ETHER // 2


def test_a_payer_killed_after_it_signed_pays_with_the_same_bytes(
    laptop: RunningLaptop, chain: Chain, customer: Customer, eventually: Eventually
) -> None:
    to = somebody()
    made = customer.ask("POST", "/withdrawals/crypto", {"amount": "0.25", "currency": "ETH", "crypto_address": to})
    keys = {"chains_table": "ChainsTable", "transfers_table": "TransfersTable", "balances_table": "BalancesTable"}
    tables = {name.upper(): laptop.stack["outputs"][output] for name, output in keys.items()}
    settings = {
        **environment(laptop.settings),
        **tables,
        "JOURNAL_TABLE": laptop.stack["outputs"]["JournalTable"],
        "CHAIN_NODES_ARN": laptop.stack["outputs"]["ChainNodesArn"],
        "HOT_WALLET_KEY_ARN": laptop.stack["outputs"]["HotWalletKeyArn"],
        "AWS_ENDPOINT_URL": laptop.stack["aws_endpoint_url"],
    }
    killed = 0
    for _ in range(20):  # Until the machine has asked for the payment, and the payer that is killed is the first.
        command = [sys.executable, "-m", "tests.integration.killed_payer"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
        )
        killed = done.returncode
        if killed or "crypto_transaction_hash" in customer.ask("GET", f"/transfers/{made['id']}")["details"]:
            break
        time.sleep(0.5)
    name = sent(chain, customer, made["id"], eventually)
    done_transfer = finished(chain, customer, made["id"], eventually)
    assert done_transfer["status"] == "completed"
    if killed:  # Else the schedule's own payer was faster.
        assert killed == -9
        assert done_transfer["details"]["crypto_transaction_hash"] == name
    assert chain.web3.eth.get_balance(chain.web3.to_checksum_address(to)) == ETHER // 4


def test_where_nothing_can_be_paid_nothing_is_held(laptop: RunningLaptop, chain: Chain, customer: Customer) -> None:
    before = wallet_of(customer, "ETH")
    own = customer.ask("POST", f"/coinbase-accounts/{before['id']}/addresses", {})["address"]
    good = somebody()
    for to, why in (
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "not an address of ethereum"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"[:-1] + "D", "checksum"),
        ("0x" + "0" * 40, "the chain itself"),
        (own, "an address of this exchange"),
        (laptop.stack["chain"]["hot_address"], "an address of this exchange"),
        (laptop.stack["chain"]["tokens"]["BTC"], "token's own contract"),
    ):
        status, said = customer.try_to(
            "POST", "/withdrawals/crypto", {"amount": "1", "currency": "ETH", "crypto_address": to}
        )
        assert (status, said["code"]) == (400, "WITHDRAWAL_ADDRESS_INVALID"), (to, said)
        assert why in said["message"]
    for amount in ("0.000000001", "0.0000001", "0", "-1", "1e-9", "NaN"):
        status, said = customer.try_to(
            "POST", "/withdrawals/crypto", {"amount": amount, "currency": "ETH", "crypto_address": good}
        )
        assert (status, said["code"]) == (400, "TRANSFER_AMOUNT_INVALID"), (amount, said)
    status, said = customer.try_to(
        "POST", "/withdrawals/crypto", {"amount": "1", "currency": "USD", "crypto_address": good}
    )
    assert (status, said["code"]) == (404, "CHAIN_NOT_LISTED")
    assert wallet_of(customer, "ETH") == before
