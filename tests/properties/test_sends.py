"""Money between customers: whatever is sent, by whomever, however often, nothing is made, lost or owed."""

from dataclasses import replace

from exchange.kernel.errors import Code, Refused
from exchange.safeguards.limits import default_limits
from exchange.safeguards.model import Gatekeeper
from exchange.transfers.model import Transfer, TransferKind
from exchange.users.model import CustomerStatus, KycLevel
from exchange.wallets.moving import MoveRequest
from exchange.wallets.sending import find_receiver, send_money
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.safeguards import FakeOwner, FakeSafeguards
from tests.fakes.users import a_customer
from tests.fakes.wallets import ASSETS, FakeBooks, FakeClock, FakeTransfers

ACCOUNTS = (7, 8, 9)
CENTS = 10_000


class World:
    """Three customers of a level that has limits."""

    def __init__(self, *, overtaken: int = 0) -> None:
        self.safeguards, self.transfers, self.clock = FakeSafeguards(), FakeTransfers(), FakeClock()
        self.books = FakeBooks(self.transfers, holds=self.safeguards.hold, overtaken=overtaken)
        for account in ACCOUNTS:
            self.books.balances[str(account), "USD"] = 1_500 * 10**6

    def send(self, source: int, target: int, cents: int, key: str) -> Transfer | Refused:
        customer = a_customer(user_id=f"user-{source}", account_id=source, kyc_level=KycLevel.UNVERIFIED)
        gatekeeper = Gatekeeper(lambda: ASSETS, FakeOwner(customer), self.safeguards, lambda *_: 0)
        self.clock.at_ns += 1
        return send_money(
            MoveRequest(source, target, "USD", f"{cents // 100}.{cents % 100:02d}", key),
            permit=gatekeeper.permits(customer.user_id, None),
            assets=ASSETS,
            transfers=self.transfers,
            journal=self.books,
            sends=self.books,
            clock=self.clock,
            pause=lambda _: None,
        )


SENDS = st.tuples(
    st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(0, 160_000), st.sampled_from(["", "a", "b", "c"])
)


@given(st.lists(SENDS, max_size=30), st.integers(0, 3))
def test_whatever_is_sent_nothing_is_made_or_lost(asked: list[tuple[int, int, int, str]], overtaken: int) -> None:
    world = World(overtaken=overtaken)
    taken: dict[int, int] = dict.fromkeys(ACCOUNTS, 0)
    seen: dict[tuple[int, str], Transfer] = {}
    for source, target, cents, key in asked:
        rows = dict(world.transfers.rows)
        sent = world.send(source, target, cents, key)
        if isinstance(sent, Refused):
            assert world.transfers.rows == rows
            continue
        known = seen.get((source, key)) if key else None
        assert sent == (known or sent)
        if known is None:
            taken[source] += cents * CENTS
            seen[source, key] = sent
            mirrored = [row for row in world.transfers.rows.values() if row not in rows.values()]
            kinds = {(row.account_id, row.kind, row.units) for row in mirrored}
            units = cents * CENTS
            assert kinds == {
                (source, TransferKind.INTERNAL_WITHDRAW, units),
                (target, TransferKind.INTERNAL_DEPOSIT, units),
            }
    balances = [world.books.balances[str(account), "USD"] for account in ACCOUNTS]
    assert sum(balances) == 3 * 1_500 * 10**6
    assert min(balances) >= 0
    most = default_limits(KycLevel.UNVERIFIED, ASSETS["USD"]).per_day_units
    assert most is not None
    assert all(units <= most for units in taken.values())


class Phonebook:
    """One customer whom others may find."""

    def __init__(self, status: CustomerStatus = CustomerStatus.ACTIVE) -> None:
        self.customer = replace(a_customer(), status=status)

    def by_email(self, email: str) -> object:
        return self.customer if email == self.customer.email else None

    def by_account(self, account_id: int) -> object:
        return self.customer if account_id == self.customer.account_id else None


def test_whoever_is_unknown_or_frozen_receives_nothing() -> None:
    from exchange.kernel.ids import to_uuid

    ann = Phonebook().customer
    for name in (ann.email, ann.email.upper(), to_uuid(ann.account_id)):
        assert find_receiver(name, directory=Phonebook()) == ann.account_id  # type: ignore[arg-type]
        refused = find_receiver(name, directory=Phonebook(CustomerStatus.FROZEN))  # type: ignore[arg-type]
        assert isinstance(refused, Refused)
    for name in ("", "eve@example.com", to_uuid(1), "a" * 64):
        refused = find_receiver(name, directory=Phonebook())  # type: ignore[arg-type]
        assert isinstance(refused, Refused)
        assert refused.code is Code.ACCOUNT_NOT_FOUND
