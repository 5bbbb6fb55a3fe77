"""Fee schedules in DynamoDB."""

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError, PynamoDBException
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, outage
from exchange.fees.model import DEFAULT_SCHEDULE, FeeSchedule
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError
from exchange.kernel.recent import Recent

AGE_MAX_NS = 60 * 1_000_000_000
ENTRIES_MAX = 4_096


class FeeScheduleItem(Model):
    """The rates of one account, or those of everybody else under the id "default"."""

    class Meta:
        table_name = "fee_schedules"

    schedule_id = UnicodeAttribute(hash_key=True)
    maker_ppm = UnitsAttribute()
    taker_ppm = UnitsAttribute()


class FeeSchedules:
    """Schedules by account, at most a minute old: an order pins its rates when it is accepted."""

    def __init__(self, clock: Clock) -> None:
        self._recent: Recent[int, FeeSchedule] = Recent(clock, age_max_ns=AGE_MAX_NS, entries_max=ENTRIES_MAX)

    def schedule(self, account_id: int) -> FeeSchedule:
        """The account's own schedule, else the default one.

        Raises:   UnavailableError, also where no default was ever saved: nobody trades at an unknown price.
        """
        known = self._recent.get(account_id)
        if known is None:
            known = _read(str(account_id)) or _read(DEFAULT_SCHEDULE)
            if known is None:
                raise UnavailableError("no default fee schedule is in the table; save one")
            self._recent.put(account_id, known)
        return known


def save_schedule(schedule: FeeSchedule) -> None:
    """Set the rates of an account or the default. Raises OutageError."""
    try:
        FeeScheduleItem(
            schedule_id=schedule.schedule_id, maker_ppm=schedule.maker_ppm, taker_ppm=schedule.taker_ppm
        ).save()
    except PutError as error:
        raise outage(error) from error


def _read(schedule_id: str) -> FeeSchedule | None:
    try:
        item = FeeScheduleItem.get(schedule_id)
    except DoesNotExist:
        return None
    except PynamoDBException as error:
        raise UnavailableError(f"DynamoDB: {error.msg}") from error
    return FeeSchedule(item.schedule_id, item.maker_ppm, item.taker_ppm)
