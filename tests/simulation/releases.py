"""The releases of the matcher that a run has: two of today's rules, and the next one, which knows rules of its own too.

Nobody has written version 2 of the rules yet. The one here is made up, and small: market orders are refused. Whoever
went on by version 1 where the log asks for version 2 would so say other bytes, and be seen.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from exchange.kernel.ids import command_id_for
from exchange.messages import Command, Op, OrderType, ProductParameters, RejectReason, encode_commands

from matcher.engine import EngineError, SnapshotError
from matcher.engine.checks import refusal_of_place
from matcher.engine.product import ProductSpec
from matcher.engine.reference import Engine as ReferenceEngine
from matcher.engines import ProductEngines
from matcher.markets import Engine, Engines
from matcher.snapshots import SnapshotCorruptError, decode_state

NEXT_RULES: Final = 2


class NextEngine(ReferenceEngine):
    """The reference of the next release: what it does under today's rules is what everybody does."""

    known_rules = ReferenceEngine.known_rules | {NEXT_RULES}

    @property
    def follows_next_rules(self) -> bool:
        """Whether the log has switched to them."""
        return self._state.rules_version == NEXT_RULES

    def _place(self, command: Command) -> None:
        is_refused = self.follows_next_rules and command.order_type == OrderType.MARKET
        if is_refused and not refusal_of_place(self._state, command):
            self._reject(command, RejectReason.INVALID_FUNDS)
            self._remember(command.order_id)
        else:
            super()._place(command)


class PlainEngines:
    """Engines in plain Python, of one release or the other."""

    def __init__(self, engine: type[ReferenceEngine]) -> None:
        self._engine = engine

    def create(self, product_id: str, parameters: ProductParameters) -> Engine:
        """An engine with an empty book."""
        return self._engine(ProductSpec.from_parameters(product_id, parameters))

    def restore(self, data: bytes) -> Engine:
        """The engine that a snapshot was taken of. Raises SnapshotCorruptError, UnknownRulesError."""
        try:
            return self._engine.restore(data)
        except SnapshotError as error:
            raise SnapshotCorruptError(str(error)) from error


NEXT_RELEASE: Final[Engines] = PlainEngines(NextEngine)
RELEASES: Final[tuple[Engines, ...]] = (ProductEngines(), PlainEngines(ReferenceEngine), NEXT_RELEASE)


def saved_markets(key: str, data: bytes) -> Mapping[str, NextEngine]:
    """The markets of a shard's snapshot, as the next release restores them; none of a damaged one."""
    # What the matcher's own code makes of it. Where that checks too little, all sorts of errors come of damaged bytes.
    try:
        state = decode_state(data, shard_id=key.split("/", maxsplit=1)[0])
        return {product_id: NextEngine.restore(saved) for product_id, saved in state.markets.items()}
    except (ValueError, LookupError, TypeError, struct.error, EngineError):
        return {}


def switch_record(product_id: str) -> bytes:
    """What has a product follow the next rules from here on: the very same however often it is sent."""
    command_id = command_id_for("rules", NEXT_RULES)
    return encode_commands(product_id, [Command(Op.RULES_VERSION, command_id, rules_version=NEXT_RULES)])
