"""The laptop's bank behind files: it reads payment orders and writes statements, notifications and statuses.

Words choose what happens. After a customer's reference: `silent` (only the statement tells), `twice` (the notification
comes twice), `late` (it comes after the statement), `recalled` (the money is taken back). In a payee's name, which is
the one that the customer paid in under: `rejected`, `pending` (settled at the day's end), `returned` (it comes back),
`silent` (no status, no notification), `doubled` (paid twice, as no bank should). Its accounts are in memory.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from exchange.iso20022.grammar import FileRefusedError, Node, read_message
from exchange.iso20022.schemas import OUTGOING
from exchange.kernel.money import parse_decimal

from infra.local.bank_messages import SCALE, Booking, Told, notification, statement, status_report

Deliver = Callable[[str, bytes], None]


@dataclass
class Ledger:
    """One account at this bank. Units: of 10^-5."""

    iban: str
    currency: str
    opening: int = 0
    number: int = 0
    bookings: list[Booking] = field(default_factory=list)
    late: list[bytes] = field(default_factory=list)
    pending: list[tuple[Booking, str, str]] = field(default_factory=list)  # with the order's message and group

    @property
    def balance(self) -> int:
        """What is on it now."""
        return self.opening + sum(booking.units for booking in self.bookings)


@dataclass
class SandboxFiles:
    """The bank; one request at a time."""

    deliver: Deliver
    now: Callable[[], float] = time.time
    accounts: dict[str, Ledger] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    count: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def open(self, iban: str, currency: str) -> None:
        """Open an account; again is harmless."""
        with self._lock:
            self.accounts.setdefault(currency, Ledger(iban, currency))

    def receive(self, content: bytes) -> str:
        """Take a file of payment orders, and return its message id. One that came before is passed over."""
        with self._lock:
            body = read_message(content, OUTGOING).body
            message_id = body("GrpHdr/MsgId")
            if message_id in self.seen:
                return message_id
            self.seen.add(message_id)
            for group in body.each("PmtInf"):
                self._pay(message_id, group)
            return message_id

    def transfer(self, currency: str, amount: str, words: str, *, name: str, iban: str) -> str:
        """A customer's bank sends money; returns the booking's reference."""
        with self._lock:
            ledger = self.accounts[currency]
            booking = self._book(ledger, parse_decimal(amount, SCALE), words, name, iban, transaction=True)
            if "late" in words.split():
                ledger.late.append(self._notice(ledger, booking))
            elif "silent" not in words.split():
                for _ in range(2 if "twice" in words.split() else 1):
                    self._tell(ledger, booking)
            if "recalled" in words.split():
                self.recall(currency, booking.reference)
            return booking.reference

    def recall(self, currency: str, reference: str) -> None:
        """Take back a transfer that came in."""
        with self._lock:
            ledger = self.accounts[currency]
            came = next(each for each in ledger.bookings if each.reference == reference)
            back = replace(came, reference=self._reference(), units=-came.units, return_code="FRAD")
            ledger.bookings.append(back)
            self._tell(ledger, back)

    def charge(self, currency: str, amount: str) -> None:
        """Charge the account, as banks do."""
        with self._lock:
            ledger = self.accounts[currency]
            self._book(ledger, -parse_decimal(amount, SCALE), "account fees", "Sandbox Bank", ledger.iban)

    def close_day(self, currency: str) -> bytes:
        """Settle what is pending and write the account's statement."""
        with self._lock:
            ledger = self.accounts[currency]
            waiting, ledger.pending = ledger.pending, []
            for booking, message_id, group in waiting:
                ledger.bookings.append(booking)
                self._status(message_id, group, Told(booking.end_to_end_id, "ACSC"))
            ledger.number += 1
            content = statement(
                ledger.iban, currency, ledger.number, ledger.opening, ledger.bookings, at=self._moment()
            )
            ledger.opening, ledger.bookings = ledger.balance, []
            self.deliver(f"camt.053-{currency}-{ledger.number:06d}.xml", content)
            late, ledger.late = ledger.late, []
            for each in late:
                self._deliver("camt.054", each)
            return content

    def _pay(self, message_id: str, group: Node) -> None:
        ledger = self.accounts[group("DbtrAcct/Ccy")]
        for payment in group.each("CdtTrfTxInf"):
            booking = Booking(
                reference=self._reference(),
                units=-parse_decimal(payment("Amt/InstdAmt"), SCALE),
                words=payment("RmtInf/Ustrd"),
                name=payment("Cdtr/Nm"),
                iban=payment("CdtrAcct/Id/IBAN"),
                end_to_end_id=payment("PmtId/EndToEndId"),
            )
            self._execute(ledger, booking, message_id, group("PmtInfId"))

    def _execute(self, ledger: Ledger, booking: Booking, message_id: str, group: str) -> None:
        words = booking.name.lower().split()
        if "rejected" in words or ledger.balance + booking.units < 0:
            reason = "AC04" if "rejected" in words else "AM04"
            self._status(message_id, group, Told(booking.end_to_end_id, "RJCT", reason))
            return
        if "pending" in words:
            ledger.pending.append((booking, message_id, group))
            self._status(message_id, group, Told(booking.end_to_end_id, "PDNG"))
            return
        ledger.bookings.append(booking)
        if "silent" not in words:
            self._status(message_id, group, Told(booking.end_to_end_id, "ACSC"))
            self._tell(ledger, booking)
        if "doubled" in words:
            ledger.bookings.append(replace(booking, reference=self._reference()))
        if "returned" in words:
            back = replace(booking, reference=self._reference(), units=-booking.units, return_code="AC04")
            ledger.bookings.append(back)
            self._tell(ledger, back)

    def _book(
        self, ledger: Ledger, units: int, words: str, name: str, iban: str, *, transaction: bool = False
    ) -> Booking:
        reference = self._reference()
        booking = Booking(reference, units, words, name, iban, transaction_id=f"TX{reference}" if transaction else "")
        ledger.bookings.append(booking)
        return booking

    def _tell(self, ledger: Ledger, booking: Booking) -> None:
        self._deliver("camt.054", self._notice(ledger, booking))

    def _notice(self, ledger: Ledger, booking: Booking) -> bytes:
        return notification(ledger.iban, ledger.currency, f"N{booking.reference}", [booking], at=self._moment())

    def _status(self, message_id: str, group: str, told: Told) -> None:
        self._deliver("pain.002", status_report(self._reference(), message_id, group, [told], at=self._moment()))

    def _deliver(self, kind: str, content: bytes) -> None:
        self.deliver(f"{kind}-{self._reference()}.xml", content)

    def _reference(self) -> str:
        self.count += 1
        return f"SBX{self.count:09d}"

    def _moment(self) -> str:
        return datetime.fromtimestamp(int(self.now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["FileRefusedError", "Ledger", "SandboxFiles"]
