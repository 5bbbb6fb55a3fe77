"""The matching engine of one product: commands in, events out, and nothing else in the world.

Pure and deterministic: `(state, command) -> (state, events)`, integers only.
"""

from matcher.engine.errors import EngineError, SnapshotError, UnknownRulesError
from matcher.engine.product import ProductError, ProductSpec
from matcher.engine.reference import Engine

__all__ = [
    "COMPILED",
    "Engine",
    "EngineError",
    "ProductError",
    "ProductSpec",
    "SnapshotError",
    "UnknownRulesError",
]

COMPILED = False
