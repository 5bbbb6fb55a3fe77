"""Departures in DynamoDB, in the chain's partition: each by its name, those that are open beside it, by age."""

from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes, error_code, outage, reading
from exchange.chains.departures import Departure, Fees, Quote, Unswept
from exchange.chains.model import Place
from exchange.chains.store import ChainItem, add_unswept, unswept_key
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch, Movements
from exchange.ledger.store import append_batch, move_balances

_LOST = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
QUOTE = "quote"


class DepartureStore:
    """Every write of a departure is conditional on what it was, so each of its steps happens once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, chain: str, place: Place, *, limit: int) -> Sequence[Departure]:
        """Those out of a place that are not closed, oldest first. Raises UnavailableError."""
        with reading():
            marks = ChainItem.query(chain, ChainItem.key.startswith(f"open#{place}#"), consistent_read=True)
            names = [str(mark.body) for _, mark in zip(range(limit), marks, strict=False)]
        found = (self.departure(chain, name) for name in names)
        return [departure for departure in found if departure is not None and not departure.posted]

    def departure(self, chain: str, departure_id: str) -> Departure | None:
        """One, as it is now. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == departure_key(departure_id), consistent_read=True):
                return Departure.parse(item.body)
        return None

    def departures(self, chain: str) -> Sequence[Departure]:
        """Every one there ever was. Raises UnavailableError."""
        with reading():
            items = ChainItem.query(chain, ChainItem.key.startswith("departure#"), consistent_read=True)
            return [Departure.parse(item.body) for item in items]

    def next_nonce(self, chain: str, address: str) -> int:
        """The nonce that the next departure of an address gets. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == nonce_key(address), consistent_read=True):
                return item.version or 0
        return 0

    def unswept(self, chain: str) -> dict[str, dict[str, int]]:
        """What may be swept, by address and contract, in our units. Raises UnavailableError."""
        found: dict[str, dict[str, int]] = {}
        with reading():
            for item in ChainItem.query(chain, ChainItem.key.startswith("unswept#"), consistent_read=True):
                _, address, contract = item.key.split("#")
                found.setdefault(address, {})[contract] = item.units or 0
        return found

    def ask(self, departure: Departure, unswept: Unswept) -> bool:
        """Put a departure that is due; False where there is one of its name, or too little to sweep.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        key = departure_key(departure.departure_id)
        try:
            with transaction:
                item = ChainItem(departure.chain, key, body=departure.text())
                transaction.save(item, condition=ChainItem.key.does_not_exist())
                transaction.save(ChainItem(departure.chain, _open_key(departure), body=departure.departure_id))
                for (address, contract), change in sorted(unswept.items()):
                    transaction.update(
                        ChainItem(departure.chain, unswept_key(address, contract)),
                        actions=[ChainItem.units.add(change)],
                        condition=ChainItem.units >= -change,
                    )
        except TransactWriteError as error:
            return _lost(error, departure)
        return True

    def bind(self, due: Departure, signed: Departure) -> bool:
        """Store it signed and take its nonce, both or neither; False where either is no longer free.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        free = ChainItem.version == signed.nonce
        if not signed.nonce:
            free = free | ChainItem.version.does_not_exist()
        try:
            with transaction:
                counter = ChainItem(signed.chain, nonce_key(signed.sender))
                transaction.update(counter, actions=[ChainItem.version.set(signed.nonce + 1)], condition=free)
                _to(transaction, due, signed)
        except TransactWriteError as error:
            return _lost(error, due)
        return True

    def replace(self, before: Departure, after: Departure) -> bool:
        """Store one more version of it, or that it is decided; False where it has moved on. Raises OutageError."""
        item = ChainItem(before.chain, departure_key(before.departure_id))
        try:
            item.update(actions=[ChainItem.body.set(after.text())], condition=ChainItem.body == before.text())
        except UpdateError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise outage(error) from error
        return True

    def post(self, decided: Departure, batch: Batch | None, movements: Movements, unswept: Unswept) -> bool:
        """Post what it posts, and close it; False where that is done, or the batch number is taken.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                if batch is not None:
                    append_batch(transaction, batch)
                _to(transaction, decided, decided.closed())
                transaction.delete(ChainItem(decided.chain, _open_key(decided)))
                add_unswept(transaction, decided.chain, unswept)
                move_balances(transaction, movements)
        except TransactWriteError as error:
            return _lost(error, decided)
        return True

    def note_fees(self, chain: str, fees: Fees, *, at_ns: int) -> None:
        """Keep what the chain takes now. Raises OutageError."""
        try:
            ChainItem(chain, QUOTE, body=f"{fees.base} {fees.tip} {at_ns}").save()
        except PutError as error:
            raise outage(error) from error

    def quote(self, chain: str) -> Quote | None:
        """What the chain took when it was last asked. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == QUOTE, consistent_read=True):
                base, tip, at_ns = (int(part) for part in item.body.split())
                return Quote(Fees(base, tip), at_ns)
        return None


def departure_key(departure_id: str) -> str:
    """Where a departure is kept."""
    return f"departure#{departure_id}"


def nonce_key(address: str) -> str:
    """Where the next nonce of an address is kept."""
    return f"nonce#{address}"


def _open_key(departure: Departure) -> str:
    return f"open#{departure.place}#{departure.asked_at_ns:020d}#{departure.departure_id}"


def _to(transaction: TransactWrite, before: Departure, after: Departure) -> None:
    actions: list[Action] = [ChainItem.body.set(after.text())]
    item = ChainItem(before.chain, departure_key(before.departure_id))
    transaction.update(item, actions=actions, condition=ChainItem.body == before.text())


def _lost(error: TransactWriteError, departure: Departure) -> bool:
    codes = cancellation_codes(error)
    if _LOST.intersection(codes):
        return False
    raise UnavailableError(f"{departure.departure_id}: {list(codes)}") from error
