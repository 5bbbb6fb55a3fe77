"""A break: what was compared, what each side says, and the entries behind it. Open, it keeps its asset inside."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from exchange.breaks.wording import headline
from exchange.kernel.errors import Code, Refused

EXPLAIN = "break.explain"


class Way(StrEnum):
    """What the ledger was held against."""

    LOG = "log"
    LEDGER = "ledger"
    CHAIN = "chain"
    BANK = "bank"


class BreakState(StrEnum):
    """An open break stops withdrawals of its asset; one that is gone was explained, and then found no more."""

    OPEN = "open"
    EXPLAINED = "explained"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Break:
    """One difference. `check` is the audit's name for what does not hold; `breach` says what differs and by how much,
    and below it what each side says.

    `occurrence` counts how often the same came back after it had gone: each must be explained by itself.
    """

    asset: str
    way: Way
    check: str
    claim: str
    breach: str
    found_at_ns: int = 0
    state: BreakState = BreakState.OPEN
    explanation: str = ""
    explained_by: str = ""
    occurrence: int = 1
    gone_at_ns: int = 0

    @property
    def name(self) -> str:
        """The same difference has the same name, whatever else moved."""
        digest = hashlib.sha256(headline(self.breach).encode()).hexdigest()[:12]
        return f"{self.check}-{digest}"

    @property
    def break_id(self) -> str:
        """The name, and which time it is if not the first."""
        return self.name if self.occurrence == 1 else f"{self.name}-{self.occurrence}"


STOPPED = Refused(
    Code.TRANSFER_ASSET_STOPPED,
    "currency: our records of this asset are being checked, so nothing of it is paid out at present; try again later",
)
