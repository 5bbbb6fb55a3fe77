"""Fee rates over REST."""

from functools import partial
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import AccessSettings
from exchange.fees.model import format_rate
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.kernel.clock import SystemClock
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope


class Settings(AccessSettings):
    """This function's environment."""

    fee_schedules_table: str


settings = Settings.load()
app = Api("fees", guard=partial(guard, settings))
handler = app
bind(FeeScheduleItem, settings.fee_schedules_table)
schedules = FeeSchedules(SystemClock())
viewer = partial(authenticator(**settings.access()).authenticate, scope=Scope.VIEW)


@app.endpoint("GET", "/fees", caller=viewer)
def fees(_: ApiRequest, who: Principal) -> Any:
    """The caller's own rates.

    `usd_volume` is the trailing volume that volume tiers would look at. Rates here depend on the account alone, so
    nobody counts it and it is null, not a number that would be wrong.
    """
    schedule = schedules.schedule(who.account_id)
    return {
        "maker_fee_rate": format_rate(schedule.maker_ppm),
        "taker_fee_rate": format_rate(schedule.taker_ppm),
        "usd_volume": None,
    }
