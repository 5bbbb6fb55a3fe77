"""What so many orders a second would take, from what one order was measured to take: pure formulae.

Rates are a second, dollars a month. A *mix* says what comes with an order; `Asked` what each thing was measured to ask
of AWS.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench import quotas
from bench.costs import WAIT_SECONDS, Phase, dollars_a_million
from bench.quotas import Quota

HOURS_A_MONTH: Final = 730
SECONDS_A_MONTH: Final = HOURS_A_MONTH * 3600
# Of Kinesis, an hour and shard: the shard, its seven days, and two or three readers by enhanced fan-out.
SHARD_HOUR: Final = 0.015 + 0.02
READER_HOUR: Final = 0.015
ORDERS_READERS: Final = 1
EXECUTIONS_READERS: Final = 2
# 4 vCPU and 8 GB; a leader and a standby for each that is needed.
TASK_HOUR: Final = 4 * 0.04048 + 8 * 0.004445 + 0.005
# The engine with one command a record, the container's pipeline with a hundred (docs/benchmarks.md); half of it is kept
# for catching up.
TASK_COMMANDS: Final = {1: 419_263 / 2, 100: 3_264_252 / 2}
# 112 and 155 MB a million commands.
BYTES_IN: Final = 112.0
BYTES_OUT: Final = 155.0
TRANSACTION_ITEMS_MAX: Final = 100
# The cursor, the journal's batch, and the fee account and its counterpart.
PART_ITEMS_FIXED: Final = 4
PART_ITEMS: Final = TRANSACTION_ITEMS_MAX - PART_ITEMS_FIXED
PROVISIONED_WRITE_MILLION: Final = 0.00065 / 3600 * 1_000_000
PROVISIONED_USE: Final = 0.7
ON_DEMAND_WRITE_MILLION: Final = 0.625
WEBSOCKET_MILLION: Final = 1.00


@dataclass(frozen=True, slots=True)
class Asked:
    """What each thing asks of AWS, when many are sent at once."""

    rests: Phase
    cancel: Phase
    takes: Phase
    deposit: Phase
    message: Phase


@dataclass(frozen=True, slots=True)
class Mix:
    """What comes with an order. Parts are of all orders placed."""

    products: int
    busiest_product: float
    busiest_customer: float
    takes: float = 0.3
    cancels: float = 0.4  # as many as rest and are never taken
    deposits: float = 0.001
    messages: float = 2.0  # posts to listeners
    orders_a_record: int = 1  # 40 where all come in batches

    @property
    def rests(self) -> float:
        """The part that rests first."""
        return 1 - self.takes

    @property
    def commands(self) -> float:
        """Commands on the orders stream for each order placed."""
        return 1 + self.cancels


def in_a_crowd(alone: Phase, take_alone: Phase, take_in_a_crowd: Phase) -> Phase:
    """What a thing asks for in a crowd, where only the take was measured in one: each counter falls as its did."""

    def share(name: str) -> float:
        before = take_alone.counts.get(name, 0.0)
        return min(1.0, take_in_a_crowd.counts.get(name, 0.0) / before) if before else 1.0

    return Phase(alone.title, {name: amount * share(name) for name, amount in alone.counts.items()})


def an_order(asked: Asked, mix: Mix) -> Phase:
    """What an order of this mix asks for, with all that comes with it."""
    parts = (
        (asked.rests, mix.rests),
        (asked.takes, mix.takes),
        (asked.cancel, mix.cancels),
        (asked.deposit, mix.deposits),
    )
    names = {name for phase, _ in parts for name in phase.counts}
    return Phase("an order", {name: sum(phase.counts.get(name, 0.0) * part for phase, part in parts) for name in names})


def handler_seconds(phase: Phase, function: str) -> float:
    """How long a function is busy for one: its processor, and the waits for its transaction, its put and a read."""
    invocations = phase.counts.get(f"invocation {function}", 0.0)
    waits = 3 * WAIT_SECONDS + 1 / quotas.ITEM_TRANSACTIONS.figure
    return phase.counts.get(f"cpu {function}", 0.0) + invocations * waits


def trades_a_part(asked: Asked) -> int:
    """Trades that one transaction of settlement holds, from the items that a take was measured to write."""
    return max(1, math.floor(PART_ITEMS / _settled_items(asked.takes, accepted=True)))


def items_an_order(asked: Asked, mix: Mix) -> float:
    """Items that settlement writes for an order of this mix: its trades, and its end where it is canceled."""
    taken, canceled = _settled_items(asked.takes, accepted=True), _settled_items(asked.cancel, accepted=False)
    return mix.takes * taken + mix.cancels * canceled


def _settled_items(phase: Phase, *, accepted: bool) -> float:
    units = sum(phase.counts.get(f"write {table}", 0.0) for table in ("balances", "orders", "fills"))
    # Two units each of the hold and of the order, which acceptance wrote and not settlement.
    return max(1.0, (units - 4.0 * accepted) / 2)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rate takes."""

    requests: float
    posts: float
    concurrency: float
    orders_shards: int
    executions_shards: int
    tasks: int
    table_writes: Mapping[str, float]
    reads: float
    dollars: float
    dollars_provisioned: float

    @property
    def writes(self) -> float:
        """Write units a second of all tables."""
        return sum(self.table_writes.values())


def needs(rate: float, asked: Asked, mix: Mix) -> Needs:
    """What `rate` orders a second take."""
    each = an_order(asked, mix)
    orders_shards, executions_shards = _shards(rate, asked, mix)
    tasks = 2 * math.ceil(rate * mix.commands / TASK_COMMANDS[1 if mix.orders_a_record == 1 else 100])
    fixed = _fixed_dollars(orders_shards, executions_shards, tasks)
    messages = rate * mix.messages * SECONDS_A_MONTH * WEBSOCKET_MILLION / 1_000_000
    asked_dollars = rate * SECONDS_A_MONTH * dollars_a_million(each) / 1_000_000
    saved = ON_DEMAND_WRITE_MILLION - PROVISIONED_WRITE_MILLION / PROVISIONED_USE
    saved_dollars = rate * SECONDS_A_MONTH * each.sum("write ") * saved / 1_000_000
    return Needs(
        requests=rate * each.sum("request ApiGateway") / mix.orders_a_record,
        posts=rate * mix.messages * asked.message.sum("request ApiGateway"),
        concurrency=rate * handler_seconds(each, "trading-api") + 2 * executions_shards,
        orders_shards=orders_shards,
        executions_shards=executions_shards,
        tasks=tasks,
        table_writes=_table_writes(each, rate),
        reads=rate * each.sum("read "),
        dollars=fixed + messages + asked_dollars,
        dollars_provisioned=fixed + messages + asked_dollars - saved_dollars,
    )


def _shards(rate: float, asked: Asked, mix: Mix) -> tuple[int, int]:
    commands = rate * mix.commands
    records = commands / mix.orders_a_record
    orders = max(records / quotas.SHARD_RECORDS.figure, commands * BYTES_IN / quotas.SHARD_BYTES.figure)
    # Settlement works through a shard one transaction after the other.
    settled = rate * items_an_order(asked, mix) / (quotas.ITEM_TRANSACTIONS.figure * PART_ITEMS)
    executions = max(settled, commands * BYTES_OUT / quotas.SHARD_BYTES.figure)
    return max(1, math.ceil(orders)), max(1, math.ceil(executions))


def _fixed_dollars(orders_shards: int, executions_shards: int, tasks: int) -> float:
    orders = orders_shards * (SHARD_HOUR + ORDERS_READERS * READER_HOUR)
    executions = executions_shards * (SHARD_HOUR + EXECUTIONS_READERS * READER_HOUR)
    return HOURS_A_MONTH * (orders + executions + tasks * TASK_HOUR)


def _table_writes(each: Phase, rate: float) -> dict[str, float]:
    tables: dict[str, float] = {}
    for name, amount in each.counts.items():
        if name.startswith("write "):
            table = name.split()[1]
            tables[table] = tables.get(table, 0.0) + amount * rate
    return tables


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota, and the orders a second at which a mix reaches it."""

    quota: Quota
    reached_at: float
    what_then: str


def limits(asked: Asked, mix: Mix) -> list[Limit]:
    """Every limit with the rate at which it is reached, the first to come first."""
    each = an_order(asked, mix)
    busiest_table = max(_table_writes(each, 1).values())
    asking = each.sum("request ApiGateway") / mix.orders_a_record
    posts = mix.messages * asked.message.sum("request ApiGateway")
    concurrency = handler_seconds(each, "trading-api")
    # The item of a key and of its owner is checked by each order's transaction: two units.
    one_key = 2.0 * mix.busiest_customer
    per_order: tuple[tuple[Quota, float], ...] = (
        (quotas.ITEM_TRANSACTIONS, mix.busiest_customer / mix.orders_a_record),
        (quotas.PARTITION_WRITES, one_key / mix.orders_a_record),
        (quotas.SHARD_RECORDS, mix.busiest_product * mix.commands / mix.orders_a_record),
        (quotas.SHARD_BYTES, mix.busiest_product * mix.commands * BYTES_OUT),
        (quotas.STAGE_THROTTLE, asking),
        (quotas.API_GATEWAY, asking + posts),
        (quotas.CLOUDFRONT, asking),
        (quotas.LAMBDA_CONCURRENCY, concurrency / mix.orders_a_record),
        (quotas.TABLE_WRITES_NEW, busiest_table),
        (quotas.TABLE_WRITES, busiest_table),
        (quotas.STATE_MACHINE_STARTS, mix.deposits),
        (quotas.KMS, each.sum("request TrentService")),
    )
    found = [Limit(quota, quota.figure / amount, REMEDIES[quota.name]) for quota, amount in per_order if amount]
    found.append(_settlement_of_a_product(asked, mix))
    return sorted(found, key=lambda limit: limit.reached_at)


def _settlement_of_a_product(asked: Asked, mix: Mix) -> Limit:
    items = quotas.ITEM_TRANSACTIONS.figure * PART_ITEMS
    quota = Quota(
        "Settlement of one product, a part after the other",
        items,
        "items a second",
        "bench/capacity.py",
        quotas.ITEM_TRANSACTIONS.seen,
        assumed=True,
    )
    return Limit(quota, items / (items_an_order(asked, mix) * mix.busiest_product), REMEDIES[quota.name])


REMEDIES: Final = {
    quotas.ITEM_TRANSACTIONS.name: "The busiest customer's orders wait for one another: batches (40 orders, one "
    "transaction), profiles with money of their own, then money set aside for a product, held by the engine.",
    quotas.PARTITION_WRITES.name: "The check of key and owner in each transaction: batches; then a check by the "
    "second and not by the order.",
    quotas.SHARD_RECORDS.name: "One product lives on one shard: batches of 40 in a record; then a process that "
    "collects the orders of a product for some milliseconds. A matcher takes more than three million a second.",
    quotas.SHARD_BYTES.name: "A product's events on one shard: an executions stream of several shards for a product, "
    "put in order by sequence.",
    quotas.STAGE_THROTTLE.name: "A parameter.",
    quotas.API_GATEWAY.name: "Ask for more. Far beyond it: a gateway in Fargate behind a load balancer that speaks "
    "the same API, and sockets held by tasks of our own (decision 017).",
    quotas.CLOUDFRONT.name: "Ask for more, or an address for machines that bypasses it.",
    quotas.LAMBDA_CONCURRENCY.name: "Ask for more. A gateway in Fargate serves many requests at once in one process, "
    "where Lambda pays for each wait.",
    quotas.TABLE_WRITES_NEW.name: "Set the tables' warm throughput before the day.",
    quotas.TABLE_WRITES.name: "Ask for more; then orders that are not written before they rest: the log already has "
    "them.",
    quotas.STATE_MACHINE_STARTS.name: "Ask for more.",
    quotas.KMS.name: "Ask for more; secrets are kept for five minutes, and Ed25519 keys need none.",
    "Settlement of one product, a part after the other": "Clearing accounts: each leg posted by writers of its own, "
    "balances of a product apart from the main ones; the cursor stays.",
}


def read_counts(page: str) -> list[Phase]:
    """The phases that the tables of docs/benchmarks.md show: requests, processor time, units, and what was sent."""
    titles: list[str] = []
    counts: list[dict[str, float]] = []
    for cells in _rows(page):
        if cells[0] == "requests":
            titles, counts = cells[1:], [{} for _ in cells[1:]]
        elif counts and len(cells) == len(titles) + 1 and not cells[0].startswith(("**", "---", "units")):
            for phase, cell in zip(counts, cells[1:], strict=True):
                _take(phase, cells[0], cell)
        elif counts and cells[0] in BILLED and len(cells) == len(titles) + 2:
            for phase, cell in zip(counts, cells[2:], strict=True):
                phase[BILLED[cells[0]][0]] = float(cell.split(" = ")[0]) * BILLED[cells[0]][1]
    return [Phase(title, phase) for title, phase in zip(titles, counts, strict=True)]


# Lines of the bill that are the only place where their counter is shown.
BILLED: Final = {"Kinesis PUT units": ("put units all", 1.0), "MB sent to clients": ("bytes ApiGateway.REST", 2.0**20)}


def _rows(page: str) -> Iterator[list[str]]:
    for line in page.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _take(phase: dict[str, float], name: str, cell: str) -> None:
    amount = float(cell or 0)
    if name.startswith("processor ms of "):
        phase[f"cpu {name.removeprefix('processor ms of ')}"] = amount / 1000
    elif name.startswith(("read ", "write ", "invocation ")):
        phase[name] = amount
    elif re.fullmatch(r"\w+\.\w+", name):
        phase["request " + re.sub(r"^KMS\.", "TrentService.", re.sub(r"^States\.", "AWSStepFunctions.", name))] = amount


def crowd(phases: list[Phase], deposit: Phase, message: Phase) -> Asked:
    """What each thing asks for in a crowd, from the four phases of the page and the two that are counted beside it."""
    rests, cancel, takes, many = phases
    return Asked(
        rests=in_a_crowd(rests, takes, many),
        cancel=in_a_crowd(cancel, takes, many),
        takes=many,
        deposit=deposit,
        message=message,
    )
