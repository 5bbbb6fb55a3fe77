"""Proposals and audit rows in DynamoDB. A row is put once, in the write of what it tells of; nobody changes one.

Rows are chained: the same write puts the row's link, numbered and hashed over the link before. Two writers at once want
the same number, so one of them is refused and tries again behind the other. There is no head to change, only puts.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.approvals.model import AuditRow, Link, Proposal, ProposalState, link
from exchange.aws.dynamodb import UnitsAttribute, bind, cancellation_codes, reading
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import UnavailableError

# Adds to a transaction what an approved proposal does. Raises UnfitError where that can't be done any more.
Effect = Callable[[TransactWrite, Proposal], None]
_FAILED = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
CHAIN = "chain"
# How often a row tries to be the next one, each time behind another operator's act of that very moment.
TRIES = 8


class OpenProposalsIndex(GlobalSecondaryIndex[Any]):
    """Proposals that nobody has decided: short, for a decision takes one out."""

    class Meta:
        index_name = "open"
        projection = KeysOnlyProjection()

    open = UnitsAttribute(hash_key=True)
    made_key = UnicodeAttribute(range_key=True)


class ProposalItem(Model):
    """One proposal. Never deleted: it is evidence of who wanted what."""

    class Meta:
        table_name = "proposals"

    proposal_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute()
    payload = UnicodeAttribute()
    payload_hash = UnicodeAttribute()
    reason = UnicodeAttribute()
    maker = UnicodeAttribute()
    made_at_ns = UnitsAttribute()
    made_key = UnicodeAttribute()
    expires_at_ns = UnitsAttribute()
    state = UnicodeAttribute()
    checker = UnicodeAttribute(null=True)
    decided_at_ns = UnitsAttribute(null=True)
    decision_reason = UnicodeAttribute(null=True)
    open = UnitsAttribute(null=True)

    by_open = OpenProposalsIndex()


class AuditRowItem(Model):
    """One act of an operator, by day and moment."""

    class Meta:
        table_name = "audit_rows"

    day = UnicodeAttribute(hash_key=True)
    moment = UnicodeAttribute(range_key=True)
    row_id = UnicodeAttribute()
    at_ns = UnitsAttribute()
    actor = UnicodeAttribute()
    action = UnicodeAttribute()
    subject = UnicodeAttribute()
    before_hash = UnicodeAttribute()
    after_hash = UnicodeAttribute()
    request_id = UnicodeAttribute()
    reason = UnicodeAttribute(null=True)


class AuditLinkItem(Model):
    """A link of the chain of all audit rows, in their table, under a day that no calendar has."""

    class Meta:
        table_name = "audit_rows"

    day = UnicodeAttribute(hash_key=True)  # CHAIN
    moment = UnicodeAttribute(range_key=True)  # the number, so that it sorts
    row_day = UnicodeAttribute()
    row_moment = UnicodeAttribute()
    previous_hash = UnicodeAttribute()
    hash = UnicodeAttribute()


def bind_audit_rows(table: str) -> None:
    """Tell rows and links which table is theirs."""
    bind(AuditRowItem, table)
    bind(AuditLinkItem, table)


class ProposalStore:
    """Proposals by id, read consistently. `effects` says what each kind does at its approval."""

    def __init__(self, connection: Connection, effects: Mapping[str, Effect] | None = None) -> None:
        self._connection = connection
        self._effects = effects or {}

    def find(self, proposal_id: str) -> Proposal | None:
        """One proposal, as it is now. Raises UnavailableError."""
        with reading():
            try:
                return _proposal(ProposalItem.get(proposal_id, consistent_read=True))
            except ProposalItem.DoesNotExist:
                return None

    def open(self, limit: int) -> list[Proposal]:
        """Those that nobody has decided yet, oldest first. Raises UnavailableError."""
        with reading():
            keys = [item.proposal_id for item in ProposalItem.by_open.query(1, limit=limit)]
        found = [self.find(proposal_id) for proposal_id in keys]
        return [proposal for proposal in found if proposal is not None and proposal.state is ProposalState.WAITING]

    def add(self, proposal: Proposal, row: AuditRow) -> bool:
        """Keep a new one with its row; False where its id is taken. Raises OutageError."""
        item = ProposalItem(
            proposal.proposal_id,
            kind=proposal.kind,
            payload=_text(proposal.payload),
            payload_hash=proposal.payload_hash,
            reason=proposal.reason,
            maker=proposal.maker,
            made_at_ns=proposal.made_at_ns,
            made_key=f"{proposal.made_at_ns:020d}#{proposal.proposal_id}",
            expires_at_ns=proposal.expires_at_ns,
            state=proposal.state.value,
            open=1,
        )

        def fill(transaction: TransactWrite) -> None:
            transaction.save(item, condition=ProposalItem.proposal_id.does_not_exist())

        return recorded(self._connection, row, fill)

    def change(self, before: Proposal, after: Proposal, row: AuditRow) -> bool:
        """Write a decision with its row and, where it is then applied, its effect: all or nothing.

        False where the proposal, or what its effect would change, is not any more as it was.
        Raises:   UnfitError where its effect can't be, in words; OutageError.
        """

        def fill(transaction: TransactWrite) -> None:
            _change(transaction, before, after)
            if after.state is ProposalState.APPLIED:
                self._effects[after.kind](transaction, after)

        return recorded(self._connection, row, fill)


class AuditRowStore:
    """Audit rows by day."""

    def of_day(self, day: str, *, after: str, limit: int) -> list[AuditRow]:
        """Rows of a day like 2026-01-31 after a cursor, in the order of time. Raises UnavailableError."""
        later = AuditRowItem.moment > after if after else None
        with reading():
            return [_row(item) for item in AuditRowItem.query(day, later, consistent_read=True, limit=limit)]


def recorded(connection: Connection, row: AuditRow, fill: Callable[[TransactWrite], None]) -> bool:
    """Write what `fill` puts into a transaction together with its audit row and the row's link: all or nothing.

    Returns:  False where a condition of `fill` fails.
    Raises:   UnfitError of `fill`, and nothing is written; OutageError.
    """
    for _ in range(TRIES):
        head = newest_link()
        if committed(connection, lambda transaction, head=head: _fill_recorded(transaction, row, head, fill)):  # type: ignore[misc]
            return True
        if newest_link() == head:
            return False
    raise UnavailableError("audit rows: too many operators act at once")


def _fill_recorded(
    transaction: TransactWrite, row: AuditRow, head: Link | None, fill: Callable[[TransactWrite], None]
) -> None:
    fill(transaction)
    day = iso_utc(row.at_ns)[:10]
    item = AuditRowItem(
        day,
        row.cursor,
        row_id=row.row_id,
        at_ns=row.at_ns,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before_hash=row.before_hash,
        after_hash=row.after_hash,
        request_id=row.request_id,
        reason=row.reason or None,
    )
    transaction.save(item, condition=AuditRowItem.moment.does_not_exist())
    made = link(head, row, day)
    following = AuditLinkItem(
        CHAIN,
        f"{made.number:020d}",
        row_day=made.day,
        row_moment=made.cursor,
        previous_hash=made.previous_hash,
        hash=made.hash,
    )
    transaction.save(following, condition=AuditLinkItem.moment.does_not_exist())


def newest_link() -> Link | None:
    """The newest link of the chain of audit rows, as it is now. Raises UnavailableError."""
    with reading():
        newest = AuditLinkItem.query(CHAIN, scan_index_forward=False, consistent_read=True, limit=1)
        return next(map(_link, newest), None)


def every_link() -> list[Link]:
    """The whole chain, oldest link first. Raises UnavailableError."""
    with reading():
        return [_link(item) for item in AuditLinkItem.query(CHAIN, consistent_read=True)]


def every_row() -> dict[tuple[str, str], AuditRow]:
    """Every audit row by its day and cursor. Raises UnavailableError."""
    with reading():
        rows = AuditRowItem.scan(AuditRowItem.row_id.exists(), consistent_read=True)
        return {(item.day, item.moment): _row(item) for item in rows}


def spend_approval(transaction: TransactWrite, approved: Proposal, spent: Proposal) -> None:
    """Use an approval up in the write of what it allows: a second write with it fails as a whole."""
    _change(transaction, approved, spent)


def committed(connection: Connection, fill: Callable[[TransactWrite], None]) -> bool:
    """Write what `fill` puts into a transaction; False where a condition of it fails.

    Raises:   UnfitError of `fill`, and nothing is written; OutageError.
    """
    transaction = TransactWrite(connection=connection)
    try:
        with transaction:
            fill(transaction)
    except TransactWriteError as error:
        codes = cancellation_codes(error)
        if _FAILED.intersection(codes):
            return False
        raise UnavailableError(f"DynamoDB: {list(codes)}") from error
    return True


def _change(transaction: TransactWrite, before: Proposal, after: Proposal) -> None:
    actions: list[Action] = [
        ProposalItem.state.set(after.state.value),
        ProposalItem.expires_at_ns.set(after.expires_at_ns),
        ProposalItem.decided_at_ns.set(after.decided_at_ns),
        ProposalItem.open.remove(),
    ]
    if after.checker:
        actions.append(ProposalItem.checker.set(after.checker))
    if after.decision_reason:
        actions.append(ProposalItem.decision_reason.set(after.decision_reason))
    same = (ProposalItem.state == before.state.value) & (ProposalItem.payload_hash == before.payload_hash)
    transaction.update(ProposalItem(before.proposal_id), actions=actions, condition=same)


def _text(payload: Mapping[str, str]) -> str:
    return json.dumps(dict(payload), sort_keys=True, ensure_ascii=False)


def _proposal(item: ProposalItem) -> Proposal:
    return Proposal(
        proposal_id=item.proposal_id,
        kind=item.kind,
        payload=json.loads(item.payload),
        reason=item.reason,
        maker=item.maker,
        made_at_ns=item.made_at_ns,
        expires_at_ns=item.expires_at_ns,
        state=ProposalState(item.state),
        checker=item.checker or "",
        decided_at_ns=item.decided_at_ns or 0,
        decision_reason=item.decision_reason or "",
    )


def _link(item: AuditLinkItem) -> Link:
    return Link(int(item.moment), item.previous_hash, item.row_day, item.row_moment, item.hash)


def _row(item: AuditRowItem) -> AuditRow:
    return AuditRow(
        row_id=item.row_id,
        at_ns=item.at_ns,
        actor=item.actor,
        action=item.action,
        subject=item.subject,
        before_hash=item.before_hash,
        after_hash=item.after_hash,
        request_id=item.request_id,
        reason=item.reason or "",
    )
