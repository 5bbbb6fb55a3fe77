"""Every kind of row becomes orders that leave our best levels as NASDAQ's were."""

import pytest

from infra.demo.lobster import Best, Kind, Message, Row
from infra.demo.nasdaq import Day, Rest, Role, Step, Take, Withdraw

ASK = Best(5_010_000, 50)
BID = Best(5_000_000, 40)


def row(
    kind: Kind,
    *,
    order_id: int = 9,
    size: int = 10,
    price: int = BID.price,
    buying: bool = True,
    at: int = 1,
    ask: Best = ASK,
    bid: Best = BID,
) -> Row:
    return Row(Message(at, kind, order_id, size, price, buying), ask, bid)


OPENING = row(Kind.HIDDEN_EXECUTED, order_id=0, at=0)


def steps_of(*rows: Row) -> list[Step]:
    """What the rows become, after a quiet opening at ASK and BID."""
    groups = [steps for _, steps in Day().steps([OPENING, *rows])]
    assert groups[0] == [
        Rest(0, Role.ANONYMOUS, 1, True, BID.price, BID.size),
        Rest(0, Role.ANONYMOUS, 2, False, ASK.price, ASK.size),
    ]
    return [step for group in groups[1:] for step in group]


def test_the_opening_is_the_book_before_the_first_message() -> None:
    cases = [
        (row(Kind.NEW, size=10), {(True, BID.price, 30), (False, ASK.price, 50)}),
        (row(Kind.NEW, size=40), {(False, ASK.price, 50)}),
        (row(Kind.DELETED, size=10), {(True, BID.price, 50), (False, ASK.price, 50)}),
        (row(Kind.REDUCED, size=10), {(True, BID.price, 50), (False, ASK.price, 50)}),
        (row(Kind.EXECUTED, size=10), {(True, BID.price, 50), (False, ASK.price, 50)}),
        (row(Kind.DELETED, size=7, price=5_005_000), {(True, 5_005_000, 7), (False, ASK.price, 50)}),
        (row(Kind.HIDDEN_EXECUTED), {(True, BID.price, 40), (False, ASK.price, 50)}),
        (row(Kind.HIDDEN_EXECUTED, bid=Best(0, 0)), {(False, ASK.price, 50)}),
    ]
    for first, expected in cases:
        (_, steps), *_ = list(Day().steps([first]))
        seeded = [step for step in steps if isinstance(step, Rest) and step.role is Role.ANONYMOUS]
        assert {(step.buying, step.price, step.size) for step in seeded[: len(expected)]} == expected, first.message


def test_a_new_order_at_the_best_price_rests_behind() -> None:
    assert steps_of(row(Kind.NEW, bid=Best(BID.price, 50))) == [Rest(1, Role.NAMED, 3, True, BID.price, 10)]


def test_a_better_order_puts_the_level_behind_it_out_of_view() -> None:
    better = BID.price + 100
    assert steps_of(row(Kind.NEW, price=better, bid=Best(better, 10))) == [
        Withdraw(1, Role.ANONYMOUS, 1),
        Rest(1, Role.NAMED, 3, True, better, 10),
    ]


def test_an_order_out_of_view_is_not_sent() -> None:
    assert steps_of(row(Kind.NEW, price=BID.price - 100)) == []


def test_a_reduced_order_is_cancelled_and_placed_anew() -> None:
    assert steps_of(
        row(Kind.NEW, order_id=7, bid=Best(BID.price, 50)),
        row(Kind.REDUCED, order_id=7, size=4, bid=Best(BID.price, 46), at=2),
    )[1:] == [Withdraw(2, Role.NAMED, 3), Rest(2, Role.NAMED, 4, True, BID.price, 6)]


def test_a_deleted_order_is_cancelled() -> None:
    assert steps_of(row(Kind.NEW, order_id=7, bid=Best(BID.price, 50)), row(Kind.DELETED, order_id=7, bid=BID, at=2))[
        1:
    ] == [Withdraw(2, Role.NAMED, 3)]


def test_an_order_from_before_is_taken_out_of_the_anonymous_volume() -> None:
    assert steps_of(row(Kind.DELETED, order_id=1, size=15, bid=Best(BID.price, 25))) == [
        Withdraw(1, Role.ANONYMOUS, 1),
        Rest(1, Role.ANONYMOUS, 3, True, BID.price, 25),
    ]


def test_a_level_that_comes_into_view_is_filled_with_anonymous_volume() -> None:
    lower = Best(BID.price - 300, 77)
    assert steps_of(row(Kind.DELETED, order_id=1, size=40, bid=lower)) == [
        Withdraw(1, Role.ANONYMOUS, 1),
        Rest(1, Role.ANONYMOUS, 3, True, lower.price, 77),
    ]


def test_an_execution_is_one_order_that_takes_and_goes() -> None:
    assert steps_of(row(Kind.EXECUTED, bid=Best(BID.price, 30))) == [
        Take(1, 3, False, BID.price, 10, ((BID.price, 10),))
    ]


def test_a_run_of_executions_through_levels_is_one_order_at_its_worst_price() -> None:
    higher = ASK.price + 200
    run = [
        row(Kind.EXECUTED, buying=False, price=ASK.price, size=30, ask=Best(ASK.price, 20)),
        row(Kind.HIDDEN_EXECUTED, buying=False, price=ASK.price, size=5, ask=Best(ASK.price, 20)),
        row(Kind.EXECUTED, buying=False, price=ASK.price, size=20, ask=Best(higher, 60)),
        row(Kind.EXECUTED, buying=False, price=higher, size=15, ask=Best(higher, 45)),
    ]
    assert steps_of(*run) == [
        Rest(1, Role.ANONYMOUS, 3, False, higher, 60),
        Take(1, 4, True, higher, 65, ((ASK.price, 50), (higher, 15))),
    ]
    assert [rows for rows, _ in Day().steps([OPENING, *run])] == [1, 4]


@pytest.mark.parametrize(
    "following",
    [
        row(Kind.EXECUTED, at=2, size=5, bid=Best(BID.price, 25)),
        row(Kind.EXECUTED, buying=False, price=ASK.price, size=5, ask=Best(ASK.price, 45), bid=Best(BID.price, 30)),
    ],
    ids=["another time", "another direction"],
)
def test_another_time_or_direction_is_another_run(following: Row) -> None:
    takes = [
        step for step in steps_of(row(Kind.EXECUTED, bid=Best(BID.price, 30)), following) if isinstance(step, Take)
    ]
    assert [take.size for take in takes] == [10, 5]


@pytest.mark.parametrize("kind", [Kind.HIDDEN_EXECUTED, Kind.CROSS, Kind.HALT])
def test_what_leaves_no_trace_in_a_visible_book_sends_nothing(kind: Kind) -> None:
    assert steps_of(row(kind)) == []


def test_a_view_that_disagrees_is_put_right_and_counted() -> None:
    day = Day()
    groups = [steps for _, steps in day.steps([OPENING, row(Kind.HALT, bid=Best(BID.price, 55)), row(Kind.HALT, at=2)])]
    assert groups[1:] == [
        [Rest(1, Role.ANONYMOUS, 3, True, BID.price, 15)],
        [Withdraw(2, Role.ANONYMOUS, 3)],
    ]
    assert day.counts.corrected == 2
