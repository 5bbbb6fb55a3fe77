"""The services of one run, and functions that run in processes of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from exchange.audit.model import Payment
from exchange.breaks.store import BreakItem
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.orders.store import FillItem, OrderItem
from exchange.safeguards.store import SafeguardItem
from exchange.settlement.failure_store import FailureItem
from exchange.settlement.store import CheckpointItem
from exchange.statements.service import bring_up
from exchange.statements.store import StatementCursorItem, StatementItem, StatementStore
from exchange.transfers.model import PaymentState, Transfer, TransferKind
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore, transfer_item
from exchange.users.model import KycLevel
from exchange.users.store import ApiKeyItem, CustomerItem, ProfileItem
from exchange.wallets.service import credit_deposit
from exchange.wallets.store import PostingStore
from pynamodb.connection import Connection
from pynamodb.models import Model

from matcher.lease_store import LeaseItem
from matcher.listings import ListingItem
from matcher.releases import ReleaseItem
from tests.fakes.cloud.dynamodb import DynamoDb, served
from tests.fakes.cloud.kinesis import Kinesis
from tests.fakes.cloud.s3 import S3
from tests.simulation.faults import Fault, Faults
from tests.simulation.network import Network
from tests.simulation.plan import ASSETS, Plan
from tests.simulation.scheduler import START_NS, Process, Scheduler, Strand

RAIL: Final = "sandbox-bank"
BUCKET: Final = "snapshots"
QUARANTINE: Final = "quarantine"
FUNDS: Final = {"USD": 2_000 * 10**6, "ACME": 20 * 10**6, "BTC": 20 * 10**8}
MODELS: Final[tuple[tuple[type[Model], str], ...]] = (
    (OrderItem, "orders"),
    (FillItem, "fills"),
    (BalanceItem, "balances"),
    (JournalItem, "journal"),
    (CheckpointItem, "checkpoints"),
    (FailureItem, "settlement_failures"),
    (StatementItem, "statements"),
    (StatementCursorItem, "checkpoints"),
    (TransferItem, "transfers"),
    (BankMarkItem, "transfers"),
    (CustomerItem, "users"),
    (ProfileItem, "profiles"),
    (BreakItem, "breaks"),
    (SafeguardItem, "safeguards"),
    (ApiKeyItem, "api_keys"),
    (LeaseItem, "leases"),
    (ListingItem, "leases"),
    (ReleaseItem, "leases"),
)


class FunctionLostError(Exception):
    """The function gave no answer: it died, or took too long."""


class ProcessClock:
    """A process's own clock, as services are given one."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now_ns(self) -> int:
        """Nanoseconds since 1970, by that clock."""
        return self._process.now_ns()


@dataclass
class Cloud:
    """Everything that outlives a process."""

    plan: Plan
    scheduler: Scheduler
    faults: Faults
    network: Network
    dynamodb: DynamoDb
    kinesis: Kinesis
    s3: S3
    connection: Connection
    payments: list[Payment] = field(default_factory=list)
    _functions: int = 0
    _left_behind: list[Strand] = field(default_factory=list)
    _rng: random.Random = field(default_factory=random.Random)

    def invoke(self, name: str, work: Callable[[Process], Any], *, seconds: float = 29.0, skew_ns: int = 0) -> Any:
        """Run a function in a process of its own; its answer, or what it raised.

        Raises:   FunctionLostError where no answer came; it may be at it still.
        """
        self._functions += 1
        process = Process(f"{name}-{self._functions}", self.scheduler, skew_ns=skew_ns)
        process.is_function = True
        strand = self.scheduler.spawn(process, lambda: work(process))
        if not self.scheduler.wait(strand, seconds=seconds):
            if process.alive:
                self._left_behind.append(strand)
            raise FunctionLostError(name)
        if strand.failure is not None:
            raise strand.failure
        return strand.result

    @property
    def is_haunted(self) -> bool:
        """Whether functions that nobody waits for any more may still do something."""
        self._left_behind = [strand for strand in self._left_behind if strand.process.alive and not strand.ended]
        return bool(self._left_behind)

    def pause(self, attempt: int) -> None:
        """Wait out the n-th conflict in a row, as functions do."""
        longest = 0.004 * 2 ** min(attempt, 5)
        self.scheduler.sleep(self._rng.uniform(longest / 2, longest))


def open_cloud(plan: Plan, scheduler: Scheduler, faults: Faults) -> tuple[Cloud, Any]:
    """The services of a run, funded customers in them; and what must be closed at the run's end."""
    network = Network(scheduler, faults, plan.seed)
    lag = random.Random(f"{plan.seed}/lag")
    dynamodb = DynamoDb(network, index_lag=lambda: lag.uniform(0.0, 5.0) if faults.hits(Fault.INDEX_BEHIND) else 0.0)
    dynamodb.conflicts = lambda: faults.hits(Fault.CONFLICT)
    dynamodb.plain_conflicts = lambda: faults.hits(Fault.PLAIN_CONFLICT)
    kinesis = Kinesis(network)
    kinesis.refuses = lambda: faults.hits(Fault.RECORDS_REFUSED)
    kinesis.expires = lambda: faults.hits(Fault.ITERATOR_EXPIRED)
    kinesis.create_stream(StreamName="orders", ShardCount=plan.shards)
    kinesis.create_stream(StreamName="executions", ShardCount=1)
    context = served(MODELS, dynamodb)
    connection = context.__enter__()
    tables, payments = _funded(plan.accounts)
    dynamodb.restore(tables)
    cloud = Cloud(plan, scheduler, faults, network, dynamodb, kinesis, S3(network), connection, list(payments))
    cloud._rng = random.Random(f"{plan.seed}/pauses")
    return cloud, context


@cache
def _funded(accounts: tuple[int, ...]) -> tuple[Mapping[str, Any], tuple[Payment, ...]]:
    """Tables in which every account has something of every asset, by deposits that were credited like any other."""
    dynamodb = DynamoDb()
    payments = []
    with served(MODELS, dynamodb) as connection:
        transfers, postings = TransferStore(connection), PostingStore(connection)
        process = Process("opening", Scheduler())
        for account_id in accounts:
            CustomerItem(
                f"user-{account_id}",
                account_id=account_id,
                email="",
                name="",
                status="active",
                rate_limit_tier="standard",
                kyc_level=int(KycLevel.INSTITUTIONAL),
                created_at_ns=START_NS,
            ).save()
            for asset, units in FUNDS.items():
                transfer = Transfer(
                    transfer_id=f"opening-{account_id}-{asset}",
                    account_id=account_id,
                    kind=TransferKind.DEPOSIT,
                    asset=asset,
                    scale=ASSETS[asset].scale,
                    units=units,
                    rail=RAIL,
                    payment_method_id="opening",
                    created_at_ns=START_NS,
                    payment=PaymentState.BOOKED,
                    received_units=units,
                )
                transfer_item(transfer).save()
                credit_deposit(
                    transfer.transfer_id,
                    transfers=transfers,
                    journal=JournalStore(),
                    postings=postings,
                    debts=BalanceStore(),
                    clock=ProcessClock(process),
                    pause=lambda _: None,
                )
                payments.append(Payment(transfer.transfer_id, RAIL, asset, units))
        for partition in dict.fromkeys(key[0] for key in dynamodb.tables["journal"].items):
            bring_up(partition, journal=JournalStore(), statements=StatementStore(), pause=lambda _: None)
        return {name: table.items for name, table in dynamodb.tables.items() if table.items}, tuple(payments)


__all__ = ["Cloud", "FunctionLostError", "ProcessClock", "open_cloud"]
