"""Fills a fresh exchange: products and fees as an operator lists them, demo customers through the real REST API."""

import json
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import urllib3
from exchange.aws.dynamodb import bind
from exchange.fees.model import Commission, Rebate, flat
from exchange.fees.store import FeeScheduleItem, publish
from exchange.instruments.model import Asset, list_product
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.usage.model import RateLimitTier
from exchange.users.model import KycLevel
from exchange.users.store import CustomerItem
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from infra.local.clients import CREDENTIALS
from infra.local.laptop import Laptop, LaptopError
from infra.local.mail import latest_code
from infra.local.operators import make_operators
from infra.local.settings import LaptopSettings

MAKER_PPM, TAKER_PPM = 4_000, 6_000
REBATES, COMMISSION = (Rebate("EUR-USD", 100),), Commission(200_000, days=365)
ARRIVAL_SECONDS_MAX = 60
_BINDING = Lock()

ASSETS = (
    Asset("USD", "United States Dollar", 6, "fiat"),
    Asset("EUR", "Euro", 6, "fiat"),
    Asset("BTC", "Bitcoin", 8, "crypto"),
    Asset("ETH", "Ether", 8, "crypto"),
    Asset("ACME", "Acme Corporation", 4, "stock"),
    Asset("GOOG", "Alphabet Inc. Class C", 0, "stock"),
)
FUNDS = {"USD": "1000000", "EUR": "1000000", "BTC": "100", "ETH": "1000", "ACME": "100000", "GOOG": "100000"}


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """A product as an operator would list it."""

    product_id: str
    quote_increment: str
    base_increment: str
    base_max_size: str
    min_market_funds: str
    reference_price: str
    price_band: str


PRODUCTS = (
    DemoProduct("ACME-USD", "0.01", "0.001", "100000", "1", "100", "0.50"),
    DemoProduct("BTC-USD", "0.01", "0.0001", "1000", "1", "50000", "0.50"),
    DemoProduct("EUR-USD", "0.0001", "0.01", "10000000", "1", "1.1", "0.10"),
    DemoProduct("ETH-BTC", "0.00001", "0.001", "10000", "0.0001", "0.05", "0.50"),
    DemoProduct("GOOG-USD", "0.0001", "1", "100000", "1", "580", "0.50"),
)
DEMO_USERS = (
    ("alice", RateLimitTier.MAKER),
    ("bob", RateLimitTier.MAKER),
    ("carol", RateLimitTier.MAKER),
    ("dave", RateLimitTier.STANDARD),
)


def list_products(laptop: Laptop) -> dict[str, Any]:
    """Save the assets, the products and the default fee schedule. Returns what stack.json says of them."""
    for model, table in ((InstrumentItem, "InstrumentsTable"), (FeeScheduleItem, "FeeSchedulesTable")):
        bind_to_laptop(laptop.settings, model, laptop.outputs[table])
    store = InstrumentStore()
    assets = {asset.asset_id: asset for asset in ASSETS}
    for asset in ASSETS:
        store.save_asset(asset)
    for terms in PRODUCTS:
        base, _, quote = terms.product_id.partition("-")
        product = list_product(
            terms.product_id,
            base=assets[base],
            quote=assets[quote],
            base_increment=terms.base_increment,
            quote_increment=terms.quote_increment,
            base_min_size=terms.base_increment,
            base_max_size=terms.base_max_size,
            min_market_funds=terms.min_market_funds,
            reference_price=terms.reference_price,
            price_band=terms.price_band,
        )
        store.save_product(product)
    publish(replace(flat(MAKER_PPM, TAKER_PPM), rebates=REBATES, commission=COMMISSION), now_ns=time.time_ns())
    return {"products": [terms.product_id for terms in PRODUCTS]}


def bind_to_laptop(settings: LaptopSettings, model: type[Model], table: str) -> None:
    """Tell a model which table it is of which laptop cloud; a process may fill one after the other."""
    meta: Any = model.Meta
    with _BINDING:
        bind(model, table)
        if getattr(meta, "host", None) != settings.endpoint_url:
            meta.host = settings.endpoint_url
            meta.aws_access_key_id = CREDENTIALS["AWS_ACCESS_KEY_ID"]
            meta.aws_secret_access_key = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
            # PynamoDB keeps a model's connection as long as its table has the same name, wherever that is.
            model._connection = None  # noqa: SLF001


def seed(laptop: Laptop) -> dict[str, Any]:
    """Register and fund the demo customers, invite the demo operators. Returns what stack.json says of them."""
    with ThreadPoolExecutor(len(DEMO_USERS)) as executor:
        users = list(executor.map(lambda user: DemoCustomer(laptop, *user).make(), DEMO_USERS))
    return {"demo_users": users, "operators": make_operators(laptop)}


class DemoCustomer:
    """One customer, made the way everybody is: registered, confirmed by mail, logged in, given a key, funded."""

    def __init__(self, laptop: Laptop, name: str, tier: RateLimitTier, *, referral_code: str = "") -> None:
        self._laptop = laptop
        self._referral = {"referral_code": referral_code} if referral_code else {}
        self._tier = tier
        self._name = name
        self._email = f"{name}@example.com"
        self._password = f"Demo-{secrets.token_urlsafe(12)}-1a"
        self._pool = urllib3.PoolManager(timeout=30, retries=False)
        self._headers: dict[str, str] = {}
        bind_to_laptop(laptop.settings, CustomerItem, laptop.outputs["UsersTable"])

    def make(self) -> dict[str, str]:
        """Do all of it. Raises LaptopError with the exchange's own words."""
        person = {"email": self._email, "password": self._password, "name": self._name.title()}
        self._post("/v1/users", person | self._referral)
        code = latest_code(self._laptop.settings, self._email)
        self._post("/v1/users/confirm", {"email": self._email, "code": code})
        session = self._post("/v1/sessions", {"email": self._email, "password": self._password})
        self._headers = {"Authorization": f"Bearer {session['access_token']}"}
        self._grant(self._get("/v1/users/self")["user_id"])
        key = self._post("/v1/api-keys", {"name": "demo", "scopes": ["view", "trade", "transfer"]})
        self._fund()
        # All customers ask at once: the first real orders then find the function's workers warm.
        self._get("/orders")
        return {
            "name": self._name,
            "email": self._email,
            "password": self._password,
            "api_key": key["id"],
            "secret": key["secret"],
            "passphrase": key["passphrase"],
            "rate_limit_tier": self._tier.value,
        }

    def _grant(self, user_id: str) -> None:
        """What operators do for a market maker; a key made later has its owner's tier. Nothing binds a demo customer's
        withdrawals: no limit, no cool-down, no review."""
        actions: list[Action] = [CustomerItem.kyc_level.set(int(KycLevel.INSTITUTIONAL))]
        if self._tier is not RateLimitTier.STANDARD:
            actions.append(CustomerItem.rate_limit_tier.set(self._tier.value))
        CustomerItem(user_id).update(actions=actions)

    def _fund(self) -> None:
        methods = {method["currency"]: method["id"] for method in reversed(self._get("/payment-methods"))}
        waiting = []
        for currency, amount in FUNDS.items():
            body = {"amount": amount, "currency": currency, "payment_method_id": methods[currency]}
            waiting.append(self._post("/deposits/payment-method", body)["id"])
        deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
        while waiting and time.monotonic() < deadline:
            transfer = self._get(f"/transfers/{waiting[0]}")
            if transfer.get("completed_at"):
                waiting.pop(0)
            elif transfer.get("canceled_at"):
                raise LaptopError(f"A deposit of {self._email} failed: {transfer}")
            else:
                time.sleep(0.1)
        if waiting:
            raise LaptopError(
                f"A deposit of {self._email} did not arrive within {ARRIVAL_SECONDS_MAX} seconds: "
                "see `exchange logs payments-queue` and `exchange logs wallets-tasks`."
            )

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("POST", path, json.dumps(body).encode())

    def _get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {**self._headers, "Content-Type": "application/json"}
        answer = self._pool.request(method, self._laptop.settings.rest_url + path, body=body, headers=headers)
        if answer.status != 200:
            text = answer.data.decode(errors="replace")[:500]
            raise LaptopError(f"{method} {path} for {self._email} answered {answer.status}: {text}")
        return json.loads(answer.data)
