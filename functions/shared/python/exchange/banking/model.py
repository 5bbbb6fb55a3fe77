"""Money by bank files: our accounts, what was booked on them, what waits to be sent, and whose reference is whose."""

import re
from dataclasses import dataclass
from enum import StrEnum

from exchange.iso20022.credit_transfers import OwnAccount, Payment, PaymentBatch
from exchange.iso20022.grammar import is_iban
from exchange.iso20022.statements import SCALE, Line
from exchange.kernel.clock import iso_utc
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.kernel.money import format_units
from exchange.ledger.model import Batch, suspense_account
from exchange.payments.model import BANK_FILES
from exchange.payments.payouts import Change
from exchange.transfers.model import Transfer

RAIL = BANK_FILES
PARTITION = f"rail:{RAIL}"
SUSPENSE = suspense_account(RAIL)
# A line booked late in a day may miss its statement; it does not miss two.
STATEMENTS_WITHOUT_MAX = 2
ORDERS_PER_FILE_MAX = 45  # DynamoDB claims them in one transaction: two items an order, and the batch.
_REFERENCE = re.compile(r"(?=(RF[0-9]{2}[0-9A-Z]{13}))", re.ASCII)  # They may overlap.


@dataclass(frozen=True, slots=True)
class Account:
    """An account of ours at the bank, and the last statement of it that was taken.

    Units:    `closing` of 10^-5, as statements count; the ledger has 10^-`scale`.
    """

    currency: str
    iban: str
    bic: str
    holder: str
    scale: int
    number: int = 0
    closing: int = 0

    @property
    def debtor(self) -> OwnAccount:
        """The account as payment orders name it."""
        return OwnAccount(self.iban, self.bic, self.holder, self.currency)


class Outcome(StrEnum):
    """What a booked line came to."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    RETURNED = "returned"  # a withdrawal of ours came back
    TAKEN_BACK = "taken back"  # a deposit went back
    PAYOUT = "payout"  # between what Stripe holds for us and our bank
    SENT_BACK = "sent back"  # money of unknown senders, to where it came from
    SUSPENSE = "suspense"


@dataclass(frozen=True, slots=True)
class Booked:
    """A line that was booked, for ever. Units: `units` of 10^-5.

    `statement` is 0 until a statement has it, `after` the last statement that was known when it was booked.
    """

    currency: str
    key: str
    units: int
    outcome: Outcome
    transfer_id: str
    statement: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Payee:
    """Where a customer is paid to: the account that they last paid in from."""

    name: str
    iban: str


class OrderStage(StrEnum):
    """Where a payment order of ours is; what became of the payment stands on its transfer."""

    WAITING = "waiting"
    FILED = "filed"
    REFUSED = "refused"  # never sent: there is nobody to send it to


@dataclass(frozen=True, slots=True)
class Order:
    """A payment that we ask for, once by its transfer's id. Units: `units` of 10^-`scale`."""

    transfer_id: str
    currency: str
    units: int
    scale: int
    payee: Payee
    stage: OrderStage = OrderStage.WAITING
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment that the bank said was settled, of which no line was seen; `after` as with a line."""

    order: Order
    after: int


@dataclass(frozen=True, slots=True)
class OutgoingBatch:
    """A file of orders; its bytes are a function of it."""

    currency: str
    number: int
    made_at: str
    orders: tuple[Order, ...]
    written: bool = False

    @property
    def message_id(self) -> str:
        """Its name at the bank, for ever."""
        return message_id(self.currency, self.number)

    def as_sent_by(self, account: Account) -> PaymentBatch:
        """What its file says."""
        payments = [
            Payment(order.transfer_id, order.units, order.scale, order.payee.name, order.payee.iban)
            for order in self.orders
        ]
        return PaymentBatch(self.message_id, self.made_at, account.debtor, payments)


class CaseState(StrEnum):
    """Where a case of suspense is."""

    OPEN = "open"
    ASSIGNED = "assigned"
    RETURNING = "returning"
    RETURNED = "returned"
    CHARGED = "charged"


@dataclass(frozen=True, slots=True)
class Case:
    """Money that nobody could be matched with. Units: `units` of 10^-`scale`, below zero where it left us."""

    currency: str
    key: str
    units: int
    scale: int
    name: str
    iban: str
    words: str
    reason: str
    state: CaseState = CaseState.OPEN
    transfer_id: str = ""

    @property
    def amount(self) -> str:
        """As decimal text, signed."""
        return format_units(self.units, self.scale)


@dataclass(frozen=True, slots=True)
class Expected:
    """A deposit that a customer said would come. Units: of its asset."""

    account_id: int
    transfer_id: str
    currency: str
    units: int


@dataclass(frozen=True, slots=True)
class Posting:
    """All that one line changes, in one write.

    `transfer` is new, or `completes` one that waits. `case` is new where it is open, else it was open or on its way
    back. `undoes` is the transfer that this one reverses, which nothing else may reverse.
    """

    booked: Booked
    batch: Batch
    transfer: Transfer
    completes: bool = False
    expected: Expected | None = None  # no longer waited for
    case: Case | None = None
    payee: tuple[int, Payee] | None = None
    undoes: str = ""
    payout: Change | None = None  # of Stripe's, that arrived here or left again


class Posted(StrEnum):
    """What became of an attempt to post."""

    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Taking:
    """A file of the bank that was begun and has not ended: some of it may be booked, and some not."""

    currency: str
    name: str
    since_ns: int

    def __str__(self) -> str:
        return f"file {self.name} is being taken since {iso_utc(self.since_ns)}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands behind an account's balance in the ledger. Units: of 10^-5, and of the asset for `paid`.

    `unstated` are lines of notifications that no statement has yet. One that two further statements lack is no longer
    believed to be at the bank; nor is a payment that was said to be settled.
    """

    account: Account
    unstated: tuple[Booked, ...] = ()
    paid: tuple[Settled, ...] = ()

    @property
    def expected_units(self) -> int:
        """What custody must be, in units of the asset."""
        told = self.account.closing + sum(line.units for line in self.unstated if not self.overdue(line))
        return asset_units(told, self.account.scale) - sum(
            settled.order.units for settled in self.paid if not self.overdue(settled)
        )

    def overdue(self, told: Booked | Settled) -> bool:
        """Whether the statements that should have it have come without it."""
        return self.account.number >= told.after + STATEMENTS_WITHOUT_MAX


def message_id(currency: str, number: int) -> str:
    """The name of our n-th file of a currency."""
    return f"EX{currency}{number:010d}"


def asset_units(units: int, scale: int) -> int:
    """Statement units as units of an asset. Raises ValueError where the asset has too few digits."""
    if scale >= SCALE:
        return units * int(10 ** (scale - SCALE))
    whole, rest = divmod(units, int(10 ** (SCALE - scale)))
    if rest:
        raise ValueError(f"{format_units(units, SCALE)} has more than {scale} digits after the point")
    return whole


def references_in(line: Line) -> set[str]:
    """Every sound reference of our form in what the sender wrote, blanks and case aside."""
    found = set()
    for text in line.texts:
        tight = "".join(text.upper().split())
        found |= {match[1] for match in _REFERENCE.finditer(tight) if is_iban(match[1])}
    return found


def transfer_id_for(what: str, currency: str, key: str) -> str:
    """The transfer that a line becomes: the same line, the same transfer."""
    digest = command_id_for(RAIL, what, currency, key)
    return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)
