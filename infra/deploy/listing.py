"""Lists assets, products and the fees of a file, where they are not listed yet."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.fees.document import read_schedule
from exchange.fees.model import FeeSchedule
from exchange.fees.store import FeeScheduleItem, publish, read_versions
from exchange.instruments.model import Asset, Product, list_product
from exchange.instruments.store import InstrumentItem, InstrumentStore

from infra.deploy.commands import DeployError


def read_file(path: Path) -> tuple[dict[str, Asset], list[Product], FeeSchedule]:
    """Assets, products and fees of a file. Raises DeployError naming what is wrong in it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        assets = {name: Asset(name, row["name"], row["scale"], row["kind"]) for name, row in document["assets"].items()}
        products = [_product(name, row, assets) for name, row in document["products"].items()]
        fees = read_schedule(document["fees"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DeployError(f"{path} can't be listed: {type(error).__name__}: {error}") from error
    return assets, products, fees


def _product(name: str, row: Mapping[str, Any], assets: Mapping[str, Asset]) -> Product:
    base, _, quote = name.partition("-")
    return list_product(
        name,
        base=assets[base],
        quote=assets[quote],
        base_min_size=row.get("base_min_size", row["base_increment"]),
        **{key: value for key, value in row.items() if key != "base_min_size"},
    )


def list_missing(path: Path, outputs: Mapping[str, str]) -> list[str]:
    """List what is missing; return the ids of what was listed now."""
    assets, products, fees = read_file(path)
    bind(InstrumentItem, outputs["InstrumentsTable"])
    bind(FeeScheduleItem, outputs["FeeSchedulesTable"])
    store = InstrumentStore()
    known_assets = store.assets()
    for asset in assets.values():
        if asset.asset_id not in known_assets:
            store.save_asset(asset)
    known_products = store.products()
    fresh = [product for product in products if product.product_id not in known_products]
    for product in fresh:
        store.save_product(product)
    if not read_versions():
        publish(fees, now_ns=time.time_ns())
    return [product.product_id for product in fresh]
