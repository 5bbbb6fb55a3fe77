"""A fee schedule as it is written and stored: rates and volumes as decimal text, times as ISO.

{"effective": "2026-12-01T00:00:00Z",
 "tiers": [{"volume": "0", "maker": "0.004", "taker": "0.006"},
           {"volume": "10000", "maker": "0.0025", "taker": "0.004"}],
 "products": {"EUR-USD": [{"volume": "0", "maker": "0", "taker": "0.0005"}]},
 "promotions": [{"product": "ETH-BTC", "from": "2026-12-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
                 "maker": "0", "taker": "0"}],
 "rebates": [{"product": "BTC-USD", "rate": "0.0001"}],
 "commission": {"share": "0.2", "days": 365}}
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from exchange.fees.model import (
    RATE_SCALE,
    VOLUME_SCALE,
    Agreement,
    Agreements,
    Commission,
    FeeSchedule,
    FeeScheduleError,
    Promotion,
    Rates,
    Rebate,
    Tier,
    Tiers,
    format_rate,
)
from exchange.kernel.money import DecimalError, format_units, parse_decimal

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_KEYS = frozenset({"effective", "tiers", "products", "promotions", "rebates", "commission"})


def read_schedule(document: Mapping[str, Any]) -> FeeSchedule:
    """Read a version. Without `effective` it begins at once, in 1970.

    Raises:   FeeScheduleError naming the field and the remedy.
    """
    unknown = sorted(document.keys() - _KEYS)
    if unknown:
        raise FeeScheduleError(f"{unknown[0]}: no such field; there are {', '.join(sorted(_KEYS))}")
    return FeeSchedule(
        _moment(document.get("effective", "1970-01-01T00:00:00Z"), "effective"),
        _tiers(document.get("tiers"), "tiers"),
        {name: _tiers(rows, f"products.{name}") for name, rows in _table(document, "products").items()},
        tuple(
            _promotion(row, f"promotions.{place}")
            for place, row in enumerate(_rows(document.get("promotions", []), "promotions"))
        ),
        tuple(
            _rebate(row, f"rebates.{place}") for place, row in enumerate(_rows(document.get("rebates", []), "rebates"))
        ),
        _commission(document.get("commission")),
    )


def schedule_document(schedule: FeeSchedule) -> dict[str, Any]:
    """What `read_schedule` reads."""
    document: dict[str, Any] = {"effective": iso(schedule.effective_ns), "tiers": _tier_rows(schedule.tiers)}
    if schedule.products:
        document["products"] = {name: _tier_rows(tiers) for name, tiers in sorted(schedule.products.items())}
    if schedule.promotions:
        document["promotions"] = [
            {
                **({"product": row.product_id} if row.product_id else {}),
                "from": iso(row.from_ns),
                "until": iso(row.until_ns),
                **_rate_row(row.rates),
            }
            for row in schedule.promotions
        ]
    if schedule.rebates:
        document["rebates"] = [
            {**({"product": row.product_id} if row.product_id else {}), "rate": format_rate(row.rate_ppm)}
            for row in schedule.rebates
        ]
    if schedule.commission:
        document["commission"] = {
            "share": format_rate(schedule.commission.share_ppm),
            "days": schedule.commission.days,
        }
    return document


def read_agreement(payload: Mapping[str, str]) -> Agreements:
    """What a proposal agrees with an account: rates from a time on, or `none` for the schedule's; `until`, or `none`.

    Raises:   FeeScheduleError naming the field and the remedy.
    """
    none = [key for key in ("maker", "taker") if payload[key] == "none"]
    if len(none) == 1:
        raise FeeScheduleError(f"{none[0]}: give a rate like 0.001, or none for both, which ends what was agreed")
    rates = None
    if not none:
        maker_ppm, taker_ppm = (_rate(payload[key], key) for key in ("maker", "taker"))
        try:
            rates = Rates(maker_ppm, taker_ppm)
        except FeeScheduleError as error:
            raise FeeScheduleError(f"taker: {error}") from error
    first = Agreement(_moment(payload["from"], "from"), rates)
    if payload["until"] == "none":
        return (first,)
    if rates is None:
        raise FeeScheduleError("until: give none, for what ends has no other end")
    return first, Agreement(_moment(payload["until"], "until"), None)


def read_agreements(document: Mapping[str, Any]) -> dict[int, Agreements]:
    """All that is agreed, by account, as `agreements_document` writes it."""
    return {
        int(account): tuple(
            Agreement(from_ns, None if maker_ppm is None else Rates(maker_ppm, taker_ppm))
            for from_ns, maker_ppm, taker_ppm in rows
        )
        for account, rows in document.items()
    }


def agreements_document(agreements: Mapping[int, Agreements]) -> dict[str, Any]:
    """What `read_agreements` reads: begins in nanoseconds, rates in millionths."""
    return {
        str(account): [
            [row.from_ns, row.rates.maker_ppm if row.rates else None, row.rates.taker_ppm if row.rates else None]
            for row in rows
        ]
        for account, rows in sorted(agreements.items())
        if rows
    }


def iso(moment_ns: int) -> str:
    """A time as it is written in a schedule."""
    moment = _EPOCH + dt.timedelta(microseconds=moment_ns // 1_000)
    return moment.isoformat().replace("+00:00", "Z")


def _rate(text: str, name: str) -> int:
    try:
        return parse_decimal(text, RATE_SCALE)
    except DecimalError as error:
        raise FeeScheduleError(f"{name}: give a rate from 0 on with at most 6 decimals, like 0.001, or none") from error


def _tiers(rows: Any, name: str) -> Tiers:
    return tuple(_tier(row, f"{name}.{place}") for place, row in enumerate(_rows(rows, name)))


def _tier(row: Mapping[str, Any], name: str) -> Tier:
    _only(row, {"volume", "maker", "taker"}, name)
    return Tier(_decimal(row, "volume", VOLUME_SCALE, name), _rates(row, name))


def _promotion(row: Mapping[str, Any], name: str) -> Promotion:
    _only(row, {"product", "from", "until", "maker", "taker"}, name)
    begin, end = (_moment(row.get(key), f"{name}.{key}") for key in ("from", "until"))
    return Promotion(_product(row, name), begin, end, _rates(row, name))


def _rebate(row: Mapping[str, Any], name: str) -> Rebate:
    _only(row, {"product", "rate"}, name)
    return Rebate(_product(row, name), _decimal(row, "rate", RATE_SCALE, name))


def _commission(row: Any) -> Commission | None:
    if row is None:
        return None
    if not isinstance(row, Mapping):
        raise FeeScheduleError("commission: give a table with share and days")
    _only(row, {"share", "days"}, "commission")
    days = row.get("days")
    if type(days) is not int:
        raise FeeScheduleError("commission.days: give a whole number of days, like 365")
    return Commission(_decimal(row, "share", RATE_SCALE, "commission"), days)


def _product(row: Mapping[str, Any], name: str) -> str:
    """The product that a row is for; empty: for all, which takes leaving the field out."""
    product = row.get("product")
    if "product" in row and (not isinstance(product, str) or not product):
        raise FeeScheduleError(f"{name}.product: give a product like BTC-USD, or leave it out for all of them")
    return product or ""


def _only(row: Mapping[str, Any], known: set[str], name: str) -> None:
    unknown = sorted(row.keys() - known)
    if unknown:
        raise FeeScheduleError(f"{name}.{unknown[0]}: no such field; there are {', '.join(sorted(known))}")


def _rates(row: Mapping[str, Any], name: str) -> Rates:
    try:
        return Rates(_decimal(row, "maker", RATE_SCALE, name), _decimal(row, "taker", RATE_SCALE, name))
    except FeeScheduleError as error:
        raise FeeScheduleError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error


def _decimal(row: Mapping[str, Any], key: str, scale: int, name: str) -> int:
    text = row.get(key)
    try:
        return parse_decimal(text if isinstance(text, str) else "", scale)
    except DecimalError as error:
        raise FeeScheduleError(
            f'{name}.{key}: give decimal text from 0 on with at most {scale} decimals, like "0.004"'
        ) from error


def _moment(text: Any, name: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
        # In UTC before anything else: what has no date there could be read, and never be written again.
        since = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC) - _EPOCH
    except (TypeError, ValueError, OverflowError) as error:
        raise FeeScheduleError(f"{name}: give an ISO time, like 2026-12-01T00:00:00Z") from error
    return since // dt.timedelta(microseconds=1) * 1_000


def _rows(rows: Any, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(rows, list):
        raise FeeScheduleError(f"{name}: give a list of tables")
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise FeeScheduleError(f"{name}.{place}: give a table with its fields")
    return rows


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        raise FeeScheduleError(f"{name}: give a table by product")
    return table


def _tier_rows(tiers: Tiers) -> list[dict[str, str]]:
    return [{"volume": format_units(tier.volume, VOLUME_SCALE), **_rate_row(tier.rates)} for tier in tiers]


def _rate_row(rates: Rates) -> dict[str, str]:
    return {"maker": format_rate(rates.maker_ppm), "taker": format_rate(rates.taker_ppm)}
