"""Bank files: what a sound one says in both versions, and what is said of each of the damaged ones."""

import re
from collections.abc import Callable

import pytest
from exchange.iso20022.credit_transfers import (
    OwnAccount,
    Payment,
    PaymentBatch,
    instruction_id,
    minor_digits,
    transfer_id_of,
    write_batch,
)
from exchange.iso20022.grammar import FILE_BYTES_MAX, FileRefusedError, check_digits, is_iban, read_message
from exchange.iso20022.schemas import INCOMING, OUTGOING
from exchange.iso20022.statements import read_reports
from exchange.iso20022.statuses import Verdict, read_statuses
from exchange.kernel.errors import InvariantError
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.bank_messages import Booking, Told, notification, statement, status_report

OURS, THEIRS = "DE89370400440532013000", "GB29NWBK60161331926819"
AT = "2026-01-02T03:04:05Z"
BOOKINGS = (
    Booking("R1", 10_00000, "RF18 rent", "Dora & Söhne", THEIRS),
    Booking("R2", -5_00000, "w", "Bob", THEIRS, "0" * 31 + "1", "T1", "AC04"),
)
STATEMENT = statement(OURS, "EUR", 1, 0, BOOKINGS, at=AT)
OLDER = statement(OURS, "EUR", 1, 0, BOOKINGS, at=AT, version="02")
NOTICE = notification(OURS, "EUR", "N1", BOOKINGS, at=AT)
STATUS = status_report("S1", "M1", "M1-1", [Told("a" * 32, "RJCT", "AC04"), Told("b" * 32, "ACSC")], at=AT)
BATCH = PaymentBatch(
    "M1",
    "2026-01-02T03:04:05",
    OwnAccount(OURS, "SANDDEFF", "The Exchange", "EUR"),
    [Payment("00000000-0000-0001-8000-000000000001", 12_340_000, 6, "Bob & <Co>", THEIRS)],
)


def read(content: bytes) -> object:
    """A file, as the inbox reads it."""
    message = read_message(content, INCOMING)
    return read_statuses(message) if message.name.startswith("pain") else read_reports(message)


@pytest.mark.parametrize("content", [STATEMENT, OLDER])
def test_a_statement_says_the_same_in_both_versions(content: bytes) -> None:
    (report,) = read_reports(read_message(content, INCOMING))
    first, second = report.lines
    assert (report.iban, report.currency, report.number, report.opening, report.closing) == (OURS, "EUR", 1, 0, 500_000)
    assert (first.key, first.units, first.texts, first.other_name, first.other_iban) == (
        "R1", 1_000_000, ("RF18 rent",), "Dora & Söhne", THEIRS,
    )  # fmt: skip
    assert (second.units, second.end_to_end_id, second.transaction_id, second.return_reason) == (
        -500_000, "0" * 31 + "1", "T1", "AC04",
    )  # fmt: skip


def test_only_a_payments_own_settlement_is_paid_and_its_own_rejection_refused() -> None:
    codes = {"ACSC": "paid", "ACCC": "paid", "RJCT": "refused", "CANC": "refused", "ACSP": "pending", "PDNG": "pending"}
    content = status_report("S1", "M1", "M1-1", [Told(code * 8, code) for code in codes], at=AT)
    report = read_statuses(read_message(content, INCOMING))
    assert {each.code: each.verdict.value for each in report.payments} == codes
    whole = read_statuses(read_message(status_report("S1", "M1", "", [], at=AT, group=("RJCT", "DU01")), INCOMING))
    assert (whole.payments, whole.group_refused) == ((), "DU01")
    assert Verdict.REFUSED not in {each.verdict for each in whole.payments}


def test_what_we_send_has_the_structure_of_the_standard_and_exact_sums() -> None:
    body = read_message(write_batch(BATCH), OUTGOING).body
    assert (body("GrpHdr/NbOfTxs"), body("GrpHdr/CtrlSum"), body("PmtInf/CtrlSum")) == ("1", "12.34", "12.34")
    assert body("PmtInf/CdtTrfTxInf/Cdtr/Nm") == "Bob & <Co>"
    assert body("PmtInf/CdtTrfTxInf/PmtId/EndToEndId") == instruction_id(BATCH.payments[0].payment_id)
    assert transfer_id_of(instruction_id(BATCH.payments[0].payment_id)) == BATCH.payments[0].payment_id
    assert write_batch(BATCH) == write_batch(BATCH)
    with pytest.raises(InvariantError):
        write_batch(PaymentBatch("M1", AT, BATCH.debtor, [Payment("x", 1, 6, "Bob", THEIRS)]))


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=80), st.sampled_from(["EUR", "JPY", "KWD"]))
@settings(deadline=None)
def test_control_sums_are_the_sum_to_the_last_digit(amounts: list[int], currency: str) -> None:
    step = 10 ** (6 - minor_digits(currency))
    owner = OwnAccount(OURS, "SANDDEFF", "X", currency)
    payments = [Payment(f"{n}", units // step * step or step, 6, "Bob", THEIRS) for n, units in enumerate(amounts)]
    body = read_message(write_batch(PaymentBatch("M1", AT, owner, payments)), OUTGOING).body
    whole, _, part = body("GrpHdr/CtrlSum").partition(".")
    assert int(whole + part.ljust(6, "0")) == sum(payment.units for payment in payments)


def test_check_digits_make_what_they_check() -> None:
    rest = "0000000000ABC"
    assert is_iban(f"RF{check_digits('RF', rest)}{rest}")
    assert not is_iban(f"RF{check_digits('RF', rest)}{rest[::-1]}")


def swapped(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    """One text for another."""

    def damage(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, count)

    return damage


def without(name: str) -> Callable[[str], str]:
    """The first element of a name left out."""
    return lambda text: re.sub(rf"<{name}( [^>]*)?>.*?</{name}>", "", text, count=1, flags=re.DOTALL)


def doubled(name: str) -> Callable[[str], str]:
    """The first element of a name twice."""
    return lambda text: re.sub(rf"(<{name}( [^>]*)?>.*?</{name}>)", r"\1\1", text, count=1, flags=re.DOTALL)


HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
BOMB = '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
OUTSIDE = '<!DOCTYPE b SYSTEM "http://127.0.0.1/evil.dtd">'
# The file, what is done to it, and the element that the refusal must name.
DAMAGED: tuple[tuple[bytes, Callable[[str], str], str], ...] = (
    (STATEMENT, lambda _: "", "Document"),
    (STATEMENT, lambda _: "   \n", "Document"),
    (STATEMENT, lambda text: text[:-1], "Document"),
    (STATEMENT, lambda text: text[: len(text) // 2], "Document"),
    (STATEMENT, lambda text: text + "<x/>", "Document"),
    (STATEMENT, lambda _: "{}", "Document"),
    (STATEMENT, lambda _: "<Document/>", "Document"),
    (STATEMENT, swapped(HEAD, HEAD + BOMB), "Document"),
    (STATEMENT, swapped(HEAD, HEAD + OUTSIDE), "Document"),
    (STATEMENT, swapped("RF18 rent", "&unknown;"), "Document"),
    (STATEMENT, swapped("RF18 rent", "a\x00b"), "Document"),
    (STATEMENT, swapped("UTF-8", "no-such-code"), "Document"),
    (STATEMENT, lambda text: text + " " * FILE_BYTES_MAX, "Document"),
    (STATEMENT, swapped("RF18 rent", "<a>" * 40 + "</a>" * 40), "a"),
    (STATEMENT, swapped("camt.053.001.08", "camt.052.001.08"), "Document"),
    (STATEMENT, swapped("urn:iso:std:iso:20022:tech:xsd:", "urn:other:"), "Document"),
    (STATEMENT, lambda text: text.replace("Document", "Dokument"), "Dokument"),
    (STATEMENT, lambda text: text.replace("BkToCstmrStmt", "BkToCstmrAcctRpt"), "BkToCstmrStmt"),
    (STATEMENT, without("GrpHdr"), "GrpHdr"),
    (STATEMENT, without("MsgId"), "MsgId"),
    (STATEMENT, swapped("<MsgId>STMT-EUR-1</MsgId>", "<MsgId></MsgId>"), "MsgId"),
    (STATEMENT, swapped("<MsgId>STMT-EUR-1</MsgId>", f"<MsgId>{'x' * 36}</MsgId>"), "MsgId"),
    (STATEMENT, swapped(AT, "yesterday"), "CreDtTm"),
    (STATEMENT, without("Stmt"), "Stmt"),
    (STATEMENT, without("Acct"), "Acct"),
    (STATEMENT, without("ElctrncSeqNb"), "ElctrncSeqNb"),
    (STATEMENT, swapped("<ElctrncSeqNb>1<", "<ElctrncSeqNb>-1<"), "ElctrncSeqNb"),
    (STATEMENT, swapped("<ElctrncSeqNb>1<", "<ElctrncSeqNb>1.5<"), "ElctrncSeqNb"),
    (STATEMENT, swapped(OURS, "DE89370400440532013001"), "IBAN"),
    (STATEMENT, swapped(f"<IBAN>{OURS}</IBAN>", ""), "Acct/Id"),
    (STATEMENT, swapped("<Ccy>EUR</Ccy>", "<Ccy>EURO</Ccy>"), "Ccy"),
    (STATEMENT, swapped("<Ccy>EUR</Ccy>", "<Ccy>USD</Ccy>"), "Amt"),
    (STATEMENT, without("Bal"), "Bal"),
    (STATEMENT, doubled("Bal"), "Bal"),
    (STATEMENT, swapped("<Cd>CLBD</Cd>", "<Cd>CLAV</Cd>"), "Bal"),
    (STATEMENT, swapped(">5.00<", ">5.01<"), "Bal"),
    (STATEMENT, swapped(">0.00<", ">0.01<"), "Bal"),
    (STATEMENT, without("Ntry"), "Bal"),
    (STATEMENT, doubled("Ntry"), "Bal"),
    (STATEMENT, lambda text: text.replace("Ntry>", "Ntryy>"), "Ntryy"),
    (STATEMENT, swapped(">10.00<", ">-10.00<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">1e1<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">10,00<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">ten<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">NaN<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">10.000001<"), "Amt"),
    (STATEMENT, swapped(">10.00<", ">\u0661\u0660<"), "Amt"),
    (STATEMENT, swapped(">10.00<", "><x/>10.00<"), "Amt"),
    (STATEMENT, swapped('<Amt Ccy="EUR">10.00', "<Amt>10.00"), "Amt"),
    (STATEMENT, swapped('<Amt Ccy="EUR">10.00', '<Amt Ccy="eur">10.00'), "Amt"),
    (STATEMENT, swapped('<Amt Ccy="EUR">10.00', '<Amt Ccy="USD">10.00'), "Amt"),
    (STATEMENT, swapped("CRDT</CdtDbtInd><Sts>", "CREDIT</CdtDbtInd><Sts>"), "CdtDbtInd"),
    (STATEMENT, swapped("CRDT</CdtDbtInd><Sts>", "DBIT</CdtDbtInd><Sts>"), "Bal"),
    (STATEMENT, swapped("<CdtDbtInd>CRDT</CdtDbtInd><Sts>", "<Sts>"), "CdtDbtInd"),
    (STATEMENT, swapped("<Cd>BOOK</Cd>", "<Cd>DONE</Cd>"), "Sts"),
    (STATEMENT, swapped("<Sts><Cd>BOOK</Cd></Sts>", "<Sts><Prtry>DONE</Prtry></Sts>"), "Sts"),
    (STATEMENT, swapped("<Sts><Cd>BOOK</Cd></Sts>", ""), "Sts"),
    (STATEMENT, swapped("<Cd>BOOK</Cd>", "<Cd>PDNG</Cd>"), "Bal"),
    (STATEMENT, swapped("<AcctSvcrRef>R1</AcctSvcrRef>", ""), "AcctSvcrRef"),
    (STATEMENT, swapped("<AcctSvcrRef>R2<", "<AcctSvcrRef>R1<"), "AcctSvcrRef"),
    (STATEMENT, swapped("<AcctSvcrRef>R1</AcctSvcrRef>", f"<AcctSvcrRef>{'R' * 36}</AcctSvcrRef>"), "AcctSvcrRef"),
    (STATEMENT, swapped("<BkTxCd>", "<BkTxCode>"), "Document"),
    (STATEMENT, without("BkTxCd"), "BkTxCd"),
    (STATEMENT, swapped("<TxDtls>", "<TxDtls><Amt Ccy='EUR'>3.00</Amt>"), "Refs"),
    (STATEMENT, swapped("</Refs>", "</Refs><Amt Ccy='EUR'>3.00</Amt>"), "Amt"),
    (STATEMENT, swapped("</TxDtls>", "</TxDtls><TxDtls><Refs/></TxDtls>"), "Amt"),
    (STATEMENT, swapped("<Refs>", "<Refs xmlns='urn:other'>"), "Refs"),
    (STATEMENT, swapped("<Ntry>", "<Ntry>loose words"), "Ntry"),
    (STATEMENT, swapped("</Ntry>", "</Ntry>loose words"), "Stmt"),
    (STATEMENT, swapped(THEIRS, "GB00NWBK60161331926819"), "IBAN"),
    (STATEMENT, swapped("<Acct>", "<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn><Acct>"), "Acct"),
    (STATEMENT, swapped("<ElctrncSeqNb>", "<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn><ElctrncSeqNb>"), "StmtPgntn"),  # noqa: E501
    (OLDER, swapped("<Sts>BOOK</Sts>", "<Sts>BOOKED</Sts>"), "Sts"),
    (NOTICE, swapped("<AcctSvcrRef>R1</AcctSvcrRef>", ""), "AcctSvcrRef"),
    (NOTICE, swapped("<AcctSvcrRef>R2<", "<AcctSvcrRef>R1<"), "AcctSvcrRef"),
    (NOTICE, swapped("<Ntry>", "<TxsSummry><TtlCdtNtries><Sum>9.99</Sum></TtlCdtNtries></TxsSummry><Ntry>"), "Sum"),
    (NOTICE, swapped("<Ntry>", "<TxsSummry><TtlDbtNtries><Sum>x</Sum></TtlDbtNtries></TxsSummry><Ntry>"), "Sum"),
    (NOTICE, without("Ntfctn"), "Ntfctn"),
    (STATUS, without("OrgnlMsgId"), "OrgnlMsgId"),
    (STATUS, without("OrgnlGrpInfAndSts"), "OrgnlGrpInfAndSts"),
    (STATUS, without("OrgnlPmtInfId"), "OrgnlPmtInfId"),
    (STATUS, without("OrgnlEndToEndId"), "OrgnlEndToEndId"),
    (STATUS, swapped("<TxSts>ACSC<", "<TxSts>PAID<"), "TxSts"),
    (STATUS, swapped("<TxSts>ACSC<", "<TxSts>settled<"), "TxSts"),
    (STATUS, doubled("TxSts"), "TxSts"),
    (STATUS, swapped("<Cd>AC04</Cd>", "<Cd>ACCOUNT</Cd>"), "Cd"),
)  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len(DAMAGED) >= 60


@pytest.mark.parametrize(("content", "damage", "element"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_refused_by_the_name_of_its_element(
    content: bytes, damage: Callable[[str], str], element: str
) -> None:
    damaged = damage(content.decode())
    assert damaged != content.decode()
    with pytest.raises(FileRefusedError) as refused:
        read(damaged.encode())
    assert element in refused.value.element, refused.value
    assert refused.value.reason
    assert read(content)


@given(st.integers(0, len(STATEMENT) - 1), st.binary(max_size=3), st.integers(0, 4))
@settings(max_examples=400, deadline=None)
def test_whatever_bytes_are_changed_it_is_read_whole_or_refused(at: int, put_in: bytes, taken: int) -> None:
    changed = STATEMENT[:at] + put_in + STATEMENT[at + taken :]
    try:
        reports = read_reports(read_message(changed, INCOMING))
    except FileRefusedError:
        return
    for report in reports:
        assert report.opening + sum(line.units for line in report.lines) == report.closing
