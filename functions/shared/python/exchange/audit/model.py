"""What an audit looks at, and what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.approvals.model import AuditRow, Link
from exchange.banking.model import Taking
from exchange.books.model import Books, Closing
from exchange.chains.departures import Departure, Mined
from exchange.chains.model import Arrival, Listing, Place
from exchange.fees.model import FeeSchedule
from exchange.instruments.model import Product
from exchange.ledger.model import Balance, Batch
from exchange.messages import CommandRecord, EventRecord
from exchange.orders.model import Fill, Order
from exchange.payments.payouts import Payout
from exchange.referrals.model import Referral
from exchange.settlement.model import Cursor
from exchange.statements.model import Page


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer as its table has it. Units: `units`, `held_units` in the asset's units."""

    transfer_id: str
    account_id: int
    asset: str
    units: int
    completed: bool
    held_units: int = 0
    client_transfer_id: str = ""
    is_withdrawal: bool = False
    rail: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the engine makes of a product's command log when it is run again from the start."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainView:
    """A chain as we know it, and what its node says that our addresses have, both at the watcher's newest block.

    Units:    `on_chain` by place and contract, in the chain's units; empty with a reason where the node can't be held
              against us. `left` are the departures that are in a block up to that one, decided or not yet.
    """

    listing: Listing
    arrivals: Sequence[Arrival]
    on_chain: Mapping[tuple[Place, str], int]
    reason: str = ""
    departures: Sequence[Departure] = ()
    left: Sequence[tuple[Departure, Mined]] = ()


class Said(StrEnum):
    """How an answer reads."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # it has not happened and will not
    UNAVAILABLE = "unavailable"  # it has not happened; ask again
    UNKNOWN = "unknown"  # it may have happened; ask for it
    CANCELING = "canceling"  # its cancel was sent to its market
    SEEN = "seen"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Told:
    """One answer to one client, about the order or the transfer that it calls `name`.

    `asked_at` and `told_at` are moments of one clock, which no component reads. `last_word`: asked when all was quiet.
    """

    account_id: int
    name: str
    said: Said
    asked_at: int
    told_at: int
    order_id: int = 0
    transfer_id: str = ""
    status: str = ""
    filled_lots: int = 0
    is_transfer: bool = False
    last_word: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that somebody outside made for us: collected where `units` are above zero, paid out where below."""

    transfer_id: str
    rail: str
    asset: str
    units: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A market as a snapshot has it: its last event and the chain there."""

    key: str
    product_id: str
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class BankView:
    """What a bank has for us, and what stands behind that: its statements, or its own answer. Units: of the asset.

    `takings` are its files of which some may be booked and some not: until they end, `units` says nothing.
    """

    rail: str
    asset: str
    units: int
    lines: Sequence[str] = ()
    takings: Sequence[Taking] = ()


@dataclass(frozen=True, slots=True)
class Acts:
    """What operators did: the chain of audit rows, read first, and then the rows, by day and cursor."""

    links: Sequence[Link]
    rows: Mapping[tuple[str, str], AuditRow]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that must agree with everything else, read when the exchange was quiet.

    `executions` and `commands` are the streams' records in the streams' order. `replayed` is empty for a product whose
    command log no longer reaches back to its first command.
    """

    products: Mapping[str, Product]
    balances: Sequence[Balance]
    batches: Mapping[str, Sequence[tuple[Batch, bytes]]]
    orders: Sequence[Order]
    fills: Sequence[Fill]
    transfers: Sequence[TransferRow]
    cursors: Mapping[str, Cursor]
    executions: Mapping[str, Sequence[EventRecord]]
    commands: Mapping[str, Sequence[CommandRecord]]
    replayed: Mapping[str, Replayed]
    book_sequences: Mapping[str, int] = field(default_factory=dict)
    paused: Mapping[str, str] = field(default_factory=dict)
    statements: Sequence[Page] = ()
    closings: Sequence[tuple[Closing, Books]] = ()  # oldest first
    chains: Sequence[ChainView] = ()
    banks: Sequence[BankView] = ()
    providers: Sequence[BankView] = ()  # what those say they have who are asked, and send no statements
    payouts: Sequence[Payout] = ()
    history: Sequence[Told] = ()  # what clients were told, where somebody wrote it down
    payments: Sequence[Payment] | None = None  # what was paid outside, where the outside can be asked
    saved: Sequence[Saved] = ()  # the snapshots that can be read
    fee_versions: Sequence[FeeSchedule] = ()
    referrals: Mapping[int, Referral] = field(default_factory=dict)  # by the account that pays fees
    awarded: int = 0  # the last closing that rebates and commissions are said to be paid for
    acts: Acts | None = None  # what operators did, where that was read


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: its name, the figure that was looked at, and every breach (none: it holds)."""

    name: str
    claim: str
    figure: str
    breaches: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the invariant holds."""
        return not self.breaches


def finding(name: str, claim: str, figure: str, breaches: Sequence[str]) -> Finding:
    """What a check found."""
    return Finding(name, claim, figure, tuple(breaches))
