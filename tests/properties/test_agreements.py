"""Whatever is agreed with an account one after another: its past stays, what is fresh holds, and twice is once."""

from exchange.fees.document import agreements_document, read_agreements
from exchange.fees.model import Agreement, Agreements, Rates, agreed, agreed_at, flat
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = (flat(4_000, 6_000),)
RATES = st.one_of(
    st.none(), st.builds(lambda maker, more: Rates(maker, maker + more), st.integers(0, 9), st.integers(0, 9))
)


@st.composite
def acts(draw: st.DrawFn) -> list[tuple[int, Agreements]]:
    """Moments of approval, rising, each with what is agreed then."""
    now, made = 0, []
    for _ in range(draw(st.integers(1, 8))):
        now += draw(st.integers(0, 6))
        rates, begins = draw(RATES), now + draw(st.integers(1, 12))
        ends = draw(st.integers(0, 6)) if rates else 0
        made.append((now, (Agreement(begins, rates), *([Agreement(begins + ends, None)] if ends else []))))
    return made


@given(acts())
def test_every_moment_has_what_was_agreed_last_for_it(made: list[tuple[int, Agreements]]) -> None:
    rows: Agreements = ()
    wanted: list[Rates | None] = [None] * 100
    for approved_at, fresh in made:
        rows = agreed(rows, fresh, VERSIONS, approved_at)
        for moment in range(fresh[0].from_ns, len(wanted)):
            wanted[moment] = agreed_at(fresh, moment)
        assert [agreed_at(rows, moment) for moment in range(approved_at, len(wanted))] == wanted[approved_at:]
        assert agreed(rows, fresh, VERSIONS, approved_at) == rows
        assert read_agreements(agreements_document({7: rows})).get(7, ()) == rows
