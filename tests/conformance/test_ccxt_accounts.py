"""What stock ccxt says of a customer's money: assets, accounts, deposits and withdrawals, to the last decimal."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from infra.cli.seed import ASSETS, FUNDS

ccxt = pytest.importorskip("ccxt")
pytestmark = pytest.mark.cloud

Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="module", params=["sync", "async"])
def owner(request: pytest.FixtureRequest, newcomer: Callable[[str], dict[str, str]], client_of: Any) -> Any:
    """A customer who has been given their demo funds and has done nothing yet."""
    client = client_of(newcomer("ccxt-owner"), flavour=request.param)
    client.load_markets()
    return client


def exact_balance(client: Any, currency: str) -> Decimal:
    return next(Decimal(one["balance"]) for one in client.fetch_balance()["info"] if one["currency"] == currency)


def ways_out(owner: Any) -> dict[str, str]:
    """By currency, the payment method that pays out."""
    return {way["currency"]: way["id"] for way in owner.fetch_payment_methods() if way["allow_withdraw"]}


def test_assets_tell_their_unit_and_kind(owner: Any) -> None:
    currencies = owner.fetch_currencies()
    assert {code: (one["precision"], one["active"]) for code, one in currencies.items()} == {
        asset.asset_id: (float(asset.max_precision), True) for asset in ASSETS
    }
    assert {code: one["type"] for code, one in currencies.items()} == {
        "USD": "fiat", "EUR": "fiat", "BTC": "crypto", "ETH": "crypto", "ACME": "other", "GOOG": "other",
    }  # fmt: skip
    assert currencies["ACME"]["info"]["details"]["asset_class"] == "stock"
    assert currencies["BTC"]["limits"]["withdraw"]["min"] == 1e-8


def test_there_is_one_account_an_asset_always_by_the_same_id(owner: Any) -> None:
    accounts = owner.fetch_accounts()
    assert {one["code"] for one in accounts} == FUNDS.keys()
    assert len({one["id"] for one in accounts}) == len(FUNDS)
    assert [one["id"] for one in owner.fetch_accounts()] == [one["id"] for one in accounts]
    account = next(one for one in accounts if one["code"] == "EUR")
    assert owner.private_get_accounts_id({"id": account["id"]}) == account["info"]


def test_deposits_tell_what_came_and_when(owner: Any) -> None:
    (deposit,) = owner.fetch_deposits("BTC")
    told = deposit["type"], deposit["currency"], deposit["amount"], deposit["status"], deposit["internal"]
    assert told == ("deposit", "BTC", 100.0, "ok", False)
    assert 0 < deposit["timestamp"] <= deposit["updated"] <= owner.milliseconds() + 1000
    assert {(one["currency"], one["amount"], one["type"]) for one in owner.fetch_deposits()} == {
        (currency, float(amount), "deposit") for currency, amount in FUNDS.items()
    }


def test_a_withdrawal_takes_exactly_its_amount_even_one_that_clients_write_with_an_exponent(
    owner: Any, eventually: Eventually
) -> None:
    methods = ways_out(owner)
    assert methods.keys() == FUNDS.keys()
    before, others = exact_balance(owner, "BTC"), exact_balance(owner, "USD")
    asked = owner.withdraw("BTC", 0.00001, "the-customers-own", {"payment_method_id": methods["BTC"]})

    def paid() -> dict[str, Any] | None:
        found = [one for one in owner.fetch_withdrawals("BTC") if one["id"] == asked["id"] and one["status"] == "ok"]
        return found[0] if found else None

    withdrawal = eventually(paid)
    assert (withdrawal["type"], withdrawal["currency"], withdrawal["amount"]) == ("withdrawal", "BTC", 1e-05)
    assert exact_balance(owner, "BTC") == before - Decimal("0.00001")
    assert exact_balance(owner, "USD") == others
    newest = max(owner.fetch_ledger("BTC"), key=lambda row: int(row["id"]))
    assert (newest["direction"], newest["amount"], newest["type"]) == ("out", 1e-05, "transfer")
    assert Decimal(newest["info"]["balance"]) == exact_balance(owner, "BTC")
    both = owner.fetch_deposits_withdrawals("BTC")
    assert {one["type"] for one in both} == {"deposit", "withdrawal"}
    assert owner.fetch_transactions("BTC") == both


def test_a_withdrawal_of_more_than_there_is_lacks_funds_and_changes_nothing(owner: Any) -> None:
    methods = ways_out(owner)
    before = owner.fetch_balance()["info"], owner.fetch_withdrawals()
    with pytest.raises(ccxt.InsufficientFunds):
        owner.withdraw("EUR", 1_000_000.01, "the-customers-own", {"payment_method_id": methods["EUR"]})
    assert (owner.fetch_balance()["info"], owner.fetch_withdrawals()) == before


def test_who_asks_too_often_is_told_so_by_the_error_for_it(laptop: Any, client_of: Callable[..., Any]) -> None:
    standard = next(user for user in laptop.stack["demo_users"] if user["rate_limit_tier"] == "standard")
    client = client_of(standard, enableRateLimit=False)

    def ask_often() -> None:
        for _ in range(400):
            client.private_get_fees()

    with pytest.raises(ccxt.RateLimitExceeded):
        ask_often()
    assert int(client.last_response_headers["Retry-After"]) >= 1


def test_a_deposit_address_is_made_once_for_what_a_chain_carries(owner: Any) -> None:
    made = owner.create_deposit_address("ETH")
    assert re.fullmatch("0x[0-9a-fA-F]{40}", made["address"])
    assert (made["currency"], made["info"]["currency"], made["info"]["network"]) == ("ETH", "ETH", "ethereum")
    assert owner.create_deposit_address("ETH")["address"] == made["address"]
    assert owner.create_deposit_address("BTC")["address"] != made["address"]
    with pytest.raises(ccxt.InvalidAddress):
        owner.create_deposit_address("ACME")
