"""How a breach is worded: its first line says what differs and by how much, the lines below it what each side says.

On a busy exchange both sides move between two looks; what they differ by does not. So the first line, the headline, is
what a difference is known by.
"""

from collections.abc import Sequence
from typing import Final

LINES_MAX: Final = 20
_OFF: Final = ": off by "


def off_by(what: str, units: int, told: str, lines: Sequence[str] = ()) -> str:
    """Two sides that should be equal and are not.

    Units:    `units` in the asset's, the first side less the second.
    """
    below = [told, *lines]
    if len(below) > LINES_MAX:
        below = [*below[:LINES_MAX], f"... and {len(below) - LINES_MAX} more"]
    return "\n    ".join((f"{what}{_OFF}{units:+} units", *below))


def headline(breach: str) -> str:
    """What a breach is known by."""
    return breach.partition("\n")[0]


def subject(breach: str) -> str:
    """What differs, however much."""
    return headline(breach).partition(_OFF)[0]


__all__ = ["headline", "off_by", "subject"]
