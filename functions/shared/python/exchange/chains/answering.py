"""What a withdrawal hears of its payment over a chain: by what it is being paid, and what became of that."""

from collections.abc import Callable
from typing import Protocol

from exchange.chains.departures import Departure, Progress
from exchange.kernel.errors import require, unreachable
from exchange.transfers.model import BankAnswer, PaymentState, Recorded, Transfer
from exchange.transfers.waiting import Waiters, wake


class Transfers(Protocol):
    """Where the withdrawals that are paid are kept."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def note_sent(self, transfer_id: str, crypto_transaction: str) -> None:
        """Note by which transaction a pending withdrawal is being paid."""
        ...

    def record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        """Write down, once, whether it was paid."""
        ...


class Answers:
    """Tells withdrawals. Telling again is harmless: an answer is written down once, and wakes whoever still waits."""

    def __init__(self, transfers: Transfers, waiters: Waiters, *, note: Callable[[str], None]) -> None:
        self._transfers = transfers
        self._waiters = waiters
        self._note = note

    def sent(self, departure: Departure) -> None:
        """By which transaction it is being paid. Raises OutageError."""
        if departure.transfer_id:
            self._transfers.note_sent(departure.transfer_id, departure.newest.hash)

    def decided(self, departure: Departure) -> None:
        """What became of it, for good. Raises OutageError; InvariantError where it was told otherwise before."""
        if not departure.transfer_id:
            return
        transfer = self._transfers.transfer(departure.transfer_id)
        if transfer is None:
            unreachable(f"{departure.departure_id} pays no transfer")
        paid = departure.progress is Progress.PAID
        state = PaymentState.BOOKED if paid else PaymentState.DECLINED
        if transfer.payment is PaymentState.REQUESTED:
            if departure.progress is not Progress.VOID:
                self._transfers.note_sent(departure.transfer_id, departure.mined_hash)
            units = departure.units if paid else 0
            word = BankAnswer(departure.departure_id, state, departure.mined_hash, units, departure.reason)
            self._transfers.record_answer(transfer, word)
            transfer = self._transfers.transfer(departure.transfer_id) or transfer
        require(transfer.payment is state, f"{departure.departure_id} is {departure.progress}, told {transfer.payment}")
        wake(transfer, waiters=self._waiters, note=self._note)
