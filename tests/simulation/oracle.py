"""Reading the whole world out of the fakes, at one moment, for `exchange.audit.check`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from exchange.audit.model import Replayed, Saved, Told, TransferRow, World
from exchange.audit.store import transfer_row
from exchange.ledger.model import Batch, parse_entries
from exchange.ledger.store import BalanceItem, JournalItem, balances_from
from exchange.messages import CommandRecord, EventRecord, decode_commands, decode_events
from exchange.orders.store import FillItem, OrderItem, fill_from, order_of
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.store import settlement_cursor
from exchange.statements.store import StatementItem, page_from
from exchange.transfers.model import TransferKind
from exchange.transfers.store import TransferItem, transfer_from
from pynamodb.models import Model

from matcher.engines import ProductEngines
from matcher.listings import product_parameters
from matcher.markets import Engine
from matcher.stream_reader import stream_record
from tests.fakes.cloud.dynamodb import Key, Wire
from tests.simulation.cloud import QUARANTINE, Cloud
from tests.simulation.releases import NEXT_RELEASE, saved_markets, switch_record

_Model = TypeVar("_Model", bound=Model)
_Row = TypeVar("_Row")


class Oracle:
    """Looks at a run from outside. What was decoded once is kept: logs grow, items are replaced."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._events: dict[str, list[EventRecord]] = defaultdict(list)
        self._commands: dict[str, list[CommandRecord]] = defaultdict(list)
        self._read: dict[str, int] = defaultdict(int)
        self._saved: dict[str, tuple[Saved, ...]] = {}
        self._rows: dict[str, dict[Key, tuple[Wire, Any]]] = defaultdict(dict)
        self._replayed: dict[str, int] = defaultdict(int)
        self._engines: dict[str, Engine] = {
            product_id: ProductEngines().create(product_id, product_parameters(product))
            for product_id, product in cloud.plan.products.items()
        }

    def world(self, history: Sequence[Told], *, quiet: bool) -> World:
        """Everything, as it is now."""
        cloud = self._cloud
        self._decode()
        batches: dict[str, list[tuple[Batch, bytes]]] = defaultdict(list)
        for batch, hash_after in sorted(self._models(JournalItem, _batch), key=lambda row: row[0].number):
            batches[batch.partition].append((batch, hash_after))
        products = cloud.plan.products
        return World(
            products=products,
            balances=[row for rows in self._models(BalanceItem, balances_from) for row in rows],
            batches=batches,
            orders=self._table(OrderItem, order_of),
            fills=self._models(FillItem, fill_from),
            transfers=[row for rows in self._models(TransferItem, _transfers, having="account_id") for row in rows],
            cursors={product_id: settlement_cursor(product_id) for product_id in products} if quiet else {},
            executions=self._events,
            commands=self._commands,
            replayed=self._replay() if quiet else {},
            paused=Quarantine(cloud.s3, QUARANTINE).paused() if quiet else {},
            statements=self._models(StatementItem, page_from) if quiet else (),
            history=history,
            payments=cloud.payments,
            saved=list(self._snapshots()),
        )

    def _models(self, model: type[_Model], read: Callable[[_Model], _Row], *, having: str = "") -> list[_Row]:
        return self._table(model, lambda item: read(model.from_raw_data(item)), having=having)

    def _table(self, model: type[Model], read: Callable[[Wire], _Row], *, having: str = "") -> list[_Row]:
        """Every item of a table that has an attribute, read once for as long as nobody writes over it."""
        name = model.Meta.table_name
        kept, rows = self._rows[name], []
        for key, item in self._cloud.dynamodb.tables[name].items.items():
            if having and having not in item:
                continue
            known = kept.get(key)
            if known is None or known[0] is not item:
                known = kept[key] = item, read(item)
            rows.append(known[1])
        return rows

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
        """What undisturbed engines make of the log: today's, and the next release's once it asks for its rules."""
        for shard in self._cloud.kinesis.streams["orders"].shards:
            for row in shard.records[self._replayed[shard.shard_id] :]:
                record = stream_record(row)
                product_id = record.partition_key
                if record.data == switch_record(product_id):
                    self._engines[product_id] = NEXT_RELEASE.restore(self._engines[product_id].snapshot())
                self._engines[product_id].apply_record(record.data, arrival_ns=record.arrival_ns)
            self._replayed[shard.shard_id] = len(shard.records)
        return {name: Replayed(engine.sequence, engine.chain_hash) for name, engine in self._engines.items()}

    def _snapshots(self) -> Iterator[Saved]:
        for (bucket, key), (data, _) in self._cloud.s3.objects.items():
            if bucket != "snapshots":
                continue
            if key not in self._saved:
                self._saved[key] = tuple(_markets(key, data))
            yield from self._saved[key]


def _markets(key: str, data: bytes) -> Iterator[Saved]:
    for product_id, engine in saved_markets(key, data).items():
        yield Saved(key, product_id, engine.sequence, engine.chain_hash)


def _batch(item: JournalItem) -> tuple[Batch, bytes]:
    entries = parse_entries(item.entries)
    batch = Batch(item.partition, item.batch, item.previous_hash, item.posted_at_ns, item.reference, entries)
    return batch, item.hash


def _transfers(item: TransferItem) -> list[TransferRow]:
    """A transfer's row; none for the other half of a move, which its first half speaks for."""
    transfer = transfer_from(item)
    return [] if transfer.kind is TransferKind.INTERNAL_DEPOSIT else [transfer_row(transfer)]
