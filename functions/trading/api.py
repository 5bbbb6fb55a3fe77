"""Order entry over REST: place, try, amend, cancel, get and list orders; list fills."""

from functools import partial
from typing import Any

from exchange.aws.settings import AccessSettings
from exchange.kernel.clock import SystemClock
from exchange.rest import Api, ApiRequest
from exchange.trading import entry
from exchange.trading.listing import list_fills, list_orders
from exchange.trading.model import Trader
from exchange.trading.opening import DeskSettings, SwitchSettings, open_desk, open_watch
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.authentication import Principal
from exchange.users.model import Scope


class Settings(AccessSettings, DeskSettings, SwitchSettings):
    """This function's environment."""


settings = Settings.load()
app = Api("trading", guard=partial(guard, settings))
handler = app
clock = SystemClock()
desk, store, catalogue = open_desk(settings, clock)
watch = open_watch(settings, clock)
access = authenticator(**settings.access())

viewer = partial(access.authenticate, scope=Scope.VIEW)
trader = partial(access.authenticate, scope=Scope.TRADE)
# Placing checks key and customer again inside its transaction, so what was read a moment ago will do.
placer = partial(access.authenticate, scope=Scope.TRADE, rechecked=True)


def _owner(who: Principal) -> Trader:
    return Trader(who.user_id, who.account_id, who.key_id)


@app.endpoint("POST", "/orders", caller=placer)
def place(request: ApiRequest, who: Principal) -> Any:
    """Place an order."""
    return entry.place(desk, _owner(who), request)


@app.endpoint("POST", "/orders/batch", caller=placer)
def place_batch(request: ApiRequest, who: Principal) -> Any:
    """Place many orders of one product."""
    return entry.place_batch(desk, _owner(who), request, partial(app.charge, request, who))


@app.endpoint("POST", "/orders/test", caller=trader)
def try_out(request: ApiRequest, who: Principal) -> Any:
    """Say what placing an order would answer."""
    return entry.try_out(desk, _owner(who), request)


@app.endpoint("POST", "/orders/cancel-after", caller=trader)
def cancel_after(request: ApiRequest, who: Principal) -> Any:
    """Set the dead man's switch."""
    return entry.set_switch(watch, who.account_id, request)


@app.endpoint("GET", "/orders", caller=viewer)
def orders(request: ApiRequest, who: Principal) -> Any:
    """List orders."""
    return list_orders(store, who.account_id, request, catalogue)


@app.endpoint("DELETE", "/orders", caller=trader, cancels=True)
def cancel_many(request: ApiRequest, who: Principal) -> Any:
    """Cancel many orders."""
    return entry.cancel_many(desk, who.account_id, request)


@app.endpoint("GET", "/orders/{order_id}", caller=viewer)
def order(_request: ApiRequest, who: Principal, order_id: str) -> Any:
    """Show one order."""
    return entry.show(desk, who.account_id, order_id)


@app.endpoint("PUT", "/orders/{order_id}", caller=placer)
def amend(request: ApiRequest, who: Principal, order_id: str) -> Any:
    """Amend one order."""
    return entry.amend(desk, _owner(who), request, order_id)


@app.endpoint("DELETE", "/orders/{order_id}", caller=trader, cancels=True)
def cancel(request: ApiRequest, who: Principal, order_id: str) -> Any:
    """Cancel one order."""
    return entry.cancel(desk, who.account_id, request, order_id)


@app.endpoint("GET", "/fills", caller=viewer)
def fills(request: ApiRequest, who: Principal) -> Any:
    """List fills."""
    return list_fills(desk, store, who.account_id, request, catalogue)
