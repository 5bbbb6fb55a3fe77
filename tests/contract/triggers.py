"""What the code says of itself, as JSON; a process of its own, because importing a trigger file binds its tables.

`python -m tests.contract.triggers functions.trading.api ...` with the environment that the template would give.
"""

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from typing import Any


def models() -> list[dict[str, Any]]:
    """Every PynamoDB model of the package and the matcher: its table's name, keys and indexes."""
    import exchange
    from pynamodb.models import Model

    import matcher

    for package in (exchange, matcher):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return [
        _model(model) for model in Model.__subclasses__() if model.__module__.split(".")[0] in {"exchange", "matcher"}
    ]


def _model(model: Any) -> dict[str, Any]:
    attributes = model.get_attributes()
    indexes = {
        index.Meta.index_name: {
            "keys": _keys(index.Meta.attributes),
            "projection": index.Meta.projection.projection_type,
        }
        for index in model._indexes.values()
    }
    return {
        "name": f"{model.__module__}.{model.__name__}",
        "table": model.Meta.table_name,
        "attributes": sorted(attributes),
        "keys": _keys(attributes),
        "indexes": indexes,
    }


def _keys(attributes: Any) -> list[list[str]]:
    ordered = sorted(attributes.values(), key=lambda attribute: not attribute.is_hash_key)
    return [
        [attribute.attr_name, attribute.attr_type, "HASH" if attribute.is_hash_key else "RANGE"]
        for attribute in ordered
        if attribute.is_hash_key or attribute.is_range_key
    ]


def outages() -> dict[str, str]:
    """Every outage that may leave our code, and the module that knows it."""
    from exchange.kernel.errors import OutageError

    found: list[type] = [OutageError]
    for error in found:
        found.extend(error.__subclasses__())
    return {error.__name__: error.__module__ for error in found if error.__module__.startswith("exchange.")}


def bodies() -> dict[str, Any]:
    """Every request body that the package reads, with its fields."""
    from exchange.rest import Body

    return {
        body.__name__: {
            "fields": sorted(field.alias or name for name, field in body.model_fields.items()),
            "required": sorted(field.alias or name for name, field in body.model_fields.items() if field.is_required()),
        }
        for body in _below(Body)
    }


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def trigger(name: str) -> dict[str, Any]:
    """One trigger file: whether it has a handler, what its Settings read, and its routes if it is an API."""
    try:
        module = importlib.import_module(name)
    except Exception:  # noqa: BLE001 - reported to the test, which fails with it
        return {"error": traceback.format_exc()}
    settings = getattr(module, "Settings", None)
    app = getattr(module, "app", None)
    routes = getattr(app, "routes", {}) if app is not None else {}
    return {
        "handler": callable(getattr(module, "handler", None)),
        "settings": sorted(settings.model_fields) if settings is not None else None,
        "routes": sorted(f"{method} {path}" for path, methods in routes.items() for method in methods),
    }


def main() -> None:
    """Print everything."""
    found: dict[str, Any] = {"models": models()}
    found["triggers"] = {name: trigger(name) for name in sys.argv[1:]}
    found["outages"] = outages()
    found["bodies"] = bodies()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
