"""Reading the whole world out of the fakes, at one moment, for `exchange.audit.check`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from exchange.audit.model import Replayed, Saved, Told, World
from exchange.audit.store import transfer_row
from exchange.ledger.model import Batch, parse_entries
from exchange.ledger.store import BalanceItem, JournalItem, balances_from
from exchange.messages import CommandRecord, EventRecord, decode_commands, decode_events
from exchange.orders.store import FillItem, OrderItem, fill_from, order_from
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.store import settlement_cursor
from exchange.statements.store import StatementItem, page_from
from exchange.transfers.model import TransferKind
from exchange.transfers.store import TransferItem, transfer_from

from matcher.engines import ProductEngines
from matcher.listings import product_parameters
from matcher.snapshots import SnapshotCorruptError, decode_state
from matcher.stream_reader import stream_record
from tests.simulation.cloud import QUARANTINE, Cloud


class Oracle:
    """Looks at a run from outside. What was decoded once is kept, for the logs only grow."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._events: dict[str, list[EventRecord]] = defaultdict(list)
        self._commands: dict[str, list[CommandRecord]] = defaultdict(list)
        self._read: dict[str, int] = defaultdict(int)
        self._saved: dict[str, tuple[Saved, ...]] = {}

    def world(self, history: Sequence[Told], *, quiet: bool) -> World:
        """Everything, as it is now."""
        cloud = self._cloud
        self._decode()
        batches: dict[str, list[tuple[Batch, bytes]]] = defaultdict(list)
        for item in sorted(JournalItem.scan(), key=lambda item: (item.partition, item.batch)):
            batches[item.partition].append((_batch(item), item.hash))
        transfers = [transfer_from(item) for item in TransferItem.scan(TransferItem.account_id.exists())]
        products = cloud.plan.products
        return World(
            products=products,
            balances=[row for item in BalanceItem.scan() for row in balances_from(item)],
            batches=batches,
            orders=[order_from(item) for item in OrderItem.scan()],
            fills=[fill_from(item) for item in FillItem.scan()],
            transfers=[transfer_row(t) for t in transfers if t.kind is not TransferKind.INTERNAL_DEPOSIT],
            cursors={product_id: settlement_cursor(product_id) for product_id in products} if quiet else {},
            executions=self._events,
            commands=self._commands,
            replayed=self._replay() if quiet else {},
            paused=Quarantine(cloud.s3, QUARANTINE).paused() if quiet else {},
            statements=[page_from(item) for item in StatementItem.scan()] if quiet else (),
            history=history,
            payments=cloud.payments,
            saved=list(self._snapshots()),
        )

    def all_is_published(self) -> bool:
        """Whether everything that the commands make was said."""
        self._decode()
        said = {product_id: max(r.last_sequence for r in records) for product_id, records in self._events.items()}
        return all(replayed.sequence == said.get(name, 0) for name, replayed in self._replay().items())

    def _decode(self) -> None:
        for stream in self._cloud.kinesis.streams.values():
            for shard in stream.shards:
                for row in shard.records[self._read[shard.shard_id] :]:
                    product_id, data = row["PartitionKey"], row["Data"]
                    if stream.name == "executions":
                        self._events[product_id].append(decode_events(data))
                    else:
                        self._commands[product_id].append(decode_commands(data))
                self._read[shard.shard_id] = len(shard.records)

    def _replay(self) -> dict[str, Replayed]:
        found = {}
        engines = {
            product_id: ProductEngines().create(product_id, product_parameters(product))
            for product_id, product in self._cloud.plan.products.items()
        }
        for shard in self._cloud.kinesis.streams["orders"].shards:
            for row in shard.records:
                record = stream_record(row)
                engines[record.partition_key].apply_record(record.data, arrival_ns=record.arrival_ns)
        for product_id, engine in engines.items():
            found[product_id] = Replayed(engine.sequence, engine.chain_hash)
        return found

    def _snapshots(self) -> Iterator[Saved]:
        for (bucket, key), (data, _) in self._cloud.s3.objects.items():
            if bucket != "snapshots":
                continue
            if key not in self._saved:
                self._saved[key] = tuple(_markets(key, data))
            yield from self._saved[key]


def _markets(key: str, data: bytes) -> Iterator[Saved]:
    try:
        state = decode_state(data, shard_id=key.split("/", maxsplit=1)[0])
    except SnapshotCorruptError:
        return
    for product_id, saved in state.markets.items():
        try:
            engine = ProductEngines().restore(saved)
        except SnapshotCorruptError:
            return
        yield Saved(key, product_id, engine.sequence, engine.chain_hash)


def _batch(item: JournalItem) -> Batch:
    return Batch(
        item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, parse_entries(item.entries)
    )
