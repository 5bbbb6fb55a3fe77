"""Transfers in DynamoDB, and beside them what the bank must not tell us twice: its event ids and its references."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, error_code, outage, reading
from exchange.kernel.errors import UnavailableError
from exchange.transfers.model import (
    BankAnswer,
    Clearance,
    Page,
    PaymentState,
    Recorded,
    Transfer,
    TransferKind,
    TransferStatus,
    created_key,
)

_CONDITION_FAILED = "ConditionalCheckFailedException"


class TransfersByAccountIndex(GlobalSecondaryIndex[Any]):
    """Every transfer of an account, by creation."""

    class Meta:
        index_name = "by_account"
        projection = KeysOnlyProjection()

    account_id = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class UnstartedTransfersIndex(GlobalSecondaryIndex[Any]):
    """Transfers that the bank was never asked about: short, for being asked takes one out."""

    class Meta:
        index_name = "unstarted"
        projection = KeysOnlyProjection()

    unstarted = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class TransfersInReviewIndex(GlobalSecondaryIndex[Any]):
    """Withdrawals that operators are to decide: short, for a decision takes one out."""

    class Meta:
        index_name = "in_review"
        projection = KeysOnlyProjection()

    in_review = UnitsAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class TransferItem(Model):
    """One transfer; zero and empty attributes are left out."""

    class Meta:
        table_name = "transfers"

    transfer_id = UnicodeAttribute(hash_key=True)
    account_id = UnitsAttribute()
    created_key = UnicodeAttribute()
    kind = UnicodeAttribute()
    asset = UnicodeAttribute()
    scale = UnitsAttribute(null=True)
    units = UnitsAttribute()
    rail = UnicodeAttribute()
    payment_method_id = UnicodeAttribute()
    created_at_ns = UnitsAttribute()
    client_transfer_id = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    payment = UnicodeAttribute()
    task_token = UnicodeAttribute(null=True)
    bank_reference = UnicodeAttribute(null=True)
    received_units = UnitsAttribute(null=True)
    decline_reason = UnicodeAttribute(null=True)
    completed_at_ns = UnitsAttribute(null=True)
    canceled_at_ns = UnitsAttribute(null=True)
    cancel_reason = UnicodeAttribute(null=True)
    fee_units = UnitsAttribute(null=True)
    counterparty_id = UnitsAttribute(null=True)
    provider_reference = UnicodeAttribute(null=True)
    funding = UnicodeAttribute(null=True)
    reverses = UnicodeAttribute(null=True)
    locked_units = UnitsAttribute(null=True)
    crypto_transaction = UnicodeAttribute(null=True)
    crypto_address = UnicodeAttribute(null=True)
    reversed_by = UnicodeAttribute(null=True)
    undone_by = UnicodeAttribute(null=True)
    settled_units = UnitsAttribute(null=True)
    network_fee_units = UnitsAttribute(null=True)
    clearance = UnicodeAttribute(null=True)
    review_reason = UnicodeAttribute(null=True)
    review_token = UnicodeAttribute(null=True)
    in_review = UnitsAttribute(null=True)
    unstarted = UnitsAttribute(null=True)

    by_account = TransfersByAccountIndex()
    by_unstarted = UnstartedTransfersIndex()
    by_in_review = TransfersInReviewIndex()


class BankMarkItem(Model):
    """An event id or a reference of the bank, and the one transfer it belongs to: never used for a second one."""

    class Meta:
        table_name = "transfers"

    # "event#RAIL#ID" or "receipt#RAIL#REFERENCE"; "customer#RAIL#ACCOUNT" marks a customer's name at the provider.
    transfer_id = UnicodeAttribute(hash_key=True)
    marks_transfer_id = UnicodeAttribute()


_FIELDS = tuple(field.name for field in fields(Transfer))
_ENUMS: dict[str, Any] = {
    "kind": TransferKind,
    "status": TransferStatus,
    "payment": PaymentState,
    "clearance": Clearance,
}


def transfer_item(transfer: Transfer) -> TransferItem:
    """The item of a transfer."""
    plain = {name: _plain(getattr(transfer, name)) for name in _FIELDS}
    kept = {name: value for name, value in plain.items() if value not in (0, "") or name == "account_id"}
    item = TransferItem(**kept)
    item.created_key = created_key(transfer)
    if transfer.status is TransferStatus.PENDING and transfer.payment is PaymentState.NONE:
        item.unstarted = 1
    return item


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else int(value)


def transfer_from(item: TransferItem) -> Transfer:
    """The transfer an item stands for."""
    values: dict[str, Any] = {"scale": 0}
    for name in _FIELDS:
        value = getattr(item, name)
        if value is not None:
            values[name] = _ENUMS[name](value) if name in _ENUMS else value
    return Transfer(**values)


def mark_undone(transaction: TransactWrite, undone: Transfer, by: str) -> None:
    """Note on a transfer what undoes it: a withdrawal comes back once, a deposit is taken back in parts too.

    The transaction fails whole where the transfer is not any more as it was read.
    """
    if undone.kind is TransferKind.DEPOSIT:
        attribute, known, after = TransferItem.undone_by, undone.undone_by, f"{undone.undone_by} {by}".strip()
    else:
        attribute, known, after = TransferItem.reversed_by, undone.reversed_by, by
    same = (attribute == known) if known else attribute.does_not_exist()
    there = TransferItem.transfer_id.exists()
    transaction.update(TransferItem(undone.transfer_id), actions=[attribute.set(after)], condition=there & same)


class TransferStore:
    """Transfers by id, always read consistently, and every change of them but the posting."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, transfer: Transfer) -> bool:
        """Put a new transfer; False where its id is taken.

        Raises:   OutageError.
        """
        try:
            transfer_item(transfer).save(condition=TransferItem.transfer_id.does_not_exist())
        except PutError as error:
            if error_code(error) == _CONDITION_FAILED:
                return False
            raise outage(error) from error
        return True

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer by id; None where there is none, and for whatever else lies under such a key."""
        if "#" in transfer_id:
            return None
        with reading():
            try:
                return transfer_from(TransferItem.get(transfer_id, consistent_read=True))
            except TransferItem.DoesNotExist:
                return None

    def transfers(self, transfer_ids: Iterable[str]) -> list[Transfer]:
        """Transfers by id, in the order asked; unknown ids are left out."""
        wanted = list(dict.fromkeys(transfer_ids))
        with reading():
            items = list(TransferItem.batch_get(wanted, consistent_read=True))
        found = {item.transfer_id: transfer_from(item) for item in items}
        return [found[transfer_id] for transfer_id in wanted if transfer_id in found]

    def list_transfers(self, account_id: int, page: Page) -> list[Transfer]:
        """One page of an account's transfers, newest first."""
        condition: Condition | None = None
        if page.before:
            condition = TransferItem.created_key > page.before
        elif page.after:
            condition = TransferItem.created_key < page.after
        with reading():
            keys = list(
                TransferItem.by_account.query(
                    account_id, condition, scan_index_forward=bool(page.before), limit=page.limit
                )
            )
        found = self.transfers(item.transfer_id for item in keys)
        return found[::-1] if page.before else found

    def unstarted(self, *, before_ns: int, limit: int) -> list[Transfer]:
        """The oldest transfers made before a moment that the bank was never asked about. Raises UnavailableError."""
        older = TransferItem.created_key < f"{before_ns:020d}"
        with reading():
            keys = list(TransferItem.by_unstarted.query(1, older, limit=limit))
        return self.transfers(item.transfer_id for item in keys)

    def in_review(self, *, limit: int) -> list[Transfer]:
        """Withdrawals that operators are to decide, oldest first. Raises UnavailableError."""
        with reading():
            keys = list(TransferItem.by_in_review.query(1, limit=limit))
        return self.transfers(item.transfer_id for item in keys)

    def send_to_review(self, transfer: Transfer, reason: str) -> bool:
        """Have operators look at a withdrawal; False where it is not any more as it was. Raises OutageError."""
        actions: list[Action] = [TransferItem.clearance.set(Clearance.REVIEW.value)]
        actions += [TransferItem.review_reason.set(reason), TransferItem.in_review.set(1)]
        return self._update(TransferItem(transfer.transfer_id), actions, still_uncleared(transfer))

    def await_review(self, transfer_id: str, token: str) -> bool:
        """Note who waits for the operators; False where nobody needs to wait any more. Raises OutageError.

        Its machine runs, so the sweeper need not look at it again.
        """
        actions: list[Action] = [TransferItem.review_token.set(token), TransferItem.unstarted.remove()]
        in_review = TransferItem.clearance == Clearance.REVIEW.value
        pending = TransferItem.status == TransferStatus.PENDING.value
        return self._update(TransferItem(transfer_id), actions, in_review & pending)

    def await_bank(self, transfer_id: str, task_token: str) -> bool:
        """Note who waits for the bank's answer; False where the transfer is closed and nobody needs to wait.

        A later token replaces an earlier one: every try of the state machine has a new one, and only the last counts.

        Raises:   OutageError.
        """
        item = TransferItem(transfer_id)
        actions: list[Action] = [TransferItem.task_token.set(task_token)]
        undecided = TransferItem.payment.is_in(PaymentState.NONE.value, PaymentState.REQUESTED.value)
        pending = TransferItem.status == TransferStatus.PENDING.value
        asked = [TransferItem.payment.set(PaymentState.REQUESTED.value), TransferItem.unstarted.remove()]
        if self._update(item, [*actions, *asked], pending & undecided):
            return True
        # The bank has answered an earlier try: its answer stands, but it must find the new waiter when it is repeated.
        return self._update(item, actions, pending)

    def note_asked(self, transfer_id: str, *, provider_reference: str, funding: str) -> None:
        """Note how the provider names a payment and where the customer is to send it. Raises OutageError."""
        actions: list[Action] = [TransferItem.provider_reference.set(provider_reference)]
        if funding:
            actions.append(TransferItem.funding.set(funding))
        unnamed = TransferItem.provider_reference.does_not_exist()
        self._update(
            TransferItem(transfer_id), actions, unnamed | (TransferItem.provider_reference == provider_reference)
        )

    def note_sent(self, transfer_id: str, crypto_transaction: str) -> None:
        """Note by which transaction a pending withdrawal is being paid. Raises OutageError."""
        pending = TransferItem.status == TransferStatus.PENDING.value
        actions: list[Action] = [TransferItem.crypto_transaction.set(crypto_transaction)]
        self._update(TransferItem(transfer_id), actions, pending)

    def customer_reference(self, rail: str, account_id: int) -> str:
        """How a rail's provider names a customer; empty where it knows none. Raises UnavailableError."""
        with reading():
            try:
                mark = BankMarkItem.get(f"customer#{rail}#{account_id}", consistent_read=True)
            except BankMarkItem.DoesNotExist:
                return ""
        return str(mark.marks_transfer_id)

    def note_customer(self, rail: str, account_id: int, reference: str) -> None:
        """Note how a rail's provider names a customer, once. Raises OutageError."""
        mark = BankMarkItem(f"customer#{rail}#{account_id}", marks_transfer_id=reference)
        try:
            mark.save(condition=BankMarkItem.transfer_id.does_not_exist())
        except PutError as error:
            if error_code(error) != _CONDITION_FAILED:
                raise outage(error) from error

    def record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        """Write the bank's answer down, once: its event id, its reference and the transfer's payment, or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        marks = [f"event#{transfer.rail}#{answer.event_id}"]
        if answer.payment is PaymentState.BOOKED:
            marks.append(f"receipt#{transfer.rail}#{answer.bank_reference}")
        actions: list[Action] = [
            TransferItem.payment.set(answer.payment.value),
            TransferItem.bank_reference.set(answer.bank_reference),
        ]
        if answer.received_units:
            actions.append(TransferItem.received_units.set(answer.received_units))
        if answer.reason:
            actions.append(TransferItem.decline_reason.set(answer.reason))
        waiting = TransferItem.payment == PaymentState.REQUESTED.value
        pending = TransferItem.status == TransferStatus.PENDING.value
        try:
            with transaction:
                for mark in marks:
                    item = BankMarkItem(mark, marks_transfer_id=transfer.transfer_id)
                    transaction.save(item, condition=BankMarkItem.transfer_id.does_not_exist())
                transaction.update(TransferItem(transfer.transfer_id), actions=actions, condition=waiting & pending)
        except TransactWriteError as error:
            if "ConditionalCheckFailed" in (codes := cancellation_codes(error)):
                return Recorded.LOST
            raise UnavailableError(f"recording an answer for {transfer.transfer_id}: {list(codes)}") from error
        return Recorded.DONE

    def cancel(self, transfer_id: str, *, reason: str, canceled_at_ns: int) -> bool:
        """Close a transfer that the bank declined or was never asked for; False where it may have paid.

        Raises:   OutageError.
        """
        actions: list[Action] = [
            TransferItem.status.set(TransferStatus.CANCELED.value),
            TransferItem.cancel_reason.set(reason),
            TransferItem.canceled_at_ns.set(canceled_at_ns),
            TransferItem.unstarted.remove(),
        ]
        pending = TransferItem.status == TransferStatus.PENDING.value
        moneyless = TransferItem.payment.is_in(PaymentState.NONE.value, PaymentState.DECLINED.value)
        return self._update(TransferItem(transfer_id), actions, pending & moneyless)

    @staticmethod
    def _update(item: TransferItem, actions: list[Action], condition: Condition) -> bool:
        try:
            item.update(actions=actions, condition=condition)
        except UpdateError as error:
            if error_code(error) == _CONDITION_FAILED:
                return False
            raise outage(error) from error
        return True


__all__ = ["BankMarkItem", "TransferItem", "TransferStore", "transfer_from", "transfer_item"]


def still_uncleared(transfer: Transfer) -> Condition:
    """That a withdrawal is pending, not paid, and as uncleared as it was read."""
    pending: Condition = TransferItem.status == TransferStatus.PENDING.value
    unpaid: Condition = TransferItem.payment == PaymentState.NONE.value
    uncleared: Condition = TransferItem.clearance == transfer.clearance.value
    still: Condition = pending & unpaid & uncleared
    return still
