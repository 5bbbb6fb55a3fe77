"""Every operation of the document once with success, each answer held to its schema to the last field.

A route that is new needs its step here; tests/contract/test_walk.py says which one has none.
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from infra.local.mail import latest_code
from tests.conformance.test_openapi import Caller, caller
from tests.integration.conftest import RunningLaptop

__all__ = ["caller"]
pytestmark = pytest.mark.cloud
Ask = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]


def order(**changes: Any) -> dict[str, Any]:
    """A buy that nothing matches."""
    return {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1", **changes}


def test_public_data(caller: Caller) -> None:
    ask = caller.ask
    assert ask("getTime")["epoch"] > 1_700_000_000
    assert {row["id"] for row in ask("listCurrencies")} >= {"USD", "ACME"}
    assert {row["id"] for row in ask("listProducts")} >= {"ACME-USD"}
    assert ask("getCurrency", id="USD")["details"]["type"] == "fiat"
    assert ask("getProduct", id="ACME-USD")["id"] == "ACME-USD"
    ask("listStats")
    ask("listSparkLines")
    ask("listVolumes")
    assert ask("getChartConfig")["supports_search"] is True
    assert ask("getChartTime") > 1_700_000_000
    assert ask("searchChartSymbols", query="query=acme&type=stock")[0]["ticker"] == "ACME-USD"
    assert ask("getChartSymbol", query="symbol=ACME-USD")["pricescale"] == 100


def test_an_order_s_life(caller: Caller, laptop: RunningLaptop, eventually: Eventually) -> None:
    ask = caller.ask
    placed = ask("placeOrder", order(price="99.97", client_oid=secrets.token_hex(8)))
    assert [row["id"] for row in ask("listOrders", query="product_id=ACME-USD")] == [placed["id"]]
    ask("amendOrder", {"size": "0.9"}, order_id=placed["id"])
    holds = next(account["id"] for account in ask("listAccounts") if account["currency"] == "USD")
    assert [row["ref"] for row in ask("listHolds", id=holds)] == [placed["id"]]
    other = Caller(laptop, laptop.user("carol"))
    sold = other.ask("placeOrder", order(side="sell", price="99.97", size="0.2"))
    assert sold["side"] == "sell"
    eventually(lambda: ask("getOrder", order_id=placed["id"])["filled_size"] == "0.2")
    fill = ask("listFills", query=f"order_id={placed['id']}")[0]
    assert (fill["order_id"], fill["liquidity"], fill["size"]) == (placed["id"], "M", "0.2")
    eventually(lambda: ask("listLedger", id=holds)[0]["type"] in {"match", "fee"})
    assert ask("getPastBalance", id=holds, query="at=2020-01-01")["balance"] == "0"
    assert ask("cancelOrder", order_id=placed["id"]) == placed["id"]
    assert "hold" in ask("tryOrder", order())
    many = ask("placeOrders", {"product_id": "ACME-USD", "orders": [{"side": "buy", "price": "90", "size": "1"}] * 2})
    assert set(ask("cancelOrders", query="product_id=ACME-USD")) >= {row["id"] for row in many}
    assert ask("setCancelAfter", {"seconds": 0})["seconds"] == 0
    trades = eventually(lambda: ask("listTrades", id="ACME-USD"))
    assert trades[0]["side"] in {"buy", "sell"}
    assert "price" in ask("getTicker", id="ACME-USD")
    assert {"bids", "asks"} <= ask("getBook", id="ACME-USD", query="level=3").keys()
    assert ask("listCandles", id="ACME-USD", query="granularity=60&fill=flat")
    assert "volume" in ask("getStats", id="ACME-USD")
    assert ask("listEvents", id="ACME-USD", query="from=1&limit=5")
    bars = ask("getChartHistory", query="symbol=ACME-USD&resolution=1&countback=300")
    rows = [list(row) for row in zip(*(bars[column] for column in "tlhocv"), strict=True)]
    assert ask("listCandles", id="ACME-USD") == rows[::-1]


def test_money_and_its_moves(caller: Caller, laptop: RunningLaptop, eventually: Eventually) -> None:
    ask = caller.ask
    method = next(row for row in ask("listPaymentMethods") if row["currency"] == "USD")
    account = next(row for row in ask("listAccounts") if row["currency"] == "USD")
    assert ask("getAccount", id=account["id"])["currency"] == "USD"
    wallets = {row["currency"]: row for row in ask("listWallets")}
    assert (wallets["USD"]["id"], wallets["BTC"]["type"]) == (account["id"], "wallet")
    assert ask("makeDepositAddress", id=wallets["ETH"]["id"])["network"] == "ethereum"
    limits = ask("getLimits")["transfer_limits"][method["type"]]["USD"]
    assert limits["withdraw_min"] == ask("getCurrency", id="USD")["details"]["min_withdrawal_amount"]
    ask("getFees")
    ask("listAwards")
    assert len(ask("getReferrals")["referral_code"]) == 10
    ask("estimateWithdrawalFee", query="currency=USD")
    paid = {"amount": "12.34", "currency": "USD", "payment_method_id": method["id"]}
    deposited, withdrawn = ask("deposit", paid), ask("withdrawToPaymentMethod", paid)
    coins = {"amount": "1", "currency": "ETH", "payment_method_id": "sandbox-custodian-ETH"}
    bought = ask("deposit", coins)["id"]
    eventually(lambda: ask("getTransfer", id=bought)["status"] == "completed")
    sent = {"amount": "0.5", "currency": "ETH", "crypto_address": f"0x{secrets.token_hex(20)}"}
    assert ask("withdrawToChain", sent)["status"] == "pending"
    for transfer in (deposited, withdrawn):
        eventually(lambda: ask("getTransfer", id=transfer["id"])["status"] == "completed")  # noqa: B023 - called at once
    assert {row["id"] for row in ask("listTransfers")} >= {deposited["id"], withdrawn["id"]}
    assert {row["id"] for row in ask("listAccountTransfers", id=account["id"])} >= {deposited["id"], withdrawn["id"]}
    doubtful = ask("withdrawToPaymentMethod", {**paid, "amount": "1.444"})  # which the sandbox's screening stops
    eventually(lambda: ask("getTransfer", id=doubtful["id"])["details"]["stage"] == "in_review")
    assert ask("cancelWithdrawal", id=doubtful["id"])["status"] == "canceled"
    own, other = ask("listProfiles")[0]["id"], ask("createProfile", {"name": "aside"})["id"]
    assert ask("getProfile", id=other)["name"] == "aside"
    assert ask("renameProfile", {"name": "apart"}, id=other)["name"] == "apart"
    moved = {"from": own, "to": other, "currency": "USD", "amount": "1"}
    assert ask("transferBetweenProfiles", moved)["type"] == "internal_withdraw"
    told = ask("getTransfer", id=deposited["id"])
    repeated = {
        "event_id": secrets.token_hex(8),
        "transfer_id": deposited["id"],
        "status": "booked",
        "amount": told["amount"],
        "currency": "USD",
        "bank_reference": told["details"]["bank_reference"],
    }
    assert ask("notifyBankPayment", repeated)["status"]
    given = {"to": "alice@example.com", "currency": "USD", "amount": "1", "client_transfer_id": secrets.token_hex(8)}
    gift = ask("sendToCustomer", given)
    assert (gift["type"], ask("sendToCustomer", given)) == ("internal_withdraw", gift)
    listed = ask("addDestination", {"payment_method_id": method["id"], "label": "mine"})
    assert ask("listDestinations") == [listed]
    assert ask("removeDestination", id=listed["id"]) == listed["id"]
    assert ask("changeSafeguards", {"allow_list": True})["allow_list"]
    assert not ask("changeSafeguards", {"allow_list": False})["allow_list"]
    totp = pyotp.TOTP(ask("beginTotp", {})["secret"])
    assert ask("confirmTotp", {"two_factor_code": totp.now()})["totp"]
    assert not ask("removeTotp", {"two_factor_code": totp.at(time.time() + 30)})["totp"]
    assert "changed_at" in ask("getSafeguards")
    event = {"id": "evt_1", "type": "customer.created", "data": {"object": {"id": "cus_1"}}}
    assert ask("notifyStripeEvent", event)["status"] == "ignored"


def test_reports_that_are_asked_for(caller: Caller, eventually: Eventually) -> None:
    ask = caller.ask
    asked = ask("askForReport", {"type": "account", "account": {"account_id": "ALL"}})
    assert asked["id"] in {row["id"] for row in ask("listReports")}
    assert eventually(lambda: ask("getReport", id=asked["id"])["status"] == "ready")


def test_books_that_are_closed(caller: Caller, laptop: RunningLaptop) -> None:
    arranged = {"FunctionName": laptop.stack["outputs"]["LedgerScheduleFunction"], "Payload": b'{"now":true}'}
    closing = json.loads(laptop.client("lambda").invoke(**arranged)["Payload"].read())["closing"]
    ask = caller.ask
    assert ask("getProof", closing="latest")["closing"] >= closing
    assert closing in {row["closing"] for row in ask("listClosings")}


def test_a_customer_and_their_keys(caller: Caller, laptop: RunningLaptop) -> None:
    ask, email = caller.ask, f"walk-{secrets.token_hex(6)}@example.com"
    password = "Correct-Horse-7-Battery"
    ask("register", {"email": email, "password": password, "name": "Walker"})
    ask("resend", {"email": email})
    ask("confirm", {"email": email, "code": latest_code(laptop.settings, email)})
    session = ask("logIn", {"email": email, "password": password})
    assert ask("refresh", {"refresh_token": session["refresh_token"]})["access_token"]
    assert ask("verify")["profile_id"] == ask("listProfiles")[0]["id"]
    assert ask("updateSelf", {"name": "Schema the Second"})["name"] == ask("getSelf")["name"]
    key = ask("createApiKey", {"name": "walk", "scopes": ["view"]})
    assert key["id"] in {row["id"] for row in ask("listApiKeys")}
    rotated = ask("rotateApiKey", {"overlap_hours": 1}, key_id=key["id"])
    assert rotated["secret"] != key["secret"]
    assert ask("revokeApiKey", key_id=key["id"]) == key["id"]
