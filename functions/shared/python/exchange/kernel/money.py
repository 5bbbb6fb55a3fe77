"""Exact money: integers inside, decimal text on every wire. No float comes near it."""

import re

DECIMALS_MAX = 18
_DECIMAL = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)


class DecimalError(ValueError):
    """The text is no decimal, or says more decimals than the unit has."""


class DecimalTooPreciseError(DecimalError):
    """A well-formed decimal that falls between two units."""


def parse_decimal(text: str, scale: int) -> int:
    """Read decimal text as a whole number of units of 10^-scale.

    Refuses:  signs, exponents, blanks, digits that aren't ASCII, more than 18 digits on a side.
    Raises:   DecimalTooPreciseError when it falls between two units; DecimalError for all else.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise DecimalError(f"{text[:40]!r} is not a decimal: write it as digits, like 10 or 0.25")
    whole, fraction = match.group(1), (match.group(2) or "").rstrip("0")
    if len(fraction) > scale:
        raise DecimalTooPreciseError(f"{text} has more than {scale} decimals")
    return int(whole + fraction.ljust(scale, "0"))


def format_units(units: int, scale: int) -> str:
    """Write units of 10^-scale as decimal text: no exponent, no needless zeros ("10", "0.5", "-3.25")."""
    sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
    if scale == 0:
        return sign + digits
    digits = digits.rjust(scale + 1, "0")
    whole, fraction = digits[:-scale], digits[-scale:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def divide_down(dividend: int, divisor: int) -> int:
    """Divide and round toward minus infinity."""
    return dividend // divisor


def divide_up(dividend: int, divisor: int) -> int:
    """Divide and round toward plus infinity."""
    return -(-dividend // divisor)
