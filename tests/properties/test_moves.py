"""However money is moved between profiles, nothing is made or lost, and the journal explains every balance."""

from collections import Counter

from exchange.transfers.model import Transfer
from exchange.wallets.moving import MoveRequest, move_money
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.wallets import ASSETS, CrashError, Cuts, FakeBooks, FakeClock, FakeTransfers

MOVE = st.tuples(
    st.sampled_from([7, 8, 9]),
    st.sampled_from([7, 8, 9]),
    st.sampled_from(["USD", "BTC"]),
    st.integers(0, 120),
    st.sampled_from(["", "a", "b", "c"]),
    st.integers(0, 5),
    st.booleans(),
)


@settings(deadline=None, max_examples=300)
@given(moves=st.lists(MOVE, max_size=40))
def test_nothing_is_made_or_lost(moves: list[tuple[int, int, str, int, str, int, bool]]) -> None:
    transfers = FakeTransfers()
    books = FakeBooks(transfers)
    start = {("7", "USD"): 100 * 10**6, ("8", "BTC"): 100 * 10**8}
    books.balances.update(start)
    clock = FakeClock()
    for source, target, currency, amount, key, cut, after in moves:
        clock.at_ns += 1
        books.cuts = transfers.cuts = Cuts(cut, after)
        try:
            move_money(
                MoveRequest(source, target, currency, str(amount), key),
                assets=ASSETS,
                transfers=transfers,
                journal=books,
                moves=books,
                clock=clock,
                pause=lambda _attempt: None,
            )
        except CrashError:
            continue
    folded = Counter(start)
    for chain in books.chains.values():
        for entry in [entry for batch in chain for entry in batch.entries]:
            folded[entry.account, entry.asset] += entry.units
    assert {key: units for key, units in books.balances.items() if units} == {k: u for k, u in folded.items() if u}
    assert all(units >= 0 for units in books.balances.values())
    for asset in ("USD", "BTC"):
        total = sum(units for (_, name), units in books.balances.items() if name == asset)
        assert total == sum(units for (_, name), units in start.items() if name == asset)
    posted = sorted(batch.reference for chain in books.chains.values() for batch in chain)
    sent = [row for row in transfers.rows.values() if row.kind.value == "internal_withdraw"]
    assert posted == sorted(_id(row) for row in sent)
    assert len(transfers.rows) == 2 * len(sent)


def _id(transfer: Transfer) -> str:
    return transfer.transfer_id
