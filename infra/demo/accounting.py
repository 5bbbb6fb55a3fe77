"""Where the money is before and after a run, and whether the fills explain every change of it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.kernel.money import format_units, parse_decimal

from infra.demo.client import Trader
from infra.demo.market import Market

# Amounts are counted in 10^-18 of their asset, finer than any asset's own unit.
SCALE = 18


@dataclass(frozen=True, slots=True)
class Holdings:
    """What every customer's accounts hold, available and held together: holdings[customer][asset]."""

    by_customer: Mapping[str, Mapping[str, int]]

    def total(self, asset: str) -> int:
        """What all of them hold of an asset."""
        return sum(assets.get(asset, 0) for assets in self.by_customer.values())

    @property
    def assets(self) -> list[str]:
        """Every asset that somebody holds."""
        return sorted({asset for assets in self.by_customer.values() for asset in assets})


async def read_holdings(traders: Sequence[Trader]) -> Holdings:
    """Ask every customer's accounts."""
    answers = await asyncio.gather(*(trader.get("/accounts") for trader in traders))
    return Holdings({trader.name: _amounts(accounts) for trader, accounts in zip(traders, answers, strict=True)})


def _amounts(accounts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {account["currency"]: parse_decimal(account["balance"], SCALE) for account in accounts}


async def read_fills(traders: Sequence[Trader], last_trades: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """Every customer's fills in each product since the trade that was its last."""
    found: dict[str, list[dict[str, Any]]] = {}
    for trader in traders:
        found[trader.name] = []
        for product_id, last_trade in last_trades.items():
            found[trader.name] += await _fills_since(trader, product_id, last_trade)
    return found


async def _fills_since(trader: Trader, product_id: str, last_trade: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await trader.get(f"/fills?product_id={product_id}&limit=100{after}")
        found += [fill for fill in page if fill["trade_id"] > last_trade]
        if len(page) < 100 or page[-1]["trade_id"] <= last_trade:
            return found
        after = f"&after={page[-1]['trade_id']}"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One customer's one asset. Units: 10^-18 of the asset."""

    customer: str
    asset: str
    before: int
    after: int
    by_fills: int

    @property
    def unexplained(self) -> int:
        """What no fill accounts for."""
        return self.after - self.before - self.by_fills


@dataclass(frozen=True, slots=True)
class AssetLine:
    """One asset over all demo customers: what they had equals what they have and paid in fees."""

    asset: str
    before: int
    after: int
    fees: int

    @property
    def missing(self) -> int:
        """What came out of nothing (positive) or went into nothing (negative)."""
        return self.after + self.fees - self.before


def account_lines(
    before: Holdings, after: Holdings, fills: Mapping[str, Sequence[Mapping[str, Any]]], markets: Mapping[str, Market]
) -> list[AccountLine]:
    """One line a customer and asset."""
    changes = {customer: fill_changes(rows, markets) for customer, rows in fills.items()}
    return [
        AccountLine(
            customer,
            asset,
            before.by_customer[customer].get(asset, 0),
            after.by_customer[customer].get(asset, 0),
            changes.get(customer, {}).get(asset, 0),
        )
        for customer in before.by_customer
        for asset in sorted({*before.by_customer[customer], *after.by_customer[customer]})
    ]


def fill_changes(fills: Sequence[Mapping[str, Any]], markets: Mapping[str, Market]) -> dict[str, int]:
    """What fills did to each asset of their owner, exactly."""
    changes: dict[str, int] = defaultdict(int)
    for fill in fills:
        market = markets[fill["product_id"]]
        sign = 1 if fill["side"] == "buy" else -1
        size = parse_decimal(fill["size"], SCALE)
        value, rest = divmod(parse_decimal(fill["price"], SCALE) * size, 10**SCALE)
        if rest:
            raise ValueError(f"trade {fill['trade_id']} of {market.product_id} is worth no whole unit")
        changes[market.base] += sign * size
        changes[market.quote] -= sign * value + parse_decimal(fill["fee"], SCALE)
    return changes


def asset_lines(
    before: Holdings, after: Holdings, fees_before: Mapping[str, int], fees_after: Mapping[str, int]
) -> list[AssetLine]:
    """One line an asset."""
    return [
        AssetLine(asset, before.total(asset), after.total(asset), fees_after.get(asset, 0) - fees_before.get(asset, 0))
        for asset in sorted({*before.assets, *after.assets})
    ]


def amount(fine: int) -> str:
    """An amount as people read it."""
    whole, dot, fraction = format_units(fine, SCALE).partition(".")
    return f"{int(whole):,}{dot}{fraction}" if whole != "-0" else f"-0{dot}{fraction}"


def decimal(fine: int) -> str:
    """An amount as the API takes it."""
    return format_units(fine, SCALE)
