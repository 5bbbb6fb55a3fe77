"""Fee schedules and standings in DynamoDB: an item for all versions, and one for each account that has a standing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, error_code, outage
from exchange.fees.document import agreements_document, read_agreements, read_schedule, schedule_document
from exchange.fees.model import (
    Agreements,
    FeeSchedule,
    FeeScheduleError,
    Rates,
    Standing,
    Traded,
    agreed,
    agreed_at,
    published,
    rates_for,
    version_at,
)
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError
from exchange.kernel.recent import Recent

AGE_MAX_NS = 60 * 1_000_000_000
ENTRIES_MAX = 4_096
# All versions and agreements are one item, which DynamoDB lets have 400 KB.
VERSIONS_CHARACTERS_MAX = 300_000
AGREEMENTS_CHARACTERS_MAX = 80_000
ALL_VERSIONS = "default"
_COUNTED, _AWARDED = "counted", "awarded"


class FeeScheduleItem(Model):
    """All versions, and all rates agreed with single accounts, under the id "default"; what an account traded under its
    own id; under "counted" the last closing whose trades are on the standings, under "awarded" the last one that
    rebates and commissions are paid for.

    `versions`, `agreements` and `traded` are JSON.
    """

    class Meta:
        table_name = "fee_schedules"

    schedule_id = UnicodeAttribute(hash_key=True)
    versions = UnicodeAttribute(null=True)
    agreements = UnicodeAttribute(null=True)
    traded = UnicodeAttribute(null=True)
    closing = UnitsAttribute(null=True)


@dataclass(frozen=True, slots=True)
class Published:
    """What two operators published: every version, oldest first, and what is agreed with single accounts."""

    versions: tuple[FeeSchedule, ...]
    agreements: Mapping[int, Agreements]


class FeeSchedules:
    """What an order costs, at most a minute old: an order pins its rates when it is accepted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._published: Recent[str, Published] = Recent(clock, age_max_ns=AGE_MAX_NS, entries_max=1)
        self._standings: Recent[int, Standing] = Recent(clock, age_max_ns=AGE_MAX_NS, entries_max=ENTRIES_MAX)

    def rates(self, account_id: int, product_id: str) -> Rates:
        """What an order of an account costs now.

        Raises:   UnavailableError, also where no version has begun: nobody trades at an unknown price.
        """
        now_ns = self._clock.now_ns()
        own = agreed_at(self._all().agreements.get(account_id, ()), now_ns)
        return rates_for(self.version(), replace(self.standing(account_id), own=own), product_id, now_ns)

    def version(self) -> FeeSchedule:
        """The version that holds now.

        Raises:   UnavailableError, also where none has begun.
        """
        version = version_at(self._all().versions, self._clock.now_ns())
        if version is None:
            raise UnavailableError("no fee schedule has begun; publish one")
        return version

    def standing(self, account_id: int) -> Standing:
        """What an account traded of late. Raises UnavailableError."""
        known = self._standings.get(account_id)
        if known is None:
            known = read_standing(account_id)
            self._standings.put(account_id, known)
        return known

    def _all(self) -> "Published":
        known = self._published.get(ALL_VERSIONS)
        if known is None:
            known = read_published()
            self._published.put(ALL_VERSIONS, known)
        return known


def read_versions() -> tuple[FeeSchedule, ...]:
    """Every version, oldest first. Raises UnavailableError."""
    return read_published().versions


def read_published() -> Published:
    """Every version, and what is agreed with single accounts. Raises UnavailableError."""
    item = _read(ALL_VERSIONS)
    return Published(_versions(item.versions if item else None), _agreements(item.agreements if item else None))


def publish(fresh: FeeSchedule, *, now_ns: int) -> tuple[FeeSchedule, ...]:
    """Add a version; return all.

    Raises:   FeeScheduleError where it would begin in the past or before another; UnavailableError where somebody else
              publishes; OutcomeUnknownError.
    """
    versions, action, same = _one_more(fresh, now_ns)
    _write(ALL_VERSIONS, [action], same)
    return versions


def put_version(transaction: TransactWrite, fresh: FeeSchedule, *, now_ns: int) -> None:
    """Add a version in a transaction, which fails where somebody else has published meanwhile.

    Raises:   FeeScheduleError as `publish`; UnavailableError.
    """
    _, action, same = _one_more(fresh, now_ns)
    transaction.update(FeeScheduleItem(ALL_VERSIONS), actions=[action], condition=same)


def _one_more(fresh: FeeSchedule, now_ns: int) -> tuple[tuple[FeeSchedule, ...], Action, Condition]:
    item = _read(ALL_VERSIONS)
    before = item.versions if item else None
    versions = published(_versions(before), fresh, now_ns)
    text = json.dumps([schedule_document(version) for version in versions], separators=(",", ":"))
    if len(text) > VERSIONS_CHARACTERS_MAX:
        raise FeeScheduleError(f"all versions together would be {len(text)} characters; there is room for no more")
    same = FeeScheduleItem.versions == before if before else FeeScheduleItem.versions.does_not_exist()
    return versions, FeeScheduleItem.versions.set(text), same


def put_agreement(transaction: TransactWrite, account_id: int, fresh: Agreements, *, now_ns: int) -> None:
    """Agree rates with an account in a transaction, which fails where others were agreed meanwhile.

    Raises:   FeeScheduleError as `agreed`, and where there is no room; UnavailableError.
    """
    item = _read(ALL_VERSIONS)
    before = item.agreements if item else None
    known = _agreements(before)
    rows = agreed(known.get(account_id, ()), fresh, _versions(item.versions if item else None), now_ns)
    text = json.dumps(agreements_document({**known, account_id: rows}), separators=(",", ":"))
    if len(text) > AGREEMENTS_CHARACTERS_MAX:
        raise FeeScheduleError(f"all agreements together would be {len(text)} characters; end some that are not needed")
    same = FeeScheduleItem.agreements == before if before else FeeScheduleItem.agreements.does_not_exist()
    transaction.update(FeeScheduleItem(ALL_VERSIONS), actions=[FeeScheduleItem.agreements.set(text)], condition=same)


def read_standing(account_id: int) -> Standing:
    """What an account traded of late, as it is now; without rates. Raises UnavailableError."""
    item = _read(str(account_id))
    return _standing(item) if item else Standing()


def add_traded(account_id: int, row: Traded) -> None:
    """Put a period's trades onto a standing; counted again it changes nothing. Raises OutageError."""
    item = _read(str(account_id))
    before = item.traded if item else None
    after = (_standing(item) if item else Standing()).with_traded(row)
    text = json.dumps([[each.closing, each.until_ns, str(each.volume)] for each in after.traded])
    same = FeeScheduleItem.traded == before if before else FeeScheduleItem.traded.does_not_exist()
    _write(str(account_id), [FeeScheduleItem.traded.set(text)], same)


def counted_closing() -> int:
    """The last closing whose trades are on all standings; 0 before the first. Raises UnavailableError."""
    return _reached(_COUNTED)


def note_counted(closing: int) -> None:
    """Note that a closing's trades are on all standings. Raises OutageError."""
    _write(_COUNTED, [FeeScheduleItem.closing.set(closing)])


def awarded_closing() -> int:
    """The last closing whose rebates and commissions are paid; 0 before the first. Raises UnavailableError."""
    return _reached(_AWARDED)


def note_awarded(closing: int) -> None:
    """Note that a closing's rebates and commissions are paid. Raises OutageError."""
    _write(_AWARDED, [FeeScheduleItem.closing.set(closing)])


def _reached(name: str) -> int:
    item = _read(name)
    return item.closing or 0 if item else 0


def _read(schedule_id: str) -> FeeScheduleItem | None:
    try:
        return FeeScheduleItem.get(schedule_id, consistent_read=True)
    except DoesNotExist:
        return None
    except PynamoDBException as error:
        raise UnavailableError(f"DynamoDB: {error.msg}") from error


def _write(schedule_id: str, actions: list[Action], condition: Condition | None = None) -> None:
    try:
        FeeScheduleItem(schedule_id).update(actions=actions, condition=condition)
    except UpdateError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            raise UnavailableError(f"{schedule_id}: somebody else changed it at the same time; try again") from error
        raise outage(error) from error


def _versions(text: str | None) -> tuple[FeeSchedule, ...]:
    return tuple(read_schedule(document) for document in json.loads(text)) if text else ()


def _agreements(text: str | None) -> dict[int, Agreements]:
    return read_agreements(json.loads(text)) if text else {}


def _standing(item: FeeScheduleItem) -> Standing:
    rows = json.loads(item.traded) if item.traded else []
    return Standing(traded=tuple(Traded(closing, until_ns, int(volume)) for closing, until_ns, volume in rows))
