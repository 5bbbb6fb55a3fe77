"""The bank: pays each instruction once by its id, and says so by notifications that may come late, twice or never."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exchange.audit.model import Payment
from exchange.breaks.store import BreakStore
from exchange.clearance.screening import NoScreening
from exchange.clearance.service import Holds, clear_withdrawal
from exchange.clearance.store import ClearanceStore
from exchange.kernel.errors import OutageError
from exchange.ledger.store import BalanceStore, JournalStore
from exchange.payments.bank import BankQueue
from exchange.payments.model import Notification, Outcome
from exchange.payments.service import ask_bank, take_notification
from exchange.payments.waiters import TaskTokens
from exchange.transfers.store import TransferStore
from exchange.users.store import CustomerStore
from exchange.wallets.service import credit_deposit, fail_deposit
from exchange.wallets.store import PostingStore
from exchange.wallets.withdrawing import post_withdrawal, return_withdrawal

from tests.simulation.cloud import Cloud, FunctionLostError, ProcessClock
from tests.simulation.faults import Fault
from tests.simulation.machines import StepFunctions
from tests.simulation.plan import ASSETS, METHODS
from tests.simulation.scheduler import Process


def rail_of(asset: str) -> str:
    """Who holds an asset for us outside."""
    return next(method.rail for method in METHODS if method.asset.asset_id == asset)


@dataclass
class Bank:
    """What the bank has done and said, by instruction."""

    cloud: Cloud
    machines: StepFunctions | None = None
    answers: dict[str, Notification] = field(default_factory=dict)
    delivered: int = 0

    def __post_init__(self) -> None:
        """Open its doors."""
        self._rng = random.Random(f"{self.cloud.plan.seed}/bank")
        self._process = Process("bank", self.cloud.scheduler)
        self._process.mortal = False

    # Its queue, with boto3's method name

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:
        """Queue an instruction; the queue delivers it at least once, in any order."""

        def effect() -> dict[str, Any]:
            copies = 2 if self.cloud.faults.hits(Fault.INSTRUCTION_TWICE) else 1
            for _ in range(copies):
                self.cloud.scheduler.at(self._rng.uniform(0.05, 2.0), lambda: self._read(json.loads(MessageBody)))
            return {}

        answer: dict[str, Any] = self.cloud.network.carry("sqs", "SendMessage", effect)
        return answer

    def _read(self, instruction: dict[str, str]) -> None:
        instruction_id = instruction["instruction_id"]
        said = self.answers.get(instruction_id)
        if said is None:
            said = self.answers[instruction_id] = self._pay(instruction)
        elif self.cloud.faults.hits(Fault.NOTIFICATION_LOST):
            return
        self.cloud.scheduler.at(
            self._rng.uniform(0.05, 5.0), lambda: self.cloud.scheduler.spawn(self._process, lambda: self._notify(said))
        )

    def _pay(self, instruction: dict[str, str]) -> Notification:
        transfer_id, asset = instruction["instruction_id"], instruction["currency"]
        books = self._rng.random() < 0.7
        if books:
            sign = 1 if instruction["direction"] == "collect" else -1
            units = ASSETS[asset].parse(instruction["amount"])
            self.cloud.payments.append(Payment(transfer_id, rail_of(asset), asset, sign * units))
        return Notification(
            event_id=f"event-{transfer_id}",
            transfer_id=transfer_id,
            outcome=Outcome.BOOKED if books else Outcome.DECLINED,
            amount=instruction["amount"],
            currency=asset,
            bank_reference=f"reference-{transfer_id}",
            reason="" if books else "no such account",
        )

    def _notify(self, said: Notification) -> None:
        if self.cloud.faults.hits(Fault.NOTIFICATION_LOST):
            return
        for _ in range(2 if self.cloud.faults.hits(Fault.NOTIFICATION_TWICE) else 1):
            self._insist(said)

    def _insist(self, said: Notification) -> None:
        cloud = self.cloud

        def work(_process: Process) -> object:
            return take_notification(
                said, transfers=TransferStore(cloud.connection), waiters=TaskTokens(self.machines), note=lambda _: None
            )

        pause = 1.0
        while True:
            try:
                cloud.invoke("webhook", work)
            except (OutageError, FunctionLostError):
                cloud.scheduler.sleep(pause)
                pause = min(2 * pause, 60.0)
            else:
                self.delivered += 1
                return

    # The steps of the machines, composed as functions/payments/tasks.py and functions/wallets/tasks.py are

    def payments_task(self, payload: dict[str, Any]) -> None:
        """Ask the bank."""
        ask_bank(
            payload["transfer_id"],
            payload["task_token"],
            transfers=TransferStore(self.cloud.connection),
            bank=BankQueue(self, "bank"),
            waiters=TaskTokens(self.machines),
            note=lambda _: None,
        )

    def wallets_task(self, payload: dict[str, Any]) -> dict[str, str] | None:
        """Clear, credit, post, fail or give back."""
        cloud = self.cloud
        transfers, postings = TransferStore(cloud.connection), PostingStore(cloud.connection)
        step, transfer_id, clock = payload["step"], payload["transfer_id"], ProcessClock(self._process)
        if step == "clear":
            holds = Holds(BreakStore(cloud.connection), CustomerStore(), ClearanceStore(cloud.connection))
            said = clear_withdrawal(transfer_id, transfers=transfers, screening=NoScreening(), holds=holds)
            return {"clearance": said[1]}
        if step == "fail":
            fail_deposit(transfer_id, transfers=transfers, clock=clock)
        elif step == "give_back":
            return_withdrawal(transfer_id, transfers=transfers, postings=postings, clock=clock, pause=cloud.pause)
        else:
            post = partial(credit_deposit, debts=BalanceStore()) if step == "credit" else post_withdrawal
            post(
                transfer_id,
                transfers=transfers,
                journal=JournalStore(),
                postings=postings,
                clock=clock,
                pause=cloud.pause,
            )
        return None
