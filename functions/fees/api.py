"""Fee rates over REST."""

from functools import partial
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import AccessSettings
from exchange.fees.model import VOLUME_SCALE, format_rate
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import format_units
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope


class Settings(AccessSettings):
    """This function's environment."""

    fee_schedules_table: str
    instruments_table: str


settings = Settings.load()
app = Api("fees", guard=partial(guard, settings))
handler = app
bind(FeeScheduleItem, settings.fee_schedules_table)
bind(InstrumentItem, settings.instruments_table)
clock = SystemClock()
schedules = FeeSchedules(clock)
catalogue = Catalogue(InstrumentStore(), clock)
viewer = partial(authenticator(**settings.access()).authenticate, scope=Scope.VIEW)


@app.endpoint("GET", "/fees", caller=viewer)
def fees(asked: ApiRequest, who: Principal) -> Any:
    """The caller's own rates now: those of the product that `product_id` names, else of all without tiers of their own.

    `usd_volume` is what the caller's profile traded in 30 days, as the last closing of the books counted it.
    """
    name = (asked.query("product_id") or "").replace("/", "-")
    if name and catalogue.product(name) is None:
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    rates, standing = schedules.rates(who.account_id, name), schedules.standing(who.account_id)
    return {
        "maker_fee_rate": format_rate(rates.maker_ppm),
        "taker_fee_rate": format_rate(rates.taker_ppm),
        "usd_volume": format_units(standing.volume(clock.now_ns()), VOLUME_SCALE),
    }
