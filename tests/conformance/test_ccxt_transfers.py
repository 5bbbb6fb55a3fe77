"""What stock ccxt makes of our transfers, without a cloud: amounts as the customer and the receiver see them."""

from dataclasses import replace
from typing import Any

import pytest
from exchange.transfers.model import TransferStatus
from exchange.wallets.views import transfer_view

from tests.fakes.wallets import NOON_NS, a_deposit, a_withdrawal

ccxt = pytest.importorskip("ccxt")


def read(view: dict[str, Any]) -> dict[str, Any]:
    """The transfer as ccxt's own parser reads it."""
    found: dict[str, Any] = ccxt.coinbaseexchange().parse_transaction(view)
    return found


def test_a_withdrawal_tells_what_arrives_and_its_fee_apart() -> None:
    withdrawal = replace(
        a_withdrawal("10.5"), fee_units=250_000, status=TransferStatus.COMPLETED, completed_at_ns=NOON_NS
    )
    view: dict[str, Any] = transfer_view(withdrawal)
    assert (view["amount"], view["details"]["fee"]) == ("10.75", "0.25")
    told = read(view)
    assert (told["type"], told["amount"], told["status"]) == ("withdrawal", 10.5, "ok")
    assert told["fee"] == {"cost": 0.25, "currency": "USD", "rate": None}


def test_what_costs_nothing_has_no_fee() -> None:
    withdrawal = read(transfer_view(replace(a_withdrawal("10.5"), fee_units=0)))
    deposit = read(transfer_view(a_deposit("100.25")))
    assert (withdrawal["amount"], withdrawal["fee"]["cost"], withdrawal["status"]) == (10.5, None, "pending")
    assert (deposit["type"], deposit["amount"], deposit["fee"]["cost"]) == ("deposit", 100.25, None)
