"""The matching engine of one product: commands in, events out, and nothing else in the world.

Pure and deterministic: `(state, command) -> (state, events)`, integers only. There are two engines of one behaviour:
`reference`, plain Python to read, and `fast`, the same rules on flat buffers, which runs where it was compiled.
`Engine` is the better one of those that are here; `COMPILED` says which.
"""

from typing import TYPE_CHECKING

from matcher.engine.errors import EngineError, SnapshotError, UnknownRulesError
from matcher.engine.product import ProductError, ProductSpec

if TYPE_CHECKING:
    from matcher.engine.fast.engine import Engine

    COMPILED = True
else:
    try:
        from matcher.engine.fast.engine import IS_COMPILED as COMPILED
    except ImportError:
        # Neither compiled nor Cython's stand-in for interpreted runs is here.
        COMPILED = False
    if COMPILED:
        from matcher.engine.fast.engine import Engine
    else:
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
