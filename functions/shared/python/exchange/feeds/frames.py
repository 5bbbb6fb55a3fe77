"""What clients send: frames that begin or end subscriptions. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exchange.feeds.model import CHANNELS, GRANULARITIES, WATCH, WITHOUT_PRODUCT, Subscription, candles_channel
from exchange.kernel.errors import Code
from exchange.rest.reading import MalformedJsonError, unique_fields

FRAME_BYTES_MAX: Final = 32 * 1024
SUBSCRIPTIONS_MAX: Final = 100
_SIGNED: Final = ("key", "passphrase", "timestamp", "signature")
_FIELDS: Final = frozenset({"type", "product_ids", "channels", "jwt", *_SIGNED})
_CHANNEL_FIELDS: Final = frozenset({"name", "product_ids"})
_ANY_CANDLES: Final = "candles"


class FrameError(ValueError):
    """A frame is not understood, or may not be obeyed; the message is for the client."""

    def __init__(self, message: str, code: Code = Code.FEED_FRAME_INVALID) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """What a client asks: channels of products to begin or to end. "" stands for every product, or every channel.

    `credentials` are the fields that prove who asks, as text, by name; empty where nothing of it was sent.
    """

    is_subscribe: bool
    wanted: tuple[tuple[str, str], ...]
    credentials: Mapping[str, str] = field(default_factory=dict)

    def ends(self, subscription: Subscription) -> bool:
        """Whether an unsubscribe frame names this subscription."""
        if subscription.channel == WATCH:
            return False
        names = {"", subscription.channel}
        if subscription.channel.startswith("candles_"):
            names.add(_ANY_CANDLES)
        return any(
            channel in names and product_id in {"", subscription.product_id} for channel, product_id in self.wanted
        )


def parse_frame(text: str) -> Frame:
    """Read a frame.

    Raises:   FrameError naming what is wrong and the remedy.
    """
    if len(text.encode("utf-8", "replace")) > FRAME_BYTES_MAX:
        raise FrameError("a frame has at most 32 KB; send less at a time", Code.FEED_LIMIT)
    fields = _object(text)
    kind = fields.get("type")
    if kind not in ("subscribe", "unsubscribe"):
        raise FrameError("type must be subscribe or unsubscribe")
    is_subscribe = kind == "subscribe"
    _refuse_unknown(fields, _FIELDS, f"{kind} frame")
    product_ids = _product_ids(fields.get("product_ids", []))
    wanted = tuple(dict.fromkeys(_wanted(fields.get("channels", []), product_ids, is_subscribe=is_subscribe)))
    if is_subscribe and not wanted:
        raise FrameError("name at least one channel, and product_ids for every channel that is of a product")
    if is_subscribe and any(not channel or _lacks_product(channel, product_id) for channel, product_id in wanted):
        raise FrameError("name at least one channel, and product_ids for every channel that is of a product")
    if not wanted:
        raise FrameError("name channels, product_ids or both")
    return Frame(is_subscribe, wanted, _credentials(fields))


def _object(text: str) -> dict[str, Any]:
    try:
        # Numbers stay text: a timestamp is signed as it is written.
        fields = json.loads(text, object_pairs_hook=unique_fields, parse_float=str, parse_int=str, parse_constant=str)
    except MalformedJsonError as error:
        raise FrameError(f"a frame is one JSON object: {error}") from error
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame is one JSON object") from error
    if not isinstance(fields, dict):
        raise FrameError("a frame is one JSON object")
    return fields


def _refuse_unknown(fields: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(fields.keys() - known)
    if unknown:
        raise FrameError(f"{unknown[0][:40]} is not a field of a {where}; leave it out")


def _product_ids(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise FrameError("product_ids must be a list of product ids")
    return [name.replace("/", "-") for name in value]


def _credentials(fields: Mapping[str, Any]) -> dict[str, str]:
    given = {name: fields[name] for name in ("jwt", *_SIGNED) if name in fields}
    for name, value in given.items():
        if not isinstance(value, str):
            raise FrameError(f"{name} must be a string")
    if "jwt" in given and len(given) > 1:
        raise FrameError("send jwt, or key, passphrase, timestamp and signature, not both")
    return given


def _wanted(channels: Any, product_ids: list[str], *, is_subscribe: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(channels, list):
        raise FrameError("channels must be a list")
    if not channels:
        yield from (("", product_id) for product_id in product_ids)
    for channel in channels:
        name, own_ids = _channel(channel, is_subscribe=is_subscribe)
        if name in WITHOUT_PRODUCT:
            if own_ids:
                raise FrameError(f"{name} is not of a product; leave its product_ids out")
            yield name, ""
        else:
            yield from _pairs(name, own_ids or product_ids)


def _pairs(name: str, product_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, product_id) for product_id in product_ids or [""])


def _channel(channel: Any, *, is_subscribe: bool) -> tuple[str, list[str]]:
    """A channel's name and its own product ids, from a name or an object."""
    fields = channel if isinstance(channel, dict) else {"name": channel}
    name = fields.get("name")
    if name not in CHANNELS:
        shown = str(name)[:40]
        raise FrameError(f"{shown} is not a channel here; there are {', '.join(CHANNELS)}", Code.FEED_CHANNEL_UNKNOWN)
    is_candles = name == _ANY_CANDLES
    _refuse_unknown(fields, _CHANNEL_FIELDS | ({"granularity"} if is_candles else set()), f"{name} channel")
    if is_candles and (is_subscribe or "granularity" in fields):
        name = candles_channel(_granularity(fields.get("granularity", "60")))
    return name, _product_ids(fields.get("product_ids", []))


def _granularity(value: Any) -> int:
    if not isinstance(value, str) or value not in map(str, GRANULARITIES):
        raise FrameError(f"granularity must be one of {', '.join(map(str, GRANULARITIES))} (seconds)")
    return int(value)


def _lacks_product(channel: str, product_id: str) -> bool:
    return not product_id and channel not in WITHOUT_PRODUCT
