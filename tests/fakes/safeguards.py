"""Safeguards, limits and uses in memory, with the conditions of the real write, and a customer whom nothing binds."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from exchange.instruments.model import Asset
from exchange.safeguards.limits import Limits, Use, default_limits
from exchange.safeguards.model import Destination, Permit, Safeguards
from exchange.transfers.model import Transfer
from exchange.users.model import Customer, KycLevel

from tests.fakes.users import a_customer

UNBOUND = a_customer(kyc_level=KycLevel.INSTITUTIONAL)


def permit_all(wanted: Transfer) -> Permit:
    """What judges the withdrawals of a customer whom no safeguard and no limit binds."""
    return Permit(wanted, UNBOUND)


@dataclass
class FakeSafeguards:
    """The table of safeguards."""

    rows: dict[str, Safeguards] = field(default_factory=lambda: defaultdict(Safeguards))
    listed: dict[tuple[str, str], Destination] = field(default_factory=dict)
    uses: dict[tuple[str, str], Use] = field(default_factory=lambda: defaultdict(Use))
    set_limits: dict[tuple[int, str], Limits] = field(default_factory=dict)

    def safeguards(self, user_id: str) -> Safeguards:
        """What a customer set."""
        return self.rows[user_id]

    def change(self, user_id: str, before: Safeguards, after: Safeguards) -> bool:
        """Write a change, unless another was quicker."""
        own = self.rows[user_id]
        if (own.totp_step, own.weakened_at_ns) != (before.totp_step, before.weakened_at_ns):
            return False
        self.rows[user_id] = replace(after, wrong_codes=0)
        return True

    def destination(self, user_id: str, text: str) -> Destination | None:
        """A listed destination."""
        return self.listed.get((user_id, text))

    def add_destination(self, user_id: str, destination: Destination) -> bool:
        """List it, unless it is listed."""
        return self.listed.setdefault((user_id, destination.text), destination) is destination

    def remove_destination(self, user_id: str, destination_id: str) -> bool:
        """Take it off."""
        found = [key for key, row in self.listed.items() if (key[0], row.destination_id) == (user_id, destination_id)]
        for key in found:
            del self.listed[key]
        return bool(found)

    def limits(self, level: int, asset: Asset) -> Limits:
        """As they were set, else the default."""
        return self.set_limits.get((level, asset.asset_id)) or default_limits(KycLevel(level), asset)

    def use(self, user_id: str, asset: str) -> Use:
        """What was taken out lately."""
        return self.uses[user_id, asset]

    def note_wrong_code(self, user_id: str, now_ns: int) -> None:
        """Count it."""
        own = self.rows[user_id]
        self.rows[user_id] = replace(own, wrong_codes=own.wrong_codes + 1, wrong_code_at_ns=now_ns)

    def hold(self, permit: Permit) -> bool:
        """What the write that holds money does here: all of it, or nothing."""
        user_id, asset = permit.customer.user_id, permit.transfer.asset
        own = self.rows[user_id]
        if permit.use_before is not None and self.uses[user_id, asset].version != permit.use_before.version:
            return False
        if permit.totp_step and permit.totp_step <= own.totp_step:
            return False
        if permit.use_after is not None:
            self.uses[user_id, asset] = permit.use_after
        if permit.totp_step:
            self.rows[user_id] = replace(own, totp_step=permit.totp_step, wrong_codes=0)
        return True


@dataclass
class FakeOwner:
    """The one customer of a test."""

    customer: Customer

    def find(self, user_id: str) -> Customer | None:
        """Them, by their id."""
        return self.customer if user_id == self.customer.user_id else None
