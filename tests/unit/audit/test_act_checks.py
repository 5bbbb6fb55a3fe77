"""A1: whatever is done to the rows of operators' acts and their chain is named, but for what the check says is not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from exchange.approvals.model import Act, AuditRow, Link, link
from exchange.audit.act_checks import acts_are_chained
from exchange.audit.model import Acts, World

DAY = "2026-01-31"
EMPTY = World(
    products={},
    balances=(),
    batches={},
    orders=(),
    fills=(),
    transfers=(),
    cursors={},
    executions={},
    commands={},
    replayed={},
)


def acts(count: int = 5) -> Acts:
    """Acts of one operator, a second each."""
    rows, links, head = {}, [], None
    for number in range(1, count + 1):
        row = Act("olivia", number * 10**9, f"request-{number}", f"row-{number}").row(
            "freeze customer", f"user-{number}", before="active", after="frozen"
        )
        head = link(head, row, DAY)
        links.append(head)
        rows[DAY, row.cursor] = row
    return Acts(links, rows)


def found(changed: Acts) -> tuple[str, ...]:
    return acts_are_chained(replace(EMPTY, acts=changed)).breaches


def third(whole: Acts) -> tuple[tuple[str, str], AuditRow, Link]:
    at = whole.links[2]
    return (at.day, at.cursor), whole.rows[at.day, at.cursor], at


def _row_changed(whole: Acts) -> Acts:
    key, row, _ = third(whole)
    return replace(whole, rows={**whole.rows, key: replace(row, actor="mallory")})


def _row_gone(whole: Acts) -> Acts:
    key, _, _ = third(whole)
    return replace(whole, rows={each: row for each, row in whole.rows.items() if each != key})


def _row_and_link_gone(whole: Acts) -> Acts:
    _, _, at = third(whole)
    return replace(_row_gone(whole), links=[each for each in whole.links if each is not at])


def _row_and_link_gone_and_numbered_anew(whole: Acts) -> Acts:
    fewer = _row_and_link_gone(whole)
    return replace(fewer, links=[replace(each, number=number) for number, each in enumerate(fewer.links, 1)])


def _first_gone(whole: Acts) -> Acts:
    first = whole.links[0]
    rows = {key: row for key, row in whole.rows.items() if key != (first.day, first.cursor)}
    return Acts(whole.links[1:], rows)


def _shuffled(whole: Acts) -> Acts:
    one, two, *rest = whole.links
    return replace(whole, links=[two, one, *rest])


def _row_put_in(whole: Acts) -> Acts:
    (day, cursor), row, _ = third(whole)
    return replace(whole, rows={**whole.rows, (day, f"{cursor}-more"): replace(row, row_id="row-3-more")})


def _row_and_its_link_changed(whole: Acts) -> Acts:
    key, row, at = third(whole)
    changed = replace(row, reason="as it should have been")
    links = list(whole.links)
    links[2] = link(links[1], changed, at.day)
    return Acts(links, {**whole.rows, key: changed})


def test_a_whole_chain_holds_and_so_does_none() -> None:
    assert found(acts()) == ()
    assert found(acts(1)) == ()
    assert found(Acts((), {})) == ()
    assert acts_are_chained(EMPTY).holds


@pytest.mark.parametrize(
    "change",
    [
        _row_changed,
        _row_gone,
        _row_and_link_gone,
        _row_and_link_gone_and_numbered_anew,
        _first_gone,
        _shuffled,
        _row_put_in,
        _row_and_its_link_changed,
    ],
)
def test_what_was_changed_is_named(change: Callable[[Acts], Acts]) -> None:
    assert found(change(acts()))


def test_every_field_of_a_row_is_under_its_hash() -> None:
    whole = acts()
    key, row, _ = third(whole)
    for name in AuditRow.__dataclass_fields__:
        was: Any = getattr(row, name)
        other: Any = was + 1 if isinstance(was, int) else f"{was}x"
        changed = replace(row, **{name: other})
        assert found(replace(whole, rows={**whole.rows, key: changed})), name


def test_a_row_of_before_the_chain_and_one_that_came_while_it_was_read_are_no_breach() -> None:
    whole = acts()
    _, row, _ = third(whole)
    early, late = (replace(row, at_ns=at_ns, row_id="other") for at_ns in (1, 10**12))
    assert found(replace(whole, rows={**whole.rows, (DAY, early.cursor): early, (DAY, late.cursor): late})) == ()
