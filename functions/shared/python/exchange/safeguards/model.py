"""What stands between a customer's request and the hold of its money, generic over banks and chains.

What is judged of limits, codes, keys and freezes is also a condition of the write that holds the money: a limit can't
be passed by asking twice at once, a code can't serve twice, and a freeze or a new key bites in the very next write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.safeguards.limits import COOL_DOWN_NS, USES_MAX, Allowance, Limits, Use, allowance
from exchange.transfers.model import Clearance, Transfer
from exchange.users.model import Customer, CustomerStatus, KycLevel

DESTINATION_DELAY_NS = 24 * 3600 * 1_000_000_000
DESTINATIONS_MAX = 50
WRONG_CODES_MAX = 5
LOCK_NS = 15 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What a customer set for themselves."""

    allow_list: bool = False  # take out to listed destinations only
    sealed_totp: bytes = b""  # asked for in every withdrawal where there is one
    pending_totp: bytes = b""  # shown to the customer, not yet proven to be in an authenticator
    totp_step: int = 0  # the last half-minute whose code was used: none before or at it is taken again
    wrong_codes: int = 0
    wrong_code_at_ns: int = 0
    weakened_at_ns: int = 0  # when a second factor or the list was changed last

    def locked(self, now_ns: int) -> bool:
        """Whether so many wrong codes came that no code is looked at for a while."""
        return self.wrong_codes >= WRONG_CODES_MAX and now_ns < self.wrong_code_at_ns + LOCK_NS


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a customer takes money to."""

    destination_id: str
    text: str
    label: str
    added_at_ns: int

    @property
    def active_at_ns(self) -> int:
        """From when on it may be used."""
        return self.added_at_ns + DESTINATION_DELAY_NS


@dataclass(frozen=True, slots=True)
class Permit:
    """A transfer that may be held, and what must still be so in the write that holds it."""

    transfer: Transfer
    customer: Customer
    use_before: Use | None = None  # None: no limit of 24 hours to count against
    use_after: Use | None = None
    totp_step: int = 0  # the step whose code was shown; 0 where none was needed


class Customers(Protocol):
    """Where customers are kept."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id."""
        ...


class WrongCodes(Protocol):
    """Where wrong codes are counted."""

    def note_wrong_code(self, user_id: str, now_ns: int) -> None:
        """Count a wrong code."""
        ...


class SafeguardStore(WrongCodes, Protocol):
    """Where safeguards, limits and uses are kept."""

    def safeguards(self, user_id: str) -> Safeguards:
        """What a customer set; all off where nothing was ever set."""
        ...

    def destination(self, user_id: str, text: str) -> Destination | None:
        """A listed destination; None where it is not listed."""
        ...

    def limits(self, level: int, asset: Asset) -> Limits:
        """What may be taken out of an asset at a level."""
        ...

    def use(self, user_id: str, asset: str) -> Use:
        """What was taken out lately."""
        ...


# The half-minute whose code this is, of a sealed secret; 0 where it is none of those around now.
CodeCheck = Callable[[str, bytes, str, int], int]


def destination_text(transfer: Transfer) -> str:
    """Where a withdrawal goes, as the list names it: a rail, and an address on it or a way to pay.

    Which of a chain's wallets of ours pays is not part of it.
    """
    return f"{transfer.rail.partition(':')[0]}|{transfer.crypto_address.lower() or transfer.payment_method_id}"


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """What judges withdrawals, by whatever rail they go."""

    assets: Callable[[], Mapping[str, Asset]]
    customers: Customers
    store: SafeguardStore
    check_code: CodeCheck

    def permits(self, user_id: str, code: str | None) -> Callable[[Transfer], Permit | Refused]:
        """What judges those of one customer, who showed `code`, each time money is to be held."""

        def permit(wanted: Transfer) -> Permit | Refused:
            return permit_withdrawal(
                wanted,
                user_id=user_id,
                code=code or "",
                asset=self.assets()[wanted.asset],
                customers=self.customers,
                store=self.store,
                check_code=self.check_code,
            )

        return permit

    def allowances(self, user_id: str, now_ns: int) -> Callable[[Asset], Allowance]:
        """What one customer may take out now, by asset. Raises UnavailableError, also when it is asked."""
        customer = self.customers.find(user_id)
        level = customer.kyc_level if customer is not None else KycLevel.UNVERIFIED

        def of(asset: Asset) -> Allowance:
            limits = self.store.limits(level, asset)
            use = self.store.use(user_id, asset.asset_id) if limits.per_day_units is not None else Use()
            return allowance(limits, use, now_ns)

        return of


def permit_withdrawal(
    wanted: Transfer,
    *,
    user_id: str,
    code: str,
    asset: Asset,
    customers: Customers,
    store: SafeguardStore,
    check_code: CodeCheck,
) -> Permit | Refused:
    """Judge a withdrawal by its owner's safeguards and limits.

    Refuses:  ACCOUNT_FROZEN, WITHDRAWAL_COOL_DOWN, WITHDRAWAL_DESTINATION_UNKNOWN, WITHDRAWAL_LIMIT,
              WITHDRAWAL_CODE_INVALID (in this order: a code is spent on what nothing else stands against).
    Raises:   UnavailableError.
    """
    now_ns, customer = wanted.created_at_ns, customers.find(user_id)
    if customer is None or customer.status is not CustomerStatus.ACTIVE:
        return Refused(Code.ACCOUNT_FROZEN, "this account is frozen; ask support")
    own = store.safeguards(user_id)
    refused = _refuse_early(customer, own, now_ns) or _refuse_destination(wanted, user_id, own, store=store)
    if refused is not None:
        return refused
    limits = store.limits(customer.kyc_level, asset)
    use = store.use(user_id, asset.asset_id) if limits.per_day_units is not None else None
    refused = _refuse_amount(wanted, limits, use, asset)
    if refused is not None:
        return refused
    step = _step(own, user_id, code, now_ns, store=store, check_code=check_code)
    if isinstance(step, Refused):
        return step
    after = use.with_entry(now_ns, wanted.units) if use is not None else None
    return Permit(_cleared_later(wanted, limits), customer, use, after, step)


def _cleared_later(wanted: Transfer, limits: Limits) -> Transfer:
    above = limits.review_above_units is not None and wanted.units > limits.review_above_units
    reason = "above the amount that operators look at" if above else ""
    return replace(wanted, clearance=Clearance.WAITING, review_reason=reason)


def _refuse_early(customer: Customer, own: Safeguards, now_ns: int) -> Refused | None:
    changed_at_ns = max(customer.credentials_changed_at_ns, own.weakened_at_ns)
    rest_ns = COOL_DOWN_NS[customer.kyc_level]
    until_ns = changed_at_ns + rest_ns
    if rest_ns and changed_at_ns and now_ns < until_ns:
        return Refused(
            Code.WITHDRAWAL_COOL_DOWN,
            f"a key or a safeguard of this account was changed; withdraw again from {iso_utc(until_ns)} on",
        )
    return None


def _refuse_destination(wanted: Transfer, user_id: str, own: Safeguards, *, store: SafeguardStore) -> Refused | None:
    if not own.allow_list:
        return None
    found = store.destination(user_id, destination_text(wanted))
    if found is None:
        return Refused(
            Code.WITHDRAWAL_DESTINATION_UNKNOWN, "this is not on your list; POST /v1/withdrawals/destinations adds it"
        )
    if wanted.created_at_ns < found.active_at_ns:
        return Refused(
            Code.WITHDRAWAL_DESTINATION_UNKNOWN, f"this destination may be used from {iso_utc(found.active_at_ns)} on"
        )
    return None


def _refuse_amount(wanted: Transfer, limits: Limits, use: Use | None, asset: Asset) -> Refused | None:
    most = limits.per_transfer_units
    if most is not None and wanted.units > most:
        return Refused(Code.WITHDRAWAL_LIMIT, f"amount: at most {asset.format(most)} at your level")
    left = allowance(limits, use, wanted.created_at_ns).left_units if use is not None else None
    if use is None or left is None:
        return None
    if wanted.units > left:
        return Refused(Code.WITHDRAWAL_LIMIT, f"amount: {asset.format(left)} is left of what 24 hours allow")
    if len(use.with_entry(wanted.created_at_ns, 0).entries) > USES_MAX:
        return Refused(Code.WITHDRAWAL_LIMIT, f"amount: at most {USES_MAX} withdrawals of an asset in 24 hours")
    return None


def _step(
    own: Safeguards, user_id: str, code: str, now_ns: int, *, store: SafeguardStore, check_code: CodeCheck
) -> int | Refused:
    if not own.sealed_totp:
        return 0
    return proven_step(own, own.sealed_totp, user_id, code, now_ns, store=store, check_code=check_code)


def proven_step(
    own: Safeguards,
    sealed: bytes,
    user_id: str,
    code: str,
    now_ns: int,
    *,
    store: WrongCodes,
    check_code: CodeCheck,
) -> int | Refused:
    """The half-minute that a code proves. Refuses WITHDRAWAL_CODE_INVALID; wrong ones are counted."""
    if own.locked(now_ns):
        return Refused(Code.WITHDRAWAL_CODE_INVALID, "two_factor_code: too many wrong codes; wait 15 minutes")
    if not code:
        return Refused(Code.WITHDRAWAL_CODE_INVALID, "two_factor_code: send the six digits of your authenticator")
    step = check_code(user_id, sealed, code, now_ns)
    if step <= own.totp_step:
        store.note_wrong_code(user_id, now_ns)
        return Refused(
            Code.WITHDRAWAL_CODE_INVALID, "two_factor_code: wrong, too old or used already; take the next one"
        )
    return step
