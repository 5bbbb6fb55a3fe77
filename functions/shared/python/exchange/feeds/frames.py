"""Who listens to what, and the frames that say so. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from exchange.feeds.model import Subscription

CHANNELS: Final = ("full", "level2", "level2_batch", "matches", "ticker")
LEVEL2: Final = frozenset({"level2", "level2_batch"})  # We update by the batch, so the two are one.
SUBSCRIPTIONS_MAX: Final = 100
_SIGNED: Final = frozenset({"signature", "key", "passphrase", "timestamp"})
_FIELDS: Final = frozenset({"type", "product_ids", "channels"}) | _SIGNED


class FrameError(ValueError):
    """A frame is not understood; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a client asks: channels of products to begin or to end. "" stands for every product, or every channel."""

    is_subscribe: bool
    wanted: tuple[tuple[str, str], ...]

    def ends(self, subscription: Subscription) -> bool:
        """Whether an unsubscribe frame names this subscription."""
        return any(
            channel in {"", subscription.channel} and product_id in {"", subscription.product_id}
            for channel, product_id in self.wanted
        )


def parse_frame(text: str) -> Frame:
    """Read a frame.

    Raises:   FrameError naming what is wrong and the remedy.
    """
    fields = _object(text)
    kind = fields.get("type")
    if kind not in ("subscribe", "unsubscribe"):
        raise FrameError("type must be subscribe or unsubscribe")
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise FrameError(f"{unknown[0][:40]} is not a field of a {kind} frame; leave it out")
    product_ids = _product_ids(fields.get("product_ids", []))
    wanted = tuple(_wanted(fields.get("channels", []), product_ids))
    if kind == "subscribe" and (not wanted or any("" in pair for pair in wanted)):
        raise FrameError("name at least one channel, and product_ids for every channel")
    if not wanted:
        raise FrameError("name channels, product_ids or both")
    return Frame(kind == "subscribe", wanted)


def _object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame is one JSON object") from error
    if not isinstance(fields, dict):
        raise FrameError("a frame is one JSON object")
    return fields


def _product_ids(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise FrameError("product_ids must be a list of product ids")
    return [name.replace("/", "-") for name in value]


def _wanted(channels: Any, product_ids: list[str]) -> Iterable[tuple[str, str]]:
    if not isinstance(channels, list):
        raise FrameError("channels must be a list")
    if not channels:
        yield from (("", product_id) for product_id in product_ids)
    for channel in channels:
        own_ids = product_ids
        name = channel
        if isinstance(channel, dict):
            name = channel.get("name")
            own_ids = _product_ids(channel.get("product_ids", [])) or product_ids
        if name not in CHANNELS:
            raise FrameError(f"{str(name)[:40]} is not a channel here; there are {', '.join(CHANNELS)}")
        yield from ((name, product_id) for product_id in own_ids or [""])
