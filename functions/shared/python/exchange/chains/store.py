"""Chains in DynamoDB: one partition a chain, so that no chain touches another's items; and the writes of its money.

What chains there are stands in a partition of its own, each chain's terms by its name: an operator alone writes there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, error_code, outage, reading
from exchange.chains.model import (
    GONE,
    HOUSE,
    Arrival,
    Block,
    Cursor,
    Listing,
    Place,
    Stage,
    Token,
    arrivals_from,
)
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch, Movements
from exchange.ledger.store import append_batch, move_balances
from exchange.transfers.model import Transfer
from exchange.transfers.store import TransferItem, transfer_item

_FAILED = "ConditionalCheckFailed"
_CONDITION_FAILED = "ConditionalCheckFailedException"
_LOST = frozenset({_FAILED, "TransactionConflict"})
LISTINGS = "#listings"  # No chain can have this name.
KEYS, CURSOR, COUNTER = "keys", "cursor", "counter"


class ChainItem(Model):
    """Anything of a chain, by its key: the listing, the keys, the cursor, an address, its wallet, an arrival."""

    class Meta:
        table_name = "chains"

    chain = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute(null=True)  # JSON
    version = UnitsAttribute(null=True)
    stage = UnicodeAttribute(null=True)
    sealed_seed = BinaryAttribute(legacy_encoding=False, null=True)
    account_id = UnitsAttribute(null=True)
    address = UnicodeAttribute(null=True)
    credited = UnicodeAttribute(null=True)
    units = UnitsAttribute(null=True)


class ChainStore:
    """A chain's listing, cursor, addresses and arrivals."""

    def listing(self, chain: str) -> Listing | None:
        """The chain as it is listed. Raises UnavailableError."""
        body = self._body(LISTINGS, chain)
        return _listing_from(body) if body else None

    def listings(self) -> Sequence[Listing]:
        """Every chain that is listed, by name. Raises UnavailableError."""
        with reading():
            rows = ChainItem.query(LISTINGS, consistent_read=True)
            return [_listing_from(item.body) for item in rows]

    def open(self, listing: Listing, *, public_key: str, sealed_seed: bytes, start: Block) -> None:
        """List a chain: its terms are put anew, its keys and its cursor only where there are none.

        Raises:   OutageError.
        """
        for house in {listing.hot_address, listing.cold_address} - {""}:
            _put_new(ChainItem(listing.chain, address_key(house), account_id=HOUSE))
        for item in (
            ChainItem(listing.chain, KEYS, body=public_key, sealed_seed=sealed_seed),
            ChainItem(listing.chain, CURSOR, body=_blocks_text((start,)), version=0),
        ):
            _put_new(item)
        # Last: from here on the chain is followed, and has all that this takes.
        ChainItem(LISTINGS, listing.chain, body=json.dumps(asdict(listing))).save()

    def public_key(self, chain: str) -> str | None:
        """The extended public key that addresses come from. Raises UnavailableError."""
        return self._body(chain, KEYS)

    def sealed_seed(self, chain: str) -> bytes | None:
        """The seed of its addresses as KMS sealed it. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == KEYS, consistent_read=True):
                return item.sealed_seed
        return None

    def address_index(self, chain: str, address: str) -> int | None:
        """The number of a deposit address; None for every other. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == address_key(address), consistent_read=True):
                return item.version
        return None

    def cursor(self, chain: str) -> Cursor:
        """How far the chain was read. Raises UnavailableError."""
        with reading():
            item = ChainItem.get(chain, CURSOR, consistent_read=True)
        return Cursor(tuple(Block(*row) for row in json.loads(item.body)), item.version)

    def save_cursor(self, chain: str, cursor: Cursor) -> bool:
        """Put the version after the one that is there; False where somebody else was faster. Raises OutageError."""
        item = ChainItem(chain, CURSOR, body=_blocks_text(cursor.blocks), version=cursor.version)
        try:
            item.save(condition=ChainItem.version == cursor.version - 1)
        except PutError as error:
            if error_code(error) == _CONDITION_FAILED:
                return False
            raise outage(error) from error
        return True

    def owners(self, chain: str, addresses: Iterable[str]) -> Mapping[str, int]:
        """The accounts behind those of the addresses that are ours. Raises UnavailableError."""
        keys = [(chain, address_key(address)) for address in addresses]
        with reading():
            found = list(ChainItem.batch_get(keys, consistent_read=True)) if keys else []
        return {item.key.removeprefix("address#"): item.account_id for item in found}

    def addresses(self, chain: str) -> list[str]:
        """Every address of ours. Raises UnavailableError."""
        with reading():
            rows = ChainItem.query(chain, ChainItem.key.startswith("address#"), consistent_read=True)
            return [item.key.removeprefix("address#") for item in rows]

    def wallet_address(self, chain: str, account_id: int, asset: str) -> str | None:
        """The address that a wallet was given. Raises UnavailableError."""
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == wallet_key(account_id, asset), consistent_read=True):
                return item.address
        return None

    def next_index(self, chain: str) -> int:
        """A number that no address has yet; one that is then not used is left out. Raises OutageError."""
        item = ChainItem(chain, COUNTER)
        try:
            item.update(actions=[ChainItem.version.add(1)])
        except UpdateError as error:
            raise outage(error) from error
        return int(item.version) - 1

    def give_address(self, chain: str, account_id: int, asset: str, address: str, index: int) -> bool:
        """Give a wallet the address of a number, once; False where it has one. Raises OutageError.

        The address is put first: one that nobody was told of does no harm, one that we don't watch would.
        """
        _put_new(ChainItem(chain, address_key(address), account_id=account_id, version=index))
        return _put_new(ChainItem(chain, wallet_key(account_id, asset), account_id=account_id, address=address))

    def note(self, arrival: Arrival) -> None:
        """Put an arrival, or see one again that was gone; one that is there stays as it is. Raises OutageError."""
        if _put_new(_arrival_item(arrival)):
            return
        with reading():
            known = _arrival_from(ChainItem.get(arrival.chain, arrival.key, consistent_read=True))
        if known.stage in GONE:
            anew = Arrival(**{**asdict(arrival), "round": known.round}).again()
            _put(_arrival_item(anew), known)

    def arrivals(self, chain: str, *, from_block: int) -> Sequence[Arrival]:
        """Arrivals in blocks of that number and above, in their order. Raises UnavailableError."""
        between = ChainItem.key.between(arrivals_from(max(from_block, 0)), "arrival#~")
        with reading():
            return [_arrival_from(item) for item in ChainItem.query(chain, between, consistent_read=True)]

    def orphan(self, arrival: Arrival) -> None:
        """An arrival that was never credited is gone. Raises OutageError."""
        gone = Arrival(**{**asdict(arrival), "stage": Stage.ORPHANED})
        _put(_arrival_item(gone), arrival)

    @staticmethod
    def _body(chain: str, key: str) -> str | None:
        with reading():
            for item in ChainItem.query(chain, ChainItem.key == key, consistent_read=True):
                return item.body
        return None


class ChainPostings:
    """Credits, unlocks and reversals: the arrival, its mark, the transfer, the journal and the balances at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def credit(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        """The arrival becomes a locked deposit; False where it is none, or the batch number is taken.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        mark = ChainItem(arrival.chain, arrival.mark)
        try:
            with transaction:
                transaction.save(transfer_item(transfer), condition=TransferItem.transfer_id.does_not_exist())
                append_batch(transaction, batch)
                _to(transaction, arrival, arrival.credited_stage)
                transaction.update(
                    mark, actions=[ChainItem.credited.set(arrival.key)], condition=ChainItem.credited.does_not_exist()
                )
                move_balances(transaction, movements)
        except TransactWriteError as error:
            return _lost(error, arrival)
        return True

    def unlock(self, arrival: Arrival, movements: Movements) -> bool:
        """Its money may be spent; False where it is not locked. Raises UnavailableError, OutcomeUnknownError."""
        transaction = TransactWrite(connection=self._connection)
        locked = TransferItem.locked_units == arrival.units
        unlocked: list[Action] = [TransferItem.locked_units.remove()]
        try:
            with transaction:
                transaction.update(TransferItem(arrival.transfer_id), actions=unlocked, condition=locked)
                _to(transaction, arrival, Stage.FREE)
                add_unswept(transaction, arrival.chain, {(arrival.address, arrival.contract): arrival.units})
                move_balances(transaction, movements)
        except TransactWriteError as error:
            return _lost(error, arrival)
        return True

    def reverse(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        """It is taken back; False where it is not credited, or its money moved meanwhile.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        mark = ChainItem(arrival.chain, arrival.mark)
        undone: list[Action] = [TransferItem.locked_units.remove(), TransferItem.reversed_by.set(transfer.transfer_id)]
        try:
            with transaction:
                transaction.save(transfer_item(transfer), condition=TransferItem.transfer_id.does_not_exist())
                append_batch(transaction, batch)
                transaction.update(
                    TransferItem(arrival.transfer_id),
                    actions=undone,
                    condition=TransferItem.transfer_id.exists() & TransferItem.reversed_by.does_not_exist(),
                )
                _to(transaction, arrival, Stage.REVERSED)
                if arrival.stage is Stage.FREE and not arrival.giver:
                    add_unswept(transaction, arrival.chain, {(arrival.address, arrival.contract): -arrival.units})
                transaction.update(
                    mark, actions=[ChainItem.credited.remove()], condition=ChainItem.credited == arrival.key
                )
                move_balances(transaction, movements)
        except TransactWriteError as error:
            return _lost(error, arrival)
        return True


def address_key(address: str) -> str:
    """Where an address of ours is kept; addresses are the same in any case of letters."""
    return f"address#{address.lower()}"


def wallet_key(account_id: int, asset: str) -> str:
    """Where the address of a wallet is kept."""
    return f"wallet#{account_id}#{asset}"


def unswept_key(address: str, contract: str) -> str:
    """Where stands what may be swept of a token at an address."""
    return f"unswept#{address}#{contract}"


def add_unswept(transaction: TransactWrite, chain: str, units: Mapping[tuple[str, str], int]) -> None:
    """Add to what may be swept, by address and contract. It may fall below zero where a block left late."""
    for (address, contract), change in sorted(units.items()):
        transaction.update(ChainItem(chain, unswept_key(address, contract)), actions=[ChainItem.units.add(change)])


def _listing_from(body: str) -> Listing:
    values = json.loads(body)
    return Listing(**{**values, "tokens": tuple(Token(**token) for token in values["tokens"])})


def _to(transaction: TransactWrite, arrival: Arrival, stage: Stage) -> None:
    after = Arrival(**{**asdict(arrival), "stage": stage})
    actions: list[Action] = [ChainItem.stage.set(stage.value), ChainItem.body.set(_arrival_text(after))]
    condition = ChainItem.body == _arrival_text(arrival)
    transaction.update(ChainItem(arrival.chain, arrival.key), actions=actions, condition=condition)


def _arrival_item(arrival: Arrival) -> ChainItem:
    return ChainItem(
        arrival.chain,
        arrival.key,
        body=_arrival_text(arrival),
        stage=arrival.stage.value,
        account_id=arrival.account_id,
    )


def _arrival_text(arrival: Arrival) -> str:
    values = {**asdict(arrival), "base_units": str(arrival.base_units), "units": str(arrival.units)}
    return json.dumps(values, separators=(",", ":"))


def _arrival_from(item: ChainItem) -> Arrival:
    values = json.loads(item.body)
    values["base_units"], values["units"] = int(values["base_units"]), int(values["units"])
    place = Place(values.get("place", Place.ADDRESSES))
    return Arrival(**{**values, "stage": Stage(values["stage"]), "place": place})


def _blocks_text(blocks: Iterable[Block]) -> str:
    return json.dumps([[block.number, block.hash, block.parent_hash] for block in blocks], separators=(",", ":"))


def _put_new(item: ChainItem) -> bool:
    try:
        item.save(condition=ChainItem.key.does_not_exist())
    except PutError as error:
        if error_code(error) == _CONDITION_FAILED:
            return False
        raise outage(error) from error
    return True


def _put(item: ChainItem, before: Arrival) -> None:
    """Replace an arrival that is still as it was; where it is not, the next run sees what it is."""
    try:
        item.save(condition=ChainItem.body == _arrival_text(before))
    except PutError as error:
        if error_code(error) != _CONDITION_FAILED:
            raise outage(error) from error


def _lost(error: TransactWriteError, arrival: Arrival) -> bool:
    codes = cancellation_codes(error)
    if _LOST.intersection(codes):
        return False
    raise UnavailableError(f"posting {arrival.key}: {list(codes)}") from error
