"""What only C can say, for the interpreter. The compiled engine has it from machine.pxd."""

from array import array

_WORD = 2**64 - 1


def prefetch(buffer: "array[int]", offset_bytes: int) -> None:
    """Ask the processor to bring a cache line near, without waiting for it. An interpreter has no use for that."""


def mix(key: int, seed: int) -> int:
    """31 bits that depend on every bit of a word in a way that nobody foresees who does not know the odd `seed`."""
    key &= _WORD
    return (((key ^ (key >> 32)) * seed) & _WORD) >> 33


def has_tag(cells: "array[int]", start: int, shift: int, tag: int) -> bool:
    """Whether one of the sixteen cells from `start` on is `tag` above its lowest `shift` bits."""
    return any(cell >> shift == tag for cell in cells[start : start + 16])
