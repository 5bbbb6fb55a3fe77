"""Fee rates, what fees gave back, and referrals over REST."""

from functools import partial
from typing import Any

from exchange.awards.store import AwardItem, AwardStore
from exchange.awards.views import award_page, referral_view
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import AccessSettings
from exchange.fees.model import VOLUME_SCALE, format_rate
from exchange.fees.store import FeeScheduleItem, FeeSchedules
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import format_units
from exchange.referrals.store import ReferralItem, ReferralStore
from exchange.rest import Api, ApiRequest, read_number_page
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope
from exchange.users.service import find_customer
from exchange.users.store import CustomerStore


class Settings(AccessSettings):
    """This function's environment."""

    fee_schedules_table: str
    instruments_table: str
    referrals_table: str
    awards_table: str


settings = Settings.load()
app = Api("fees", guard=partial(guard, settings))
handler = app
bind(FeeScheduleItem, settings.fee_schedules_table)
bind(InstrumentItem, settings.instruments_table)
bind(ReferralItem, settings.referrals_table)
bind(AwardItem, settings.awards_table)
clock = SystemClock()
schedules = FeeSchedules(clock)
catalogue = Catalogue(InstrumentStore(), clock)
viewer = partial(authenticator(**settings.access()).authenticate, scope=Scope.VIEW)
customers, referrals, awards = CustomerStore(), ReferralStore(), AwardStore(connection())


@app.endpoint("GET", "/fees", caller=viewer)
def fees(asked: ApiRequest, who: Principal) -> Any:
    """The caller's own rates now: those of the product that `product_id` names, else of all without tiers of their own.

    `usd_volume` is what the caller's profile traded in 30 days, as the last closing of the books counted it.
    """
    name = (asked.query("product_id") or "").replace("/", "-")
    if name and catalogue.product(name) is None:
        return Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    rates, standing = schedules.rates(who.account_id, name), schedules.standing(who.account_id)
    version = schedules.version()
    return {
        "maker_fee_rate": format_rate(rates.maker_ppm),
        "taker_fee_rate": format_rate(rates.taker_ppm),
        "maker_rebate_rate": format_rate(version.rebate_ppm(name)),
        "usd_volume": format_units(standing.volume(clock.now_ns()), VOLUME_SCALE),
    }


@app.endpoint("GET", "/v1/awards", caller=viewer)
def list_awards(asked: ApiRequest, who: Principal) -> Any:
    """The rebates and commissions of the caller's profile, of the newest closing first: what was due, what was paid.

    `after`: closings below it; a page ends with a whole closing.
    """
    page = read_number_page(asked)
    if isinstance(page, Refused):
        return page
    if page.before is not None:
        return Refused(Code.REQUEST_FIELD_INVALID, "before: awards are read from the newest on; give after")
    return award_page(awards.awards(who.account_id, before=page.after), page.limit, catalogue.assets())


@app.endpoint("GET", "/v1/referrals", caller=viewer)
def show_referrals(_: ApiRequest, who: Principal) -> Any:
    """The customer's own code, made when it is first asked for; how many registered with it, and what it brought."""
    customer = find_customer(customers, who.user_id)
    if isinstance(customer, Refused):
        return customer
    code, owner = referrals.own_code(customer.user_id, customer.account_id)
    found = awards.awards(customer.account_id)
    return referral_view(code, owner, schedules.version().commission, found, catalogue.assets())
