"""The classes of the fast engine: from the unit that setup.py compiles of all their files, else from the files."""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:
    try:
        from matcher.engine.fast.unit import (
            IS_COMPILED,
            CommandIds,
            Core,
            Expiries,
            HashCells,
            OrderIds,
            OrderPages,
            OrderPool,
            RecentIds,
            has_strange_bits,
        )
    except ImportError:
        IS_UNIT = False
    else:
        IS_UNIT = True

if TYPE_CHECKING or not IS_UNIT:
    from matcher.engine.fast.command_ids import CommandIds
    from matcher.engine.fast.core import IS_COMPILED, Core
    from matcher.engine.fast.expiries import Expiries
    from matcher.engine.fast.hash_cells import HashCells
    from matcher.engine.fast.order_ids import OrderIds
    from matcher.engine.fast.order_pool import OrderPool
    from matcher.engine.fast.recent_ids import RecentIds
    from matcher.engine.fast.records import has_strange_bits
    from matcher.engine.fast.saving import OrderPages

__all__ = [
    "IS_COMPILED",
    "CommandIds",
    "Core",
    "Expiries",
    "HashCells",
    "OrderIds",
    "OrderPages",
    "OrderPool",
    "RecentIds",
    "has_strange_bits",
]
