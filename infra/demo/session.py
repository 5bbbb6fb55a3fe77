"""A run from its first look at the money to its verdict, whatever flow it sends."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from exchange.audit.model import Told
from exchange.aws.dynamodb import bind
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.ids import from_uuid
from exchange.ledger.model import HOUSE_PREFIX
from exchange.ledger.store import BalanceItem

from infra.demo.accounting import SCALE, Holdings, read_fills, read_holdings
from infra.demo.client import HttpTransport, RequestRefusedError, Trader, Traffic
from infra.demo.market import Market

FEE_ACCOUNTS = f"{HOUSE_PREFIX}fees:"


@dataclass(slots=True)
class Session:
    """The demo customers of a running stack, and what there was when the run began."""

    stack: Mapping[str, Any]
    variables: Mapping[str, str]
    connections: int
    traffic: Traffic = field(default_factory=Traffic)
    customers: list[Trader] = field(default_factory=list)
    before: Holdings = field(default_factory=lambda: Holdings({}))
    fees_before: Mapping[str, int] = field(default_factory=dict)
    last_trades: dict[str, int] = field(default_factory=dict)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        transport = HttpTransport(self.stack["rest_url"], connections=self.connections)
        await self._open.enter_async_context(transport)
        self.customers = [Trader(user, transport, traffic=self.traffic) for user in self.stack["demo_users"]]
        os.environ.update({**self.variables, "AWS_ENDPOINT_URL": self.stack["aws_endpoint_url"]})
        bind(BalanceItem, self.stack["tables"]["balances"])
        bind(InstrumentItem, self.stack["tables"]["instruments"])
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    def makers(self) -> list[Trader]:
        """Those whose tier lets them send as fast as they like."""
        names = {user["name"] for user in self.stack["demo_users"] if user["rate_limit_tier"] == "maker"}
        return [customer for customer in self.customers if customer.name in names]

    async def markets(self, product_id: str | None) -> list[Market]:
        """The market asked for, or all, each starting at its last price. Raises RequestRefusedError."""
        products = await self.customers[0].get("/products")
        chosen = [product for product in products if product_id in {None, product["id"]}]
        if not chosen:
            known = ", ".join(product["id"] for product in products)
            raise RequestRefusedError(f"There is no product {product_id}. There are: {known}")
        return [Market.read(product, await self._last_price(product["id"])) for product in chosen]

    async def _last_price(self, product_id: str) -> str | None:
        ticker = await self.customers[0].get(f"/products/{product_id}/ticker")
        price: str | None = ticker.get("price")
        return price

    async def begin(self, markets: Sequence[Market]) -> None:
        """Note what everybody has."""
        for market in markets:
            ticker = await self.customers[0].get(f"/products/{market.product_id}/ticker")
            self.last_trades[market.product_id] = int(ticker.get("trade_id", 0))
        self.before = await read_holdings(self.customers)
        self.fees_before = await asyncio.to_thread(fee_income)

    async def history(self) -> list[Told]:
        """What every customer was told of the orders of this run."""
        told: list[Told] = []
        for customer in self.customers:
            if customer.diary.heard:
                account_id = from_uuid((await customer.get("/users/self/verify"))["profile_id"])
                told += customer.diary.told(account_id or 0)
        return told

    async def after(self) -> tuple[Holdings, Mapping[str, int], dict[str, list[dict[str, Any]]]]:
        """What everybody has now, what the house took, and all fills since the beginning."""
        fills = await read_fills(self.customers, self.last_trades)
        return await read_holdings(self.customers), await asyncio.to_thread(fee_income), fills


def fee_income() -> dict[str, int]:
    """What the house has taken in fees, by asset. Units: 10^-18 of the asset."""
    scales = {asset.asset_id: asset.scale for asset in InstrumentStore().assets().values()}
    income: dict[str, int] = {}
    for item in BalanceItem.scan(BalanceItem.account.startswith(FEE_ACCOUNTS), consistent_read=True):
        fine = (item.available or 0) * 10 ** (SCALE - scales[item.asset])
        income[item.asset] = income.get(item.asset, 0) + fine
    return income
