"""Rebates and commissions on the laptop cloud: registered by a code, traded, closed, paid, seen, audited."""

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from exchange.audit.store import bind_tables
from exchange.fees.model import Rebate, flat
from exchange.instruments.store import InstrumentStore

from infra.cli.books import CloseError, close_now
from infra.cli.fees import show_awards, show_outcomes, try_on_past
from infra.cli.invoke import invoke
from infra.local.clients import environment
from tests.integration.conftest import RunningLaptop, audited
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud
Eventually = Callable[[Callable[[], Any]], Any]
PRODUCT = "EUR-USD"  # its makers have a rebate in infra/deploy/products.toml
REBATE, SHARE = Decimal("0.0001"), Decimal("0.2")
MICRO = Decimal("0.000001")


@pytest.fixture
def stack(laptop: RunningLaptop, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stack, with this process able to reach its cloud."""
    for name, value in environment(laptop.settings).items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    bind_tables(laptop.stack["tables"])
    return laptop.stack


def dollars(customer: Customer) -> Decimal:
    row = next(row for row in customer.ask("GET", "/accounts") if row["currency"] == "USD")
    return Decimal(row["balance"])


def ledger(customer: Customer, kind: str) -> list[dict[str, Any]]:
    """The lines of one type on the statement of dollars."""
    wallet = next(row["id"] for row in customer.ask("GET", "/accounts") if row["currency"] == "USD")
    return [row for row in customer.ask("GET", f"/accounts/{wallet}/ledger") if row["type"] == kind]


def between_the_others(customer: Customer) -> str:
    """A price at which nobody's order stands in the way: inside the spread of what other tests left."""
    product = customer.ask("GET", f"/products/{PRODUCT}")
    tick = Decimal(product["quote_increment"])
    book = customer.ask("GET", f"/products/{PRODUCT}/book?level=1")
    bids, asks = ([Decimal(row[0]) for row in book[side]] for side in ("bids", "asks"))
    price = bids[0] + tick if bids else asks[0] - tick if asks else Decimal(product["reference_price"])
    assert not asks or price < asks[0], book
    return format(price.normalize(), "f")


def place(customer: Customer, side: str, price: str) -> str:
    body = {"product_id": PRODUCT, "side": side, "type": "limit", "price": price, "size": "33.33"}
    return str(customer.ask("POST", "/orders", {**body, "client_oid": str(uuid.uuid4())})["id"])


def test_who_brought_a_customer_and_a_maker_are_paid_once_out_of_the_fees(
    laptop: RunningLaptop,
    stack: dict[str, Any],
    newcomer: Callable[..., dict[str, str]],
    eventually: Eventually,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = stack["rest_url"]
    referrer = Customer(url, newcomer("referrer"))
    code = referrer.ask("GET", "/v1/referrals")["referral_code"]
    brought = Customer(url, newcomer("brought", code))
    assert brought.ask("POST", "/profiles", {"name": "bot"})["is_default"] is False  # bound by the code as well
    maker = Customer(url, newcomer("maker"))
    assert referrer.ask("GET", "/v1/referrals")["referred"] == 1
    price = between_the_others(referrer)
    resting = place(maker, "sell", price)
    taken = place(brought, "buy", price)
    (made,) = eventually(lambda: maker.ask("GET", f"/fills?order_id={resting}"))
    (took,) = eventually(lambda: brought.ask("GET", f"/fills?order_id={taken}"))
    assert (made["liquidity"], took["liquidity"], made["trade_id"]) == ("M", "T", took["trade_id"])
    value, fee = Decimal(made["price"]) * Decimal(made["size"]), Decimal(took["fee"])
    rebate, commission = (amount.quantize(MICRO, "ROUND_FLOOR") for amount in (value * REBATE, fee * SHARE))
    assert min(rebate, commission) > 0
    before = [dollars(who) for who in (referrer, maker, brought)]

    def paid() -> Any:
        close_now(stack["outputs"])  # what was posted in the last seconds is in the next closing
        return referrer.ask("GET", "/v1/awards") and maker.ask("GET", "/v1/awards")

    (row,) = eventually(paid)
    assert (row["type"], row["amount"], row["due"]) == ("rebate", *2 * [format(rebate.normalize(), "f")])
    (row,) = referrer.ask("GET", "/v1/awards")
    assert (row["type"], Decimal(row["amount"]), row["product_id"]) == ("commission", commission, PRODUCT)
    with ThreadPoolExecutor(3) as threads:  # again, and all at once
        run = {"closing": row["closing"]}
        list(threads.map(lambda _: invoke(stack["outputs"]["FeesScheduleFunction"], run), range(3)))
    after = [dollars(who) for who in (referrer, maker, brought)]
    assert after == [before[0] + commission, before[1] + rebate, before[2]]
    for who, kind, amount in ((referrer, "commission", commission), (maker, "rebate", rebate)):
        (line,) = eventually(partial(ledger, who, kind))
        assert Decimal(line["amount"]) == amount
        assert line["details"] == {"closing": str(row["closing"]), "product_id": PRODUCT}
    told = referrer.ask("GET", "/v1/referrals")
    assert told["commissions"] == [{"closing": row["closing"], "currency": "USD", "amount": row["amount"]}]
    assert brought.user["email"] not in str(told)
    _assert_told_by_the_command_line(stack, row["closing"], rebate, capsys)
    audited(laptop)


def _assert_told_by_the_command_line(
    stack: dict[str, Any], closing: int, rebate: Decimal, capsys: pytest.CaptureFixture[str]
) -> None:
    products = InstrumentStore().products()
    show_awards(closing, stack["outputs"], products)
    assert f"Closing {closing} is paid" in (told := capsys.readouterr().out)
    assert format(rebate.normalize(), "f") in told
    with pytest.raises(CloseError, match="no closing"):
        show_awards(closing + 1000, stack["outputs"], products)
    outcomes = try_on_past(replace(flat(0, 6_000), rebates=(Rebate(PRODUCT, 200),)), products, days=1)
    ours = [row for row in outcomes if row.product_id == PRODUCT]
    assert sum(row.what_if_units for row in ours) > 0
    # Without commissions, and a rebate that is double.
    assert sum(row.what_if_given_units for row in ours) >= 2 * int(rebate * 10**6)
    show_outcomes(outcomes, products)
    assert PRODUCT in capsys.readouterr().out


def test_a_code_that_nobody_has_registers_nobody(stack: dict[str, Any], newcomer: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="referral_code: nobody has this code"):
        newcomer("stranger", "BBBBBBBBBB")
