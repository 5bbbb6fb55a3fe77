"""Awards in DynamoDB: a row an award, put once, and beside it what is carried into the payee's next one."""

from collections.abc import Iterator, Mapping, Sequence

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.awards.model import Award, AwardKey, Standing, award_movements
from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, reading
from exchange.fees.sharing import ShareKind
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch
from exchange.ledger.store import append_batch, move_balances

_CARRY = "carry"
_LOST = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


class AwardItem(Model):
    """An award under "CLOSING#PRODUCT#KIND"; under "carry#PRODUCT#KIND" what goes into the next one of its sort."""

    class Meta:
        table_name = "awards"

    payee_id = UnitsAttribute(hash_key=True)
    award = UnicodeAttribute(range_key=True)
    closing = UnitsAttribute()
    carried_micro_units = UnitsAttribute()
    asset = UnicodeAttribute(null=True)
    earned_micro_units = UnitsAttribute(null=True)
    due_units = UnitsAttribute(null=True)
    units = UnitsAttribute(null=True)


class AwardStore:
    """Awards by payee, and every write of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standings(self, closing: int, keys: Sequence[AwardKey]) -> Mapping[AwardKey, Standing]:
        """Where payees stand before a closing, read consistently. Raises UnavailableError."""
        wanted = [(key.payee_id, name) for key in keys for name in (_carry_name(key), _award_name(closing, key))]
        with reading():
            items = {(item.payee_id, item.award): item for item in AwardItem.batch_get(wanted, consistent_read=True)}
        found: dict[AwardKey, Standing] = {}
        for key in keys:
            row = items.get((key.payee_id, _award_name(closing, key)))
            carry = items.get((key.payee_id, _carry_name(key)))
            if row is not None:
                found[key] = Standing(row.carried_micro_units, _award(row))
            else:
                found[key] = Standing(carry.carried_micro_units if carry else 0)
        return found

    def post(self, awards: Sequence[Award], batch: Batch | None) -> bool:
        """Keep awards with their carries, append the batch, move the balances; False where somebody else was there.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                for award in awards:
                    transaction.save(_item(award), condition=AwardItem.payee_id.does_not_exist())
                    carry = AwardItem(
                        award.key.payee_id,
                        _carry_name(award.key),
                        closing=award.closing,
                        carried_micro_units=award.carry_micro_units,
                    )
                    older = AwardItem.payee_id.does_not_exist() | (AwardItem.closing < award.closing)
                    transaction.save(carry, condition=older)
                if batch is not None:
                    append_batch(transaction, batch)
                    move_balances(transaction, award_movements(batch))
        except TransactWriteError as error:
            codes = set(cancellation_codes(error)) - {"None"}
            if codes <= _LOST:
                return False
            raise UnavailableError(f"awards of closing {awards[0].closing}: {sorted(codes)}") from error
        return True

    def awards(self, payee_id: int, *, before: int | None = None) -> Iterator[Award]:
        """A payee's awards, of the newest closing first; `before` a closing. Raises UnavailableError."""
        below = _CARRY if before is None else _closing_name(before)
        with reading():
            for item in AwardItem.query(
                payee_id, AwardItem.award < below, consistent_read=True, scan_index_forward=False
            ):
                yield _award(item)


def _closing_name(closing: int) -> str:
    return f"{closing:012d}"


def _award_name(closing: int, key: AwardKey) -> str:
    return f"{_closing_name(closing)}#{key.product_id}#{key.kind.value}"


def _carry_name(key: AwardKey) -> str:
    return f"{_CARRY}#{key.product_id}#{key.kind.value}"


def _item(award: Award) -> AwardItem:
    return AwardItem(
        award.key.payee_id,
        _award_name(award.closing, award.key),
        closing=award.closing,
        carried_micro_units=award.carried_micro_units,
        asset=award.asset,
        earned_micro_units=award.earned_micro_units,
        due_units=award.due_units,
        units=award.units,
    )


def _award(item: AwardItem) -> Award:
    _, product_id, kind = item.award.split("#")
    return Award(
        item.closing,
        AwardKey(product_id, ShareKind(kind), item.payee_id),
        item.asset or "",
        item.earned_micro_units or 0,
        item.carried_micro_units,
        item.due_units or 0,
        item.units or 0,
    )
