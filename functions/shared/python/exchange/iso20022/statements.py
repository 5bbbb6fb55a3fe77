"""Statements (camt.053) and notifications (camt.054) as what they say of money: lines, and sums that must fit."""

from collections.abc import Iterator
from dataclasses import dataclass

from exchange.iso20022.grammar import FileRefusedError, Message, Node
from exchange.kernel.money import DecimalError, parse_decimal

# An amount has at most five digits after the point; here all are counted in the last of them.
SCALE = 5
LINES_MAX = 20_000
_OPENING = ("OPBD", "PRCD")


@dataclass(frozen=True, slots=True)
class Line:
    """One booked movement of the account.

    Units:    `units` of 10^-SCALE; above zero is money in. `key` names the movement for ever, in whatever file.
    """

    key: str
    units: int
    path: str
    end_to_end_id: str = ""
    transaction_id: str = ""
    texts: tuple[str, ...] = ()  # what the sender wrote, the structured reference first
    other_name: str = ""
    other_iban: str = ""
    return_reason: str = ""  # not empty: this gives an earlier payment back
    reverses: bool = False  # the bank undoes an entry of its own


@dataclass(frozen=True, slots=True)
class Report:
    """Lines of one account. A statement has a number and balances; a notification has none.

    Units:    `opening` and `closing` of 10^-SCALE.
    """

    report_id: str
    iban: str
    currency: str
    lines: tuple[Line, ...]
    number: int = 0
    opening: int = 0
    closing: int = 0


def read_reports(message: Message) -> list[Report]:
    """Every statement or notification of a file.

    Raises:   FileRefusedError: a sum does not fit, a currency is another, a line can't be told from its repetition.
    """
    statements = message.name.startswith("camt.053.")
    reports = [_report(node, statement=statements) for node in message.body.each("Stmt" if statements else "Ntfctn")]
    seen: dict[str, str] = {}
    for report in reports:
        for line in report.lines:
            if seen.setdefault(f"{report.iban}/{report.currency}/{line.key}", line.path) != line.path:
                raise FileRefusedError(f"{line.path}/AcctSvcrRef", f"{line.key} stands in this file more than once")
    if sum(len(report.lines) for report in reports) > LINES_MAX:
        raise FileRefusedError(message.body.path, f"a file has at most {LINES_MAX} entries")
    return reports


def _report(node: Node, *, statement: bool) -> Report:
    _whole(node, "StmtPgntn" if statement else "NtfctnPgntn")
    currency, iban = _currency(node), node("Acct/Id/IBAN") or node("Acct/Id/Othr/Id")
    if not iban:
        raise node.refuse("Acct/Id", "names no account")
    lines = tuple(line for entry in node.each("Ntry") for line in _lines(entry, currency))
    _check_summary(node, lines)
    if not statement:
        return Report(node("Id"), iban, currency, lines)
    number = node("ElctrncSeqNb") or node("LglSeqNb")
    if not number:
        raise node.refuse("ElctrncSeqNb", "is missing: a statement without a number can't be put in order")
    opening, closing = _balance(node, _OPENING, currency), _balance(node, ("CLBD",), currency)
    total = sum(line.units for line in lines)
    if opening + total != closing:
        raise node.refuse("Bal", f"opening {_told(opening)} and entries {_told(total)} do not make {_told(closing)}")
    return Report(node("Id"), iban, currency, lines, int(number), opening, closing)


def _whole(node: Node, pages: str) -> None:
    page = node.first(pages)
    if page and (int(page("PgNb")), page("LastPgInd") in {"true", "1"}) != (1, True):
        raise node.refuse(pages, "is one of several pages; ask the bank for whole files")


def _currency(node: Node) -> str:
    first = node.first("Bal") or node.first("Ntry")
    currency = node("Acct/Ccy") or (first.attribute("Amt", "Ccy") if first else "")
    if not currency:
        raise node.refuse("Acct/Ccy", "is missing")
    return currency


def _balance(node: Node, codes: tuple[str, ...], currency: str) -> int:
    found = [each for each in node.each("Bal") if each("Tp/CdOrPrtry/Cd") in codes]
    if len(found) != 1:
        raise node.refuse("Bal", f"{len(found)} balances of the type {' or '.join(codes)}, one expected")
    return _signed(found[0], currency)


def _lines(entry: Node, currency: str) -> Iterator[Line]:
    units = _signed(entry, currency)
    status = entry("Sts/Cd") or entry("Sts")
    if status != "BOOK":
        if status in {"PDNG", "INFO", "FUTR"}:  # Not booked, so no balance has it yet.
            return
        raise entry.refuse("Sts", f"{status or 'nothing'} is no status of an entry")
    if not units:  # A line of words; it moves nothing.
        return
    details = [each for detail in entry.each("NtryDtls") for each in detail.each("TxDtls")]
    reverses = entry("RvslInd") in {"true", "1"}
    if len(details) <= 1:
        told = details[0] if details else entry
        if details and told("Amt") and abs(_amount(told, currency)) != abs(units):
            raise told.refuse("Amt", f"is not the entry's {_told(abs(units))}")
        reference = entry("AcctSvcrRef") or (told("Refs/AcctSvcrRef") if details else "")
        yield _line(entry, told, reference, units, reverses=reverses)
        return
    sign, total = (1 if units > 0 else -1), 0
    for number, detail in enumerate(details, 1):
        part = sign * _amount(detail, currency)
        if detail("CdtDbtInd") and detail("CdtDbtInd") != entry("CdtDbtInd"):
            raise detail.refuse("CdtDbtInd", "is another than the entry's")
        total += part
        own = detail("Refs/AcctSvcrRef")
        reference = own or (entry("AcctSvcrRef") and f"{entry('AcctSvcrRef')}/{number}")
        yield _line(entry, detail, reference, part, reverses=reverses)
    if total != units:
        raise entry.refuse("NtryDtls", f"its transactions make {_told(total)}, the entry is {_told(units)}")


def _line(entry: Node, told: Node, reference: str, units: int, *, reverses: bool) -> Line:
    if not reference:
        raise entry.refuse("AcctSvcrRef", "is missing: this entry could not be told from its repetition")
    # The other side of the account: who paid us, or whom we paid.
    side = "Dbtr" if units > 0 else "Cdtr"
    parties = f"RltdPties/{side}"
    end_to_end = told("Refs/EndToEndId")
    remittance = told.first("RmtInf")
    texts = [part("CdtrRefInf/Ref") for part in remittance.each("Strd")] if remittance else []
    texts += [part.text for part in remittance.each("Ustrd")] if remittance else []
    returned = told.first("RtrInf")
    reason = (returned("Rsn/Cd") or returned("Rsn/Prtry") or "no reason given") if returned else ""
    return Line(
        key=reference,
        units=units,
        path=told.path,
        end_to_end_id="" if end_to_end == "NOTPROVIDED" else end_to_end,
        transaction_id=told("Refs/TxId"),
        texts=tuple(text for text in texts if text),
        other_name=told(f"{parties}/Pty/Nm") or told(f"{parties}/Nm"),
        other_iban=told(f"RltdPties/{side}Acct/Id/IBAN"),
        return_reason=reason,
        reverses=reverses,
    )


def _check_summary(node: Node, lines: tuple[Line, ...]) -> None:
    """Where the bank counts its entries, the count and the sums are these."""
    for name, sums in (
        ("TtlCdtNtries", [line.units for line in lines if line.units > 0]),
        ("TtlDbtNtries", [-line.units for line in lines if line.units < 0]),
    ):
        totals = node.first(f"TxsSummry/{name}")
        if totals and totals("Sum") and _decimal(totals, "Sum") != sum(sums):
            raise totals.refuse("Sum", f"is {totals('Sum')}, the entries make {_told(sum(sums))}")


def _signed(node: Node, currency: str) -> int:
    units = _amount(node, currency)
    return units if node("CdtDbtInd") == "CRDT" else -units


def _amount(node: Node, currency: str) -> int:
    if not node("Amt"):
        raise node.refuse("Amt", "is missing")
    if node.attribute("Amt", "Ccy") != currency:
        raise node.refuse("Amt", f"is in {node.attribute('Amt', 'Ccy')}, the account in {currency}")
    return _decimal(node, "Amt")


def _decimal(node: Node, path: str) -> int:
    try:
        return parse_decimal(node(path), SCALE)
    except DecimalError as error:
        raise node.refuse(path, str(error)) from error


def _told(units: int) -> str:
    """Units as decimal text, signed."""
    whole, part = divmod(abs(units), 10**SCALE)
    return f"{'-' if units < 0 else ''}{whole}.{part:0{SCALE}d}"
