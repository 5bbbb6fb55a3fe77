"""References that stand on bank transfers: a number of ours as a creditor reference of ISO 11649."""

from exchange.iso20022.grammar import check_digits

HOUSE_ACCOUNT_ID = 0  # Transfers of nobody's money yet are the house's own.
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_REFERENCE_DIGITS = 13  # of base 36: as many as 63 bits need


def reference_of(number: int) -> str:
    """What a customer with this account number writes on every transfer, check digits and all."""
    digits, rest = "", number
    while rest:
        rest, digit = divmod(rest, 36)
        digits = _ALPHABET[digit] + digits
    digits = digits.rjust(_REFERENCE_DIGITS, "0")
    return f"RF{check_digits('RF', digits)}{digits}"


def number_of(reference: str) -> int:
    """The number in a reference of ours, whose check digits are known to be good."""
    return int(reference[4:], 36)
