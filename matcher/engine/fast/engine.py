"""The engine as the rest of the matcher uses it: the flat core, with snapshots and the chain around it."""

import hashlib

from exchange.messages import (
    Command,
    CommandResult,
    MalformedRecordError,
    Op,
    Phase,
    chain_hash,
    genesis_hash,
    unpack_result,
)
from exchange.messages.commands import COMMAND_HEADER, PARAMETERS_STRUCT, check_record, pack_command, pack_parameters

from matcher.engine import snapshot
from matcher.engine.batch import Batch
from matcher.engine.fast.classes import IS_COMPILED, Core, OrderPages, has_strange_bits
from matcher.engine.product import ProductSpec

__all__ = ["IS_COMPILED", "Engine"]

_HEADER_WORDS = COMMAND_HEADER.size // 8
_UNCHAINED_MAX = 64
KNOWN_RULES = frozenset({1})


class Engine:
    """One product's matching engine."""

    def __init__(self, product: ProductSpec) -> None:
        self._core = Core(product)
        self._chain = genesis_hash(product.product_id)
        self._unchained: list[Batch] = []

    @classmethod
    def restore(cls, data: bytes) -> "Engine":
        """Continue from a snapshot.

        Raises:   SnapshotError; UnknownRulesError where the log had switched to rules that this code does not have.
        """
        saved = snapshot.read_payload(snapshot.checked_payload(data))
        snapshot.require_known(saved.rules_version, KNOWN_RULES)
        engine = cls(saved.product)
        engine._load(saved)
        return engine

    def _load(self, saved: snapshot.Saved) -> None:
        core, market = self._core, self._core.market
        core.phase, core.rules_version = saved.phase, saved.rules_version
        market.now_ns, market.trade_id = saved.now_ns, saved.trade_id
        market.last_price, market.activations = saved.last_price, saved.activations
        market.out.sequence = saved.sequence
        market.ids.load(saved.order_ids, saved.first_rank)
        core.command_ids.load(saved.command_ids)
        OrderPages(market).unpack(saved.orders, list(saved.counts), list(snapshot.TIE.iter_unpack(saved.ties)))
        self._chain = saved.chain_hash

    @property
    def product(self) -> ProductSpec:
        """The product as the last `configure` left it."""
        product: ProductSpec = self._core.market.product
        return product

    @property
    def sequence(self) -> int:
        """The sequence of the last event."""
        return self._core.market.out.sequence

    @property
    def chain_hash(self) -> bytes:
        """The chain over all groups so far. What batches added to it is hashed when it is asked for."""
        self._settle_chain()
        return self._chain

    def forget_chain(self) -> None:
        """Begin the chain anew: what was answered so far is no stream's, or nobody's who follows the chain."""
        self._unchained.clear()
        self._chain = genesis_hash(self.product.product_id)

    def _settle_chain(self) -> None:
        for batch in self._unchained:
            self._chain = chain_hash(self._chain, batch.data)
        self._unchained.clear()

    @property
    def now_ns(self) -> int:
        """The latest time a command has brought."""
        return self._core.market.now_ns

    @property
    def live_orders(self) -> int:
        """How many orders rest or wait."""
        return self._core.market.pool.live

    def is_live(self, order_id: int) -> bool:
        """Whether the order rests or waits."""
        return self._core.market.ids.get(order_id) > 0

    def snapshot(self) -> bytes:
        """The whole state as bytes, versioned and checksummed."""
        return snapshot.seal(self._payload())

    def state_hash(self) -> bytes:
        """SHA-256 of the state: equal in two engines that will answer everything alike."""
        return hashlib.sha256(self._payload()).digest()

    def _payload(self) -> bytes:
        core, market = self._core, self._core.market
        pages = OrderPages(market)
        counts, orders = pages.pack()
        return snapshot.write_payload(
            snapshot.Saved(
                product=self.product,
                phase=Phase(core.phase),
                rules_version=core.rules_version,
                now_ns=market.now_ns,
                sequence=market.out.sequence,
                trade_id=market.trade_id,
                last_price=market.last_price,
                activations=market.activations,
                first_rank=market.ids.first_rank,
                chain_hash=self.chain_hash,
                order_ids=market.ids.queue(),
                command_ids=core.command_ids.queue(),
                counts=(counts[0], counts[1], counts[2]),
                orders=orders,
                ties=snapshot.pack_ties(pages.ties()),
            )
        )

    def apply(self, command: Command) -> CommandResult | None:
        """Carry out one command, a group of its own; None where it causes no event.

        Raises:   UnknownRulesError.
        """
        packed = self.apply_packed(command)
        return None if packed is None else unpack_result(packed, self.chain_hash)

    def apply_packed(self, command: Command) -> bytes | None:
        """`apply` with the result as the stream carries it."""
        data = pack_command(command)
        if command.op == Op.CONFIGURE:
            # Without parameters it is refused like one whose parameters make no product.
            data += pack_parameters(command.parameters) if command.parameters else bytes(PARAMETERS_STRUCT.size)
        return self._run(data, 0, 1, -1).data or None

    def apply_record(self, record: bytes, *, arrival_ns: int | None = None) -> Batch:
        """Carry out a whole record of the orders stream; all its commands have the arrival time, if there is one.

        Raises:   UnknownVersionError, MalformedRecordError before anything was done; UnknownRulesError.
        """
        product_id, count = check_record(record, has_strange_bits)
        if product_id != self.product.product_id:
            raise MalformedRecordError(f"a record of {product_id} came to the engine of {self.product.product_id}")
        return self._run(record, _HEADER_WORDS, count, -1 if arrival_ns is None else arrival_ns)

    def _run(self, data: bytes, start: int, count: int, time_ns: int) -> Batch:
        core = self._core
        core.run_batch(data, start, count, time_ns)
        batch = Batch(core.market.out.packed(), core.result_ends(), count, core.events)
        if batch.events:
            self._unchained.append(batch)
            if len(self._unchained) > _UNCHAINED_MAX:
                self._settle_chain()
        return batch
