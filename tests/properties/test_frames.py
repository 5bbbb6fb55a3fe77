"""Whatever a client sends, it gets an answer: no frame is ignored, and none breaks anything."""

import json
from typing import Any

from exchange.feeds.model import CHANNELS
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.feeds.house import SIGNED, House

NAMES = st.sampled_from([*CHANNELS, "candles_60", "watch", "", "ACME-USD", "ACME/USD", "NO-SUCH", "user#1", "\ud800"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20) | NAMES
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
CHANNEL = NAMES | st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "product_ids": st.lists(NAMES, max_size=3) | VALUES,
        "granularity": st.sampled_from([60, 300, 7]) | VALUES,
    },
)
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "unsubscribe"]) | VALUES},
    optional={
        "product_ids": st.lists(NAMES, max_size=3) | VALUES,
        "channels": st.lists(CHANNEL, max_size=4) | VALUES,
        "jwt": VALUES,
        **{name: st.just(value) | VALUES for name, value in SIGNED.items()},
        "more": VALUES,
    },
)


@given(FRAMES)
def test_every_frame_is_answered(frame: dict[str, Any]) -> None:
    check_answer(json.dumps(frame))


@given(st.text(max_size=60) | VALUES.map(json.dumps))
def test_every_text_is_answered(text: str) -> None:
    check_answer(text)


def check_answer(text: str) -> None:
    house = House()
    house.connect("ann")
    house.sockets.receive("ann", text)
    answers = [message["type"] for message in house.inboxes.take("ann")]
    assert ("error" in answers) != ("subscriptions" in answers)
    is_listening = bool(house.connections.rows["ann"])
    assert not (is_listening and "error" in answers)
