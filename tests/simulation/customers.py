"""Customers: they ask by the real use cases, ask again when in doubt, and write down what they were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from exchange.audit.model import Said, Told
from exchange.aws.kinesis import StreamWriter
from exchange.kernel.errors import OutageError, Refused, UnavailableError
from exchange.ledger.store import JournalStore
from exchange.orders.model import Order
from exchange.risk.model import MarketView
from exchange.safeguards.model import Gatekeeper
from exchange.safeguards.store import SafeguardTable
from exchange.trading.amending import AmendTerms, amend_order
from exchange.trading.model import CLIENT_OID_PREFIX, Trader
from exchange.trading.model import Intent as OrderIntent
from exchange.trading.placing import place_orders
from exchange.trading.service import Desk, cancel_order, cancel_orders, find_order, sweep
from exchange.trading.store import DynamoOrderEntry, KinesisCommandStream
from exchange.transfers.model import Transfer, transfer_id_for
from exchange.transfers.store import TransferStore
from exchange.users.store import CustomerStore
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.model import DepositRequest, new_deposit
from exchange.wallets.moving import MoveRequest, move_money
from exchange.wallets.service import request_deposit
from exchange.wallets.store import PostingStore
from exchange.wallets.withdrawing import WithdrawalRequest, new_withdrawal, request_withdrawal, start_forgotten

from tests.simulation.cloud import Cloud, FunctionLostError, ProcessClock
from tests.simulation.faults import Fault
from tests.simulation.machines import StepFunctions
from tests.simulation.plan import ASSETS, METHODS, Intent, Wish
from tests.simulation.scheduler import Process

TRIES_MAX: Final = 5
IMPATIENT_SHARE: Final = 0.3
BELIEVING_SHARE: Final = 0.5
SWEEP_SECONDS: Final = 10.0  # once a minute where nothing is in a hurry


class Customers:
    """All of them, and the desk that serves them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.machines: StepFunctions | None = None
        self.history: list[Told] = []
        self.defects: list[str] = []
        self.busy = len(cloud.plan.accounts)
        self._named: dict[int, list[str]] = {account_id: [] for account_id in cloud.plan.accounts}
        self._process = Process("customers", cloud.scheduler)
        self._process.mortal = False
        self._skews = 0
        self.sweep_seconds = SWEEP_SECONDS
        self.sweeps_orders = True
        self.sweeping = False

    def start(self) -> None:
        """Let each do what it wants, one wish after the other, and let the sweepers look after what gets stuck."""
        scheduler = self.cloud.scheduler
        for account_id in self.cloud.plan.accounts:
            own = [intent for intent in self.cloud.plan.intents if intent.account_id == account_id]
            scheduler.spawn(self._process, lambda own=own: self._live(own))  # type: ignore[misc]
        scheduler.spawn(self._process, self._sweep_forever)

    def stop(self) -> None:
        """Nobody asks any more."""
        self._process.kill()

    def desk(self, process: Process) -> Desk:
        """A desk in a process, composed as functions/trading is."""
        cloud = self.cloud
        return Desk(
            entry=DynamoOrderEntry(cloud.connection),
            stream=KinesisCommandStream(StreamWriter(cloud.kinesis, "orders")),
            products=lambda: cloud.plan.products,
            market=lambda _: MarketView(),
            fees=lambda _account, _product: cloud.plan.rates,
            clock=ProcessClock(process),
            pause=cloud.pause,
        )

    def last_words(self) -> None:
        """Ask once more for everything ever named, when all is quiet."""
        desk = self.desk(self._process)
        transfers = TransferStore(self.cloud.connection)
        seen = {(told.account_id, told.name, told.is_transfer): told for told in self.history}
        for account_id, name, is_transfer in seen:
            # A transfer's id is a function of its name, as an order's is.
            found = (
                transfers.transfer(transfer_id_for(account_id, name))
                if is_transfer
                else find_order(desk, account_id, CLIENT_OID_PREFIX + name)
            )
            self._tell(
                account_id,
                name,
                found,
                asked_at=self.cloud.scheduler.now_ns,
                said=Said.SEEN,
                is_transfer=is_transfer,
                last_word=True,
            )

    def _live(self, intents: list[Intent]) -> None:
        for intent in intents:
            self.cloud.scheduler.sleep(intent.wait_seconds)
            self._do(intent)
        self.busy -= 1

    def _do(self, intent: Intent) -> None:
        if intent.wish in {Wish.PLACE, Wish.BATCH, Wish.REGRET}:
            self._place(intent)
            if intent.wish is Wish.REGRET:
                self._about(intent, self._named[intent.account_id][-1])
        elif intent.wish in {Wish.WITHDRAW, Wish.DEPOSIT, Wish.MOVE}:
            self._until_certain(intent, lambda p: self._transfer(intent, p))
        elif intent.wish is Wish.CANCEL_ALL:
            self._ask(lambda p: cancel_orders(self.desk(p), intent.account_id, None))
        elif self._named[intent.account_id]:
            named = self._named[intent.account_id]
            self._about(intent, named[int(intent.earlier * len(named))])

    def _about(self, intent: Intent, name: str) -> None:
        account_id, path = intent.account_id, CLIENT_OID_PREFIX + name
        asked_at = self.cloud.scheduler.now_ns
        if intent.wish in {Wish.CANCEL, Wish.REGRET}:
            _, answer = self._ask(lambda p: cancel_order(self.desk(p), account_id, path))
            if isinstance(answer, Order):
                self._tell(account_id, name, answer, asked_at=asked_at, said=Said.CANCELING)
        elif intent.wish is Wish.AMEND:
            trader = Trader(f"user-{account_id}", account_id, None)
            terms = AmendTerms(intent.size, intent.price, intent.name)
            self._ask(lambda p: amend_order(self.desk(p), trader, path, terms))
        else:
            kind, answer = self._ask(lambda p: find_order(self.desk(p), account_id, path))
            if kind == "answer":
                self._tell(account_id, name, answer, asked_at=asked_at, said=Said.SEEN)

    def _place(self, intent: Intent) -> None:
        account_id = intent.account_id
        names = [f"{intent.name}.{number}" for number in range(len(intent.orders))]
        asked = [(terms, OrderIntent(name, repr(terms))) for terms, name in zip(intent.orders, names, strict=True)]
        trader = Trader(f"user-{account_id}", account_id, None)
        self._named[account_id] += names

        def work(process: Process) -> object:
            return place_orders(self.desk(process), trader, intent.product_id, asked, whole=intent.whole)

        if self.cloud.faults.hits(Fault.CLIENT_REPEATS):
            self.cloud.scheduler.spawn(self._process, lambda: self._once(account_id, names, work))
        for _ in range(_patience(intent)):
            if _is_content(intent, self._once(account_id, names, work)):
                return
            self.cloud.scheduler.sleep(0.5)

    def _once(self, account_id: int, names: list[str], work: Callable[[Process], object]) -> str:
        """Place once and write down the answers; what kind they are."""
        asked_at = self.cloud.scheduler.now_ns
        kind, answers = self._ask(work)
        for number, name in enumerate(names):
            if kind != "answer":
                self._note(account_id, name, Said(kind), asked_at)
            else:
                answer = answers if isinstance(answers, Refused) else answers[number]
                self._tell(account_id, name, answer, asked_at=asked_at)
        return kind

    def _until_certain(self, intent: Intent, work: Callable[[Process], object]) -> None:
        for _ in range(_patience(intent)):
            asked_at = self.cloud.scheduler.now_ns
            kind, answer = self._ask(work)
            if kind == "answer":
                self._tell(intent.account_id, intent.name, answer, asked_at=asked_at, is_transfer=True)
                return
            self._note(intent.account_id, intent.name, Said(kind), asked_at, is_transfer=True)
            if _is_content(intent, kind):
                return
            self.cloud.scheduler.sleep(0.5)

    def _transfer(self, intent: Intent, process: Process) -> Transfer | Refused:
        cloud, now_ns = self.cloud, process.now_ns()
        transfers, postings = TransferStore(cloud.connection), PostingStore(cloud.connection)
        if intent.wish is Wish.MOVE:
            return move_money(
                MoveRequest(intent.account_id, intent.target, intent.asset, intent.amount, intent.name),
                assets=ASSETS,
                transfers=transfers,
                journal=JournalStore(),
                moves=postings,
                clock=ProcessClock(process),
                pause=cloud.pause,
            )
        method = next(method for method in METHODS if method.asset.asset_id == intent.asset)
        asked: Any = (intent.amount, intent.asset, method.method_id, intent.name)
        if intent.wish is Wish.DEPOSIT:
            wanted = new_deposit(
                DepositRequest(*asked), account_id=intent.account_id, methods=METHODS, created_at_ns=now_ns
            )
            if isinstance(wanted, Refused):
                return wanted
            machine = StepFunctionsMachine(self.machines, "deposit")
            return request_deposit(wanted, transfers=transfers, machine=machine)
        wanted = new_withdrawal(
            WithdrawalRequest(*asked), account_id=intent.account_id, methods=METHODS, created_at_ns=now_ns
        )
        if isinstance(wanted, Refused):
            return wanted
        gatekeeper = Gatekeeper(
            lambda: ASSETS, CustomerStore(), SafeguardTable(cloud.connection), lambda *_: 0
        )  # nobody here has set a second factor
        return request_withdrawal(
            wanted,
            permit=gatekeeper.permits(f"user-{intent.account_id}", None),
            transfers=transfers,
            postings=postings,
            machine=StepFunctionsMachine(self.machines, "withdrawal"),
            pause=cloud.pause,
            note=lambda _: None,
        )

    def _ask(self, work: Callable[[Process], object]) -> tuple[str, Any]:
        """One request: what came of it, and the answer where there was one."""
        faults = self.cloud.faults
        self._skews += 1
        skew_ns = (self._skews % 9 - 4) * 1_000_000_000 if faults.hits(Fault.CLOCK_WRONG) else 0
        seconds = 0.03 if faults.hits(Fault.CLIENT_GIVES_UP) else 29.0
        try:
            return "answer", self.cloud.invoke("trading", work, seconds=seconds, skew_ns=skew_ns)
        except UnavailableError:
            return Said.UNAVAILABLE, None
        except (OutageError, FunctionLostError):
            return Said.UNKNOWN, None
        except Exception as error:  # noqa: BLE001 - a 500: for the customer unknown, for us a defect
            self.defects.append(f"{type(error).__name__}: {error}")
            return Said.UNKNOWN, None

    def _tell(
        self,
        account_id: int,
        name: str,
        answer: object,
        *,
        asked_at: int,
        said: Said = Said.ACCEPTED,
        is_transfer: bool = False,
        last_word: bool = False,
    ) -> None:
        told_at = self.cloud.scheduler.now_ns
        told = Told(account_id, name, said, asked_at, told_at, is_transfer=is_transfer, last_word=last_word)
        if isinstance(answer, Order):
            told = replace(told, order_id=answer.order_id, status=answer.status.value, filled_lots=answer.filled_lots)
        elif isinstance(answer, Transfer):
            told = replace(told, transfer_id=answer.transfer_id)
        else:
            told = replace(told, said=Said.ABSENT if said is Said.SEEN else Said.REFUSED)
        self.history.append(told)

    def _note(self, account_id: int, name: str, said: Said, asked_at: int, *, is_transfer: bool = False) -> None:
        told_at = self.cloud.scheduler.now_ns
        self.history.append(Told(account_id, name, said, asked_at, told_at, is_transfer=is_transfer))

    def _sweep_forever(self) -> None:
        scheduler, faults = self.cloud.scheduler, self.cloud.faults
        while True:
            scheduler.sleep(self.sweep_seconds)
            for _ in range(2 if faults.hits(Fault.SWEEPER_EAGER) else 1):
                if self.sweeps_orders:
                    self.sweeping = True
                    self._ask(self._sweep)
                    self.sweeping = False
            self._ask(self._sweep_transfers)

    def _sweep(self, process: Process) -> int:
        desk = self.desk(process)
        return sweep(desk.entry, desk.stream, desk.clock)

    def _sweep_transfers(self, process: Process) -> int:
        def start(transfer: Transfer) -> None:
            name = "withdrawal" if transfer.kind == "withdraw" else "deposit"
            StepFunctionsMachine(self.machines, name).start(transfer.transfer_id)

        return start_forgotten(
            transfers=TransferStore(self.cloud.connection),
            start=start,
            clock=ProcessClock(process),
            note=lambda _: None,
        )


def _is_content(intent: Intent, kind: str) -> bool:
    """Whether a customer asks no more: some believe it when they hear that nothing has happened."""
    return kind == "answer" or (kind == Said.UNAVAILABLE and intent.earlier < BELIEVING_SHARE)


def _patience(intent: Intent) -> int:
    """How often a customer asks: some take the first answer, whatever it is, and go."""
    return 1 if intent.earlier < IMPATIENT_SHARE else TRIES_MAX
