"""Design bugs, one at a time: each must be killed by a named invariant, or the oracle is not worth its name.

A mutant replaces a text of a module with another. Whichever invariant names it first has killed it, but for a seed that
breaks without any mutant too (`mutate.py`).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Change:
    """A text of a module and what takes its place."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One planted bug."""

    name: str
    claim: str
    changes: tuple[Change, ...]


def _one(name: str, claim: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, claim, (Change(module, old, new),))


_ORDERS: Final = "exchange.orders.model"
_PLAN: Final = "exchange.settlement.model"
_SETTLE: Final = "exchange.settlement.service"
_SETTLED: Final = "exchange.settlement.store"
_PLACING: Final = "exchange.trading.placing"
_TRADING: Final = "exchange.trading.store"
_DESK: Final = "exchange.trading.service"
_LEDGER: Final = "exchange.ledger.store"
_WALLETS: Final = "exchange.wallets.store"
_WITHDRAWING: Final = "exchange.wallets.withdrawing"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # Order entry
    _one(
        "new-id-on-retry",
        "an order's id is fresh at every try",
        _PLACING,
        "order_id_for(trader.account_id, intent.client_oid or uuid.uuid4().hex)",
        "order_id_for(trader.account_id, uuid.uuid4().hex)",
    ),
    _one(
        "timeout-is-rejected",
        "a lost answer is told as a refusal",
        _PLACING,
        "        verdict = desk.entry.accept(basket.orders, product, trader)\n",
        "        try:\n"
        "            verdict = desk.entry.accept(basket.orders, product, trader)\n"
        "        except OutageError:\n"
        '            return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")\n',
    ),
    _one(
        "unknown-is-unavailable",
        "a lost answer is told as: nothing has happened",
        "exchange.aws.dynamodb",
        "    return OutcomeUnknownError(text)",
        "    return UnavailableError(text)",
    ),
    _one(
        "retry-is-first-try",
        "a retry that was refused says that the first try did nothing",
        "exchange.aws.dynamodb",
        " and not _tried_before(error)",
        "",
    ),
    _one(
        "failed-put-is-refused",
        "an order that is held but could not be sent is told as refused",
        _PLACING,
        "        with suppress(OutageError):\n"
        "            desk.stream.send(product_id, [place_command(order) for order in basket.accepted])",
        "        try:\n"
        "            desk.stream.send(product_id, [place_command(order) for order in basket.accepted])\n"
        "        except OutageError:\n"
        '            return Refused(Code.SERVICE_UNAVAILABLE, "try again")',
    ),
    _one(
        "repeat-is-refused",
        "a repeat of an accepted order is refused",
        _PLACING,
        "        basket.settle(order_id, _first_order(found[order_id], basket.hashes[basket.positions[order_id]]))",
        "        basket.settle(order_id, _REUSED)",
    ),
    _one(
        "order-put-over-order",
        "an order's item is put whether or not it is there",
        _TRADING,
        "transaction.save(order_item(order), condition=OrderItem.order_id.does_not_exist())",
        "transaction.save(order_item(order))",
    ),
    _one(
        "hold-unchecked",
        "no write looks at what is available",
        _LEDGER,
        'if units < 0 and number != "shifted" and not may_be_negative(account):',
        'if units < 0 and number == "held" and not may_be_negative(account):',
    ),
    _one(
        "hold-without-fee",
        "a buy holds its cost and not the fee on it",
        _ORDERS,
        "    return cost + divide_up(order.fee_numerator + order.taker_ppm * cost, PPM) - order.fees_charged_units",
        "    return cost",
    ),
    _one(
        "open-orders-uncounted",
        "a hold does not count its order",
        _TRADING,
        "self._hold(movements, account, place, units, places_max=places_max).open_orders += count",
        "self._hold(movements, account, place, units, places_max=places_max).open_orders += 0 * count",
    ),
    _one(
        "amend-holds-nothing",
        "an amend is written down but holds nothing more",
        _TRADING,
        "            if more:\n",
        "            if more and not more:\n",
    ),
    _one(
        "amend-not-foreseen",
        "a sell's hold does not cover the sizes that are under way",
        _ORDERS,
        "worst_lots(order.remaining_lots, order.filled_lots, order.amends)",
        "worst_lots(order.remaining_lots, order.filled_lots, ())",
    ),
    _one(
        "cancel-before-place-lost",
        "an order that is canceled before it is sent comes to life when it arrives",
        "exchange.trading.model",
        "    closing = [close_command(order, request_id)] if order.status is OrderStatus.PENDING else []",
        "    closing: list[Command] = []",
    ),
    _one(
        "no-sweeper",
        "nobody sends again what was held and never sent",
        _DESK,
        "            commands.append(place_command(order))",
        "            commands.extend(())",
    ),
    _one(
        "sweeper-releases-holds",
        "the sweeper gives back what an order holds that waits too long",
        _DESK,
        "            commands.append(place_command(order))",
        "            from exchange.ledger.store import BalanceItem\n"
        '            asset = order.product_id.split("-")[order.side is Side.BUY]\n'
        "            BalanceItem(str(order.account_id), asset).update(\n"
        "                actions=[BalanceItem.held.add(-order.hold_units), BalanceItem.available.add(order.hold_units)]\n"
        "            )",
    ),
    # Settlement
    _one(
        "stale-is-done",
        "a part that met another cursor counts as settled",
        _SETTLE,
        "        if outcome is Commit.STALE:\n            return False",
        "        if outcome is Commit.STALE:\n            return True",
    ),
    _one(
        "conflict-is-done",
        "a part that met another transaction counts as settled",
        _SETTLE,
        "        done.conflicts += 1\n        pause(attempt)",
        "        done.conflicts += 1\n        return True",
    ),
    _one(
        "race-is-a-defect",
        "two settlements at once are taken for a contradiction in the log",
        _SETTLE,
        "            if store.cursor(product.product_id) == reached:\n                raise",
        "            if reached:\n                raise",
    ),
    _one(
        "no-settlement-cursor",
        "a part commits on any cursor",
        _SETTLED,
        "condition = (CheckpointItem.sequence == part.before.sequence) & (CheckpointItem.epoch <= after.epoch)",
        "condition = CheckpointItem.name.exists()",
    ),
    _one(
        "parts-not-atomic",
        "balances move in a transaction of their own",
        _SETTLED,
        "            self._connection.transact_write_items([], [], prepared.puts, prepared.updates)\n",
        "            orders = len(prepared.part.changed_orders)\n"
        "            self._connection.transact_write_items([], [], prepared.puts, prepared.updates[:orders])\n"
        "            if prepared.updates[orders:]:\n"
        "                self._connection.transact_write_items([], [], [], prepared.updates[orders:])\n",
    ),
    _one(
        "settled-again",
        "what is settled already is planned again",
        _PLAN,
        "events = tuple(event for event in result.events if event.sequence >= expected)",
        "events = result.events",
    ),
    _one(
        "failed-machine-believed",
        "a machine that failed counts as one that settled",
        "exchange.aws.state_machines",
        "            raise OutcomeUnknownError(f\"{self._machine_arn} {answer['status']}: {reason}\")",
        '            return {"outcome": "settled", "trades": len(reason) * 0}',
    ),
    _one(
        "fee-rounds-to-customer",
        "fees are rounded down",
        _ORDERS,
        "    fee = divide_up(numerator, PPM) - order.fees_charged_units",
        "    fee = numerator // PPM - order.fees_charged_units",
    ),
    _one(
        "fee-per-fill",
        "each fill's fee is rounded by itself",
        _ORDERS,
        "    fee = divide_up(numerator, PPM) - order.fees_charged_units",
        "    fee = divide_up(rate * value, PPM)",
    ),
    _one(
        "fee-not-taken",
        "a buyer's hold gives the fee back",
        _PLAN,
        "spent=value + fill.fee_units if buys else size",
        "spent=value if buys else size",
    ),
    _one(
        "fee-income-lost",
        "the house does not get the fee",
        _PLAN,
        "            self._movements.of(income, quote).available += fill.fee_units",
        "            self._movements.of(income, quote).available += 0",
    ),
    _one(
        "double-release",
        "a hold is released twice",
        _PLAN,
        "        movement.held -= freed\n        movement.available += freed - spent",
        "        movement.held -= freed\n        movement.available += 2 * freed - spent",
    ),
    _one(
        "hold-kept-at-the-end",
        "an order that ends keeps its hold",
        _ORDERS,
        "        hold_units=0,\n",
        "        hold_units=order.hold_units,\n",
    ),
    _one(
        "open-orders-kept",
        "an order that ends still counts as open",
        _PLAN,
        "        movement.open_orders -= before.live and not after.live",
        "        movement.open_orders -= 0",
    ),
    _one(
        "seller-gets-gross",
        "a seller is paid without the fee taken off",
        _PLAN,
        "received.available += size if buys else value - fill.fee_units",
        "received.available += size if buys else value",
    ),
    _one(
        "refusal-frees-nothing",
        "an order that its market refused stays as it was",
        _PLAN,
        "            case EventType.REJECTED if result.op in _PLACING and",
        "            case EventType.REJECTED if result.op not in _PLACING and",
    ),
    _one(
        "chain-not-carried",
        "a product's journal forgets its last hash",
        _PLAN,
        "            head = Head(batch.number, batch.hash())",
        "            head = Head(batch.number, head.hash)",
    ),
    _one(
        "part-without-orders",
        "a part moves balances and leaves its orders as they were",
        _SETTLED,
        "        return PreparedPart(part, fills, tuple(puts), (*orders, *balances))",
        "        return PreparedPart(part, fills, tuple(puts), (*orders[:0], *balances))",
    ),
    _one(
        "fills-forgotten",
        "a part is committed and its fills are not written",
        _SETTLED,
        "        rows = [fill_write(fill, order_version) for fill, order_version in part.numbered_fills]",
        "        rows = [fill_write(fill, order_version) for fill, order_version in part.numbered_fills][1:]",
    ),
    # Money in and out
    _one(
        "withdrawal-put-over-withdrawal",
        "a repeated withdrawal holds again",
        _WALLETS,
        "transaction.save(item, condition=TransferItem.transfer_id.does_not_exist())",
        "transaction.save(item)",
    ),
    _one(
        "transfer-id-fresh",
        "a transfer's id is fresh at every try",
        "exchange.transfers.model",
        "    if not client_transfer_id:\n",
        "    if account_id:\n",
    ),
    _one(
        "withdrawal-fee-lost",
        "the house does not get a withdrawal's fee",
        _WITHDRAWING,
        "        yield fee_account(FEES), transfer.fee_units - transfer.network_fee_units",
        "        yield fee_account(FEES), (transfer.fee_units - transfer.network_fee_units) // 2",
    ),
    _one(
        "unstarted-is-refused",
        "a withdrawal that is held but could not be started is told as refused",
        _WITHDRAWING,
        '            note(f"withdrawal {known.transfer_id} waits for the sweeper: {error}")',
        "            return Refused(Code.SERVICE_UNAVAILABLE, str(error))",
    ),
    _one(
        "instruction-renamed",
        "the bank hears another name for a payment at every try",
        "exchange.payments.model",
        "        instruction_id=transfer.transfer_id,",
        '        instruction_id=f"{transfer.transfer_id}-{transfer.task_token}",',
    ),
    _one(
        "no-transfer-sweeper",
        "nobody starts what was held and never started",
        _WITHDRAWING,
        "            start(transfer)",
        "            note(transfer.transfer_id)",
    ),
    _one(
        "statement-skips",
        "a partition's statements are noted as written one batch too far",
        "exchange.statements.service",
        "    statements.reach(batches[-1].partition, batches[-1].number)",
        "    statements.reach(batches[-1].partition, batches[-1].number + 1)",
    ),
    # Matcher
    Mutant(
        "checkpoint-before-publish",
        "the snapshot is saved before its events are published",
        (
            Change(
                "matcher.loop",
                "        self._publish(work)\n"
                "        self._lease.note_published(self.position)\n"
                "        if self._checkpoints.is_due():\n"
                "            self._checkpoints.save(self.state)\n",
                "        if self._checkpoints.is_due():\n"
                "            self._checkpoints.save(self.state)\n"
                "        self._publish(work)\n"
                "        self._lease.note_published(self.position)\n",
            ),
            Change(
                "matcher.markets",
                '        require(not self._groups, f"{self.product_id} is saved before it is published")\n',
                "",
            ),
        ),
    ),
    _one(
        "no-snapshot-check",
        "a snapshot is believed whatever its digest says",
        "matcher.snapshots",
        "hashlib.sha256(body).digest() != digest",
        "len(digest) != _DIGEST_LENGTH",
    ),
    _one(
        "published-too-early",
        "the lease says that all is published before it is",
        "matcher.loop",
        "        self._publish(work)\n        self._lease.note_published(self.position)\n",
        "        self._lease.note_published(self.position)\n        self._publish(work)\n",
    ),
    _one(
        "standby-forgets",
        "a standby drops what its leader may not have published",
        "matcher.standby",
        "        markets.forget_until(self._record.published_until)",
        "        markets.forget_until(10**30)",
    ),
    _one(
        "refused-records-dropped",
        "what PutRecords refused is taken for published",
        "matcher.publisher",
        'return [record for record, put in zip(records, answer["Records"], strict=True) if put.get("ErrorCode")]',
        "return []",
    ),
    _one(
        "lost-put-dropped",
        "a put whose answer got lost is taken for published",
        "matcher.publisher",
        "        except (ClientError, BotoCoreError) as error:\n"
        '            raise OutcomeUnknownError(f"Kinesis {self._stream_name}: {error}") from error',
        "        except (ClientError, BotoCoreError):\n            return []",
    ),
    _one(
        "reader-skips",
        "a reader whose iterator is gone goes on with what comes now",
        "matcher.stream_reader",
        '{"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._after}',
        '{"ShardIteratorType": "LATEST"}',
    ),
    _one(
        "wall-clock",
        "a command's time is the matcher's own and not its record's",
        "matcher.markets",
        "arrival_ns=record.arrival_ns)",
        "arrival_ns=record.arrival_ns + len(self._groups))",
    ),
    _one(
        "child-inherits-nothing",
        "a child shard begins with empty books",
        "matcher.resume",
        "    for parent in shard.parents:\n        if parent not in records:",
        "    for parent in shard.parents[:0]:\n        if parent not in records:",
    ),
    _one(
        "child-before-parent",
        "a child shard is read before its parent's end",
        "matcher.shards",
        "        if all(map(is_finished, shard.parents)) and not",
        "        if callable(is_finished) and not",
    ),
    _one(
        "child-epochs-restart",
        "a child shard's epochs begin again",
        "matcher.supervisor",
        "above = max((readings.leases[parent].epoch for parent in shard.parents if parent in readings.leases), default=0)",
        "above = 0",
    ),
    _one(
        "no-command-dedupe",
        "a command that comes twice is carried out twice",
        "matcher.engine.reference",
        "not state.command_ids.is_new(command.command_id):",
        "not state.command_ids.is_new(command.command_id) and not command.order_id:",
    ),
    _one(
        "trades-with-oneself",
        "self-trades are not prevented",
        "matcher.engine.matching",
        "        if maker.account_id == order.account_id:\n            if _prevent",
        "        if maker.account_id == -order.account_id:\n            if _prevent",
    ),
    _one(
        "last-in-first-out",
        "the newest order at a price trades first",
        "matcher.engine.book",
        "        return next(iter(self._queues[self._keys[-1]].values()))",
        "        return next(reversed(self._queues[self._keys[-1]].values()))",
    ),
    _one(
        "limit-ignored",
        "an order trades a tick beyond its limit",
        "matcher.engine.matching",
        "        if order.is_limit and is_beyond(order, price, order.price):\n            return False\n        if is_beyond(order, price, edge):\n            state",
        "        if order.is_limit and is_beyond(order, price, order.price + (1 if order.is_buy else -1)):\n            return False\n        if is_beyond(order, price, edge):\n            state",
    ),
    _one(
        "taker-price",
        "trades are at the taker's price",
        "matcher.engine.matching",
        "        state.trade(maker, order, price, size)",
        "        state.trade(maker, order, order.price or price, size)",
    ),
    _one(
        "rules-guessed",
        "an engine goes on by its own rules where the log asks for others",
        "matcher.engine.reference",
        "        if command.rules_version not in self.known_rules:\n",
        "        if command.rules_version < 0:\n",
    ),
    _one(
        "saved-rules-guessed",
        "an engine goes on by its own rules where its snapshot was taken under others",
        "matcher.engine.snapshot",
        "    if rules_version not in known:\n",
        "    if rules_version < 0:\n",
    ),
)
