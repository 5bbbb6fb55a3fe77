# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Judging a whole record of commands in one pass, before any of them is carried out."""

import cython

if not cython.compiled:
    from matcher.engine.fast.layout import (
        COMMAND_HEAD,
        COMMAND_RULES,
        COMMAND_WORDS,
        OP_CONFIGURE,
        RECORD_HEADER_WORDS,
    )


def has_strange_bits(data: bytes) -> int:
    """Whether a record of commands of equal length has flags or padding that need a closer look, or parameters."""
    if cython.compiled:
        words = cython.cast(cython.p_longlong, cython.cast(cython.p_char, data))
    else:
        words = memoryview(data).cast("q")
    end = len(data) // 8
    at = RECORD_HEADER_WORDS
    strange = 0
    while at < end:
        head = words[at + COMMAND_HEAD]
        # Flags are the seventh byte, of which the lowest bit may be set; behind the rules' 16 bits there is padding.
        strange |= ((head >> 48) & 254) | (words[at + COMMAND_RULES] >> 16) | ((head & 255) == OP_CONFIGURE)
        at += COMMAND_WORDS
    return 1 if strange else 0
