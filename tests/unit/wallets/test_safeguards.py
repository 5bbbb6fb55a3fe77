"""Limits, cool-down, destinations and codes, each in the write that holds the money; over the fake and the table."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.ledger.store import BalanceItem
from exchange.safeguards.limits import DAY_NS, USES_MAX, Limits, default_limits, limits_from
from exchange.safeguards.model import (
    DESTINATION_DELAY_NS,
    LOCK_NS,
    WRONG_CODES_MAX,
    Destination,
    Gatekeeper,
    destination_text,
)
from exchange.safeguards.service import Safeguarding
from exchange.safeguards.store import SafeguardTable, destination_id_for
from exchange.safeguards.totp import STEP_SECONDS, TotpCodes
from exchange.transfers.model import Clearance, Transfer
from exchange.users.model import Customer, CustomerStatus, KycLevel
from exchange.users.store import CustomerItem
from exchange.wallets.views import limits_view
from exchange.wallets.withdrawing import request_withdrawal
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.connection import Connection

from tests.fakes.safeguards import FakeOwner, FakeSafeguards
from tests.fakes.users import USER_ID, a_customer
from tests.fakes.wallets import ASSETS, NOON_NS, FakeBooks, FakeTransfers, a_withdrawal, sandbox_methods
from tests.unit.wallets.conftest import Stores
from tests.unit.wallets.test_withdrawing import Machine, fund

ANN = a_customer(kyc_level=KycLevel.VERIFIED)
CENT = 10_000


class PlainSecrets:
    """Seals by writing down for whom."""

    def seal(self, secret: bytes, *, key_id: str, user_id: str) -> bytes:
        """As it is."""
        return b"|".join((key_id.encode(), user_id.encode(), secret))

    def open(self, sealed: bytes, *, key_id: str, user_id: str) -> bytes:
        """The secret, for whom it was sealed."""
        purpose, owner, secret = sealed.split(b"|", 2)
        assert (purpose, owner) == (key_id.encode(), user_id.encode())
        return secret


CODES = TotpCodes(PlainSecrets())


@dataclass
class World:
    """One customer with a fortune, and everything that judges them."""

    stores: Stores
    table: Any
    customer: Customer = ANN
    now_ns: int = NOON_NS
    count: int = field(default=0)

    def ask(self, amount: str, code: str = "", *, key: str = "", **changes: Any) -> Transfer | Refused:
        """One request, at a moment of its own."""
        wanted = replace(a_withdrawal(amount, key=key, at_ns=self.now_ns), **changes)
        gatekeeper = Gatekeeper(lambda: ASSETS, FakeOwner(self.customer), self.table, CODES.step)
        return request_withdrawal(
            wanted,
            permit=gatekeeper.permits(USER_ID, code),
            transfers=self.stores.transfers,
            postings=self.stores.postings,
            machine=Machine(),
            pause=lambda _attempt: None,
            note=lambda _text: None,
        )

    def own(self) -> Safeguarding:
        """The customer's own hand, now."""
        return Safeguarding(USER_ID, self.now_ns, store=self.table, check_code=CODES.step)

    def set_totp(self) -> Any:
        """Set a second factor, long ago."""
        import pyotp

        shown = self.own().begin_totp(CODES.new, "ann@example.com", "")
        assert isinstance(shown, dict)
        totp = pyotp.TOTP(shown["secret"])
        assert not isinstance(self.own().confirm_totp(totp.at(self.now_ns // 10**9)), Refused)
        self.now_ns += 2 * DAY_NS
        return totp


@pytest.fixture
def memory_world(memory: Stores) -> World:
    """Over the fakes."""
    table = FakeSafeguards()
    assert isinstance(memory.postings, FakeBooks)
    memory.postings.holds = table.hold
    return World(memory, table)


@pytest.fixture
def dynamodb_world(dynamodb: Stores, connected: Connection) -> World:
    """Over the tables."""
    CustomerItem(USER_ID).update(actions=[CustomerItem.kyc_level.set(int(ANN.kyc_level))])
    return World(dynamodb, SafeguardTable(connected))


@pytest.fixture(params=["memory_world", "dynamodb_world"])
def world(request: pytest.FixtureRequest) -> World:
    """Each test twice."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, World)
    fund(found.stores, 10**12 * 5)
    return found


def code_of(answer: Transfer | Refused) -> Code | None:
    return answer.code if isinstance(answer, Refused) else None


def test_a_withdrawal_and_24_hours_have_a_limit_by_level(world: World) -> None:
    assert code_of(world.ask("25000.000001")) is Code.WITHDRAWAL_LIMIT
    for _ in range(2):
        assert code_of(world.ask("25000")) is None
    refused = world.ask("0.01")
    assert isinstance(refused, Refused)
    assert refused.message == "amount: 0 is left of what 24 hours allow"
    world.now_ns += DAY_NS - 1
    assert code_of(world.ask("0.01")) is Code.WITHDRAWAL_LIMIT
    world.now_ns += 1
    assert code_of(world.ask("25000")) is None
    world.customer = replace(ANN, kyc_level=KycLevel.INSTITUTIONAL)
    assert code_of(world.ask("900000")) is None


def test_what_is_told_is_what_is_allowed(world: World) -> None:
    gatekeeper = Gatekeeper(lambda: ASSETS, FakeOwner(ANN), world.table, CODES.step)

    def told() -> Any:
        view = limits_view(sandbox_methods(), gatekeeper.allowances(USER_ID, world.now_ns))
        return view["transfer_limits"]["sandbox-bank"]["USD"]  # type: ignore[index]

    assert (told()["withdraw_max"], told()["withdraw_left"]) == ("25000", "50000")
    for amount in ("25000", "24000"):
        assert code_of(world.ask(amount)) is None
    assert (told()["withdraw_max"], told()["withdraw_left"]) == ("1000", "1000")
    assert code_of(world.ask("1000.000001")) is Code.WITHDRAWAL_LIMIT
    assert code_of(world.ask(told()["withdraw_max"])) is None
    assert told()["withdraw_left"] == "0"


def test_what_is_refused_for_lack_of_money_uses_no_limit(world: World) -> None:
    world.customer = replace(ANN, kyc_level=KycLevel.ENHANCED)
    fund(world.stores, 10**6)
    assert code_of(world.ask("5")) is Code.RISK_INSUFFICIENT_FUNDS
    assert world.table.use(USER_ID, "USD").entries == ()
    assert world.stores.owned(7, "USD") == 10**6


def test_a_repeat_counts_once(world: World) -> None:
    first = world.ask("25000", key="rent")
    assert world.ask("25000", key="rent") == first
    assert len(world.table.use(USER_ID, "USD").entries) == 1
    assert code_of(world.ask("20000", key="rent")) is Code.TRANSFER_KEY_REUSED


def test_a_limit_that_was_used_meanwhile_is_judged_again(world: World) -> None:
    # Two requests that were both judged before either was held: the second one's write fails, and it is judged anew.
    gatekeeper = Gatekeeper(lambda: ASSETS, FakeOwner(ANN), world.table, CODES.step)
    stale = gatekeeper.permits(USER_ID, "")(a_withdrawal("25000", at_ns=world.now_ns))
    assert not isinstance(stale, Refused)
    for _ in range(2):
        assert code_of(world.ask("25000")) is None
    from exchange.wallets.withdrawing import Held, hold_movements

    assert world.stores.postings.hold_withdrawal(stale, hold_movements(stale.transfer)) is Held.LOST
    assert len(world.table.use(USER_ID, "USD").entries) == 2


def test_above_the_threshold_operators_look_and_below_nobody(world: World) -> None:
    small, large = world.ask("10000"), world.ask("10000.01")
    assert isinstance(small, Transfer)
    assert isinstance(large, Transfer)
    assert (small.clearance, small.review_reason) == (Clearance.WAITING, "")
    assert (large.clearance, large.review_reason) == (Clearance.WAITING, "above the amount that operators look at")


def test_after_a_new_key_there_is_a_day_of_rest(world: World) -> None:
    world.customer = replace(ANN, credentials_changed_at_ns=world.now_ns - 5)
    refused = world.ask("1")
    assert code_of(refused) is Code.WITHDRAWAL_COOL_DOWN
    world.customer = replace(world.customer, kyc_level=KycLevel.INSTITUTIONAL)


def test_a_key_made_between_the_judgement_and_the_write_stops_it(dynamodb_world: World) -> None:
    fund(dynamodb_world.stores, 10**9)
    gatekeeper = Gatekeeper(lambda: ASSETS, FakeOwner(ANN), dynamodb_world.table, CODES.step)
    permit = gatekeeper.permits(USER_ID, "")(a_withdrawal("1"))
    assert not isinstance(permit, Refused)
    from exchange.wallets.withdrawing import Held, hold_movements

    holding = dynamodb_world.stores.postings.hold_withdrawal
    CustomerItem(USER_ID).update(actions=[CustomerItem.credentials_changed_at_ns.set(NOON_NS)])
    assert holding(permit, hold_movements(permit.transfer)) is Held.LOST
    CustomerItem(USER_ID).update(
        actions=[
            CustomerItem.credentials_changed_at_ns.remove(),
            CustomerItem.status.set(CustomerStatus.FROZEN.value),
        ]
    )
    assert holding(permit, hold_movements(permit.transfer)) is Held.LOST
    assert (BalanceItem.get("7", "USD").held or 0) == 0


def test_with_a_list_money_goes_to_what_is_listed_for_a_day(world: World) -> None:
    assert not isinstance(world.own().list_only(True, ""), Refused)
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_DESTINATION_UNKNOWN
    text = destination_text(a_withdrawal("1"))
    listed = world.own().list_destination(destination_id_for(text), text, "home")
    assert isinstance(listed, Destination)
    assert world.own().list_destination(listed.destination_id, text, "again") == listed
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_DESTINATION_UNKNOWN
    world.now_ns += DESTINATION_DELAY_NS
    assert code_of(world.ask("1")) is None
    elsewhere = {"rail": "chain-ethereum", "crypto_address": "0xABC"}
    assert code_of(world.ask("1", **elsewhere)) is Code.WITHDRAWAL_DESTINATION_UNKNOWN
    assert world.own().unlist_destination(listed.destination_id) == listed.destination_id
    assert isinstance(world.own().unlist_destination(listed.destination_id), Refused)
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_DESTINATION_UNKNOWN
    # Leaving the list is what a thief would do first.
    assert not isinstance(world.own().list_only(False, ""), Refused)
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_COOL_DOWN


def test_a_code_serves_once_and_an_older_one_never_again(world: World) -> None:
    totp = world.set_totp()
    seconds = world.now_ns // 10**9
    now, before, after = (totp.at(seconds + off * STEP_SECONDS) for off in (0, -1, 1))
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_CODE_INVALID
    assert code_of(world.ask("1", "000000" if now != "000000" else "000001")) is Code.WITHDRAWAL_CODE_INVALID
    assert code_of(world.ask("1", now)) is None
    assert code_of(world.ask("1", now)) is Code.WITHDRAWAL_CODE_INVALID
    assert code_of(world.ask("1", before)) is Code.WITHDRAWAL_CODE_INVALID
    assert code_of(world.ask("1", after)) is None


def test_a_code_is_not_spent_on_what_something_else_stands_against(world: World) -> None:
    totp = world.set_totp()
    code = totp.at(world.now_ns // 10**9)
    assert code_of(world.ask("25000.01", code)) is Code.WITHDRAWAL_LIMIT
    assert code_of(world.ask("1", code)) is None


def test_after_a_few_wrong_codes_no_code_is_looked_at_for_a_while(world: World) -> None:
    totp = world.set_totp()
    good = totp.at(world.now_ns // 10**9)
    wrong = "000000" if good != "000000" else "000001"
    for _ in range(WRONG_CODES_MAX):
        assert code_of(world.ask("1", wrong)) is Code.WITHDRAWAL_CODE_INVALID
    refused = world.ask("1", good)
    assert isinstance(refused, Refused)
    assert "wait 15 minutes" in refused.message
    world.now_ns += LOCK_NS
    assert code_of(world.ask("1", totp.at(world.now_ns // 10**9))) is None


def test_a_factor_is_changed_and_removed_by_its_own_code_only(world: World) -> None:
    totp = world.set_totp()
    assert isinstance(world.own().begin_totp(CODES.new, "a", ""), Refused)
    assert isinstance(world.own().remove_totp("123"), Refused)
    removed = world.own().remove_totp(totp.at(world.now_ns // 10**9))
    assert not isinstance(removed, Refused)
    assert removed.sealed_totp == b""
    assert code_of(world.ask("1")) is Code.WITHDRAWAL_COOL_DOWN
    world.now_ns += DAY_NS
    assert code_of(world.ask("1")) is None


def test_digits_of_other_scripts_are_no_code() -> None:
    sealed, _ = CODES.new(USER_ID, "a")
    for code in ("", "12345", "1234567", "١٢٣٤٥٦", "12 456", "-12345"):
        assert CODES.step(USER_ID, sealed, code, NOON_NS) == 0


def test_an_asset_of_fewer_digits_than_its_limit_is_rounded_down() -> None:
    assert limits_from(("0.19", "1.99", "none"), ASSETS["GOOG"]) == Limits(0, 1, None)
    assert default_limits(KycLevel.UNVERIFIED, replace(ASSETS["GOOG"], kind="bond")) == Limits(0, 0, 0)


@given(
    st.lists(
        st.tuples(st.integers(1, 26_000 * 100), st.integers(0, DAY_NS // 2)),
        min_size=1,
        max_size=40,
    )
)
def test_in_no_24_hours_is_more_taken_out_than_allowed(asked: list[tuple[int, int]]) -> None:
    table, transfers = FakeSafeguards(), FakeTransfers()
    books = FakeBooks(transfers, holds=table.hold)
    books.balances["7", "USD"] = 10**15
    world = World(Stores(transfers, books, books, None), table)
    taken: list[tuple[int, int]] = []
    for cents, pause_ns in asked:
        world.now_ns += pause_ns
        made = world.ask(f"{cents // 100}.{cents % 100:02d}")
        if isinstance(made, Transfer):
            taken.append((world.now_ns, made.units))
    most = default_limits(KycLevel.VERIFIED, ASSETS["USD"]).per_day_units
    assert most is not None
    for at_ns, _ in taken:
        assert sum(units for then_ns, units in taken if at_ns - DAY_NS < then_ns <= at_ns) <= most
    assert books.held["7", "USD"] == sum(row.held_units for row in transfers.rows.values())
    assert books.balances["7", "USD"] + books.held["7", "USD"] == 10**15


def test_so_many_withdrawals_that_they_could_not_be_told_are_refused(memory_world: World) -> None:
    fund(memory_world.stores, 10**12)
    for _ in range(USES_MAX):
        assert code_of(memory_world.ask("0.01")) is None
    assert code_of(memory_world.ask("0.01")) is Code.WITHDRAWAL_LIMIT
