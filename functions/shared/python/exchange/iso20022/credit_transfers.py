"""Payment orders (pain.001.001.09): what we ask a bank to pay, many in one file, counted and summed."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from exchange.iso20022.grammar import NAMESPACE
from exchange.kernel.errors import require
from exchange.kernel.money import format_units

MESSAGE = "pain.001.001.09"
PAYMENTS_MAX = 80
# Digits after the point that a bank moves, by currency; what is not here has two.
_DIGITS = {"BHD": 3, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "KWD": 3, "TND": 3, "VND": 0}


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The venue's account at the bank."""

    iban: str
    bic: str
    holder: str
    currency: str


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment out. Units: `units` of 10^-`scale` of the batch's currency; `payment_id` is our transfer's id."""

    payment_id: str
    units: int
    scale: int
    payee: str
    iban: str


@dataclass(frozen=True, slots=True)
class PaymentBatch:
    """A file's worth of payments; the same batch is the same bytes at every time of writing."""

    message_id: str
    made_at: str  # UTC, to the second
    debtor: OwnAccount
    payments: Sequence[Payment]


def write_batch(batch: PaymentBatch) -> bytes:
    """The file of a batch. Amounts are exact and have no digit too many. Raises InvariantError for an empty batch."""
    require(0 < len(batch.payments) <= PAYMENTS_MAX, f"a batch has 1 to {PAYMENTS_MAX} payments")
    root = Element("Document", xmlns=NAMESPACE + MESSAGE)
    body = SubElement(root, "CstmrCdtTrfInitn")
    header = SubElement(body, "GrpHdr")
    put(header, "MsgId", batch.message_id)
    put(header, "CreDtTm", batch.made_at)
    _totals(header, batch)
    put(header, "InitgPty/Nm", batch.debtor.holder)
    group = SubElement(body, "PmtInf")
    put(group, "PmtInfId", f"{batch.message_id}-1")
    put(group, "PmtMtd", "TRF")
    put(group, "BtchBookg", "false")
    _totals(group, batch)
    put(group, "ReqdExctnDt/Dt", batch.made_at[:10])
    put(group, "Dbtr/Nm", batch.debtor.holder)
    put(group, "DbtrAcct/Id/IBAN", batch.debtor.iban)
    put(group.find("DbtrAcct"), "Ccy", batch.debtor.currency)
    put(group, "DbtrAgt/FinInstnId/BICFI", batch.debtor.bic)
    put(group, "ChrgBr", "SLEV")
    for payment in batch.payments:
        _payment(group, payment, batch.debtor.currency)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(tostring(root))


def _payment(group: Element, payment: Payment, currency: str) -> None:
    one = SubElement(group, "CdtTrfTxInf")
    named = SubElement(one, "PmtId")
    put(named, "InstrId", instruction_id(payment.payment_id))
    put(named, "EndToEndId", instruction_id(payment.payment_id))
    amount = amount_text(payment.units, payment.scale, minor_digits(currency))
    put(one, "Amt/InstdAmt", amount).set("Ccy", currency)
    put(one, "Cdtr/Nm", payment.payee)
    put(one, "CdtrAcct/Id/IBAN", payment.iban)
    put(one, "RmtInf/Ustrd", f"Withdrawal {payment.payment_id}")


def _totals(parent: Element, batch: PaymentBatch) -> None:
    scale = max(payment.scale for payment in batch.payments)
    total = sum(payment.units * int(10 ** (scale - payment.scale)) for payment in batch.payments)
    put(parent, "NbOfTxs", str(len(batch.payments)))
    put(parent, "CtrlSum", amount_text(total, scale, minor_digits(batch.debtor.currency)))


def minor_digits(currency: str) -> int:
    """How many digits after the point a bank moves in a currency."""
    return _DIGITS.get(currency, 2)


def amount_text(units: int, scale: int, digits: int = 2) -> str:
    """An amount as banks write it. Raises InvariantError where it has more digits than they move."""
    whole, _, part = format_units(units, scale).partition(".")
    require(len(part) <= digits, f"{whole}.{part} has more than the {digits} digits that a bank moves")
    return f"{whole}.{part:0<{digits}}" if digits else whole


def instruction_id(transfer_id: str) -> str:
    """Our transfer's id as an end-to-end id, which has at most 35 characters: a UUID without its dashes."""
    return transfer_id.replace("-", "")


def transfer_id_of(end_to_end_id: str) -> str:
    """The transfer that an end-to-end id of ours names; empty for anybody else's."""
    text = end_to_end_id.lower()
    if len(text) != 32 or not all(letter in "0123456789abcdef" for letter in text):
        return ""
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def put(parent: Element | None, path: str, text: str) -> Element:
    """Put a text at a path below, making what is missing on the way."""
    require(parent is not None, f"nothing to put {path} below")
    element: Element = parent if parent is not None else Element("unreached")
    *above, name = path.split("/")
    for each in above:
        found = element.find(each)
        element = SubElement(element, each) if found is None else found
    made = SubElement(element, name)
    made.text = text
    return made
