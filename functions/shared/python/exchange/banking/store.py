"""Payments by file in DynamoDB: rows of their own, written with the transfer, the journal and the balances."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, error_code, outage, reading
from exchange.banking.model import (
    Account,
    Booked,
    Case,
    CaseState,
    Expected,
    Order,
    OrderStage,
    Outcome,
    OutgoingBatch,
    Payee,
    Posted,
    Posting,
    Settled,
    Standing,
    Taking,
)
from exchange.banking.suspense import Decision
from exchange.kernel.errors import UnavailableError
from exchange.ledger.store import append_batch, move_balances
from exchange.payments.payouts import Change, Payout, Stage
from exchange.payments.reversing import movements_of
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.transfers.store import TransferItem, transfer_item

_FAILED = "ConditionalCheckFailedException"
_PAYOUT, _OPEN_PAYOUT, OPEN_REFUND, _TAKING = "payout", "open-payout", "open-refund", "taking"
_LOST = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


class BankFileItem(Model):
    """A row. `body` is JSON without amounts of its own kind: numbers in it are whole units."""

    class Meta:
        table_name = "bank_files"

    kind = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute(null=True)
    stage = UnicodeAttribute(null=True)
    number = UnitsAttribute(null=True)
    line_key = UnicodeAttribute(null=True)


def _kind(what: str, currency: str) -> str:
    return f"{what}#{currency}"


def _json(value: Any) -> str:
    return json.dumps(asdict(value), separators=(",", ":"), sort_keys=True)


def _body(item: BankFileItem | None) -> dict[str, Any] | None:
    return json.loads(item.body) if item is not None else None


def _account(item: BankFileItem) -> Account:
    return Account(**json.loads(item.body))


def _booked(item: BankFileItem | None) -> Booked | None:
    told = _body(item)
    if told is None or item is None:
        return None
    return Booked(**{**told, "outcome": Outcome(told["outcome"]), "statement": item.number or 0})


def _order(item: BankFileItem | None) -> Order | None:
    told = _body(item)
    if told is None or item is None:
        return None
    stage = OrderStage(item.stage)
    return Order(**{**told, "payee": Payee(**told["payee"]), "stage": stage, "batch": item.number or 0})


def _case(item: BankFileItem | None) -> Case | None:
    told = _body(item)
    return None if told is None or item is None else Case(**{**told, "state": CaseState(item.stage)})


class BankFileStore:
    """Everything that is kept of payments by file, always read consistently."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @staticmethod
    def _get(kind: str, key: str) -> BankFileItem | None:
        with reading():
            try:
                return BankFileItem.get(kind, key, consistent_read=True)
            except BankFileItem.DoesNotExist:
                return None

    @staticmethod
    def _rows(kind: str, *, limit: int | None = None, newest_first: bool = False) -> Iterator[BankFileItem]:
        with reading():
            yield from BankFileItem.query(kind, consistent_read=True, limit=limit, scan_index_forward=not newest_first)

    @staticmethod
    def _put(item: BankFileItem, condition: Condition | None = None) -> bool:
        try:
            item.save(condition=condition)
        except PutError as error:
            if error_code(error) == _FAILED:
                return False
            raise outage(error) from error
        return True

    def _write(self, transaction_of: Any, what: str) -> bool:
        """Do a transaction; False where a condition of it failed or somebody was at a row."""
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction_of(transaction)
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            if _LOST.intersection(codes):
                return False
            raise UnavailableError(f"{what}: {list(codes)}") from error
        return True

    # Accounts and statements ------------------------------------------------------------------------------------------

    def list_account(self, account: Account) -> bool:
        """Put an account of ours; False where the currency has one. Raises OutageError."""
        item = BankFileItem("account", account.currency, body=_json(account), number=account.number)
        return self._put(item, BankFileItem.kind.does_not_exist())

    def accounts(self) -> list[Account]:
        """Our accounts. Raises UnavailableError."""
        return [_account(item) for item in self._rows("account")]

    def account(self, currency: str) -> Account | None:
        """Our account in a currency. Raises UnavailableError."""
        item = self._get("account", currency)
        return _account(item) if item else None

    def statement_digest(self, currency: str, number: int) -> str:
        """The digest of a statement that was taken; empty where none was. Raises UnavailableError."""
        item = self._get(_kind("statement", currency), f"{number:015d}")
        return str(item.body) if item else ""

    def advance(self, account: Account, digest: str) -> bool:
        """Note a statement as taken whole, after the one before it; False where it is noted already.

        Raises:   UnavailableError, OutcomeUnknownError.
        """

        def write(transaction: TransactWrite) -> None:
            statement = BankFileItem(_kind("statement", account.currency), f"{account.number:015d}", body=digest)
            transaction.save(statement, condition=BankFileItem.kind.does_not_exist())
            actions: list[Action] = [
                BankFileItem.body.set(_json(account)),
                BankFileItem.number.set(account.number),
            ]
            before = BankFileItem.number == account.number - 1
            transaction.update(BankFileItem("account", account.currency), actions=actions, condition=before)

        return self._write(write, f"statement {account.number} of {account.currency}")

    def begin(self, currency: str, digest: str, *, name: str, at_ns: int) -> None:
        """Note that a file is being taken; again, it is since the first time. Raises OutageError."""
        item = BankFileItem(_TAKING, _kind(currency, digest), body=name, number=at_ns)
        self._put(item, BankFileItem.kind.does_not_exist())

    def end(self, currency: str, digest: str) -> None:
        """Note that nothing more of a file is to be booked; again is harmless. Raises OutageError."""
        item = BankFileItem(_TAKING, _kind(currency, digest))
        if not self._write(lambda transaction: transaction.delete(item), f"the end of file {digest}"):
            raise UnavailableError(f"the end of file {digest} is being noted by somebody else")

    def takings(self) -> list[Taking]:
        """Files that are being taken. Raises UnavailableError."""
        return [Taking(item.key.partition("#")[0], str(item.body), item.number or 0) for item in self._rows(_TAKING)]

    def standing(self, account: Account) -> Standing:
        """What stands behind an account's balance in the ledger. Raises UnavailableError."""
        lines = [_booked(item) for item in self._rows(_kind("unstated", account.currency))]
        told = ((self.order(item.key), item.number or 0) for item in self._rows(_kind("unlined", account.currency)))
        paid = (Settled(order, after) for order, after in told if order is not None)
        return Standing(account, tuple(filter(None, lines)), tuple(paid))

    # Lines ------------------------------------------------------------------------------------------------------------

    def booked(self, currency: str, key: str) -> Booked | None:
        """A line that was booked. Raises UnavailableError."""
        return _booked(self._get(_kind("line", currency), key))

    def credit_of(self, currency: str, transaction_id: str) -> Booked | None:
        """The credit that a bank's transaction was booked as. Raises UnavailableError."""
        item = self._get(_kind("transaction", currency), transaction_id)
        return self.booked(currency, str(item.body)) if item else None

    def note(self, booked: Booked) -> bool:
        """Note a line that was booked elsewhere; False where it is noted already. Raises OutageError."""
        return self._write(lambda transaction: self._note(transaction, booked), f"line {booked.key}")

    @staticmethod
    def _note(transaction: TransactWrite, booked: Booked) -> None:
        kinds = ("line",) if booked.statement else ("line", "unstated")
        for kind in kinds:
            item = BankFileItem(_kind(kind, booked.currency), booked.key, body=_json(booked), number=booked.statement)
            transaction.save(item, condition=BankFileItem.kind.does_not_exist())

    def state(self, booked: Booked, statement: int) -> None:
        """Note which statement has a line. Raises OutageError."""

        def write(transaction: TransactWrite) -> None:
            line = BankFileItem(_kind("line", booked.currency), booked.key)
            transaction.update(
                line, actions=[BankFileItem.number.set(statement)], condition=BankFileItem.number.is_in(0, statement)
            )
            transaction.delete(BankFileItem(_kind("unstated", booked.currency), booked.key))

        if not self._write(write, f"line {booked.key}"):
            raise UnavailableError(f"line {booked.key} is being noted by somebody else")

    def post(self, posting: Posting, *, transaction_id: str) -> Posted:
        """Write all that a line changes, or nothing. Raises UnavailableError, OutcomeUnknownError."""

        def write(transaction: TransactWrite) -> None:
            booked = posting.booked
            self._note(transaction, booked)
            if transaction_id:
                item = BankFileItem(_kind("transaction", booked.currency), transaction_id, body=booked.key)
                transaction.save(item)
            if posting.expected is not None:
                kind = _expected_kind(posting.expected)
                transaction.delete(BankFileItem(kind, posting.expected.transfer_id))
            if posting.case is not None:
                _put_case(transaction, posting.case)
            if posting.payee is not None:
                owner, payee = posting.payee
                transaction.save(BankFileItem(_kind("payee", booked.currency), str(owner), body=_json(payee)))
            _put_transfer(transaction, posting.transfer, completes=posting.completes)
            if posting.undoes:
                transaction.update(
                    TransferItem(posting.undoes),
                    actions=[TransferItem.reversed_by.set(posting.transfer.transfer_id)],
                    condition=TransferItem.reversed_by.does_not_exist(),
                )
            if posting.payout is not None:
                put_payout(transaction, posting.payout.before, posting.payout.after)
            append_batch(transaction, posting.batch)
            move_balances(transaction, movements_of(posting.batch))

        return Posted.DONE if self._write(write, f"line {posting.booked.key}") else Posted.LOST

    # Customers --------------------------------------------------------------------------------------------------------

    def expect(self, expected: Expected, reference: str) -> None:
        """Note a deposit that will come, and whose the reference is; again is harmless. Raises OutageError."""
        self._put(BankFileItem("reference", reference, number=expected.account_id))
        self._put(BankFileItem(_expected_kind(expected), expected.transfer_id, body=_json(expected)))

    def account_of_reference(self, reference: str) -> int | None:
        """Whose a reference is. Raises UnavailableError."""
        item = self._get("reference", reference)
        return item.number if item else None

    def expected(self, account_id: int, currency: str, units: int) -> Expected | None:
        """A deposit of just that amount that a customer said would come. Raises UnavailableError."""
        wanted = Expected(account_id, "", currency, units)
        for item in self._rows(_expected_kind(wanted), limit=1):
            return Expected(**json.loads(item.body))
        return None

    def payee(self, account_id: int, currency: str) -> Payee | None:
        """Where a customer is paid to. Raises UnavailableError."""
        told = _body(self._get(_kind("payee", currency), str(account_id)))
        return Payee(**told) if told else None

    # Stripe's payouts -------------------------------------------------------------------------------------------------

    def payout(self, payout_id: str) -> Payout | None:
        """One payout. Raises UnavailableError."""
        told = _body(self._get(_PAYOUT, payout_id))
        return Payout(**{**told, "stage": Stage(told["stage"])}) if told else None

    def payouts(self) -> list[Payout]:
        """Every payout there was, oldest first. Raises UnavailableError."""
        found = (self.payout(item.key) for item in self._rows(_PAYOUT))
        return sorted((payout for payout in found if payout is not None), key=lambda each: each.approved_at_ns)

    def open_payouts(self) -> list[Payout]:
        """Those that Stripe is still to be asked about, oldest first. Raises UnavailableError."""
        found = (self.payout(item.key) for item in self._rows(_OPEN_PAYOUT))
        return sorted((payout for payout in found if payout is not None), key=lambda each: each.approved_at_ns)

    def change(self, change: Change) -> Posted:
        """Write a payout and what that posts, all or nothing; LOST where it is not any more as it was.

        Raises:   UnavailableError, OutcomeUnknownError.
        """

        def write(transaction: TransactWrite) -> None:
            put_payout(transaction, change.before, change.after)
            if change.transfer is not None and change.batch is not None:
                _put_transfer(transaction, change.transfer, completes=False)
                append_batch(transaction, change.batch)
                move_balances(transaction, movements_of(change.batch))

        return Posted.DONE if self._write(write, f"payout {change.after.payout_id}") else Posted.LOST

    def open_refunds(self) -> list[str]:
        """The transfers of refunds that Stripe is still to be asked for. Raises UnavailableError."""
        return [str(item.key) for item in self._rows(OPEN_REFUND)]

    def close_refund(self, transfer_id: str) -> None:
        """Stripe need not be asked any more; again is harmless. Raises OutageError."""
        self._write(lambda transaction: transaction.delete(BankFileItem(OPEN_REFUND, transfer_id)), transfer_id)

    def costs_seen(self) -> int:
        """The moment of the newest cost at Stripe that was posted; 0 before the first. Raises UnavailableError."""
        item = self._get("stripe", "costs-seen")
        return item.number or 0 if item else 0

    def note_costs_seen(self, at_seconds: int) -> None:
        """Note it. Raises OutageError."""
        self._put(BankFileItem("stripe", "costs-seen", number=at_seconds))

    # Orders -----------------------------------------------------------------------------------------------------------

    def order(self, transfer_id: str) -> Order | None:
        """One order. Raises UnavailableError."""
        return _order(self._get("order", transfer_id))

    def put_order(self, order: Order) -> bool:
        """Put an order; False where there is one already. Raises OutageError."""
        return self._write(lambda transaction: put_order(transaction, order), f"order {order.transfer_id}")

    def waiting_orders(self, currency: str, *, limit: int) -> list[Order]:
        """Orders that are in no file yet. Raises UnavailableError."""
        found = (self.order(item.key) for item in self._rows(_kind("waiting", currency), limit=limit))
        return [order for order in found if order is not None]

    def last_batch(self, currency: str) -> OutgoingBatch | None:
        """The newest file of a currency. Raises UnavailableError."""
        for item in self._rows(_kind("file", currency), limit=1, newest_first=True):
            told = json.loads(item.body)
            orders = [self.order(transfer_id) for transfer_id in told["orders"]]
            return OutgoingBatch(
                currency, item.number or 0, told["made_at"], tuple(filter(None, orders)), item.stage == "written"
            )
        return None

    def claim(self, batch: OutgoingBatch) -> bool:
        """Put a file's orders into it, all or none. Raises UnavailableError, OutcomeUnknownError."""
        told = {"made_at": batch.made_at, "orders": [order.transfer_id for order in batch.orders]}

        def write(transaction: TransactWrite) -> None:
            item = _file(batch, json.dumps(told), "claimed")
            transaction.save(item, condition=BankFileItem.kind.does_not_exist())
            for order in batch.orders:
                actions: list[Action] = [
                    BankFileItem.stage.set(OrderStage.FILED.value),
                    BankFileItem.number.set(batch.number),
                ]
                waiting = BankFileItem.stage == OrderStage.WAITING.value
                transaction.update(BankFileItem("order", order.transfer_id), actions=actions, condition=waiting)
                transaction.delete(BankFileItem(_kind("waiting", batch.currency), order.transfer_id))

        return self._write(write, f"file {batch.message_id}")

    def note_written(self, batch: OutgoingBatch) -> None:
        """The file is in the outbox. Raises OutageError."""
        try:
            _file(batch, None, None).update(actions=[BankFileItem.stage.set("written")])
        except UpdateError as error:
            raise outage(error) from error

    def claim_line(self, order: Order, key: str) -> bool:
        """Note which line pays an order; False where it was another. Raises UnavailableError, OutcomeUnknownError."""

        def write(transaction: TransactWrite) -> None:
            own = BankFileItem.line_key.does_not_exist() | (BankFileItem.line_key == key)
            transaction.update(
                BankFileItem("order", order.transfer_id), actions=[BankFileItem.line_key.set(key)], condition=own
            )
            transaction.delete(BankFileItem(_kind("unlined", order.currency), order.transfer_id))

        if self._write(write, f"order {order.transfer_id}"):
            return True
        item = self._get("order", order.transfer_id)
        if item is None or item.line_key in {None, key}:
            raise UnavailableError(f"order {order.transfer_id} is being noted by somebody else")
        return False

    def note_paid(self, order: Order, *, after: int) -> None:
        """The bank said that it settled a payment, after a statement; where its line was seen, nothing is noted.

        Raises:   OutageError.
        """

        def write(transaction: TransactWrite) -> None:
            unseen = BankFileItem.line_key.does_not_exist()
            transaction.condition_check(BankFileItem, "order", order.transfer_id, condition=unseen)
            item = BankFileItem(_kind("unlined", order.currency), order.transfer_id, number=after)
            transaction.save(item, condition=BankFileItem.kind.does_not_exist())

        self._write(write, f"order {order.transfer_id}")

    # Suspense ---------------------------------------------------------------------------------------------------------

    def cases(self, currency: str) -> list[Case]:
        """Every case of suspense. Raises UnavailableError."""
        return [case for item in self._rows(_kind("case", currency)) if (case := _case(item)) is not None]

    def case(self, currency: str, key: str) -> Case | None:
        """A case of suspense. Raises UnavailableError."""
        return _case(self._get(_kind("case", currency), key))

    def reopen(self, case: Case, transfer: Transfer, *, reason: str, at_ns: int) -> None:
        """What should go back was rejected: the case is open again; again is harmless. Raises OutageError."""

        def write(transaction: TransactWrite) -> None:
            actions: list[Action] = [
                TransferItem.status.set(TransferStatus.CANCELED.value),
                TransferItem.payment.set(PaymentState.DECLINED.value),
                TransferItem.cancel_reason.set(reason),
                TransferItem.canceled_at_ns.set(at_ns),
            ]
            pending = TransferItem.status == TransferStatus.PENDING.value
            transaction.update(TransferItem(transfer.transfer_id), actions=actions, condition=pending)
            _put_case(transaction, replace(case, state=CaseState.OPEN), before=(CaseState.RETURNING,))

        self._write(write, f"case {case.key}")

    # Files that were refused ------------------------------------------------------------------------------------------

    def note_file(self, digest: str, *, name: str, outcome: str) -> None:
        """Note what became of a file, under its content's digest. Raises OutageError."""
        self._put(BankFileItem("received", digest, body=name, stage=outcome[:500]))

    def received(self) -> Sequence[tuple[str, str]]:
        """Names of files that came, and what became of them. Raises UnavailableError."""
        return [(str(item.body), str(item.stage)) for item in self._rows("received")]


def _expected_kind(expected: Expected) -> str:
    return f"expected#{expected.account_id}#{expected.currency}#{expected.units}"


def _file(batch: OutgoingBatch, body: str | None, stage: str | None) -> BankFileItem:
    kind = _kind("file", batch.currency)
    return BankFileItem(kind, f"{batch.number:015d}", body=body, stage=stage, number=batch.number)


def put_decision(transaction: TransactWrite, decision: Decision) -> None:
    """Add what becomes of a case to a transaction, which fails whole where the case is not open any more.

    Raises:   UnavailableError.
    """
    _put_case(transaction, decision.case, before=(CaseState.OPEN,))
    _put_transfer(transaction, decision.transfer, completes=False)
    if decision.order is not None:
        put_order(transaction, decision.order)
    if decision.batch is not None:
        append_batch(transaction, decision.batch)
        move_balances(transaction, movements_of(decision.batch))


def _put_case(
    transaction: TransactWrite,
    case: Case,
    before: tuple[CaseState, ...] = (CaseState.OPEN, CaseState.RETURNING),
) -> None:
    item = BankFileItem(_kind("case", case.currency), case.key, body=_json(case), stage=case.state.value)
    fresh = case.state is CaseState.OPEN and before != (CaseState.RETURNING,)
    still = BankFileItem.stage.is_in(*(state.value for state in before))
    transaction.save(item, condition=BankFileItem.kind.does_not_exist() if fresh else still)


def put_order(transaction: TransactWrite, order: Order) -> None:
    """Add an order to a transaction, and to those that wait where it is to be sent."""
    item = BankFileItem("order", order.transfer_id, body=_json(order), stage=order.stage.value)
    transaction.save(item, condition=BankFileItem.kind.does_not_exist())
    if order.stage is OrderStage.WAITING:
        transaction.save(BankFileItem(_kind("waiting", order.currency), order.transfer_id))


def put_payout(transaction: TransactWrite, before: Payout | None, after: Payout) -> None:
    """Add a payout to a transaction, which fails whole where it is not any more as it was read."""
    item = BankFileItem(_PAYOUT, after.payout_id, body=_json(after), stage=after.stage.value)
    same = BankFileItem.kind.does_not_exist() if before is None else BankFileItem.body == _json(before)
    transaction.save(item, condition=same)
    if before is None:
        transaction.save(BankFileItem(_OPEN_PAYOUT, after.payout_id))
    elif before.open and not after.open:
        transaction.delete(BankFileItem(_OPEN_PAYOUT, after.payout_id))


def _put_transfer(transaction: TransactWrite, transfer: Transfer, *, completes: bool) -> None:
    if not completes:
        transaction.save(transfer_item(transfer), condition=TransferItem.transfer_id.does_not_exist())
        return
    actions: list[Action] = [
        TransferItem.status.set(transfer.status.value),
        TransferItem.payment.set(transfer.payment.value),
        TransferItem.received_units.set(transfer.received_units),
        TransferItem.completed_at_ns.set(transfer.completed_at_ns),
        TransferItem.bank_reference.set(transfer.bank_reference),
        TransferItem.unstarted.remove(),
    ]
    if transfer.settled_units:
        actions.append(TransferItem.settled_units.set(transfer.settled_units))
    pending = TransferItem.status == TransferStatus.PENDING.value
    transaction.update(TransferItem(transfer.transfer_id), actions=actions, condition=pending)
