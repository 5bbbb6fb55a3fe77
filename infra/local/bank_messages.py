"""What the sandbox bank writes: statements, notifications and status reports as ISO 20022 files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from exchange.iso20022.credit_transfers import amount_text, minor_digits, put
from exchange.iso20022.grammar import NAMESPACE

SCALE = 5


@dataclass(frozen=True, slots=True)
class Booking:
    """A movement of an account at the sandbox bank. Units: `units` of 10^-SCALE, above zero is money in."""

    reference: str
    units: int
    words: str
    name: str
    iban: str
    end_to_end_id: str = "NOTPROVIDED"
    transaction_id: str = ""
    return_code: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one payment; `code` is an ISO status."""

    end_to_end_id: str
    code: str
    reason: str = ""


def statement(
    iban: str, currency: str, number: int, opening: int, bookings: Sequence[Booking], *, at: str, version: str = "08"
) -> bytes:
    """A camt.053 of one account."""
    root, body = _message(f"camt.053.001.{version}", "BkToCstmrStmt", f"STMT-{currency}-{number}", at)
    found = SubElement(body, "Stmt")
    put(found, "Id", f"{iban[-8:]}-{currency}-{number}")
    put(found, "ElctrncSeqNb", str(number))
    put(found, "CreDtTm", at)
    _account(found, iban, currency)
    _balance(found, "OPBD", opening, currency, at)
    _balance(found, "CLBD", opening + sum(each.units for each in bookings), currency, at)
    for booking in bookings:
        _entry(found, booking, currency, at, version)
    return _bytes(root)


def notification(
    iban: str, currency: str, name: str, bookings: Iterable[Booking], *, at: str, version: str = "08"
) -> bytes:
    """A camt.054 of one account."""
    root, body = _message(f"camt.054.001.{version}", "BkToCstmrDbtCdtNtfctn", name, at)
    found = SubElement(body, "Ntfctn")
    put(found, "Id", name)
    put(found, "CreDtTm", at)
    _account(found, iban, currency)
    for booking in bookings:
        _entry(found, booking, currency, at, version)
    return _bytes(root)


def status_report(
    name: str, message_id: str, payments_id: str, told: Sequence[Told], *, at: str, group: tuple[str, str] = ("", "")
) -> bytes:
    """A pain.002; `group` is the status of the whole and its reason."""
    root, body = _message("pain.002.001.10", "CstmrPmtStsRpt", name, at)
    original = SubElement(body, "OrgnlGrpInfAndSts")
    put(original, "OrgnlMsgId", message_id)
    put(original, "OrgnlMsgNmId", "pain.001.001.09")
    if group[0]:
        put(original, "GrpSts", group[0])
        put(SubElement(original, "StsRsnInf"), "Rsn/Cd", group[1])
    if told:
        payments = SubElement(body, "OrgnlPmtInfAndSts")
        put(payments, "OrgnlPmtInfId", payments_id)
        for each in told:
            one = SubElement(payments, "TxInfAndSts")
            put(one, "OrgnlEndToEndId", each.end_to_end_id)
            put(one, "TxSts", each.code)
            if each.reason:
                put(SubElement(one, "StsRsnInf"), "Rsn/Cd", each.reason)
    return _bytes(root)


def _message(name: str, kind: str, message_id: str, at: str) -> tuple[Element, Element]:
    root = Element("Document", xmlns=NAMESPACE + name)
    body = SubElement(root, kind)
    put(body, "GrpHdr/MsgId", message_id)
    put(body.find("GrpHdr"), "CreDtTm", at)
    return root, body


def _account(parent: Element, iban: str, currency: str) -> None:
    put(parent, "Acct/Id/IBAN", iban)
    put(parent.find("Acct"), "Ccy", currency)


def _balance(parent: Element, code: str, units: int, currency: str, at: str) -> None:
    found = SubElement(parent, "Bal")
    put(found, "Tp/CdOrPrtry/Cd", code)
    _money(found, units, currency)
    put(found, "Dt/Dt", at[:10])


def _money(parent: Element, units: int, currency: str) -> None:
    put(parent, "Amt", amount_text(abs(units), SCALE, minor_digits(currency))).set("Ccy", currency)
    put(parent, "CdtDbtInd", "DBIT" if units < 0 else "CRDT")


def _entry(parent: Element, booking: Booking, currency: str, at: str, version: str) -> None:
    entry = SubElement(parent, "Ntry")
    _money(entry, booking.units, currency)
    put(entry, "Sts/Cd" if version >= "08" else "Sts", "BOOK")
    put(entry, "BookgDt/Dt", at[:10])
    put(entry, "AcctSvcrRef", booking.reference)
    put(entry, "BkTxCd/Domn/Cd", "PMNT")
    detail = SubElement(SubElement(entry, "NtryDtls"), "TxDtls")
    put(detail, "Refs/EndToEndId", booking.end_to_end_id)
    if booking.transaction_id:
        put(detail.find("Refs"), "TxId", booking.transaction_id)
    side = "Dbtr" if booking.units > 0 else "Cdtr"
    parties = SubElement(detail, "RltdPties")
    put(parties, f"{side}/Pty/Nm" if version >= "08" else f"{side}/Nm", booking.name)
    put(parties, f"{side}Acct/Id/IBAN", booking.iban)
    put(detail, "RmtInf/Ustrd", booking.words)
    if booking.return_code:
        put(detail, "RtrInf/Rsn/Cd", booking.return_code)


def _bytes(root: Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(tostring(root))
