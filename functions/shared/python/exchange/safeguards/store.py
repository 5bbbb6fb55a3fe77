"""Safeguards, destinations, limits and uses in DynamoDB, and what they add to the write that holds money."""

import hashlib
import json
from typing import Any

from pynamodb.attributes import Attribute, BinaryAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.approvals.store import committed
from exchange.aws.dynamodb import UnitsAttribute, outage, reading
from exchange.instruments.model import Asset
from exchange.safeguards.limits import Limits, Use, default_limits, limits_from
from exchange.safeguards.model import DESTINATIONS_MAX, Destination, Permit, Safeguards
from exchange.users.model import CustomerStatus, KycLevel
from exchange.users.store import CustomerItem

_SETTINGS, _DESTINATION, _USED = "settings", "destination#", "used#"
_LIMITS = "limits"


class SafeguardItem(Model):
    """Rows of a customer: `settings`, `destination#ID`, `used#ASSET`; and of nobody: `limits`, `LEVEL#ASSET`."""

    class Meta:
        table_name = "safeguards"

    user_id = UnicodeAttribute(hash_key=True)
    row_key = UnicodeAttribute(range_key=True)
    allow_list = UnitsAttribute(null=True)
    sealed_totp = BinaryAttribute(legacy_encoding=False, null=True)
    pending_totp = BinaryAttribute(legacy_encoding=False, null=True)
    totp_step = UnitsAttribute(null=True)
    wrong_codes = UnitsAttribute(null=True)
    wrong_code_at_ns = UnitsAttribute(null=True)
    weakened_at_ns = UnitsAttribute(null=True)
    destinations = UnitsAttribute(null=True)
    text = UnicodeAttribute(null=True)
    label = UnicodeAttribute(null=True)
    added_at_ns = UnitsAttribute(null=True)
    entries = UnicodeAttribute(null=True)
    version = UnitsAttribute(null=True)
    per_transfer = UnicodeAttribute(null=True)
    per_day = UnicodeAttribute(null=True)
    review_above = UnicodeAttribute(null=True)


class SafeguardTable:
    """Reads and changes of safeguards, always consistent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def safeguards(self, user_id: str) -> Safeguards:
        """What a customer set; all off where nothing was ever set. Raises UnavailableError."""
        item = _item(user_id, _SETTINGS)
        if item is None:
            return Safeguards()
        return Safeguards(
            allow_list=bool(item.allow_list),
            sealed_totp=item.sealed_totp or b"",
            pending_totp=item.pending_totp or b"",
            totp_step=item.totp_step or 0,
            wrong_codes=item.wrong_codes or 0,
            wrong_code_at_ns=item.wrong_code_at_ns or 0,
            weakened_at_ns=item.weakened_at_ns or 0,
        )

    def change(self, user_id: str, before: Safeguards, after: Safeguards) -> bool:
        """Write what a customer changed; False where another change or a use of a code was quicker.

        Raises:   OutageError.
        """
        step = SafeguardItem.totp_step
        same: Condition = (step == before.totp_step) if before.totp_step else step.does_not_exist()
        changed = SafeguardItem.weakened_at_ns
        same &= changed == before.weakened_at_ns if before.weakened_at_ns else changed.does_not_exist()
        actions: list[Action] = [SafeguardItem.allow_list.set(int(after.allow_list))]
        values: tuple[tuple[Attribute[Any], Any], ...] = (
            (SafeguardItem.sealed_totp, after.sealed_totp),
            (SafeguardItem.pending_totp, after.pending_totp),
            (SafeguardItem.totp_step, after.totp_step),
            (SafeguardItem.weakened_at_ns, after.weakened_at_ns),
        )
        for attribute, value in values:
            actions.append(attribute.set(value) if value else attribute.remove())
        actions.append(SafeguardItem.wrong_codes.set(0))

        def fill(transaction: TransactWrite) -> None:
            transaction.update(SafeguardItem(user_id, _SETTINGS), actions=actions, condition=same)

        return committed(self._connection, fill)

    def note_wrong_code(self, user_id: str, now_ns: int) -> None:
        """Count a wrong code. Raises OutageError."""
        actions: list[Action] = [SafeguardItem.wrong_codes.add(1), SafeguardItem.wrong_code_at_ns.set(now_ns)]
        try:
            SafeguardItem(user_id, _SETTINGS).update(actions=actions)
        except UpdateError as error:
            raise outage(error) from error

    def destination(self, user_id: str, text: str) -> Destination | None:
        """A listed destination; None where it is not listed. Raises UnavailableError."""
        item = _item(user_id, f"{_DESTINATION}{destination_id_for(text)}")
        return _destination(item) if item is not None else None

    def destinations(self, user_id: str) -> list[Destination]:
        """A customer's list. Raises UnavailableError."""
        with reading():
            rows = SafeguardItem.query(user_id, SafeguardItem.row_key.startswith(_DESTINATION), consistent_read=True)
            return [_destination(item) for item in rows]

    def add_destination(self, user_id: str, destination: Destination) -> bool:
        """List a destination; False where it is listed, or there are too many. Raises OutageError."""
        item = SafeguardItem(
            user_id,
            f"{_DESTINATION}{destination.destination_id}",
            text=destination.text,
            label=destination.label,
            added_at_ns=destination.added_at_ns,
        )
        count = SafeguardItem.destinations
        room = count.does_not_exist() | (count < DESTINATIONS_MAX)

        def fill(transaction: TransactWrite) -> None:
            transaction.save(item, condition=SafeguardItem.row_key.does_not_exist())
            transaction.update(SafeguardItem(user_id, _SETTINGS), actions=[count.add(1)], condition=room)

        return committed(self._connection, fill)

    def remove_destination(self, user_id: str, destination_id: str) -> bool:
        """Take a destination off the list; False where it is not on it. Raises OutageError."""

        def fill(transaction: TransactWrite) -> None:
            listed = SafeguardItem(user_id, f"{_DESTINATION}{destination_id}")
            transaction.delete(listed, condition=SafeguardItem.row_key.exists())
            transaction.update(SafeguardItem(user_id, _SETTINGS), actions=[SafeguardItem.destinations.add(-1)])

        return committed(self._connection, fill)

    def limits(self, level: int, asset: Asset) -> Limits:
        """What may be taken out of an asset at a level: as operators set it, else the default.

        Raises:   UnavailableError.
        """
        item = _item(_LIMITS, limits_key(level, asset.asset_id))
        if item is None:
            return default_limits(KycLevel(level), asset)
        return limits_from((item.per_transfer or "0", item.per_day or "0", item.review_above or "0"), asset)

    def use(self, user_id: str, asset: str) -> Use:
        """What was taken out lately. Raises UnavailableError."""
        item = _item(user_id, f"{_USED}{asset}")
        if item is None:
            return Use()
        entries = tuple((int(at_ns), int(units)) for at_ns, units in json.loads(item.entries or "[]"))
        return Use(entries, item.version or 0)


def guard_hold(transaction: TransactWrite, permit: Permit) -> None:
    """Add to the write that holds money what must still be so: its owner as they were, the limit, the code."""
    customer = permit.customer
    changed = CustomerItem.credentials_changed_at_ns
    known = customer.credentials_changed_at_ns
    same: Condition = (changed == known) if known else changed.does_not_exist()
    active = CustomerItem.status == CustomerStatus.ACTIVE.value
    transaction.condition_check(CustomerItem, customer.user_id, condition=active & same)
    if permit.use_before is not None and permit.use_after is not None:
        version = SafeguardItem.version
        unused = not permit.use_before.version
        transaction.update(
            SafeguardItem(customer.user_id, f"{_USED}{permit.transfer.asset}"),
            actions=[
                SafeguardItem.entries.set(json.dumps([list(entry) for entry in permit.use_after.entries])),
                version.set(permit.use_after.version),
            ],
            condition=version.does_not_exist() if unused else version == permit.use_before.version,
        )
    if permit.totp_step:
        step = SafeguardItem.totp_step
        transaction.update(
            SafeguardItem(customer.user_id, _SETTINGS),
            actions=[step.set(permit.totp_step), SafeguardItem.wrong_codes.set(0)],
            condition=step.does_not_exist() | (step < permit.totp_step),
        )


def set_limits(transaction: TransactWrite, level: int, asset_id: str, row: tuple[str, str, str]) -> None:
    """Set what may be taken out of an asset at a level: a transfer, a day, and what operators look at above."""
    per_transfer, per_day, review_above = row
    actions: list[Action] = [
        SafeguardItem.per_transfer.set(per_transfer),
        SafeguardItem.per_day.set(per_day),
        SafeguardItem.review_above.set(review_above),
    ]
    transaction.update(SafeguardItem(_LIMITS, limits_key(level, asset_id)), actions=actions)


def destination_id_for(text: str) -> str:
    """The id of a destination: the same place is listed once."""
    return hashlib.sha256(f"destination|{text}".encode()).hexdigest()[:32]


def limits_key(level: int, asset_id: str) -> str:
    """The row of a level's limits for an asset."""
    return f"{level}#{asset_id}"


def _item(user_id: str, row_key: str) -> SafeguardItem | None:
    with reading():
        try:
            return SafeguardItem.get(user_id, row_key, consistent_read=True)
        except SafeguardItem.DoesNotExist:
            return None


def _destination(item: Any) -> Destination:
    identifier = str(item.row_key).removeprefix(_DESTINATION)
    return Destination(identifier, item.text or "", item.label or "", item.added_at_ns or 0)
