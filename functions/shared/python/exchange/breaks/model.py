"""A break: what was compared, what each side says, and the entries behind it. Open, it keeps its asset inside."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from exchange.breaks.wording import headline
from exchange.kernel.errors import Code, Refused

EXPLAIN = "break.explain"
DETAILS_MAX = 50


class Way(StrEnum):
    """What the ledger was held against."""

    LOG = "log"
    LEDGER = "ledger"
    CHAIN = "chain"
    BANK = "bank"


class BreakState(StrEnum):
    """An open break stops withdrawals of its asset."""

    OPEN = "open"
    EXPLAINED = "explained"


@dataclass(frozen=True, slots=True)
class Break:
    """One difference. `check` is the audit's name for what does not hold; `details` are its breaches, amounts and
    entries below each."""

    asset: str
    way: Way
    check: str
    claim: str
    details: tuple[str, ...]
    found_at_ns: int = 0
    state: BreakState = BreakState.OPEN
    explanation: str = ""
    explained_by: str = ""

    @property
    def break_id(self) -> str:
        """The same difference has the same id, whatever else moved: found again it is no other one."""
        digest = hashlib.sha256("\n".join(map(headline, self.details)).encode()).hexdigest()[:12]
        return f"{self.check}-{digest}"


STOPPED = Refused(
    Code.TRANSFER_ASSET_STOPPED,
    "currency: our records of this asset are being checked, so nothing of it is paid out at present; try again later",
)
