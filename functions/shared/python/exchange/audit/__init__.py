"""The invariants of the whole exchange, written once and checked wherever it matters: `check(world)`."""

from exchange.audit.model import Finding, World
from exchange.audit.service import check

__all__ = ["Finding", "World", "check"]
