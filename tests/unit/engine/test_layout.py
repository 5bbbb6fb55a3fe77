"""The fast engine's numbers are the vocabulary's, and the compiler is told the same ones."""

import re
from enum import IntEnum
from pathlib import Path

import pytest
from exchange.messages import (
    CancelReason,
    ChangeReason,
    DoneReason,
    EventType,
    Op,
    OrderType,
    Phase,
    RejectReason,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)
from exchange.messages.commands import COMMAND_HEADER, COMMAND_STRUCT, PARAMETERS_STRUCT
from exchange.messages.events import EVENT_STRUCTS, RESULT_STRUCT

from matcher.engine.fast import layout
from matcher.engine.snapshot import ORDER

WORDS: dict[str, type[IntEnum]] = {
    "EVENT": EventType,
    "DONE": DoneReason,
    "CHANGE": ChangeReason,
    "CANCEL": CancelReason,
    "REJECT": RejectReason,
    "OP": Op,
    "PHASE": Phase,
    "SIDE": Side,
    "TYPE": OrderType,
    "TIME": TimeInForce,
    "STOP": StopKind,
    "PREVENTION": SelfTradePrevention,
}


@pytest.mark.parametrize("prefix", WORDS)
def test_the_words_have_the_numbers_of_the_vocabulary(prefix: str) -> None:
    for word in WORDS[prefix]:
        if word:
            assert getattr(layout, f"{prefix}_{word.name}") == word


def test_the_compiler_reads_the_same_numbers() -> None:
    text = Path(layout.__file__).with_suffix(".pxd").read_text("utf-8")
    declared = {name: int(value) for name, value in re.findall(r"^    ([A-Z_]+) = (-?\d+)$", text, re.MULTILINE)}
    assert declared == {name: value for name, value in vars(layout).items() if name.isupper()}


def test_the_widths_are_those_of_the_packed_forms() -> None:
    assert COMMAND_STRUCT.size == 8 * layout.COMMAND_WORDS
    assert COMMAND_HEADER.size % 8 == 0
    assert PARAMETERS_STRUCT.size == 8 * layout.PARAMETERS_WORDS
    assert RESULT_STRUCT.size == 8 * layout.RESULT_WORDS
    assert ORDER.size == 8 * layout.SAVED_WORDS
    assert max(body.size for body in EVENT_STRUCTS.values()) <= 8 * layout.EVENT_WORDS_MAX
