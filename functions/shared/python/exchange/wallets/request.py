"""What customers send: the body of a deposit, and where in a list they are."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from exchange.kernel.errors import Code, Refused
from exchange.rest import ApiRequest, Body
from exchange.transfers.model import Page, TransferKind
from exchange.wallets.model import DepositRequest, PaymentMethod
from exchange.wallets.withdrawing import WithdrawalRequest

LIMIT_MAX = 100
_DIGITS_MAX = 40
# A moment in nanoseconds and the id of what was made then: `created_key`, as a cursor.
_CURSOR = re.compile(r"[0-9]{20}-[0-9a-f-]{1,36}", re.ASCII)


class DepositBody(Body):
    """POST /deposits/payment-method. The amount is decimal text."""

    amount: Annotated[str, Field(min_length=1, max_length=40)]
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64)]
    client_transfer_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    def deposit(self) -> DepositRequest:
        """The same, in our words."""
        return DepositRequest(self.amount, self.currency, self.payment_method_id, self.client_transfer_id or "")


def _decimal_text(value: Any) -> Any:
    """A number of JSON as the decimal text that it was written as; all else is left for the type to judge."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= _DIGITS_MAX:
        return format(value, "f")
    return str(value) if type(value) is int else value


class WithdrawalBody(Body):
    """POST /withdrawals/payment-method. The amount is decimal text; some clients send a number, read as written."""

    amount: Annotated[str, BeforeValidator(_decimal_text), Field(min_length=1, max_length=40)]
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64)]
    client_transfer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = None
    two_factor_code: Annotated[str, Field(max_length=8)] | None = None

    def withdrawal(self) -> WithdrawalRequest:
        """The same, in our words."""
        return WithdrawalRequest(self.amount, self.currency, self.payment_method_id, self.client_transfer_id or "")


class AddressBody(Body):
    """POST /coinbase-accounts/{id}/addresses. The network may be left out where one alone has the currency."""

    network: Annotated[str, Field(min_length=1, max_length=32)] | None = None


class ChainWithdrawalBody(Body):
    """POST /withdrawals/crypto. The amount is decimal text, or a number of JSON that is read as it was written."""

    amount: Annotated[str, BeforeValidator(_decimal_text), Field(min_length=1, max_length=40)]
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    crypto_address: Annotated[str, Field(min_length=1, max_length=128)]
    network: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    client_transfer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = None
    two_factor_code: Annotated[str, Field(max_length=8)] | None = None


class MoveBody(Body):
    """POST /profiles/transfer. `from` and `to` are ids of own profiles; the amount is decimal text."""

    source: Annotated[str, Field(alias="from", min_length=1, max_length=36)]
    to: Annotated[str, Field(min_length=1, max_length=36)]
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    amount: Annotated[str, Field(min_length=1, max_length=40)]
    client_transfer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = None


def read_page(request: ApiRequest) -> Page | Refused:
    """`limit`, `after` and `before` of a list.

    Refuses:  REQUEST_FIELD_INVALID, naming the parameter.
    """
    text = request.query("limit")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        return Refused(Code.REQUEST_FIELD_INVALID, f"limit: give a whole number from 1 to {LIMIT_MAX}")
    after, before = request.query("after"), request.query("before")
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            return Refused(
                Code.REQUEST_FIELD_INVALID, f"{name}: not a cursor of ours; take it from the CB-{name.upper()} header"
            )
    if after and before:
        return Refused(Code.REQUEST_FIELD_INVALID, "before: give before or after, not both")
    return Page(min(int(text), LIMIT_MAX) if text else LIMIT_MAX, after or "", before or "")


def read_kind(request: ApiRequest) -> TransferKind | Refused | None:
    """`type` of a list of transfers; None where all are wanted."""
    text = request.query("type")
    if text is None:
        return None
    known = {kind.value: kind for kind in TransferKind}
    return known.get(text) or Refused(Code.REQUEST_FIELD_INVALID, f"type: give {' or '.join(known)}")


TwoFactorCode = Annotated[str, Field(max_length=8)]


class SendBody(Body):
    """POST /v1/transfers. `to` is an e-mail address or the id of a default profile; the amount is decimal text."""

    to: Annotated[str, Field(min_length=3, max_length=254)]
    currency: Annotated[str, Field(min_length=1, max_length=12)]
    amount: Annotated[str, Field(min_length=1, max_length=40)]
    client_transfer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = None
    two_factor_code: TwoFactorCode | None = None


class SafeguardsBody(Body):
    """PUT /v1/withdrawals/safeguards. The code is needed to turn the list off where a second factor is set."""

    allow_list: bool
    two_factor_code: TwoFactorCode = ""


class CodeBody(Body):
    """A code of the authenticator, where one is needed."""

    two_factor_code: TwoFactorCode = ""


class DestinationBody(Body):
    """POST /v1/withdrawals/destinations: a payment method, or an address on a network."""

    payment_method_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    crypto_address: Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{8,128}$")] | None = None
    network: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,19}$")] | None = None
    label: Annotated[str, Field(max_length=64)] = ""

    def text(self, methods: Sequence[PaymentMethod]) -> str | Refused:
        """The destination as the list names it. Refuses REQUEST_FIELD_INVALID, PAYMENT_METHOD_NOT_FOUND."""
        if (self.payment_method_id is None) == (self.crypto_address is None):
            return Refused(Code.REQUEST_FIELD_INVALID, "payment_method_id: give it or crypto_address, not both")
        if self.crypto_address is not None:
            if self.network is None:
                return Refused(Code.REQUEST_FIELD_INVALID, "network: name the chain that the address is on")
            return f"chain-{self.network}|{self.crypto_address.lower()}"
        found = next((method for method in methods if method.method_id == self.payment_method_id), None)
        if found is None or not found.allow_withdraw:
            return Refused(Code.PAYMENT_METHOD_NOT_FOUND, "payment_method_id: GET /payment-methods lists them")
        return f"{found.rail}|{found.method_id}"
