"""Moving money between profiles: once, whole, and never more than there is; over the fakes and the real stores."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.ledger.store import BalanceItem
from exchange.transfers.model import Page, Transfer, TransferKind, TransferStatus
from exchange.wallets.moving import ATTEMPTS_MAX, MoveRequest, journal_partition, move_money, other_side

from tests.fakes.wallets import ASSETS, CrashError, Cuts, FakeBooks, FakeClock
from tests.unit.wallets.conftest import Stores

ALL = MoveRequest(7, 8, "USD", "10", "rent")


def move(stores: Stores, request: MoveRequest = ALL) -> Transfer | Refused:
    """One request."""
    return move_money(
        request,
        assets=ASSETS,
        transfers=stores.transfers,
        journal=stores.journal,
        moves=stores.postings,
        clock=FakeClock(),
        pause=lambda _attempt: None,
    )


def fund(stores: Stores, units: int) -> None:
    """Give profile 7 some dollars."""
    if isinstance(stores.postings, FakeBooks):
        stores.postings.balances["7", "USD"] = units
    else:
        BalanceItem("7", "USD", available=units).save()


def test_money_moves_whole_and_both_sides_have_it(stores: Stores) -> None:
    fund(stores, 15_000_000)
    sent = move(stores)
    assert isinstance(sent, Transfer)
    assert (stores.owned(7, "USD"), stores.owned(8, "USD")) == (5_000_000, 10_000_000)
    assert (sent.kind, sent.status, sent.counterparty_id) == (TransferKind.INTERNAL_WITHDRAW, "completed", 8)
    received = stores.transfers.transfer(other_side(sent).transfer_id)
    assert (received.kind, received.account_id, received.units) == (TransferKind.INTERNAL_DEPOSIT, 8, 10_000_000)
    assert received.status is TransferStatus.COMPLETED
    assert stores.journal.head(journal_partition(7)).number == 1


def test_a_repeat_moves_nothing_again(stores: Stores) -> None:
    fund(stores, 15_000_000)
    first = move(stores)
    assert move(stores) == first
    assert stores.owned(7, "USD") == 5_000_000


def test_another_move_under_a_used_client_id_is_refused(stores: Stores) -> None:
    fund(stores, 15_000_000)
    move(stores)
    for other in (replace(ALL, amount="1"), replace(ALL, target=9)):
        refused = move(stores, other)
        assert isinstance(refused, Refused)
        assert refused.code is Code.TRANSFER_KEY_REUSED
    assert stores.owned(7, "USD") == 5_000_000


def test_more_than_there_is_moves_nothing(stores: Stores) -> None:
    fund(stores, 9_999_999)
    refused = move(stores)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == (Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    assert (stores.owned(7, "USD"), stores.owned(8, "USD")) == (9_999_999, 0)
    assert stores.journal.head(journal_partition(7)).number == 0
    assert not stores.transfers.list_transfers(7, Page(10))


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"target": 7}, Code.REQUEST_FIELD_INVALID, "to"),
        ({"currency": "DOGE"}, Code.CURRENCY_NOT_FOUND, "currency"),
        ({"amount": "0"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "-1"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "0.0000001"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "1e3"}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
        ({"amount": "9" * 18}, Code.TRANSFER_AMOUNT_INVALID, "amount"),
    ],
)
def test_what_can_not_be_moved_is_refused_with_its_field(
    memory: Stores, change: dict[str, Any], code: Code, field: str
) -> None:
    fund(memory, 10**18)
    refused = move(memory, replace(ALL, **change))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message.split(":")[0]) == (code, field)


def test_moves_take_turns_at_a_chain(memory: Stores) -> None:
    fund(memory, 10_000_000)
    memory.postings.overtaken = ATTEMPTS_MAX - 1
    assert isinstance(move(memory), Transfer)
    memory.postings.overtaken = ATTEMPTS_MAX
    with pytest.raises(UnavailableError):
        move(memory, replace(ALL, client_transfer_id="other"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut", range(1, 5))
def test_cut_short_anywhere_and_repeated_it_moves_once(memory: Stores, cut: int, after: bool) -> None:
    fund(memory, 15_000_000)
    memory.postings.cuts = memory.transfers.cuts = Cuts(cut, after)
    with suppress(CrashError):
        move(memory)
    memory.postings.cuts = memory.transfers.cuts = Cuts()
    assert isinstance(move(memory), Transfer)
    assert (memory.owned(7, "USD"), memory.owned(8, "USD")) == (5_000_000, 10_000_000)
