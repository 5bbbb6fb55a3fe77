"""Payments by bank files: an order a withdrawal, orders gathered into files; a reference for each who pays in."""

from typing import Protocol

from exchange.banking.model import (
    ORDERS_PER_FILE_MAX,
    RAIL,
    Account,
    Expected,
    Order,
    OrderStage,
    OutgoingBatch,
    Payee,
)
from exchange.iso20022.credit_transfers import write_batch
from exchange.kernel.clock import Clock, iso_utc
from exchange.kernel.errors import require
from exchange.kernel.money import parse_decimal
from exchange.payments.model import Asked, Instruction, Notification, Outcome
from exchange.payments.references import reference_of

FILES_PER_RUN_MAX = 20
NOBODY = Payee("", "")
NO_PAYEE = "no bank account is known; pay in from it first, with your reference"


class Files(Protocol):
    """What is kept of payments by file."""

    def account(self, currency: str) -> Account | None:
        """Our account in a currency."""
        ...

    def expect(self, expected: Expected, reference: str) -> None:
        """Note a deposit that will come, and whose the reference is; again is harmless."""
        ...

    def payee(self, account_id: int, currency: str) -> Payee | None:
        """Where a customer is paid to."""
        ...

    def order(self, transfer_id: str) -> Order | None:
        """One order."""
        ...

    def put_order(self, order: Order) -> bool:
        """Put an order; False where there is one already."""
        ...

    def waiting_orders(self, currency: str, *, limit: int) -> list[Order]:
        """The oldest orders that are in no file yet."""
        ...

    def last_batch(self, currency: str) -> OutgoingBatch | None:
        """The newest file of a currency."""
        ...

    def claim(self, batch: OutgoingBatch) -> bool:
        """Put a file's orders into it, all or none; False where somebody else was faster."""
        ...

    def note_written(self, batch: OutgoingBatch) -> None:
        """The file is in the outbox."""
        ...


class Outbox(Protocol):
    """Where the bank's gateway takes files from."""

    def put(self, name: str, content: bytes) -> None:
        """Put a file; again the same is harmless."""
        ...


class FilesProvider:
    """The bank, as far as it is reached by files. Nothing is heard at once: its answers come in files too."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def instruct(self, instruction: Instruction) -> Asked:
        """Say where to pay in, or gather a payment; asked again, the same.

        Raises:   InvariantError for a currency without an account; OutageError.
        """
        account = self._files.account(instruction.currency)
        require(account is not None, f"no account in {instruction.currency} is listed for bank files")
        if account is None:
            return Asked()
        units = parse_decimal(instruction.amount, account.scale)
        if instruction.direction == "collect":
            return self._collect(instruction, account, units)
        order = self._files.order(instruction.instruction_id)
        if order is None:
            payee = self._files.payee(instruction.account_id, instruction.currency)
            stage = OrderStage.WAITING if payee else OrderStage.REFUSED
            order = Order(
                instruction.instruction_id, account.currency, units, account.scale, payee or NOBODY, stage=stage
            )
            if not self._files.put_order(order):
                order = self._files.order(instruction.instruction_id) or order
        return Asked(said=_refusal(instruction) if order.stage is OrderStage.REFUSED else None)

    def _collect(self, instruction: Instruction, account: Account, units: int) -> Asked:
        reference = reference_of(instruction.account_id)
        expected = Expected(instruction.account_id, instruction.instruction_id, account.currency, units)
        self._files.expect(expected, reference)
        funding = {
            "reference": reference,
            "iban": account.iban,
            "bic": account.bic,
            "account_holder_name": account.holder,
        }
        return Asked(reference, funding)


def _refusal(instruction: Instruction) -> Notification:
    """Nothing was ever sent, and the order says so for ever: the one refusal that is ours to give."""
    return Notification(
        event_id=f"unsent-{instruction.instruction_id}",
        transfer_id=instruction.instruction_id,
        outcome=Outcome.DECLINED,
        amount=instruction.amount,
        currency=instruction.currency,
        bank_reference=f"unsent-{instruction.instruction_id}",
        reason=NO_PAYEE,
        provider=RAIL,
    )


def file_orders(currency: str, *, files: Files, outbox: Outbox, clock: Clock) -> int:
    """Write all that waits into files, each order in one, and return how many orders that were.

    A file that was claimed and perhaps not written is written again first: the same bytes under the same name.

    Raises:   OutageError; run it again then.
    """
    account = files.account(currency)
    if account is None:
        return 0
    last = files.last_batch(currency)
    if last is not None and not last.written:
        _write(last, account, files=files, outbox=outbox)
    count, number = 0, last.number if last else 0
    for _ in range(FILES_PER_RUN_MAX):
        orders = files.waiting_orders(currency, limit=ORDERS_PER_FILE_MAX)
        if not orders:
            break
        number += 1
        made_at = iso_utc(clock.now_ns())[:19]
        batch = OutgoingBatch(currency, number, made_at, tuple(orders))
        if not files.claim(batch):
            break
        _write(batch, account, files=files, outbox=outbox)
        count += len(orders)
    return count


def _write(batch: OutgoingBatch, account: Account, *, files: Files, outbox: Outbox) -> None:
    outbox.put(f"{batch.message_id}.xml", write_batch(batch.as_sent_by(account)))
    files.note_written(batch)
