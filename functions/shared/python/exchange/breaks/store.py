"""Breaks in DynamoDB, and beside them how many of an asset are open, which every withdrawal looks at."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.approvals.model import Proposal
from exchange.approvals.store import committed
from exchange.aws.dynamodb import UnitsAttribute, reading
from exchange.breaks.model import Break, BreakState, Way
from exchange.breaks.wording import subject

STOP = "stop"


class BreakItem(Model):
    """A break; or, as `stop`, how many of an asset are open. Never deleted: it is evidence."""

    class Meta:
        table_name = "breaks"

    asset = UnicodeAttribute(hash_key=True)
    break_id = UnicodeAttribute(range_key=True)
    way = UnicodeAttribute(null=True)
    check = UnicodeAttribute(null=True)
    claim = UnicodeAttribute(null=True)
    breach = UnicodeAttribute(null=True)
    occurrence = UnitsAttribute(null=True)
    gone_at_ns = UnitsAttribute(null=True)
    found_at_ns = UnitsAttribute(null=True)
    state = UnicodeAttribute(null=True)
    explanation = UnicodeAttribute(null=True)
    explained_by = UnicodeAttribute(null=True)
    open_count = UnitsAttribute(null=True)


def explain(transaction: TransactWrite, proposal: Proposal) -> None:
    """What an approved explanation does: the break is explained, and one less of its asset is open."""
    asset, break_id = proposal.payload["asset"], proposal.payload["break_id"]
    actions: list[Action] = [
        BreakItem.state.set(BreakState.EXPLAINED.value),
        BreakItem.explanation.set(proposal.reason),
        BreakItem.explained_by.set(f"{proposal.maker}, {proposal.checker}"),
    ]
    still = BreakItem.state == BreakState.OPEN.value
    transaction.update(BreakItem(asset, break_id), actions=actions, condition=still)
    transaction.update(BreakItem(asset, STOP), actions=[BreakItem.open_count.add(-1)])


def guard_unstopped(transaction: TransactWrite, asset: str) -> None:
    """Add to a write that takes an asset out that no break of it is open."""
    none_open = BreakItem.open_count.does_not_exist() | (BreakItem.open_count == 0)
    transaction.condition_check(BreakItem, asset, STOP, condition=none_open)


class BreakStore:
    """Breaks by asset, read consistently."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(
        self,
        found: Collection[Break],
        *,
        at_ns: int,
        unknown: Collection[tuple[str, str, str]] = (),
        all_asked: bool = True,
        unasked: Collection[str] = (),
    ) -> list[Break]:
        """Keep what a comparison found, and let those that were explained go that it found no more.

        `unknown` are the asset, check and subject of which it could not tell: those stay as they are, and all stay
        where not everything was asked. `unasked` are checks whose side is switched off: theirs stay too.
        What was let go after the comparison had begun is not found again by it.
        Returns:  the breaks that were not there before.
        Raises:   OutageError.
        """
        latest: dict[tuple[str, str], Break] = {}
        for kept in sorted(self.all(), key=lambda each: each.occurrence):
            latest[kept.asset, kept.name] = kept
        names = {(each.asset, each.name) for each in found}
        for name, kept in latest.items():
            asked = all_asked and kept.check not in unasked
            told = asked and (kept.asset, kept.check, subject(kept.breach)) not in unknown
            if kept.state is BreakState.EXPLAINED and told and name not in names:
                self._let_go(kept, at_ns)
        fresh = []
        for each in found:
            before = latest.get((each.asset, each.name))
            if before is None:
                fresh.append(each)
            elif before.state is BreakState.GONE and before.gone_at_ns < each.found_at_ns:
                fresh.append(replace(each, occurrence=before.occurrence + 1))
        return [each for each in fresh if self.open(each)]

    def _let_go(self, kept: Break, at_ns: int) -> None:
        item, explained = BreakItem(kept.asset, kept.break_id), BreakItem.state == BreakState.EXPLAINED.value
        actions: list[Action] = [BreakItem.state.set(BreakState.GONE.value), BreakItem.gone_at_ns.set(at_ns)]
        committed(self._connection, lambda transaction: transaction.update(item, actions=actions, condition=explained))

    def open(self, found: Break) -> bool:
        """Keep a break and stop its asset; False where this very one is known. Raises OutageError."""
        item = BreakItem(
            found.asset,
            found.break_id,
            way=found.way.value,
            check=found.check,
            claim=found.claim,
            breach=found.breach,
            occurrence=found.occurrence,
            found_at_ns=found.found_at_ns,
            state=found.state.value,
        )

        def fill(transaction: TransactWrite) -> None:
            transaction.save(item, condition=BreakItem.asset.does_not_exist())
            transaction.update(BreakItem(found.asset, STOP), actions=[BreakItem.open_count.add(1)])

        return committed(self._connection, fill)

    def stopped(self, asset: str) -> bool:
        """Whether a break of an asset is open. Raises UnavailableError."""
        with reading():
            try:
                return bool(BreakItem.get(asset, STOP, consistent_read=True).open_count)
            except BreakItem.DoesNotExist:
                return False

    def all(self) -> Iterator[Break]:
        """Every break there was. Raises UnavailableError."""
        with reading():
            for item in BreakItem.scan(BreakItem.break_id != STOP, consistent_read=True):
                yield Break(
                    item.asset,
                    Way(item.way),
                    item.check,
                    item.claim,
                    item.breach,
                    item.found_at_ns,
                    BreakState(item.state),
                    item.explanation or "",
                    item.explained_by or "",
                    item.occurrence or 1,
                    item.gone_at_ns or 0,
                )
