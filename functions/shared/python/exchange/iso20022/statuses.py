"""Status reports (pain.002): what a bank says of payments that it was asked to make, each by its own status."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from exchange.iso20022.grammar import Message, Node


class Verdict(StrEnum):
    """What a status means. Only settled is paid, and only a payment's own rejection is a refusal."""

    PAID = "paid"
    REFUSED = "refused"
    PENDING = "pending"


_VERDICTS = {
    "ACSC": Verdict.PAID,  # settled on the debtor's account
    "ACCC": Verdict.PAID,  # settled on the creditor's account
    "RJCT": Verdict.REFUSED,
    "CANC": Verdict.REFUSED,
}
_PENDING = frozenset({"ACCP", "ACTC", "ACSP", "ACWC", "ACWP", "ACFC", "PATC", "PDNG", "PART", "RCVD", "PRES"})


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """One payment's status; `payment_id` is the end-to-end id that we gave it."""

    message_id: str
    payment_id: str
    verdict: Verdict
    code: str
    reason: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All of a file. `group_refused`: the whole batch is said to be rejected, which by itself refuses no payment."""

    message_id: str
    payments: tuple[PaymentStatus, ...]
    group_refused: str = ""


def read_statuses(message: Message) -> StatusReport:
    """A status report. Raises FileRefusedError for a status that the standard does not have."""
    body = message.body
    original = body("OrgnlGrpInfAndSts/OrgnlMsgId")
    payments = tuple(
        status
        for payments in body.each("OrgnlPmtInfAndSts")
        for payment in payments.each("TxInfAndSts")
        for status in _status(payment, original)
    )
    group = body.first("OrgnlGrpInfAndSts")
    whole = [group, *body.each("OrgnlPmtInfAndSts")] if group else []
    refused = [
        _reason(node) or "no reason given"
        for node in whole
        if "RJCT" in {_known(node, "GrpSts"), _known(node, "PmtInfSts")}
    ]
    return StatusReport(original, payments, refused[0] if refused else "")


def _status(payment: Node, message_id: str) -> Iterator[PaymentStatus]:
    code = _known(payment, "TxSts")
    if not code:
        return
    if not payment("OrgnlEndToEndId"):
        raise payment.refuse("OrgnlEndToEndId", "is missing: the status is about no payment")
    verdict = _VERDICTS.get(code, Verdict.PENDING)
    yield PaymentStatus(message_id, payment("OrgnlEndToEndId"), verdict, code, _reason(payment), payment.path)


def _known(node: Node, name: str) -> str:
    code = node(name)
    if code and code not in _PENDING and code not in _VERDICTS:
        raise node.refuse(name, f"{code} is no status")
    return code


def _reason(node: Node) -> str:
    for each in node.each("StsRsnInf"):
        code = each("Rsn/Cd") or each("Rsn/Prtry")
        words = each("AddtlInf")
        return f"{code} {words}".strip()
    return ""
