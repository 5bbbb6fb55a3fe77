"""Reading the world: whole tables, and whole streams from the oldest record that they still have."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from exchange.approvals.store import bind_audit_rows, every_link, every_row
from exchange.audit.model import Acts, BankView, ChainView, Replayed, TransferRow, World
from exchange.awards.store import AwardItem
from exchange.aws.dynamodb import bind, connection
from exchange.banking.model import RAIL
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.books.files import books_of
from exchange.books.store import ClosingItem, ClosingStore, S3Vault
from exchange.chains.departure_store import DepartureStore
from exchange.chains.departures import Departure, Mined, Version
from exchange.chains.model import Block, Listing, Place
from exchange.chains.store import ChainItem, ChainStore
from exchange.fees.store import FeeScheduleItem, awarded_closing, read_versions
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.iso20022.statements import SCALE
from exchange.kernel.errors import UnavailableError
from exchange.kernel.money import format_units
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore, every_balance
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.messages import CommandRecord, EventRecord, MalformedRecordError, decode_commands, decode_events
from exchange.orders.store import FillItem, OrderItem, fill_from, order_from
from exchange.referrals.store import ReferralItem, ReferralStore
from exchange.settlement.model import Cursor
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.store import CheckpointItem, settlement_cursor
from exchange.statements.store import StatementCursorItem, StatementItem, page_from, reached_partitions
from exchange.transfers.model import Transfer, TransferKind, TransferStatus
from exchange.transfers.store import TransferItem, transfer_from

_SETTLEMENT = "settlement:"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the world is: table names by their logical name, stream names, buckets."""

    tables: Mapping[str, str]
    orders_stream: str
    executions_stream: str
    quarantine_bucket: str
    archive_bucket: str


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One Kinesis record as boto3 gives it."""

    answer: Mapping[str, Any]

    @property
    def product_id(self) -> str:
        """The partition key: the product."""
        return str(self.answer["PartitionKey"])

    @property
    def data(self) -> bytes:
        """The record's bytes."""
        return bytes(self.answer["Data"])


def bind_tables(tables: Mapping[str, str]) -> None:
    """Tell every item which table it is here; what is not named is not read."""
    for model, name in (
        (InstrumentItem, "instruments"),
        (BalanceItem, "balances"),
        (JournalItem, "journal"),
        (OrderItem, "orders"),
        (FillItem, "fills"),
        (TransferItem, "transfers"),
        (StatementItem, "statements"),
        (StatementCursorItem, "checkpoints"),
        (CheckpointItem, "checkpoints"),
        (ClosingItem, "closings"),
        (ChainItem, "chains"),
        (BankFileItem, "bank_files"),
        (FeeScheduleItem, "fee_schedules"),
        (ReferralItem, "referrals"),
        (AwardItem, "awards"),
    ):
        if name in tables:
            bind(model, tables[name])
    if "audit_rows" in tables:
        bind_audit_rows(tables["audit_rows"])
    if "market_data" in tables:
        bind_market_data(tables["market_data"])


def scan_stream(kinesis: Any, stream_name: str) -> Iterator[RawRecord]:
    """Every record of a stream, shard by shard, each shard in its order (a parent before its children)."""
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream_name)
    for shard in [shard for page in pages for shard in page["Shards"]]:
        answer = kinesis.get_shard_iterator(
            StreamName=stream_name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        iterator = answer["ShardIterator"]
        while iterator:
            batch = kinesis.get_records(ShardIterator=iterator, Limit=5_000)
            for record in batch["Records"]:
                yield RawRecord(record)
            if not batch["Records"] and not batch.get("MillisBehindLatest"):
                break
            iterator = batch.get("NextShardIterator")


def read_commands(records: Iterator[RawRecord]) -> dict[str, list[CommandRecord]]:
    """The orders stream's records by product, but for those that nobody can read: the matcher keeps them elsewhere.

    Raises:   UnknownVersionError.
    """
    found: dict[str, list[CommandRecord]] = defaultdict(list)
    for record in records:
        with suppress(MalformedRecordError):
            found[record.product_id].append(decode_commands(record.data))
    return found


def read_executions(records: Iterator[RawRecord]) -> dict[str, list[EventRecord]]:
    """The executions stream's records by product."""
    found: dict[str, list[EventRecord]] = defaultdict(list)
    for record in records:
        found[record.product_id].append(decode_events(record.data))
    return found


def read_cursors() -> tuple[dict[str, Cursor], dict[str, int]]:
    """How far settlement, and how far market data, has come in each product."""
    settled: dict[str, Cursor] = {}
    for item in CheckpointItem.scan(attributes_to_get=["name"], consistent_read=True):
        if item.name.startswith(_SETTLEMENT):
            product_id = item.name.removeprefix(_SETTLEMENT)
            settled[product_id] = settlement_cursor(product_id)
    markets = MarketDataStore()
    return settled, {product_id: markets.sequence(product_id) for product_id in InstrumentStore().products()}


def journal_partitions() -> set[str]:
    """Every partition that anything was ever posted in."""
    return {item.partition for item in JournalItem.scan(attributes_to_get=["partition"], consistent_read=True)}


def stated_journal() -> dict[str, int] | None:
    """Where each partition of the journal ends; None where the statements have not reached all of these ends."""
    journal, written = JournalStore(), reached_partitions()
    ends = {partition: journal.head(partition).number for partition in journal_partitions() | written.keys()}
    return ends if all(written.get(partition, 0) >= end for partition, end in ends.items()) else None


class Holdings(Protocol):
    """A chain's node, as far as an audit asks it."""

    def block(self, number: int) -> Block | None:
        """The block that it has at a height now."""
        ...

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        """What an address has at a block, in the chain's units."""
        ...

    def mined(self, versions: Sequence[Version]) -> Mined | None:
        """Which of them is in a block now; None where none is."""
        ...


def read_chains(node_of: Callable[[str], Holdings]) -> list[ChainView]:
    """Every chain that is listed. One whose node does not answer is there with that as its reason.

    Raises:   UnavailableError where our own tables don't answer.
    """
    return [_read_chain(listing, node_of) for listing in ChainStore().listings()]


def _read_chain(listing: Listing, node_of: Callable[[str], Holdings]) -> ChainView:
    """A chain, with what its node says at the newest block that the watcher has read."""
    store, chain = ChainStore(), listing.chain
    tip = store.cursor(chain).tip
    # The watcher notes a block's arrivals before it says that it has read the block.
    arrivals = [each for each in store.arrivals(chain, from_block=0) if each.block_number <= tip.number]
    departures, addresses = DepartureStore(connection()).departures(chain), store.addresses(chain)
    try:
        on_chain, left = _told(listing, tip, node_of(chain), addresses, departures)
    except UnavailableError as error:
        return ChainView(listing, arrivals, {}, f"its node does not answer: {error}", departures)
    if on_chain is None:
        reason = "its newest block has left the chain; let the watcher run, then ask again"
        return ChainView(listing, arrivals, {}, reason, departures)
    return ChainView(listing, arrivals, on_chain, "", departures, left)


def _told(
    listing: Listing, tip: Block, node: Holdings, addresses: Sequence[str], departures: Sequence[Departure]
) -> tuple[Counter[tuple[Place, str]] | None, list[tuple[Departure, Mined]]]:
    """What a node says that our addresses have at a block, and which departures it has up to there; None without it."""
    found = node.block(tip.number)
    if found is None or found.hash != tip.hash:
        return None, []
    on_chain: Counter[tuple[Place, str]] = Counter()
    for address in addresses:
        for token in listing.tokens:
            on_chain[listing.place_of(address), token.contract] += node.balance(address, token.contract, tip)
    sent = ((departure, node.mined(departure.versions)) for departure in departures)
    left = [(departure, mined) for departure, mined in sent if mined is not None and mined.block.number <= tip.number]
    return on_chain, left


def read_world(
    places: Places, *, kinesis: Any, s3: Any, replayed: Mapping[str, Replayed], chains: Sequence[ChainView] = ()
) -> World:
    """Read everything. Call `bind_tables` first, and wait until the exchange is quiet."""
    cursors, book_sequences = read_cursors()
    journal, vault = JournalStore(), S3Vault(s3, places.archive_bucket)
    return World(
        products=InstrumentStore().products(),
        balances=list(every_balance()),
        batches={partition: list(journal.batches(partition)) for partition in sorted(journal_partitions())},
        orders=[order_from(item) for item in OrderItem.scan(consistent_read=True)],
        fills=[fill_from(item) for item in FillItem.scan(consistent_read=True)],
        transfers=[
            transfer_row(transfer_from(item))
            for item in TransferItem.scan(TransferItem.account_id.exists(), consistent_read=True)
            if item.kind != TransferKind.INTERNAL_DEPOSIT.value  # the other side of one that was sent
        ],
        cursors=cursors,
        executions=read_executions(scan_stream(kinesis, places.executions_stream)),
        commands=read_commands(scan_stream(kinesis, places.orders_stream)),
        replayed=replayed,
        book_sequences=book_sequences,
        paused=Quarantine(s3, places.quarantine_bucket).paused(),
        statements=[page_from(item) for item in StatementItem.scan(consistent_read=True)],
        closings=[(closing, books_of(closing, vault=vault)) for closing in ClosingStore().page(None, 0)],
        chains=chains,
        banks=read_banks(),
        payouts=BankFileStore(connection()).payouts(),
        fee_versions=read_versions(),
        referrals=dict(ReferralStore().all()),
        awarded=awarded_closing(),
        acts=Acts(every_link(), every_row()),
    )


def _lacks(overdue: bool) -> str:
    return "and the statements that should have it do not" if overdue else "not stated yet"


def read_banks() -> list[BankView]:
    """Our accounts at banks that send statements, and what stands behind each balance. Raises UnavailableError."""
    store = BankFileStore(connection())
    views = []
    takings = store.takings()  # First: one that ends now has its last entry in what is read behind it.
    for account in store.accounts():
        standing = store.standing(account)
        lines = [f"closed at {format_units(account.closing, SCALE)} on statement {account.number}"]
        lines += [
            f"line {line.key}: {format_units(line.units, SCALE)}, {_lacks(standing.overdue(line))}"
            for line in standing.unstated
        ]
        for each in standing.paid:
            told = f"payment {each.order.transfer_id}: {format_units(each.order.units, each.order.scale)}"
            lines.append(f"{told}, no line, {_lacks(standing.overdue(each))}")
        own = [each for each in takings if each.currency == account.currency]
        lines += map(str, own)
        views.append(BankView(RAIL, account.currency, standing.expected_units, lines, own))
    return views


def transfer_row(transfer: Transfer) -> TransferRow:
    """A transfer as an audit looks at it."""
    return TransferRow(
        transfer.transfer_id,
        transfer.account_id,
        transfer.asset,
        transfer.units,
        transfer.status is TransferStatus.COMPLETED,
        held_units=transfer.held_units,
        client_transfer_id=transfer.client_transfer_id,
        is_withdrawal=transfer.kind is TransferKind.WITHDRAW,
        rail=transfer.rail,
    )
